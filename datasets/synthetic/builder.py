"""TensorFlow Datasets builder of the synthetic dataset: renders it, then reads it as NW-UCLA."""

from tf_privinfo.configs import DataConfig
from tf_privinfo.datasets.nwucla.builder import Nwucla
from tf_privinfo.datasets.synthetic import rendering
from tf_privinfo.datasets.synthetic import storage

# Name in the recipe -> what is rendered.
RENDERINGS = {
    'default': rendering.RenderOptions(),
    'tiny': rendering.RenderOptions(subjects=4, episodes=1, min_frames=9, max_frames=10, width=64, height=48),
}


class Synthetic(Nwucla):
  """Ten actions of ten subjects in three views, rendered; see `rendering`."""

  @classmethod
  def provide(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the dataset unless it is there; raises `UserError` if another rendering is."""
    storage.provide(data_dir, config.rendering, RENDERINGS, rendering.render)
