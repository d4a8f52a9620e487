"""What the builders of all datasets have in common: native files are checked and prepared, on all cores or on Beam.

A dataset adds one subclass of `NativeBuilder`, in a module of its own, and a line in `catalog`. Preparing has two
steps: first every sample becomes a file of its own (see `samples`), then TFDS writes these into its records. A process
that is killed, or stops at a broken sample, is resumed from the files.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shlex
import shutil
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import tensorflow as tf
import tensorflow_datasets as tfds

from tf_privinfo import atomic
from tf_privinfo import errors
from tf_privinfo import machine
from tf_privinfo import progress_bars
from tf_privinfo.configs import DataConfig
from tf_privinfo.datasets import samples
from tf_privinfo.datasets.preparation import alignment, frames

# To be raised with every change of what is stored of a sample: data of another version are refused.
PREPARATION_VERSION = 1
# What makes a single sample unusable.
PROBLEMS = (frames.BrokenFile, alignment.NotAlignable)
_SHOWN_PROBLEMS = 20
# What TensorFlow makes of a full disk, a file that may not grow, and a folder that may not be written.
_FAILED_WRITES = (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError, tf.errors.PermissionDeniedError)


class Prepared(NamedTuple):
  """One sample as it is stored.

  Attributes:
    example: by the names of the features; modalities are lists of encoded frames, all else is text.
    facts: what else is to be known of it, by the key of the metadata that holds it (sample's name -> fact).
  """
  example: samples.Example
  facts: Mapping[str, Any]


class NativeBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds a dataset from native files on disk.

  `info.metadata` is the manifest. It holds at least `samples` (name -> number
  of frames), `skipped` (one sentence for each sample that cannot be used),
  `preparation_version`, and `files` (name of a record file -> `bytes`,
  `sha256`), and `native` (name -> fingerprint of its native files, broken
  samples included). The builder's config has `skip_broken`.

  Attributes:
    MODALITIES: what each sample offers.
    UNIT: what a sample is, for messages.
    PREPARATION: what preparing does, for the progress bar.
  """

  MODALITIES: Tuple[str, ...]
  UNIT: str
  PREPARATION: str

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> tfds.core.BuilderConfig:
    """The builder's config for frames of `frame_size` pixels; raises `UserError` if the dataset has no such form."""
    raise NotImplementedError

  @classmethod
  def provide(cls, data_dir: str, config: DataConfig) -> None:
    """Makes the native files if the dataset is one that makes its own."""

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    """The folder of the native files at or under `data_dir`; raises `UserError` with what to download."""
    raise NotImplementedError

  @staticmethod
  def partition(name: str) -> str:
    """The TFDS split that stores a sample.

    Protocols train and test on whole partitions, so training never opens a
    file that holds a test sample.
    """
    raise NotImplementedError

  @classmethod
  def label_of(cls, name: str) -> str:
    """The class of a sample."""
    raise NotImplementedError

  def describe(self, names: Sequence[str]) -> List[str]:
    """Lines that say what was kept: the samples `names`, by class and whatever else matters."""
    raise NotImplementedError

  def scan(self, root: pathlib.Path) -> Tuple[List[Any], List[str]]:
    """Finds the samples, each as in `samples.locate`, and one sentence for each that cannot be used."""
    raise NotImplementedError

  def prepare(self, sample) -> Prepared:
    """Reads the native files of a sample; raises one of `PROBLEMS`; runs in threads or on other machines."""
    raise NotImplementedError

  def inspect(self, sample) -> Tuple[int, Mapping[str, Any]]:
    """Reads a sample as `prepare` does, and raises what that would; returns how many frames it has, and its facts."""
    example, facts = self.prepare(sample)
    return len(example[self.MODALITIES[0]]), facts

  def build(self, native_dir: str, beam_options: Optional[Sequence[str]] = None) -> None:
    """Prepares the dataset, unless that was done.

    While it runs, it takes twice the space of the result. Other processes that
    want the same wait for it.

    Args:
      native_dir: as for `find_root`.
      beam_options: of Apache Beam, such as --runner=FlinkRunner: samples are
        prepared and records written by its workers, which see `native_dir` and
        the prepared data under the same paths. None: all cores of this machine.

    Raises:
      UserError: if native files are missing or broken, or nothing can be
        written. What has been prepared is kept for the next time.
    """
    if not self.data_path.exists():
      self.find_root(native_dir)  # before anything is written
    elif not self._samples_folder.exists():
      return
    with _clear_failures(self._samples_folder.parent), atomic.only_process(
        self._samples_folder.with_suffix('.lock'), 'Another process is preparing these data'):
      if not self.data_path.exists():
        for path in pathlib.Path(self.data_dir).parent.glob('incomplete.*'):  # of a killed process
          shutil.rmtree(path)
        self._write(self._prepare_samples(native_dir, beam_options), beam_options)
      shutil.rmtree(self._samples_folder, ignore_errors=True)

  def verify(self, checksums: bool = False) -> None:
    """Raises `UserError` unless the prepared data are whole: the files' sizes, and on demand what is in them."""
    anew = f'remove {self.data_dir} and run the same command again, to prepare the data anew'
    version = self.info.metadata.get('preparation_version', 1)  # it was not noted at first, and neither were the files
    if version != PREPARATION_VERSION:
      raise errors.UserError(f'The data were prepared by version {version} of the preparation, and this is version '
                             f'{PREPARATION_VERSION}: {anew}.')
    problems = [] if self.info.metadata['samples'] else ['the metadata are missing']
    for name, expected in self.info.metadata.get('files', {}).items():
      path = pathlib.Path(self.data_dir, name)
      size = path.stat().st_size if path.exists() else None
      if size != expected['bytes']:
        problems.append(f'{name} is missing' if size is None else f'{name} has {size} bytes, not {expected["bytes"]}')
      elif checksums and _sha256(path) != expected['sha256']:
        problems.append(f'{name} has changed')
    if problems:
      raise errors.UserError(f'The prepared data are damaged ({first(problems)}): {anew}.')

  def check(self, native_dir: str) -> List[str]:
    """Reads all native files and writes nothing; returns one sentence for each sample that cannot be used.

    The metadata tell of the other samples what they would if these were prepared.
    """
    found, problems = self.scan(self.find_root(native_dir))

    def inspect(sample):
      try:
        length, facts = self.inspect(sample)
      except PROBLEMS as problem:
        return samples.Record(sample.name, problem=str(problem))
      return samples.Record(sample.name, frames=length, facts=facts)

    records = list(_in_threads(inspect, found, desc=f'Reading {self.UNIT}s', unit=self.UNIT))
    self._fill_metadata([record for record in records if not record.problem], [])
    return problems + _problems(records)

  def changes(self, native_dir: str) -> List[str]:
    """Compares the native files, by names, sizes and times, with those that the data were prepared of.

    Returns:
      One line for each sample that was added, removed or changed, in this
      order; none if the native files are not there. Data of earlier versions,
      which did not note sizes and times, are compared by names.

    Raises:
      UserError: if the native files are there and cannot be used as a whole.
      OSError: if they cannot be read.
    """
    try:
      root = self.find_root(native_dir)
    except errors.UserError:
      return []
    unprepared = type(self)(data_dir=os.path.join(root, 'not_prepared'), config=self.builder_config)
    found, _ = unprepared.scan(root)  # notes what it finds in its own metadata
    metadata = self.info.metadata
    before = metadata.get('native') or dict.fromkeys(
        [*metadata['samples'], *(line.partition(': ')[0] for line in metadata['skipped'])])
    now = self._fingerprints(found) if 'native' in metadata else dict.fromkeys(sample.name for sample in found)
    usable = before.keys() if 'native' in metadata else metadata['samples'].keys()
    return [*(f'{name}: added' for name in sorted(now.keys() - before)),
            *(f'{name}: removed' for name in sorted(usable - now.keys())),
            *(f'{name}: changed' for name in sorted(now.keys() & before) if now[name] != before[name])]

  def changes_line(self, native_dir: str) -> str:
    """What `changes` finds, in one line for somebody who trains; empty if nothing has changed."""
    try:
      changes = self.changes(native_dir)
    except (errors.UserError, OSError) as error:
      return f'Warning: the native files cannot be compared with the prepared data, which are used as they are: {error}'
    if not changes:
      return ''
    counts = collections.Counter(line.rpartition(' ')[2] for line in changes)
    return (f'Warning: since these data were prepared, native files of {len(changes)} {self.UNIT}s differ ('
            + ', '.join(f'{count} {kind}' for kind, count in counts.items())
            + f': {first(changes, 3)}). The prepared data are used as they are; {self.how_to_prepare_again}.')

  @property
  def how_to_prepare_again(self) -> str:
    """What to do for the native files as they are now."""
    return f'to use the files as they are now, remove {self.data_dir} and run the same command again'

  def _fingerprints(self, found: Sequence[Any]) -> Mapping[str, str]:
    """The fingerprint of each sample by its name."""
    version = PREPARATION_VERSION, str(self.version)
    prints = _in_threads(lambda sample: samples.fingerprint(sample, version), found,
                         desc='Comparing native files', unit=self.UNIT, delay=5)
    return {sample.name: value for sample, value in zip(found, prints)}

  @property
  def _samples_folder(self) -> pathlib.Path:
    """Of the prepared samples; with and without broken ones they are the same."""
    folder = pathlib.Path(self.data_dir).parent
    return folder.with_name(folder.name.removesuffix('_skip_broken') + '.samples')

  def _prepare_samples(self, native_dir: str, beam_options: Optional[Sequence[str]]) -> List[samples.Record]:
    """Prepares all samples that are not there yet, fills the metadata, and returns the usable ones by name."""
    root = self.find_root(native_dir)
    found, problems = self.scan(root)
    if not self.builder_config.skip_broken:
      self._stop_if_any(problems)
    fingerprints = self._fingerprints(found)  # of the files as they are before they are read
    records = []
    if self._samples_folder.exists():
      earlier = _in_threads(self._find, found, desc='Looking for earlier work', unit=self.UNIT, delay=1)
      records = [record for record in earlier if record]
      print(f'{len(records)} of {len(found)} {self.UNIT}s were prepared before.', flush=True)
    there = {record.name for record in records}
    missing = [sample for sample in found if sample.name not in there]
    if beam_options is None:
      records += _in_threads(self._prepare_once, missing, desc=f'Preparing {self.UNIT}s ({self.PREPARATION})',
                             unit=self.UNIT, total=len(found), initial=len(there))
    elif missing:
      records += _on_beam(self._prepare_once, missing, beam_options, self._samples_folder)
    problems += _problems(records)
    if not self.builder_config.skip_broken:
      self._stop_if_any(problems)
    records = sorted((record for record in records if not record.problem), key=lambda record: record.name)
    if not records:
      raise errors.UserError(f'No {self.UNIT} under {root} can be used'
                             + (f'; the last problem is {problems[-1]}' if problems else '')
                             + f'.\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}')
    self._fill_metadata(records, problems)
    self.info.metadata['native'] = fingerprints
    return records

  def _fill_metadata(self, records: Sequence[samples.Record], problems: Sequence[str]) -> None:
    metadata = self.info.metadata
    metadata['samples'] = {record.name: record.frames for record in records}
    metadata['skipped'] = list(problems)
    metadata['preparation_version'] = PREPARATION_VERSION
    for record in records:
      for key, fact in record.facts.items():
        metadata.setdefault(key, {})[record.name] = fact

  def _locate(self, sample) -> pathlib.Path:
    return samples.locate(self._samples_folder, sample, (PREPARATION_VERSION, str(self.version)))

  def _find(self, sample) -> Optional[samples.Record]:
    return samples.find(sample.name, self._locate(sample))

  def _prepare_once(self, sample) -> samples.Record:
    """Prepares a sample and keeps it."""
    path = self._locate(sample)  # of the files as they are before they are read
    try:
      example, facts = self.prepare(sample)
    except PROBLEMS as problem:
      return samples.Record(sample.name, problem=str(problem))
    record = samples.Record(sample.name, str(path), len(example[self.MODALITIES[0]]), facts)
    samples.write(record, example)
    return record

  def _write(self, records: Sequence[samples.Record], beam_options: Optional[Sequence[str]]) -> None:
    """Writes the records of TFDS, into a temporary folder that is renamed at the end."""
    config = tfds.download.DownloadConfig()
    if beam_options is not None:
      options = _import_beam().options.pipeline_options.PipelineOptions(list(beam_options))
      config = dataclasses.replace(config, beam_options=options)
    self._records, self._on_beam = records, beam_options is not None
    tfds.disable_progress_bar()  # it has one for each partition
    self._progress = progress_bars.bar(
        total=len(records), desc='Writing', unit=self.UNIT, delay=1, disable=self._on_beam)
    with self._progress, contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads
      # There is nothing to download, but the folder for it is made.
      self.download_and_prepare(download_dir=self._samples_folder / 'downloads', download_config=config)

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    del dl_manager
    partitions = collections.defaultdict(list)
    for record in self._records:
      partitions[self.partition(record.name)].append((record.name, record.path))
    return {name: self._generate_examples(members) for name, members in sorted(partitions.items())}

  def _generate_examples(self, members: Sequence[Tuple[str, str]]):
    """(key, example) of prepared samples by name and path: pairs, or the Beam transform that gives them."""
    if self._on_beam:
      beam = _import_beam()
      return beam.Create(members) | beam.Reshuffle() | beam.MapTuple(lambda name, path: (name, samples.read(path)))
    return self._read(members)

  def _read(self, members: Sequence[Tuple[str, str]]) -> Iterator[Tuple[str, samples.Example]]:
    for name, path in members:
      yield name, samples.read(path)
      self._progress.update()

  def _download_and_prepare(self, dl_manager, download_config=None) -> None:
    """As TFDS does, and notes what was written before the folder gets its final name."""
    super()._download_and_prepare(dl_manager, download_config)
    paths = sorted(pathlib.Path(self.data_dir).glob('*.tfrecord*'))
    sums = _in_threads(_sha256, paths, desc='Computing checksums', unit='file', delay=1)
    self.info.metadata['files'] = {
        path.name: {'bytes': path.stat().st_size, 'sha256': checksum} for path, checksum in zip(paths, sums)}

  def _stop_if_any(self, problems: List[str]) -> None:
    if problems:
      shown = '\n  '.join(problems[:_SHOWN_PROBLEMS])
      rest = len(problems) - _SHOWN_PROBLEMS
      raise errors.UserError(
          f'{len(problems)} {self.UNIT}s cannot be used; mend them, or pass --skip_broken to go on without them:'
          f'\n  {shown}' + (f'\n  ... and {rest} more (--check lists all)' if rest > 0 else ''))


def first(items, count: int = 5) -> str:
  """The first items of a list that may be long, for a line of text."""
  return '; '.join(list(items)[:count]) + ('; ...' if len(items) > count else '')


def _problems(records: Sequence[samples.Record]) -> List[str]:
  """One sentence for each broken sample."""
  return [f'{record.name}: {record.problem}' for record in records if record.problem]


def _in_threads(function: Callable, items: Sequence[Any], **bar) -> Iterator[Any]:
  """The results in order, with a progress bar; OpenCV and TensorFlow release the GIL."""
  with concurrent.futures.ThreadPoolExecutor(machine.cpu_cores()) as pool:
    yield from progress_bars.bar(pool.map(function, items), **{'total': len(items), **bar})


def _import_beam():
  try:
    import apache_beam  # an extra, which takes seconds to import
  except ImportError:
    raise errors.UserError("Apache Beam is not installed: run pip install -c constraints.txt -e '.[beam]'.") from None
  return apache_beam


def _on_beam(function: Callable[[Any], samples.Record], items: Sequence[Any], beam_options: Sequence[str],
             folder: pathlib.Path) -> List[samples.Record]:
  """The records of all items, which Beam's workers leave in a file of `folder`."""
  beam = _import_beam()
  path = folder / 'records.json'
  path.parent.mkdir(parents=True, exist_ok=True)
  try:
    pipeline = beam.Pipeline(argv=list(beam_options))
  except ValueError as error:
    raise errors.UserError(f'Apache Beam cannot run with --beam_options={shlex.join(beam_options)}: {error}') from None
  with pipeline:
    _ = (pipeline | beam.Create(items) | beam.Reshuffle() | beam.Map(function) | beam.Map(json.dumps)
         | beam.io.WriteToText(str(path), shard_name_template=''))
  return [samples.Record(*json.loads(line)) for line in path.read_text(encoding='utf-8').splitlines()]


@contextlib.contextmanager
def _clear_failures(folder: pathlib.Path) -> Iterator[None]:
  """What the machine got wrong, such as a full disk, becomes a `UserError`, whatever TFDS made of it."""
  try:
    yield
  except Exception as error:  # pylint: disable=broad-except
    cause = error
    while cause and not isinstance(cause, _FAILED_WRITES) and not getattr(cause, 'errno', None):
      cause = cause.__cause__
    if not cause:
      raise
    # TensorFlow's messages begin with the name of the file.
    text = f'{cause.filename or folder}: {cause.strerror}' if isinstance(cause, OSError) else cause.message
    if _is_not_writable(cause, folder):
      raise errors.UserError(f'The prepared form of the data cannot be written ({text}): pass --prepared_dir to keep '
                             'it in another folder.') from None
    raise errors.UserError(f'{text}. Mend that and run the same command again: it goes on from what has been '
                           'prepared.') from None


def _is_not_writable(error: Exception, folder: pathlib.Path) -> bool:
  """Whether an error says that nothing can be written into the folder of the prepared form, or that into its parent."""
  if not isinstance(error, OSError):
    return isinstance(error, tf.errors.PermissionDeniedError)
  path = pathlib.Path(error.filename or folder)
  return error.errno in atomic.NOT_WRITABLE and (path.is_relative_to(folder) or folder.is_relative_to(path))


def _sha256(path: pathlib.Path) -> str:
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
