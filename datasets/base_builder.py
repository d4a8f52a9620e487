"""Base class of the builders of all datasets: checks and prepares native files, on all cores or on Apache Beam.

A dataset adds one subclass of `NativeBuilder`, in a module of its own, and an entry in `registry`. Preparation has two
steps: first every sample is written to a file of its own (see `prepared_samples`), then TFDS copies these files into
its records. A preparation that was interrupted, or stopped by an unreadable sample, resumes from these files.
"""

import collections
import contextlib
import dataclasses
import io
import pathlib
import shutil
from typing import Any, ContextManager, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import tensorflow as tf
import tensorflow_datasets as tfds

from tf_privinfo.datasets import frame_index, integrity, parallel, prepared_samples
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.preparation import alignment, frames
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.utils import atomic, errors, progress_bars

# Exceptions that make a single sample unusable.
PROBLEMS = (frames.UnreadableFileError, alignment.NotAlignable)
_SHOWN_PROBLEMS = 20
# Exceptions of TensorFlow for a full disk, a file at its size limit, and a folder without write permission.
_FAILED_WRITES = (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError, tf.errors.PermissionDeniedError)


class Prepared(NamedTuple):
  """One sample as it is stored.

  Attributes:
    example: values by feature name; modalities are lists of encoded frames, all other features are text.
    facts: additional entries of the metadata. `facts[key]` is stored as `metadata[key][sample name]`.
  """
  example: prepared_samples.Example
  facts: Mapping[str, Any]


class NativeBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds a dataset from native files on disk.

  `info.metadata` is the manifest. It contains at least `samples` (name ->
  number of frames), `skipped` (one sentence for each unusable sample),
  `preparation_version`, `files` (name of a record file -> `bytes`, `sha256`)
  and `native` (name -> fingerprint of its native files, unusable samples
  included). The builder's config has the field `skip_broken`.

  Attributes:
    SPEC: specification of the dataset.
    MODALITIES: names of the modalities of every sample.
    UNIT: singular noun for a sample in messages, such as 'video'.
    PREPARATION: steps of the preparation, for the progress bar.
  """

  SPEC: DatasetSpec
  MODALITIES: Tuple[str, ...]
  UNIT: str
  PREPARATION: str

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> tfds.core.BuilderConfig:
    """The builder config for frames of `frame_size` pixels; raises `UserError` if the dataset has no such form."""
    raise NotImplementedError

  def features(self, labels: Optional[Sequence[str]] = None) -> tfds.features.FeaturesDict:
    """The stored features of a sample: JPEG frames [F, S, S, 3] of every modality, label, sample id.

    Args:
      labels: class names; None: `scan` sets them, and they are stored with the prepared data.
    """
    size = self.builder_config.frame_size
    image = tfds.features.Image(shape=(size, size, 3), encoding_format='jpeg')
    return tfds.features.FeaturesDict({
        **{modality: tfds.features.Sequence(image) for modality in self.MODALITIES},
        'label': tfds.features.ClassLabel(names=labels),
        'sample_id': tfds.features.Text(),
    })

  @classmethod
  def forms(cls, data_dir: str, config: DataConfig, frame_size: int, protocol: str,
            modalities: Optional[Sequence[str]]) -> List[tfds.core.BuilderConfig]:
    """Builder configs of the data that can be used: the form to prepare, then forms that also contain its content.

    A form can depend on the native files, on the training samples of a protocol, and on the needed modalities (None:
    all). Errors as for `configure`.
    """
    del data_dir, protocol, modalities
    return [cls.configure(config, frame_size)]

  @classmethod
  def generate(cls, data_dir: str, config: DataConfig) -> None:
    """Renders the native files of a synthetic dataset into `data_dir`; does nothing for other datasets."""

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    """The folder of the native files at or under `data_dir`; raises `UserError` with download instructions."""
    raise NotImplementedError

  @staticmethod
  def partition(name: str) -> str:
    """Name of the TFDS split that stores a sample.

    Protocols consist of whole partitions, so training never opens a file that
    contains a test sample.
    """
    raise NotImplementedError

  @classmethod
  def label_of(cls, name: str) -> str:
    """Name of the class of a sample, derived from the sample name."""
    raise NotImplementedError

  def describe(self, names: Sequence[str]) -> List[str]:
    """Summary lines of the samples `names`: their number, by class and by other parts of the dataset."""
    raise NotImplementedError

  def scan(self, root: pathlib.Path) -> Tuple[List[Any], List[str]]:
    """Lists the samples under `root`, as dataclasses for `prepared_samples.locate`, and one sentence per problem."""
    raise NotImplementedError

  def prepare(self, sample) -> Prepared:
    """Reads and encodes a sample; raises one of `PROBLEMS`. Runs in threads or on other machines."""
    raise NotImplementedError

  def inspect(self, sample) -> Tuple[int, Mapping[str, Any]]:
    """Number of frames and facts of a sample; reads it like `prepare` and raises the same exceptions."""
    example, facts = self.prepare(sample)
    return len(example[self.MODALITIES[0]]), facts

  def build(self, native_dir: str, beam_options: Optional[Sequence[str]] = None) -> None:
    """Prepares the dataset, unless it is prepared already.

    Preparation temporarily needs twice the final disk space. Other processes
    that need the same data wait until it has ended.

    Args:
      native_dir: folder of the native files, as for `find_root`.
      beam_options: options of Apache Beam, such as --runner=FlinkRunner: its
        workers prepare samples and write records, and must have `native_dir`
        and the prepared data under the same paths. None: all cores of this
        machine.

    Raises:
      UserError: if native files are missing or unreadable, or the prepared data
        cannot be written. Completed work is kept.
    """
    if not self.data_path.exists():
      self.find_root(native_dir)  # fails before anything is written
    elif not self._samples_folder.exists():
      return
    with _clear_failures(self._samples_folder.parent), self.only_process():
      if not self.data_path.exists():
        for path in pathlib.Path(self.data_dir).parent.glob('incomplete.*'):  # of an interrupted process
          shutil.rmtree(path)
        self._write(self._prepare_samples(native_dir, beam_options), beam_options)
      shutil.rmtree(self._samples_folder, ignore_errors=True)

  def only_process(self) -> ContextManager[None]:
    """Holds the lock of the prepared data; see `atomic.only_process`."""
    return atomic.only_process(self._samples_folder.with_suffix('.lock'), 'Another process is preparing these data')

  def check(self, native_dir: str) -> List[str]:
    """Reads all native files and writes nothing; returns one sentence for each unusable sample.

    Afterwards the metadata describe the usable samples as if they were prepared.
    """
    found, problems = self.scan(self.find_root(native_dir))

    def inspect(sample):
      try:
        length, facts = self.inspect(sample)
      except PROBLEMS as problem:
        return prepared_samples.Record(sample.name, problem=str(problem))
      return prepared_samples.Record(sample.name, frames=length, facts=facts)

    records = list(parallel.in_threads(inspect, found, desc=f'Reading {self.UNIT}s', unit=self.UNIT))
    self._fill_metadata([record for record in records if not record.problem], [])
    return problems + _problems(records)

  def fingerprints(self, found: Sequence[Any]) -> Mapping[str, str]:
    """Sample name -> fingerprint of its native files; see `prepared_samples.fingerprint`."""
    version = prepared_samples.PREPARATION_VERSION, str(self.version)
    prints = parallel.in_threads(
        lambda sample: prepared_samples.fingerprint(sample, version), found, desc='Comparing native files',
        unit=self.UNIT, delay=5)
    return {sample.name: value for sample, value in zip(found, prints)}

  @property
  def _samples_folder(self) -> pathlib.Path:
    """Folder of the prepared samples, shared by the forms with and without `skip_broken`."""
    folder = pathlib.Path(self.data_dir).parent
    return folder.with_name(folder.name.removesuffix('_skip_broken') + '.samples')

  def _prepare_samples(self, native_dir: str, beam_options: Optional[Sequence[str]]) -> List[prepared_samples.Record]:
    """Prepares all samples that are not prepared yet, fills the metadata; returns the usable ones, sorted by name."""
    root = self.find_root(native_dir)
    found, problems = self.scan(root)
    if not self.builder_config.skip_broken:
      self._stop_if_any(problems)
    fingerprints = self.fingerprints(found)  # of the files before they are read
    records = []
    if self._samples_folder.exists():
      earlier = parallel.in_threads(self._find, found, desc='Finding prepared samples', unit=self.UNIT, delay=1)
      records = [record for record in earlier if record]
      print(f'{len(records)} of {len(found)} {self.UNIT}s are already prepared.', flush=True)
    there = {record.name for record in records}
    missing = [sample for sample in found if sample.name not in there]
    if beam_options is None:
      records += parallel.in_threads(
          self._prepare_once, missing, desc=f'Preparing {self.UNIT}s ({self.PREPARATION})', unit=self.UNIT,
          total=len(found), initial=len(there))
    elif missing:
      records += [prepared_samples.Record(*record) for record in parallel.on_beam(
          self._prepare_once, missing, beam_options, self._samples_folder)]
    problems += _problems(records)
    if not self.builder_config.skip_broken:
      self._stop_if_any(problems)
    records = sorted((record for record in records if not record.problem), key=lambda record: record.name)
    if not records:
      raise errors.UserError(f'No {self.UNIT} under {root} can be used'
                             + (f'; the last problem: {problems[-1]}' if problems else '')
                             + f'.\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}')
    self._fill_metadata(records, problems)
    self.info.metadata['native'] = fingerprints
    return records

  def _fill_metadata(self, records: Sequence[prepared_samples.Record], problems: Sequence[str]) -> None:
    metadata = self.info.metadata
    metadata['samples'] = {record.name: record.frames for record in records}
    metadata['skipped'] = list(problems)
    metadata['preparation_version'] = prepared_samples.PREPARATION_VERSION
    for record in records:
      for key, fact in record.facts.items():
        metadata.setdefault(key, {})[record.name] = fact
    unlike = metadata.get('unlike_sizes')
    if unlike:  # one example for each, instead of all of the hundred thousand videos of NTU RGB+D
      examples = {sizes: name for name, sizes in reversed(unlike.items())}
      metadata['unlike_sizes'] = {name: sizes for sizes, name in examples.items()}

  def _locate(self, sample) -> pathlib.Path:
    version = prepared_samples.PREPARATION_VERSION, str(self.version)
    return prepared_samples.locate(self._samples_folder, sample, version)

  def _find(self, sample) -> Optional[prepared_samples.Record]:
    return prepared_samples.find(sample.name, self._locate(sample))

  def _prepare_once(self, sample) -> prepared_samples.Record:
    """Prepares a sample and writes it to its file."""
    path = self._locate(sample)  # fingerprint of the files before they are read
    try:
      example, facts = self.prepare(sample)
    except PROBLEMS as problem:
      return prepared_samples.Record(sample.name, problem=str(problem))
    record = prepared_samples.Record(sample.name, str(path), len(example[self.MODALITIES[0]]), facts)
    prepared_samples.write(record, example)
    return record

  def _write(self, records: Sequence[prepared_samples.Record], beam_options: Optional[Sequence[str]]) -> None:
    """Writes the TFDS records into a temporary folder, which is renamed at the end."""
    config = tfds.download.DownloadConfig()
    if beam_options is not None:
      options = parallel.import_beam().options.pipeline_options.PipelineOptions(list(beam_options))
      config = dataclasses.replace(config, beam_options=options)
    self._records, self._on_beam = records, beam_options is not None
    tfds.disable_progress_bar()  # one for each partition
    self._progress = progress_bars.bar(
        total=len(records), desc='Writing', unit=self.UNIT, delay=1, disable=self._on_beam)
    with self._progress, contextlib.redirect_stdout(io.StringIO()):  # TFDS reports downloads
      # Nothing is downloaded, but TFDS creates this folder.
      self.download_and_prepare(download_dir=self._samples_folder / 'downloads', download_config=config)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    del dl_manager
    partitions = collections.defaultdict(list)
    for record in self._records:
      partitions[self.partition(record.name)].append((record.name, record.path))
    return {name: self._generate_examples(members) for name, members in sorted(partitions.items())}

  def _generate_examples(self, members: Sequence[Tuple[str, str]]):
    """Pairs (key, example) of prepared samples, given as (name, path): an iterator, or a Beam transform."""
    if self._on_beam:
      beam = parallel.import_beam()
      return (beam.Create(members) | beam.Reshuffle()
              | beam.MapTuple(lambda name, path: (name, prepared_samples.read(path))))
    return self._read(members)

  def _read(self, members: Sequence[Tuple[str, str]]) -> Iterator[Tuple[str, prepared_samples.Example]]:
    for name, path in members:
      yield name, prepared_samples.read(path)
      self._progress.update()

  def _download_and_prepare(self, dl_manager, download_config=None) -> None:
    """Calls TFDS, then records checksums and the index of the frames before the folder gets its final name."""
    super()._download_and_prepare(dl_manager, download_config)
    paths = sorted(pathlib.Path(self.data_dir).glob('*.tfrecord*'))
    sums = parallel.in_threads(integrity.sha256, paths, desc='Computing checksums', unit='file', delay=1)
    self.info.metadata['files'] = {
        path.name: {'bytes': path.stat().st_size, 'sha256': checksum} for path, checksum in zip(paths, sums)}
    frame_index.write(self)

  def _stop_if_any(self, problems: List[str]) -> None:
    if problems:
      shown = '\n  '.join(problems[:_SHOWN_PROBLEMS])
      rest = len(problems) - _SHOWN_PROBLEMS
      raise errors.UserError(
          f'{len(problems)} {self.UNIT}s cannot be used; fix them, or pass --skip_broken to continue without them:'
          f'\n  {shown}' + (f'\n  ... and {rest} more (--check lists all)' if rest > 0 else ''))


def _problems(records: Sequence[prepared_samples.Record]) -> List[str]:
  """One sentence for each unusable sample."""
  return [f'{record.name}: {record.problem}' for record in records if record.problem]


@contextlib.contextmanager
def _clear_failures(folder: pathlib.Path) -> Iterator[None]:
  """Converts failures of the machine, such as a full disk, to a `UserError`, also if TFDS wraps them."""
  try:
    yield
  except Exception as error:  # pylint: disable=broad-except
    cause = error
    while cause and not isinstance(cause, _FAILED_WRITES) and not getattr(cause, 'errno', None):
      cause = cause.__cause__
    if not cause:
      raise
    # Messages of TensorFlow begin with the file name.
    text = f'{cause.filename or folder}: {cause.strerror}' if isinstance(cause, OSError) else cause.message
    if _is_not_writable(cause, folder):
      raise errors.UserError(f'The prepared data cannot be written ({text}): pass --prepared_dir to store them in '
                             'another folder.') from None
    raise errors.UserError(f'{text}. Fix this and rerun the command; completed work is kept.') from None


def _is_not_writable(error: Exception, folder: pathlib.Path) -> bool:
  """Whether an error reports that the folder of the prepared data, or a parent of it, is not writable."""
  if not isinstance(error, OSError):
    return isinstance(error, tf.errors.PermissionDeniedError)
  path = pathlib.Path(error.filename or folder)
  return error.errno in atomic.NOT_WRITABLE and (path.is_relative_to(folder) or folder.is_relative_to(path))
