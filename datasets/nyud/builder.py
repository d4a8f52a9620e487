"""TensorFlow Datasets builder of the NYUD objects."""

import collections
import dataclasses
import pathlib
from typing import List, Sequence, Tuple

import tensorflow_datasets as tfds

from tf_privinfo.datasets import base_builder
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nyud import native, spec
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.utils import errors

# Size of the complete dataset (thesis section 4.3.1).
_CLASSES = 19
_COUNTS = {'train': 2186, 'test': 2401}


@dataclasses.dataclass
class ObjectConfig(tfds.core.BuilderConfig):
  """Form of the stored pairs.

  Attributes:
    name: name of the form, derived from the other fields.
    frame_size: side S of the stored images in pixels.
    depth_variant: name of the folder of depth, beside `images`.
    skip_broken: whether unreadable pairs are skipped.
  """
  name: str = ''
  frame_size: int = 224
  depth_variant: str = 'depth'
  skip_broken: bool = False

  def __post_init__(self):
    self.name = f'{self.frame_size}px_{self.depth_variant}' + ('_skip_broken' if self.skip_broken else '')


class Nyud(base_builder.NativeBuilder):
  """RGB and HHA of every object, as videos of one JPEG frame of one size.

  `info.metadata` contains `samples` (name -> 1), `skipped` (one sentence each),
  the depth variant and the frame size. The predefined training and test sets
  are the two TFDS splits.

  HHA is also stored as JPEG. At the quality of `frames.encode_jpeg` and 224 x
  224 pixels, the mean error is 0.6 levels of disparity, 0.4 cm of height and
  1.2 degrees (99 % of the pixels within 2, 2 and 5). The error of RGB is about
  the same, and the noise of a Kinect is larger.
  """

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT
  MODALITIES = ('rgb', 'depth')
  UNIT, PREPARATION = 'image pair', 'resize, encode'
  SPEC = spec.NYUD
  find_root = staticmethod(native.find_root)

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> ObjectConfig:
    """The builder config; raises `UserError` if `config.depth_variant` is not a folder name."""
    if pathlib.Path(config.depth_variant).name != config.depth_variant:
      raise errors.UserError(f'data.depth_variant={config.depth_variant!r} must be the name of a folder beside images, '
                             'such as depth, without a path.')
    return ObjectConfig(frame_size=frame_size, depth_variant=config.depth_variant, skip_broken=config.skip_broken)

  @staticmethod
  def partition(name: str) -> str:
    """Name of the predefined set, `train` or `test`."""
    return name.split('/')[0]

  @classmethod
  def label_of(cls, name: str) -> str:
    """Class of a sample, which is its folder."""
    return name.split('/')[1]

  def describe(self, names: Sequence[str]) -> List[str]:
    """Summary lines of the pairs `names`, with a warning if the dataset is incomplete."""
    parts = collections.Counter(map(self.partition, names))
    per_class = collections.Counter(tuple(name.split('/')[:2]) for name in names)
    labels = self.info.features['label'].names
    lines = [f'{len(names)} image pairs of {len(labels)} classes ({parts["train"]} train, {parts["test"]} test), '
             f'depth from {self.info.metadata["depth_variant"]}',
             'per class (train + test): ' + ', '.join(
                 f'{label} {per_class["train", label]}+{per_class["test", label]}' for label in labels)]
    if len(labels) == _CLASSES and parts != _COUNTS:
      lines.append(f'Warning: the complete NYUD has {_COUNTS["train"]} training and {_COUNTS["test"]} test pairs of '
                   f'these {_CLASSES} classes, so the results are not comparable with the published ones.')
    return lines

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.frame_size
    return tfds.core.DatasetInfo(
        builder=self,
        features=self.features(),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], depth_variant=self.builder_config.depth_variant, frame_size=size))

  def scan(self, root: pathlib.Path) -> Tuple[List[native.Pair], List[str]]:
    """See `native.scan`; sets the class names of the feature `label`."""
    self.info.features['label'].names = native.classes(root, self.builder_config.depth_variant)
    return native.scan(root, self.builder_config.depth_variant)

  def prepare(self, sample: native.Pair) -> base_builder.Prepared:
    """Reads, resizes and encodes a pair; raises `frames.UnreadableFileError`, also for different sizes."""
    rgb, depth = frames.read_picture(sample.rgb, self.SPEC.dct_method), frames.read_picture(sample.depth)
    if rgb.shape != depth.shape:
      raise frames.UnreadableFileError('RGB is {1}x{0}, depth {3}x{2}: the crops must have equal sizes'.format(
          *rgb.shape[:2], *depth.shape[:2]))
    size = self.builder_config.frame_size
    encoded = {modality: [frames.store(image, self.SPEC, size)] for modality, image in (('rgb', rgb), ('depth', depth))}
    return base_builder.Prepared({**encoded, 'label': sample.label, 'sample_id': sample.name}, {})
