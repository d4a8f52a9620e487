"""TensorFlow Datasets builder of recordings that are listed in a table."""

import collections
import dataclasses
import json
import pathlib
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
import zlib

import tensorflow_datasets as tfds

from tf_privinfo.datasets import base_builder
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.preparation import flow, frames
from tf_privinfo.datasets.recordings import measurements, protocols, spec, table
from tf_privinfo.utils import errors


@dataclasses.dataclass
class TableConfig(tfds.core.BuilderConfig):
  """Form of the stored recordings.

  Attributes:
    name: name of the form, derived from the other fields.
    frame_size: side S of the stored frames in pixels.
    modalities: columns of the table with recordings, in their order.
    encodings: modality, encoding, low and high end of the range of every 16-bit modality.
    tolerance: largest difference of lengths, a fraction of the longer one.
    without_flow: whether the optical flow of `rgb` is left out.
    skip_broken: whether unreadable samples are skipped.
  """
  name: str = ''
  frame_size: int = 256
  modalities: Tuple[str, ...] = ()
  encodings: Tuple[Tuple[str, str, int, int], ...] = ()
  tolerance: float = 0.1
  without_flow: bool = False
  skip_broken: bool = False

  def __post_init__(self):
    ranges = [f'{modality}_{encoding}_{low}-{high}' for modality, encoding, low, high in self.encodings]
    form = '_'.join([f'{self.frame_size}px', *self.modalities, *ranges, f'{self.tolerance:g}'])
    form = form if len(form) <= 120 else f'{form[:120]}_{zlib.crc32(form.encode()):08x}'
    self.name = form + ('_without_flow' if self.without_flow else '') + ('_skip_broken' if self.skip_broken else '')


class Recordings(base_builder.NativeBuilder):
  """The modalities of every row of samples.csv as JPEG frames of one size, with the flow of `rgb` on request.

  `info.metadata` contains `rows` (name -> label and attributes), `encodings` (modality -> name and range of its
  encoding), the frame size and, with flow, its encoding. If the modalities of samples differ in size, `unlike_sizes`
  (name -> their sizes) lists one sample for each combination of sizes.
  """

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = table.HOW_TO_GET_IT
  UNIT = 'sample'
  SPEC = spec.RECORDINGS

  @property
  def MODALITIES(self) -> Tuple[str, ...]:  # type: ignore[override]  # pylint: disable=invalid-name
    """Columns with recordings, and `flow` where it is computed."""
    return self.builder_config.modalities + (('flow',) if self._has_flow else ())

  @property
  def PREPARATION(self) -> str:  # type: ignore[override]  # pylint: disable=invalid-name
    """Steps of the preparation."""
    return f'{"flow, " if self._has_flow else ""}resize, encode'

  @property
  def _has_flow(self) -> bool:
    return self._can_have_flow(self.builder_config.modalities) and not self.builder_config.without_flow

  @classmethod
  def _can_have_flow(cls, columns: Sequence[str]) -> bool:
    return not cls.SPEC.objects and 'rgb' in columns and 'flow' not in columns

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    """The folder of the table; raises `UserError` if there is none."""
    root = pathlib.Path(data_dir)
    if not (root / table.NAME).is_file():
      raise errors.UserError(f'There is no {root / table.NAME}.\n{table.HOW_TO_GET_IT}')
    return root

  @classmethod
  def forms(cls, data_dir: str, config: DataConfig, frame_size: int, protocol: str,
            modalities: Optional[Sequence[str]]) -> List[tfds.core.BuilderConfig]:
    """The form of a table with the optical flow of `rgb` and, if flow is not needed, before it the one without.

    By default, ranges of 16-bit columns span the training samples of the protocol.
    """
    root = cls.find_root(data_dir)
    content = table.read(root)
    cls._check_kind(root, content)
    first = next(iter(content.cells.values()))
    measured = [modality for modality in content.modalities if _is_measured(root, first[modality])]
    encodings = measurements.settings('data.encodings', config.encodings, measured)
    ranges = measurements.settings('data.ranges', config.ranges, measured)
    for modality, name in encodings.items():
      errors.refuse_unknown(f'set=data.encodings={modality}', name, measurements.ENCODINGS)
    train = protocols.split(protocol, content.rows, config.hold_out, config.hold_out_by).train if set(measured) - set(
        ranges) else []
    chosen = tuple((modality, encodings.get(modality, 'jet'), *(
        measurements.parse_range(ranges[modality]) if modality in ranges else measurements.training_range(
            root, modality, [content.cells[name][modality] for name in train]))) for modality in measured)
    form = TableConfig(frame_size=frame_size, modalities=content.modalities, encodings=chosen,
                       tolerance=config.length_tolerance, skip_broken=config.skip_broken)
    if modalities is None or 'flow' in modalities or not cls._can_have_flow(content.modalities):
      return [form]
    return [dataclasses.replace(form, without_flow=True), form]

  @classmethod
  def _check_kind(cls, root: pathlib.Path, content: table.Table) -> None:
    name, cells = next(iter(content.cells.items()))
    if table.is_picture(next(iter(cells.values()))) != cls.SPEC.objects:
      kind, other = ('videos', 'recordings') if cls.SPEC.objects else ('single pictures', 'recordings_objects')
      raise errors.UserError(f'{root / table.NAME} lists {kind} from row {content.lines[name]} on: pass '
                             f'--dataset={other}.')

  @staticmethod
  def partition(name: str) -> str:
    """All samples are in one split: protocols are chosen after the preparation, by any attribute."""
    del name
    return 'samples'

  def label_of(self, name: str) -> str:  # type: ignore[override]
    """Value of the column `label`."""
    return self.info.metadata['rows'][name]['label']

  def describe(self, names: Sequence[str]) -> List[str]:
    """Summary lines of the samples `names`: frames, modalities, encodings, counts by class and attribute."""
    metadata = self.info.metadata
    rows = [metadata['rows'][name] for name in names]
    lines = [f'{len(names)} samples, {sum(metadata["samples"].values())} frames of {", ".join(self.MODALITIES)}']
    lines += [f'{modality}: {encoding["name"]} over {encoding["range"][0]} to {encoding["range"][1]}'
              for modality, encoding in metadata['encodings'].items()]
    for column in rows[0] if rows else ():
      numbers = sorted(collections.Counter(row[column] for row in rows).items())
      shown = ', '.join(f'{value} {number}' for value, number in numbers) if len(numbers) <= 40 else (
          f'{len(numbers)} values')
      lines.append(f'per {"class" if column == "label" else column}: {shown}')
    return lines

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    return tfds.core.DatasetInfo(
        builder=self,
        features=self.features(),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], rows={}, frame_size=config.frame_size,
            **({'flow': dataclasses.asdict(flow.ENCODING)} if self._has_flow else {}),
            encodings={modality: {'name': name, 'range': [low, high]}
                       for modality, name, low, high in config.encodings}))

  def scan(self, root: pathlib.Path) -> Tuple[List[table.Recording], List[str]]:
    """Lists the rows of the table; sets the class names of the feature `label`."""
    content, found, problems = table.read(root), [], []
    self.info.features['label'].names = sorted({row['label'] for row in content.rows.values()})
    for name, cells in content.cells.items():
      try:
        paths = tuple(table.files(root, cells[modality]) for modality in content.modalities)
        columns = json.dumps([content.lines[name], content.rows[name]]).encode()
        found.append(table.Recording(name, columns, paths))
      except ValueError as problem:
        problems.append(f'{name}: row {content.lines[name]}: {problem}')
    return found, problems

  def prepare(self, sample: table.Recording) -> base_builder.Prepared:
    """Reads, pairs and encodes the modalities of a row; raises as `_images`."""
    images, columns = self._images(sample)
    facts = _facts(images, columns)
    if self._has_flow:
      images['flow'] = map(flow.encode_flow, flow.frame_by_frame(images['rgb']))
    encoded = {modality: [frames.store(image, self.SPEC, self.builder_config.frame_size) for image in images[modality]]
               for modality in self.MODALITIES}
    return base_builder.Prepared({**encoded, 'label': columns['label'], 'sample_id': sample.name}, facts)

  def inspect(self, sample: table.Recording) -> Tuple[int, Mapping[str, Any]]:
    """Number of frames and columns of a row, without flow; raises as `prepare`."""
    images, columns = self._images(sample)
    return len(next(iter(images.values()))), _facts(images, columns)

  def _images(self, sample: table.Recording) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """Paired 8-bit images of every modality, and the columns of a row; `frames.UnreadableFileError` names the row."""
    line, columns = json.loads(sample.columns)
    encodings = {modality: measurements.encoding(*rest) for modality, *rest in self.builder_config.encodings}
    try:
      clips = {modality: measurements.read(paths) for modality, paths in zip(
          self.builder_config.modalities, sample.files)}
      images = measurements.paired(clips, self.builder_config.tolerance)
      for modality, values in images.items():
        if (values.ndim == 3) != (modality in encodings):
          raise frames.UnreadableFileError(f'{modality} has {16 if values.ndim == 3 else 8} bits, unlike the first row')
        if modality in encodings:
          images[modality] = encodings[modality](values)
      if self._has_flow and max(images['rgb'].shape[1:3]) < 12:
        raise frames.UnreadableFileError('rgb is smaller than 12 pixels, the least for optical flow')
    except frames.UnreadableFileError as problem:
      raise frames.UnreadableFileError(f'row {line}: {problem}') from None
    return images, columns


class RecordingsObjects(Recordings):
  """Single pictures of objects: samples of one frame."""

  SPEC = spec.RECORDINGS_OBJECTS


def _facts(images: Mapping[str, Any], columns: Mapping[str, str]) -> Dict[str, Any]:
  """Additional metadata of one sample."""
  sizes = {modality: values.shape[1:3] for modality, values in images.items()}
  if len(set(sizes.values())) == 1:
    return {'rows': columns}
  text = ', '.join(f'{modality} {width}x{height}' for modality, (height, width) in sizes.items())
  return {'rows': columns, 'unlike_sizes': text}


def _is_measured(root: pathlib.Path, cell: str) -> bool:
  try:
    return measurements.is_measured(table.files(root, cell)[0])
  except ValueError:
    return False  # reported by `scan`
