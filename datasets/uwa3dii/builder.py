"""TensorFlow Datasets builder of UWA3D Multiview Activity II."""

import pathlib
from typing import List, Tuple

import tensorflow_datasets as tfds

from tf_privinfo.datasets import video_builder
from tf_privinfo.datasets.preparation import depth, frames
from tf_privinfo.datasets.uwa3dii import native, protocols, spec


class Uwa3dii(video_builder.VideoBuilder):
  """Thirty actions of ten subjects in four views; see `native`."""

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  SPEC, ACTIONS, PARTS = spec.UWA3DII, native.ACTIONS, ('view', 'subject')
  parse = staticmethod(protocols.parse_uwa3d_name)
  find_root = staticmethod(native.find_root)

  @staticmethod
  def partition(name: str) -> str:
    """Name of the TFDS split of a view; every protocol is a union of these."""
    return f'view_{protocols.parse_uwa3d_name(name).view}'

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Video], List[str]]:
    """See `native.scan`."""
    return native.scan(root)

  def read(self, sample: native.Video) -> video_builder.RawVideo:
    """Reads a video; 16-bit depth gets the jet colour map; raises `frames.UnreadableFileError`."""
    rgb = frames.stack([frames.read_jpeg(path) for path in sample.rgb], sample.rgb)
    if self.builder_config.depth_variant == 'depth':
      images = depth.jet(frames.stack([frames.read_depth(path) for path in sample.depth], sample.depth))
    else:
      images = frames.stack([frames.read_picture(path) for path in sample.depth], sample.depth)
    return video_builder.RawVideo(rgb, images, dropped=sample.dropped)
