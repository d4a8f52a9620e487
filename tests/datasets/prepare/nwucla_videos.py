"""Six videos of NW-UCLA, opened, checked and damaged."""

from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig

FRAME_SIZE = 32
NAMES = [f'view_{view}/a{action:02d}_s01_e00' for view in (1, 2) for action in (2, 9, 12)]
FORM = f'{FRAME_SIZE}px_depth_vis_opencv_dis_medium'


def open_videos(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


def check_videos(data_dir, **config):
  return catalog.check_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


def contents(folder):
  """All files, by their paths in it -> content."""
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def damage(data_dir, name):
  path = data_dir / 'multiview_action' / name / 'frame_6_rgb.jpg'
  whole = path.read_bytes()
  path.write_bytes(whole[:200])
  return path, whole
