"""TensorFlow Datasets builder of UWA3D Multiview Activity II."""

import pathlib
from typing import List, Tuple

import tensorflow_datasets as tfds

from tf_privinfo.datasets import protocols, videos
from tf_privinfo.datasets.preparation import depth, frames
from tf_privinfo.datasets.uwa3dii import native


class Uwa3dii(videos.VideoBuilder):
  """Thirty actions of ten subjects in four views; see `native`."""

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  DEPTH_VARIANTS, ACTIONS, PARTS = native.DEPTH_VARIANTS, native.ACTIONS, ('view', 'subject')
  ALIGNABLE = False  # its skeletons are not given in the pixels of both cameras
  parse = staticmethod(protocols.parse_uwa3d_name)
  find_root = staticmethod(native.find_root)

  @staticmethod
  def partition(name: str) -> str:
    """One per view: every protocol is made of these."""
    return f'view_{protocols.parse_uwa3d_name(name).view}'

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Video], List[str]]:
    return native.scan(root)

  def read(self, sample: native.Video) -> videos.Footage:
    rgb = videos.stack([frames.read_jpeg(path) for path in sample.rgb], sample.rgb)
    if self.builder_config.depth_variant == 'depth':
      images = depth.jet(videos.stack([frames.read_depth(path) for path in sample.depth], sample.depth))
    else:
      images = videos.stack([frames.read_picture(path) for path in sample.depth], sample.depth)
    return videos.Footage(rgb, images, dropped=sample.dropped)
