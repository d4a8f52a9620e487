"""TensorFlow Datasets builders of NTU RGB+D."""

import pathlib
from typing import List, Sequence, Tuple

import tensorflow_datasets as tfds

from tf_privinfo.datasets import video_builder
from tf_privinfo.datasets.ntu_rgbd import native, protocols, skeletons, spec
from tf_privinfo.datasets.preparation import depth, frames, video
from tf_privinfo.utils import text


class Ntu120(video_builder.VideoBuilder):
  """120 actions of 106 performers in 32 setups, recorded by three cameras; see `native`.

  `info.metadata` also contains `without_skeleton`, the samples on the published
  list of samples without usable skeletons, which are left out.
  """

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  SPEC, ACTIONS, PARTS = spec.NTU120, native.ACTIONS, ('setup', 'camera', 'performer')
  SETUPS = range(1, 33)
  parse = staticmethod(protocols.parse_ntu_name)
  find_root = staticmethod(native.find_root)

  @staticmethod
  def partition(name: str) -> str:
    """Name of the TFDS split of a setup, camera and performer; every protocol is a union of these."""
    parts = protocols.parse_ntu_name(name)
    return f'setup_{parts.setup:02d}_camera_{parts.camera}_performer_{parts.performer:03d}'

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Video], List[str]]:
    """See `native.scan`; records the samples on the published list in `info.metadata`."""
    config = self.builder_config
    samples, problems, without_skeleton = native.scan(
        root, config.depth_variant, config.aligned, self.ACTIONS, self.SETUPS)
    self.info.metadata['without_skeleton'] = without_skeleton
    return samples, problems

  def read(self, sample: native.Video) -> video_builder.RawVideo:
    """Reads a video; raises `frames.UnreadableFileError`. RGB and depth are cut to the shorter one."""
    rgb = video.read_video(sample.rgb, self.SPEC.least_rgb_width)
    paths = native.depth_frames(sample.depth, self.builder_config.depth_variant)
    length = min(len(rgb), len(paths))
    images = frames.stack([depth.jet(frames.read_depth(path)) for path in paths[:length]], paths)
    joints = (skeletons.read_joints(sample.skeleton, length, rgb.shape[1:3], images.shape[1:3])
              if self.builder_config.aligned else None)
    return video_builder.RawVideo(rgb[:length], images, joints, max(len(rgb), len(paths)) - length)

  def describe(self, names: Sequence[str]) -> List[str]:
    """Summary lines of the base class, and one for the samples without usable skeletons."""
    lines, left_out = super().describe(names), self.info.metadata['without_skeleton']
    if left_out:
      lines.append(f'{len(left_out)} videos are on the published list of samples without usable skeleton and were left '
                   f'out: {text.first(left_out)}')
    return lines


class Ntu60(Ntu120):
  """The first release: 60 actions of 40 performers in 17 setups."""

  SPEC = spec.NTU60
  ACTIONS = {number: name for number, name in native.ACTIONS.items() if number <= 60}
  SETUPS = range(1, 18)
