"""Index of prepared data: where every frame lies in the record files, so that single frames can be read.

    <folder of the record files>/frame_index/samples.npz    sample names, files, first bytes, number of frames
                                             frames.npy     size and CRC-32 of every frame, memory-mapped

Preparation writes it. For data prepared by earlier versions, which lack it, and for an index of other record files, the
record files are scanned once. Frames that differ from the index are refused when they are read.
"""

import contextlib
import functools
import json
import mmap
import os
import pathlib
import shutil
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
import zipfile
import zlib

import numpy as np

from tf_privinfo.datasets import parallel
from tf_privinfo.utils import atomic, errors

_FOLDER, _OPEN_FILES = 'frame_index', 128
# A TFRecord: length, CRC of the length, data, CRC of the data.
_HEAD, _TAIL = struct.Struct('<QI'), 4
# The smallest sizes that take two to five bytes.
_LONGER_SIZES = 2**np.array([7, 14, 21, 28])


class FrameIndex:
  """Reads single frames of N samples with M modalities.

  Args:
    folder: folder of the record files.
    samples: arrays `names` [N], sorted; `files` [N], names of record files; `first` [N, M] int64, first byte of the
      list of frames; `lengths` [N] int32, numbers of frames F.
    frames: [ΣMF, 2] uint32, size and CRC-32 of all frames, by sample, modality and position.
  """

  def __init__(self, folder: str, samples: Dict[str, np.ndarray], frames: np.ndarray):
    self._folder, self._frames = folder, np.asarray(frames)  # views of a memory map are slow
    self._names, self._files, self._first = samples['names'], samples['files'], samples['first']
    self.lengths: np.ndarray = samples['lengths']
    counts = self.lengths.astype(np.int64) * self._first.shape[1]
    self._ends = np.cumsum(counts)
    self._starts = self._ends - counts
    self._open = functools.lru_cache(_OPEN_FILES)(_open)

  def rows(self, names: Sequence[str]) -> np.ndarray:
    """Rows of the samples `names` in this index; raises KeyError if one is missing."""
    rows = np.minimum(np.searchsorted(self._names, names), len(self._names) - 1)
    if missing := [name for name, found in zip(names, self._names[rows]) if name != found]:
      raise KeyError(missing[0])
    return rows

  def read(self, row: int, columns: Sequence[int], positions: np.ndarray) -> np.ndarray:
    """Reads frames of a sample, each only once.

    Args:
      row: row of the sample.
      columns: M' numbers of modalities, as a list.
      positions: [T] positions of the frames in the video.

    Returns:
      [M', T] bytes, as objects.

    Raises:
      UserError: if a frame is not the frame that was indexed.
      OSError: if the file cannot be read.
    """
    path = os.path.join(self._folder, self._files[row])
    file = self._open(path)
    frames = self._frames[self._starts[row]:self._ends[row]].reshape(-1, self.lengths[row], 2)[columns]
    sizes = frames[..., 0].astype(np.int64)
    ends = (_prefix(sizes) + sizes).cumsum(axis=1)
    ends += self._first[row][columns, None]
    wanted = positions.tolist()  # in Python: NumPy is slower for so few numbers
    distinct = sorted(set(wanted))
    read = np.empty([len(columns), len(wanted)], object)
    for of_modality, *of_frames in zip(read, *(
        array.take(distinct, axis=1).tolist() for array in (ends, sizes, frames[..., 1]))):
      found = {position: os.pread(file.descriptor, size, end - size)
               for position, end, size in zip(distinct, *of_frames[:2])}
      if list(map(zlib.crc32, found.values())) != of_frames[2]:
        raise _damaged(path, 'has changed')
      of_modality[:] = [found[position] for position in wanted]
    return read


class _File:
  """An open file, which is closed with its last reference: another thread may still read it."""

  def __init__(self, descriptor: int):
    self.descriptor = descriptor

  def __del__(self):
    os.close(self.descriptor)


def _open(path: str) -> _File:
  file = _File(os.open(path, os.O_RDONLY))
  if hasattr(os, 'posix_fadvise'):  # no reading ahead; not on macOS
    os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_RANDOM)
  return file


def load(builder) -> FrameIndex:
  """The index of prepared data, from its files, or by a scan, which is stored if the folder is writable.

  Args:
    builder: a `base_builder.NativeBuilder` whose data are prepared.

  Raises:
    UserError: if a record file is damaged.
    OSError: if a record file cannot be read.
  """
  if index := _load(builder):
    return index
  with contextlib.ExitStack() as stack:
    with contextlib.suppress(OSError):  # a read-only folder without a lock
      stack.enter_context(builder.only_process())
    return _load(builder) or write(builder)


def write(builder) -> FrameIndex:
  """Scans the record files of a builder and stores the index beside them, if possible; errors as in `load`."""
  paths = sorted(pathlib.Path(builder.data_dir).glob('*.tfrecord*'))
  found = parallel.in_threads(lambda path: list(_scan(path, builder.MODALITIES)), paths, desc='Indexing frames',
                              unit='file', delay=1)
  records = sorted((record for of_file in found for record in of_file), key=lambda record: record.name)
  samples = {
      'names': np.array([record.name for record in records]), 'files': np.array([record.file for record in records]),
      'first': np.array([record.first for record in records], np.int64),
      'lengths': np.array([record.frames.shape[1] for record in records], np.int32)}
  frames = np.concatenate([record.frames.reshape(-1, 2) for record in records])
  with contextlib.suppress(OSError):  # a read-only folder, or a full disk: the index remains in memory
    _store(builder, samples, frames)
  return _load(builder) or FrameIndex(builder.data_dir, samples, frames)


def _store(builder, samples: Dict[str, np.ndarray], frames: np.ndarray) -> None:
  final = pathlib.Path(builder.data_dir, _FOLDER)
  temporary = final.with_name(f'{_FOLDER}.{os.getpid()}.tmp')
  try:
    temporary.mkdir()
    np.savez(temporary / 'samples.npz', state=_state(builder), **samples)
    np.save(temporary / 'frames.npy', frames)
    atomic.replace_directory(temporary, final)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _load(builder) -> Optional[FrameIndex]:
  """The stored index, or None if there is none, or a damaged one, or one of other record files."""
  folder = pathlib.Path(builder.data_dir, _FOLDER)
  with contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
    with np.load(folder / 'samples.npz') as file:
      samples = dict(file)
    if samples.pop('state') == _state(builder):
      return FrameIndex(builder.data_dir, samples, np.load(folder / 'frames.npy', mmap_mode='r'))
  return None


def _state(builder) -> str:
  """Modalities, sizes and, if they are recorded, checksums of the record files."""
  files = builder.info.metadata.get('files') or {
      path.name: path.stat().st_size for path in pathlib.Path(builder.data_dir).glob('*.tfrecord*')}
  return json.dumps([builder.MODALITIES, files], sort_keys=True)


class _Record(NamedTuple):
  """Where the frames of one sample lie: `first` byte of each of M modalities, `frames` [M, F, 2] as in `FrameIndex`."""
  name: str
  file: str
  first: List[int]
  frames: np.ndarray


def _scan(path: pathlib.Path, modalities: Sequence[str]) -> Iterator[_Record]:
  """Yields the records of a file."""
  with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    position = 0
    while position < len(data):
      try:
        length, _ = _HEAD.unpack_from(data, position)
        start, end = position + _HEAD.size, position + _HEAD.size + length
        if end + _TAIL > len(data):
          raise ValueError('truncated')
        yield _record(data, path.name, start, end, modalities)
      except (struct.error, IndexError, KeyError, ValueError):
        raise _damaged(path, f'has no readable record at byte {position}') from None
      position = end + _TAIL


def _record(data, file: str, start: int, end: int, modalities: Sequence[str]) -> _Record:
  """Parses a tf.train.Example: features {name: list of values}, of which lists of bytes are needed."""
  values: Dict[str, Tuple[int, List[Tuple[int, int]]]] = {}
  [features] = _fields(data, start, end)
  for entry in _fields(data, *features):
    key, feature = _fields(data, *entry)
    name = data[slice(*key)].decode()
    if name in modalities or name == 'sample_id':
      [(first, last)] = _fields(data, *feature)
      values[name] = first, list(_fields(data, first, last))
  frames = [[(after - before, zlib.crc32(data[before:after])) for before, after in values[m][1]] for m in modalities]
  [sample_id] = values['sample_id'][1]
  return _Record(data[slice(*sample_id)].decode(), file, [values[m][0] for m in modalities],
                 np.array(frames, np.uint32))


def _fields(data, start: int, end: int) -> Iterator[Tuple[int, int]]:
  """Yields the bounds of the fields of a message, which must all be messages, texts or bytes."""
  while start < end:
    if data[start] & 7 != 2:
      raise ValueError('no message')
    size, shift, start = 0, 0, start + 1
    while data[start] & 128:
      size, shift, start = size | (data[start] & 127) << shift, shift + 7, start + 1
    size, start = size | data[start] << shift, start + 1
    yield start, start + size
    start += size
  if start != end:
    raise ValueError('truncated')


def _prefix(sizes: np.ndarray) -> np.ndarray:
  """Number of bytes before each of the frames of a list: a tag and the size, of seven bits a byte."""
  return 2 + _LONGER_SIZES.searchsorted(sizes, side='right')


def _damaged(path, problem: str) -> errors.UserError:
  return errors.UserError(f'The prepared data are damaged ({os.path.basename(path)} {problem}): remove '
                          f'{os.path.dirname(path)} and rerun the command to prepare the data from scratch.')
