"""TensorFlow Datasets builder of the synthetic dataset: renders it, then reads it as NW-UCLA."""

import pathlib

from tf_privinfo import errors
from tf_privinfo.datasets.nwucla import builder as multiview
from tf_privinfo.datasets.synthetic import rendering

# Name in the recipe -> what is rendered.
RENDERINGS = {
    'default': rendering.RenderOptions(),
    'tiny': rendering.RenderOptions(subjects=4, episodes=1, min_frames=9, max_frames=10, width=64, height=48),
}


class Synthetic(multiview.Nwucla):
  """Ten actions of ten subjects in three views, rendered; see `rendering`."""


def render_if_missing(data_dir: str, name: str) -> None:
  """Renders the dataset of that name into `data_dir` unless it is already there.

  Raises:
    UserError: for an unknown name, and if the folder holds another rendering.
  """
  if name not in RENDERINGS:
    raise errors.UserError(f'Unknown data.rendering {name!r}: choose one of {", ".join(RENDERINGS)}.')
  try:
    rendering.render(pathlib.Path(data_dir), RENDERINGS[name])
  except ValueError as error:
    raise errors.UserError(str(error)) from None
