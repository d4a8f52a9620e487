"""What the builders of all video datasets have in common: alignment, optical flow, frames of one size."""

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
  """What was recorded of one video.

  Attributes:
    rgb: [F, H, W, 3] uint8.
    depth: [F, H', W', 3] uint8 pictures of depth, frame by frame those of RGB.
    joints: of the same F frames, where the builder's config asks for alignment.
    dropped: how many frames only one modality has; they were left out.
  """
  rgb: np.ndarray
  depth: np.ndarray
  joints: Optional[alignment.Joints] = None
  dropped: int = 0


@dataclasses.dataclass
class VideoConfig(tfds.core.BuilderConfig):
  """What is stored of each video.

  Attributes:
    frame_size: S; frames are stored as S x S, the size before cropping.
    depth_variant: which of the dataset's `DEPTH_VARIANTS`.
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


class VideoBuilder(base_builder.NativeBuilder, skip_registration=True):
  """RGB, depth and optical flow of every video, as JPEG frames of one size.

  `info.metadata` holds `samples` (name -> number of frames), `skipped` (one
  sentence each), `cut` (name -> frames left out), the flow's encoding, the
  depth variant, `aligned` where RGB and depth are, and otherwise
  `unlike_sizes` (name -> both sizes; one video for each pair of sizes) if frames
  of both differ in size and could be aligned.

  Attributes:
    DEPTH_VARIANTS: known values of `data.depth_variant`, the default first.
    ACTIONS: number of an action in the samples' names -> name of the class; labels are their ranks.
    PARTS: what `describe` counts by, of what `parse` returns.
    ALIGNABLE: whether `read` can give joints.
  """

  MODALITIES = ('rgb', 'depth', 'flow')
  UNIT, PREPARATION = 'video', 'flow, resize, encode'
  DEPTH_VARIANTS: Tuple[str, ...]
  ACTIONS: Mapping[int, str]
  PARTS: Tuple[str, ...]
  ALIGNABLE = True

  @staticmethod
  def parse(name: str):
    """The parts of a sample's name, `action` among them; see `protocols`."""
    raise NotImplementedError

  def read(self, sample) -> RawVideo:
    """Reads the native files of a video; raises one of `base_builder.PROBLEMS`; runs in threads."""
    raise NotImplementedError

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> VideoConfig:
    if config.depth_variant not in cls.DEPTH_VARIANTS:
      raise errors.UserError(
          f'Unknown depth_variant {config.depth_variant!r}: choose one of {", ".join(cls.DEPTH_VARIANTS)}.')
    if config.aligned and not cls.ALIGNABLE:
      raise errors.UserError('RGB and depth of this dataset cannot be aligned, since it does not contain the joints in '
                             'both: leave data.aligned false.')
    return VideoConfig(frame_size=frame_size, depth_variant=config.depth_variant, skip_broken=config.skip_broken,
                       aligned=config.aligned)

  @classmethod
  def label_of(cls, name: str) -> str:
    return cls.ACTIONS[cls.parse(name).action]

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.frame_size
    aligned = {'aligned': True} if self.builder_config.aligned else {}  # else the metadata are as they always were
    image = tfds.features.Image(shape=(size, size, 3), encoding_format='jpeg')
    return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict({
            **{modality: tfds.features.Sequence(image) for modality in self.MODALITIES},
            'label': tfds.features.ClassLabel(names=list(self.ACTIONS.values())),
            'sample_id': tfds.features.Text(),
        }),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], cut={}, flow=dataclasses.asdict(flow.ENCODING),
            depth_variant=self.builder_config.depth_variant, frame_size=size, **aligned))

  def describe(self, names: Sequence[str]) -> List[str]:
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
    size = self.builder_config.frame_size
    footage = self.read(sample)
    rgb, depth = footage.rgb, footage.depth
    if self.builder_config.aligned:
      rgb, depth = alignment.overlay(rgb, depth, alignment.estimate(*footage.joints))
    images = {'rgb': rgb, 'depth': depth, 'flow': map(flow.encode_flow, flow.frame_by_frame(rgb))}
    # One frame after the other: as float, a long video would take gigabytes, on each core.
    encoded = {m: [frames.encode_jpeg(frames.resize_bilinear(image[None], size))[0] for image in images[m]]
               for m in self.MODALITIES}
    return base_builder.Prepared({**encoded, 'label': self.label_of(sample.name), 'sample_id': sample.name},
                             self._facts(footage))

  def _fill_metadata(self, records, problems) -> None:
    super()._fill_metadata(records, problems)
    unlike = self.info.metadata.get('unlike_sizes')
    if unlike:  # of a hundred thousand videos in NTU RGB+D all
      examples = {sizes: name for name, sizes in reversed(unlike.items())}
      self.info.metadata['unlike_sizes'] = {name: sizes for sizes, name in examples.items()}

  def inspect(self, sample) -> Tuple[int, Mapping[str, Any]]:
    footage = self.read(sample)
    if self.builder_config.aligned:
      alignment.crop_boxes(alignment.estimate(*footage.joints), footage.rgb.shape[1:3], footage.depth.shape[1:3])
    return len(footage.rgb), self._facts(footage)

  def _facts(self, footage: RawVideo) -> Mapping[str, Any]:
    """What the metadata tell of one video."""
    facts = {'cut': footage.dropped} if footage.dropped else {}
    (rgb_height, rgb_width), (height, width) = footage.rgb.shape[1:3], footage.depth.shape[1:3]
    if self.ALIGNABLE and not self.builder_config.aligned and (rgb_height, rgb_width) != (height, width):
      facts['unlike_sizes'] = f'RGB {rgb_width}x{rgb_height}, depth {width}x{height}'
    return facts


def stack(images: Sequence[np.ndarray], paths: Sequence[Any]) -> np.ndarray:
  """The frames of a video as one array; raises `frames.UnreadableFileError` where they differ in size."""
  for image, path in zip(images, paths):
    if image.shape != images[0].shape:
      raise frames.UnreadableFileError(
          f'{path}: {image.shape[1]}x{image.shape[0]}, unlike the first frame of the video')
  return np.stack(images)
