"""Base class of the builders of all video datasets: alignment, optical flow, frames of one size."""

import collections
import dataclasses
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow_datasets as tfds

from tf_privinfo.datasets import base_builder
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.preparation import alignment, flow, frames
from tf_privinfo.utils import errors, text


class RawVideo(NamedTuple):
  """The frames of one video in their original size.

  Attributes:
    rgb: [F, H, W, 3] uint8 RGB frames.
    depth: [F, H', W', 3] uint8 depth images of the same F frames.
    joints: joints in the same F frames; needed only for alignment.
    dropped: number of frames that were left out because only one modality contains them.
  """
  rgb: np.ndarray
  depth: np.ndarray
  joints: Optional[alignment.Joints] = None
  dropped: int = 0


@dataclasses.dataclass
class VideoConfig(tfds.core.BuilderConfig):
  """Form of the stored videos.

  Attributes:
    name: name of the form, derived from the other fields.
    frame_size: side S of the stored frames in pixels; training crops from S x S.
    depth_variant: source of depth, one of the dataset's `depth_variants`.
    skip_broken: whether videos that cannot be read (or aligned) are skipped.
    aligned: whether RGB and depth are spatially aligned by the joints and cropped to their overlap.
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


class VideoBuilder(base_builder.NativeBuilder, skip_registration=True):
  """RGB, depth and optical flow of every video, as JPEG frames of one size.

  `info.metadata` contains `samples` (name -> number of frames), `skipped` (one
  sentence each), `cut` (name -> number of frames left out), the encoding of the
  flow, the depth variant, and `aligned` if RGB and depth are aligned. If they
  are not, but could be, `unlike_sizes` (name -> both sizes) lists one video for
  each pair of different sizes of RGB and depth.

  Attributes:
    ACTIONS: number of an action in sample names -> class name; labels are the ranks of the numbers.
    PARTS: fields of the result of `parse` by which `describe` counts.
  """

  MODALITIES = ('rgb', 'depth', 'flow')
  UNIT, PREPARATION = 'video', 'flow, resize, encode'
  ACTIONS: Mapping[int, str]
  PARTS: Tuple[str, ...]

  @staticmethod
  def parse(name: str):
    """Parts of a sample name as a named tuple with the field `action`; see `protocols`."""
    raise NotImplementedError

  def read(self, sample) -> RawVideo:
    """Reads the native files of a video; raises one of `base_builder.PROBLEMS`. Runs in threads."""
    raise NotImplementedError

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> VideoConfig:
    """The builder config; raises `UserError` for an unknown depth variant or impossible alignment."""
    if config.depth_variant not in cls.SPEC.depth_variants:
      raise errors.UserError(
          f'Unknown depth_variant {config.depth_variant!r}: choose one of {", ".join(cls.SPEC.depth_variants)}.')
    if config.aligned and not cls.SPEC.alignable:
      raise errors.UserError('RGB and depth of this dataset cannot be aligned, since it does not contain the joints in '
                             'both: leave data.aligned false.')
    return VideoConfig(frame_size=frame_size, depth_variant=config.depth_variant, skip_broken=config.skip_broken,
                       aligned=config.aligned)

  @classmethod
  def label_of(cls, name: str) -> str:
    """Class name of the action in a sample name."""
    return cls.ACTIONS[cls.parse(name).action]

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.frame_size
    aligned = {'aligned': True} if self.builder_config.aligned else {}  # as in data of earlier versions
    return tfds.core.DatasetInfo(
        builder=self,
        features=self.features(list(self.ACTIONS.values())),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], cut={}, flow=dataclasses.asdict(flow.ENCODING),
            depth_variant=self.builder_config.depth_variant, frame_size=size, **aligned))

  def describe(self, names: Sequence[str]) -> List[str]:
    """Summary lines of the videos `names`: frames, encodings, counts by class and by `PARTS`, cut videos."""
    metadata, parsed = self.info.metadata, [self.parse(name) for name in names]
    classes = collections.Counter(map(self.label_of, names))
    lines = [f'{len(names)} videos, {sum(metadata["samples"].values())} frames, '
             f'depth from {metadata["depth_variant"]}, flow by {metadata["flow"]["algorithm"]}'
             + (', RGB and depth aligned' if metadata.get('aligned') else '')]
    lines.append('per class: ' + ', '.join(f'{name} {count}' for name, count in classes.items()))
    for part in self.PARTS:
      counts = sorted(collections.Counter(getattr(name, part) for name in parsed).items())
      lines.append(f'per {part}: ' + ', '.join(f'{value}: {count}' for value, count in counts))
    if metadata['cut']:
      lines.append(f'{len(metadata["cut"])} videos have modalities of different length and are cut to the shortest: '
                   f'{text.first(metadata["cut"])}')
    return lines

  def prepare(self, sample) -> base_builder.Prepared:
    """Reads a video, aligns it if configured, computes flow, and resizes and encodes all frames."""
    size = self.builder_config.frame_size
    footage = self.read(sample)
    rgb, depth = footage.rgb, footage.depth
    if self.builder_config.aligned:
      rgb, depth = alignment.overlay(rgb, depth, alignment.estimate(*footage.joints))
    images = {'rgb': rgb, 'depth': depth, 'flow': map(flow.encode_flow, flow.frame_by_frame(rgb))}
    # One frame at a time: as float, a long video would need gigabytes of memory on each core.
    encoded = {m: [frames.store(image, self.SPEC, size) for image in images[m]] for m in self.MODALITIES}
    return base_builder.Prepared({**encoded, 'label': self.label_of(sample.name), 'sample_id': sample.name},
                             self._facts(footage))

  def inspect(self, sample) -> Tuple[int, Mapping[str, Any]]:
    """Number of frames and metadata of a video, without flow and encoding; raises as `prepare` does."""
    footage = self.read(sample)
    if self.builder_config.aligned:
      alignment.crop_boxes(alignment.estimate(*footage.joints), footage.rgb.shape[1:3], footage.depth.shape[1:3])
    return len(footage.rgb), self._facts(footage)

  def _facts(self, footage: RawVideo) -> Mapping[str, Any]:
    """Additional metadata of one video."""
    facts = {'cut': footage.dropped} if footage.dropped else {}
    (rgb_height, rgb_width), (height, width) = footage.rgb.shape[1:3], footage.depth.shape[1:3]
    if self.SPEC.alignable and not self.builder_config.aligned and (rgb_height, rgb_width) != (height, width):
      facts['unlike_sizes'] = f'rgb {rgb_width}x{rgb_height}, depth {width}x{height}'
    return facts
