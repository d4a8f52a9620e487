"""TensorFlow Datasets builder of the synthetic dataset, which is rendered in the layout of NW-UCLA."""

from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nwucla.builder import Nwucla
from tf_privinfo.datasets.synthetic import rendering, spec, storage


class Synthetic(Nwucla):
  """Ten actions of ten subjects in three views, rendered; see `rendering`."""

  SPEC = spec.SYNTHETIC

  @classmethod
  def generate(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the dataset unless it exists; raises `UserError` if `data_dir` contains another rendering."""
    storage.generate(data_dir, config.rendering, rendering.RENDERINGS, rendering.render)
