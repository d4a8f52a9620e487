"""TensorFlow Datasets builder of the synthetic dataset: renders it, then reads it as NW-UCLA."""

from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nwucla.builder import Nwucla
from tf_privinfo.datasets.synthetic import rendering, storage

# Name in the recipe -> what is rendered.
RENDERINGS = {
    'default': rendering.RenderOptions(),
    'tiny': rendering.RenderOptions(subjects=4, episodes=1, min_frames=9, max_frames=10, width=64, height=48),
}


class Synthetic(Nwucla):
  """Ten actions of ten subjects in three views, rendered; see `rendering`."""

  @classmethod
  def generate(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the dataset unless it is there; raises `UserError` if another rendering is."""
    storage.generate(data_dir, config.rendering, RENDERINGS, rendering.render)
