"""Prepared samples on disk, one file each, from which an interrupted preparation of a dataset resumes.

    <folder>/view_1/a01_s01_e00.3f9c2c0d1b7a4e55

The suffix is a fingerprint of the native files, so a sample with changed files is prepared again. A file consists of
one line of JSON and the concatenated encoded frames of all modalities.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union
import uuid

# Feature name -> text, or the encoded frames of a modality.
Example = Mapping[str, Union[str, List[bytes]]]

# Raise it with every change of the stored data of a sample: data of another version are refused.
PREPARATION_VERSION = 1


class Record(NamedTuple):
  """A sample without its frames.

  Attributes:
    name: name of the sample.
    path: file of the prepared sample; empty if the sample is unusable.
    frames: number of frames.
    facts: additional entries of the metadata, by key.
    problem: reason why the sample is unusable; empty if it is usable.
  """
  name: str
  path: str = ''
  frames: int = 0
  facts: Mapping[str, Any] = {}
  problem: str = ''


def locate(folder: pathlib.Path, sample, version) -> pathlib.Path:
  """Path of a prepared sample in the `folder` of one form of the data; changes with the `fingerprint`."""
  return folder / f'{sample.name}.{fingerprint(sample, version)}'


def fingerprint(sample, version) -> str:
  """Fingerprint of the native files of a sample, 16 hexadecimal digits; no file is opened.

  It changes with name, size and time of every native file.

  Args:
    sample: dataclass with a field `name`; its other strings are the paths of native files or folders.
    version: version of the preparation.
  """
  digest = hashlib.sha256(f'{version}\n'.encode())
  for value in _leaves(dataclasses.astuple(sample)):
    is_text = isinstance(value, (str, os.PathLike))
    digest.update(os.fsencode(f'{os.path.basename(value) if is_text else value}\n'))
    if is_text:
      with contextlib.suppress(OSError, ValueError):  # a string that is no path
        status = os.stat(value)
        digest.update(f'{status.st_size} {status.st_mtime_ns}\n'.encode())
  return digest.hexdigest()[:16]


def _leaves(values) -> Iterator[Any]:
  for value in values:
    if isinstance(value, (tuple, list)):
      yield from _leaves(value)
    else:
      yield value


def write(record: Record, example: Example) -> None:
  """Writes a prepared sample atomically to `record.path`, synchronised to disk; an OSError contains the path."""
  final = pathlib.Path(record.path)
  final.parent.mkdir(parents=True, exist_ok=True)
  modalities = {name: value for name, value in example.items() if not isinstance(value, str)}
  head = {'frames': record.frames, 'facts': record.facts,
          'texts': {name: value for name, value in example.items() if name not in modalities},
          'sizes': {name: [len(frame) for frame in frames] for name, frames in modalities.items()}}
  temporary = final.with_name(f'{final.name}.{uuid.uuid4().hex}.tmp')  # several nodes may prepare a sample at once
  try:
    with open(temporary, 'wb') as file:
      file.write(f'{json.dumps(head)}\n'.encode())
      for frames in modalities.values():
        file.writelines(frames)
      file.flush()
      os.fsync(file.fileno())
    temporary.replace(final)
  except OSError as error:  # has no file name if the disk is full
    raise OSError(error.errno, error.strerror, str(final)) from None
  finally:
    temporary.unlink(missing_ok=True)


def find(name: str, path: pathlib.Path) -> Optional[Record]:
  """Record of the prepared sample at `path`, None if there is none."""
  try:
    with open(path, 'rb') as file:
      head = json.loads(file.readline())
    return Record(name, str(path), head['frames'], head['facts'])
  except FileNotFoundError:
    return None


def read(path: str) -> Dict[str, Union[str, List[bytes]]]:
  """Example of the prepared sample at `path`."""
  with open(path, 'rb') as file:
    head = json.loads(file.readline())
    frames = {name: [file.read(size) for size in sizes] for name, sizes in head['sizes'].items()}
  return {**frames, **head['texts']}
