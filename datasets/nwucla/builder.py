"""TensorFlow Datasets builder of Northwestern-UCLA Multiview Action3D."""

import collections
import dataclasses
import pathlib
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import tensorflow_datasets as tfds

from tf_privinfo import errors
from tf_privinfo.configs import DataConfig
from tf_privinfo.datasets import building, protocols
from tf_privinfo.datasets.nwucla import native, skeletons
from tf_privinfo.datasets.preparation import alignment, depth, flow, frames


@dataclasses.dataclass
class MultiviewConfig(tfds.core.BuilderConfig):
  """What is stored of each video.

  Attributes:
    frame_size: S; frames are stored as S x S, the size before cropping.
    depth_variant: 'depth_vis' (the authors' 8-bit pictures) or 'depth' (16 bit, jet colour map).
    skip_broken: keep going without the videos that cannot be read (or aligned).
    aligned: RGB and depth are laid over each other by the skeleton's joints and cropped to what both show.
  """
  name: str = ''
  frame_size: int = 256
  depth_variant: str = 'depth_vis'
  skip_broken: bool = False
  aligned: bool = False

  def __post_init__(self):
    self.name = f'{self.frame_size}px_{self.depth_variant}_{flow.ENCODING.algorithm}'
    if self.aligned:
      self.name += '_aligned'
    if self.skip_broken:
      self.name += '_skip_broken'


class Nwucla(building.NativeBuilder):
  """RGB, depth and optical flow of every video, as JPEG frames of one size.

  `info.metadata` holds `samples` (name -> number of frames), `skipped` (one
  sentence each), `cut` (name -> frames left out), the flow's encoding, the
  depth variant, `aligned` where RGB and depth are, and otherwise
  `unlike_sizes` (name -> both sizes) if their frames differ in size.
  """

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  MODALITIES = ('rgb', 'depth', 'flow')
  UNIT, PREPARATION = 'video', 'flow, resize, encode'

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> MultiviewConfig:
    if config.depth_variant not in native.DEPTH_VARIANTS:
      raise errors.UserError(
          f'Unknown depth_variant {config.depth_variant!r}: choose one of {", ".join(native.DEPTH_VARIANTS)}.')
    return MultiviewConfig(frame_size=frame_size, depth_variant=config.depth_variant, skip_broken=config.skip_broken,
                           aligned=config.aligned)

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    return native.find_root(data_dir)

  @staticmethod
  def partition(name: str) -> str:
    """One per view and subject: every protocol is made of these."""
    parts = protocols.parse_multiview_name(name)
    return f'view_{parts.view}_subject_{parts.subject:02d}'

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.frame_size
    aligned = {'aligned': True} if self.builder_config.aligned else {}  # else the metadata are as they always were
    image = tfds.features.Image(shape=(size, size, 3), encoding_format='jpeg')
    return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict({
            **{modality: tfds.features.Sequence(image) for modality in self.MODALITIES},
            'label': tfds.features.ClassLabel(names=list(native.ACTIONS.values())),
            'sample_id': tfds.features.Text(),
        }),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], cut={}, flow=dataclasses.asdict(flow.ENCODING),
            depth_variant=self.builder_config.depth_variant, frame_size=size, **aligned))

  def describe(self, names: Sequence[str]) -> List[str]:
    metadata, parsed = self.info.metadata, [protocols.parse_multiview_name(name) for name in names]
    classes = collections.Counter(native.ACTIONS[name.action] for name in parsed)
    lines = [f'{len(names)} videos, {sum(metadata["samples"].values())} frames, '
             f'depth from {metadata["depth_variant"]}, flow by {metadata["flow"]["algorithm"]}'
             + (', RGB and depth aligned' if metadata.get('aligned') else '')]
    lines.append('per class: ' + ', '.join(f'{name} {count}' for name, count in classes.items()))
    for part in ('view', 'subject'):
      counts = sorted(collections.Counter(getattr(name, part) for name in parsed).items())
      lines.append(f'per {part}: ' + ', '.join(f'{value}: {count}' for value, count in counts))
    if metadata['cut']:
      lines.append(f'{len(metadata["cut"])} videos have modalities of different length and were cut to the shortest: '
                   f'{building.first(metadata["cut"])}')
    return lines

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Video], List[str]]:
    return native.scan(root, self.builder_config.depth_variant, self.builder_config.aligned)

  def note(self, sample: native.Video) -> None:
    if sample.dropped:
      self.info.metadata['cut'][sample.name] = sample.dropped

  def prepare(self, sample: native.Video) -> Dict[str, Any]:
    size = self.builder_config.frame_size
    rgb = _same_size([frames.read_jpeg(path) for path in sample.rgb], sample.rgb)
    if self.builder_config.depth_variant == 'depth':
      depth_images = depth.jet(_same_size([frames.read_depth(path) for path in sample.depth], sample.depth))
    else:
      depth_images = _same_size([frames.read_jpeg(path) for path in sample.depth], sample.depth)
    if self.builder_config.aligned:
      joints = skeletons.read_joints(sample.skeletons, rgb.shape[1:3], depth_images.shape[1:3])
      rgb, depth_images = alignment.overlay(rgb, depth_images, alignment.estimate(*joints))
    elif rgb.shape[1:3] != depth_images.shape[1:3]:
      (rgb_height, rgb_width), (height, width) = rgb.shape[1:3], depth_images.shape[1:3]
      self.info.metadata.setdefault('unlike_sizes', {})[sample.name] = (
          f'RGB {rgb_width}x{rgb_height}, depth {width}x{height}')
    images = {'rgb': rgb, 'depth': depth_images, 'flow': flow.encode_flow(flow.dense_flow(rgb))}
    encoded = {m: frames.encode_jpeg(frames.resize_bilinear(images[m], size)) for m in self.MODALITIES}
    action = protocols.parse_multiview_name(sample.name).action
    return {**encoded, 'label': native.ACTIONS[action], 'sample_id': sample.name}


def _same_size(images, paths):
  for image, path in zip(images, paths):
    if image.shape != images[0].shape:
      raise frames.BrokenFile(f'{path}: {image.shape[1]}x{image.shape[0]}, unlike the first frame of the video')
  return np.stack(images)
