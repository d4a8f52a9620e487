"""TensorFlow Datasets builder of Northwestern-UCLA Multiview Action3D."""

import pathlib
from typing import List, Tuple

import tensorflow_datasets as tfds

from tf_privinfo.datasets import protocols, video_builder
from tf_privinfo.datasets.nwucla import native, skeletons, spec
from tf_privinfo.datasets.preparation import depth, frames


class Nwucla(video_builder.VideoBuilder):
  """Ten actions of ten subjects in three views; see `native`."""

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  SPEC, ACTIONS, PARTS = spec.NWUCLA, native.ACTIONS, ('view', 'subject')
  parse = staticmethod(protocols.parse_multiview_name)
  find_root = staticmethod(native.find_root)

  @staticmethod
  def partition(name: str) -> str:
    """Name of the TFDS split of a view and subject; every protocol is a union of these."""
    parts = protocols.parse_multiview_name(name)
    return f'view_{parts.view}_subject_{parts.subject:02d}'

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Video], List[str]]:
    """See `native.scan`."""
    return native.scan(root, self.builder_config.depth_variant, self.builder_config.aligned)

  def read(self, sample: native.Video) -> video_builder.RawVideo:
    """Reads a video; 16-bit depth gets the jet colour map; raises `frames.UnreadableFileError`."""
    rgb = frames.stack([frames.read_jpeg(path) for path in sample.rgb], sample.rgb)
    if self.builder_config.depth_variant == 'depth':
      images = depth.jet(frames.stack([frames.read_depth(path) for path in sample.depth], sample.depth))
    else:
      images = frames.stack([frames.read_jpeg(path) for path in sample.depth], sample.depth)
    joints = (skeletons.read_joints(sample.skeletons, rgb.shape[1:3], images.shape[1:3])
              if self.builder_config.aligned else None)
    return video_builder.RawVideo(rgb, images, joints, sample.dropped)
