"""TensorFlow Datasets builder of the synthetic objects: renders them, then reads them as NYUD."""

from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nyud import builder as objects
from tf_privinfo.datasets.synthetic import storage
from tf_privinfo.datasets.synthetic_objects import rendering

# Name in the recipe -> what is rendered.
RENDERINGS = {
    'default': rendering.RenderOptions(),
    'tiny': rendering.RenderOptions(train=6, test=2, width=80, height=60),
}


class SyntheticObjects(objects.Nyud):
  """Ten classes of rendered objects; see `rendering`."""

  @classmethod
  def generate(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the dataset unless it is there; raises `UserError` if another rendering is."""
    storage.generate(data_dir, config.rendering, RENDERINGS, rendering.render)
