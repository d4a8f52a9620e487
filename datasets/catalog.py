"""Opens a dataset by name: finds or renders the native files, prepares them once, reads videos."""

import functools
import os
import pkgutil
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

from google.protobuf import json_format
import numpy as np

from tf_privinfo.datasets import base_builder, clips, frame_index, integrity
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.registry import DATASETS
from tf_privinfo.utils import errors, text


class PreparedDataset:
  """A prepared dataset.

  Attributes:
    names: names of all samples, sorted.
    label_names: class names in the order of the labels.
    modalities: names of the modalities of every sample.
    unit: singular noun for a sample in messages.
    metadata: manifest of the builder: samples, skipped samples, files, and entries of the dataset.
    directory: folder of the prepared data.
  """

  def __init__(self, builder: base_builder.NativeBuilder):
    self._builder = builder
    self.metadata = dict(builder.info.metadata)
    self.names: List[str] = sorted(self.metadata['samples'])
    self.label_names: List[str] = builder.info.features['label'].names
    self.modalities = builder.MODALITIES
    self.unit = builder.UNIT
    self.directory: str = builder.data_dir

  def videos(self, names: Sequence[str], modalities: Sequence[str]) -> clips.Videos:
    """The encoded videos `names`, sorted by name, for `clips`; no record is read yet.

    Args:
      names: sample names; the result does not depend on their order.
      modalities: names of the modalities.

    Raises:
      UserError: if data without an index (see `frame_index`) are damaged.
    """
    ids, labels = self.index(names)
    rows, columns = self._frames.rows(ids), [self.modalities.index(modality) for modality in modalities]
    return clips.Videos(ids, labels, self._frames.lengths[rows], tuple(modalities),
                        lambda number, positions: self._frames.read(rows[number], columns, positions))

  @functools.cached_property
  def _frames(self) -> frame_index.FrameIndex:
    return frame_index.load(self._builder)

  def index(self, names: Sequence[str]) -> Tuple[List[str], np.ndarray]:
    """Sample ids (N strings) and labels ([N] int32) of the videos `names`, in the order of `videos`; reads no file."""
    ids = sorted(set(names))
    numbers = {label: number for number, label in enumerate(self.label_names)}
    return ids, np.array([numbers[self.label_of(name)] for name in ids], np.int32)

  def label_of(self, name: str) -> str:
    """Class name of a sample; no file is read."""
    return self._builder.label_of(name)

  def manifest(self) -> Dict[str, Any]:
    """Manifest of a run on this dataset, ready for JSON: `label_names` and the metadata without `native`."""
    # Copied files with different times must not stop a run.
    metadata = {key: value for key, value in self.metadata.items() if key != 'native'}
    return {'label_names': self.label_names, **metadata}

  def describe(self) -> str:
    """Summary of the samples and of the skipped samples, several lines."""
    lines = self._builder.describe(self.names)
    if self.metadata['skipped']:
      lines.append(f'{len(self.metadata["skipped"])} {self.unit}s were skipped: '
                   f'{text.first(self.metadata["skipped"])}')
    return '\n'.join(lines)


def builder_class(dataset: str) -> Type[base_builder.NativeBuilder]:
  """Builder class of a dataset; imports its module."""
  return pkgutil.resolve_name(DATASETS[dataset].builder)


def default_data_dir(dataset: str, config: DataConfig) -> str:
  """Default of --data_dir: the folder where the native files are expected, or rendered."""
  suffix = '' if config.rendering == 'default' else f'_{config.rendering}'
  return os.path.join('data', builder_class(dataset).name + suffix)


def make_builder(dataset: str, data_dir: str, config: DataConfig, frame_size: int,
                 prepared_dir: Optional[str] = None, protocol: str = '',
                 modalities: Optional[Sequence[str]] = None) -> base_builder.NativeBuilder:
  """Builder of one form of a dataset, prepared or not; arguments and errors as in `open_dataset`."""
  dataset_class, prepared = builder_class(dataset), prepared_dir or os.path.join(data_dir, 'prepared')
  forms = dataset_class.forms(data_dir, config, frame_size, protocol, modalities)
  builders = [_make(dataset_class, prepared, form) for form in forms]
  return next((builder for builder in builders if builder.data_path.exists()), builders[0])


def _make(dataset_class: Type[base_builder.NativeBuilder], prepared: str, builder_config) -> base_builder.NativeBuilder:
  try:
    builder = dataset_class(data_dir=prepared, config=builder_config)
    _ = builder.info.metadata  # read at the first access
    return builder
  except (ValueError, json_format.ParseError) as error:
    raise errors.UserError(
        f'The metadata of the data prepared in {os.path.join(prepared, dataset_class.name, builder_config.name)} '
        f'cannot be read ({error}): remove this folder and rerun the command to prepare the data from scratch.'
    ) from None


def open_dataset(dataset: str, data_dir: str, config: DataConfig, frame_size: int, *,
                 beam_options: Optional[Sequence[str]] = None, prepared_dir: Optional[str] = None,
                 protocol: str = '', modalities: Optional[Sequence[str]] = None) -> PreparedDataset:
  """Opens a dataset; prepares it first if necessary.

  Args:
    dataset: name in `registry.DATASETS`.
    data_dir: folder of the native files.
    config: form of the data.
    frame_size: side of the stored frames in pixels.
    beam_options: options of Apache Beam, as in `base_builder.NativeBuilder.build`.
    prepared_dir: folder of the prepared data. Default: `<data_dir>/prepared`, beside the native files.
    protocol: name of the protocol; the form of a table can depend on its training samples.
    modalities: modalities that are needed, since optical flow of a table is computed only on request; None: all.

  Raises:
    UserError: if native files are missing or unreadable, if the prepared data
      cannot be written, or if they are damaged.
  """
  builder = make_builder(dataset, data_dir, config, frame_size, prepared_dir, protocol, modalities)
  builder.generate(data_dir, config)
  was_prepared = builder.data_path.exists()
  builder.build(data_dir, beam_options)
  # A new builder: another process may have prepared the data after the first one had read the metadata.
  builder = _make(type(builder), prepared_dir or os.path.join(data_dir, 'prepared'), builder.builder_config)
  integrity.verify(builder)
  source = PreparedDataset(builder)
  print(f'{dataset}: {source.describe()}')
  line = was_prepared and integrity.changes_line(builder, data_dir)
  if line:
    print(line, flush=True)
  return source


def check_dataset(dataset: str, data_dir: str, config: DataConfig, frame_size: int, *,
                  prepared_dir: Optional[str] = None, protocol: str = '',
                  modalities: Optional[Sequence[str]] = None) -> Tuple[PreparedDataset, List[str]]:
  """Reads a complete dataset and writes nothing: the prepared data if they exist, otherwise the native files.

  If the data are prepared and native files exist, these are compared by names, sizes and times.

  Args:
    dataset: name in `registry.DATASETS`.
    data_dir: folder of the native files.
    config: form of the data.
    frame_size: side of the stored frames in pixels.
    prepared_dir: folder of the prepared data, as in `open_dataset`.
    protocol, modalities: as in `open_dataset`.

  Returns:
    The dataset, with the samples that are or can be prepared, and one sentence
    for each problem: an unusable sample or, if the data are prepared, a sample
    with native files that were added, removed or changed.

  Raises:
    UserError: if the data are missing, or the prepared data are damaged.
  """
  builder = make_builder(dataset, data_dir, config, frame_size, prepared_dir, protocol, modalities)
  problems = []
  if builder.data_path.exists():
    integrity.verify(builder, checksums=True)
    problems = integrity.changes(builder, data_dir)
  elif os.path.isdir(data_dir):
    problems = builder.check(data_dir)
  else:
    raise errors.UserError(f'There is no folder {data_dir}: pass another --data_dir. The same command without '
                           '--check renders synthetic data.')
  source = PreparedDataset(builder)
  print(f'{dataset}: {source.describe()}')
  return source, problems
