"""TensorFlow Datasets builder of the synthetic objects, which are rendered in the layout of NYUD."""

from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nyud import builder as objects
from tf_privinfo.datasets.synthetic import storage
from tf_privinfo.datasets.synthetic_objects import rendering, spec

# Value of `data.rendering` -> parameters of the rendering.
RENDERINGS = {
    'default': rendering.RenderOptions(),
    'tiny': rendering.RenderOptions(train=6, test=2, width=80, height=60),
}


class SyntheticObjects(objects.Nyud):
  """Ten classes of rendered objects; see `rendering`."""

  SPEC = spec.SYNTHETIC_OBJECTS

  @classmethod
  def generate(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the dataset unless it exists; raises `UserError` if `data_dir` contains another rendering."""
    storage.generate(data_dir, config.rendering, RENDERINGS, rendering.render)
