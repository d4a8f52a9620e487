"""Prepared samples on disk, one file each, until their dataset is complete: a killed preparation goes on from them.

    <folder>/view_1/a01_s01_e00.3f9c2c0d1b7a4e55

The ending is a fingerprint of the native files, so a sample whose files have changed is prepared anew. A file is one
line of JSON, then the encoded frames of all modalities, one after the other.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union
import uuid

# By the names of the features: a text, or the encoded frames of a modality.
Example = Mapping[str, Union[str, List[bytes]]]

# To be raised with every change of what is stored of a sample: data of another version are refused.
PREPARATION_VERSION = 1


class Record(NamedTuple):
  """What is known of a sample without its frames.

  Attributes:
    name: of the sample.
    path: the file of the prepared sample; empty if it is broken.
    frames: how many it has.
    facts: what else goes into the metadata, by key.
    problem: why it is broken; empty if it is not.
  """
  name: str
  path: str = ''
  frames: int = 0
  facts: Mapping[str, Any] = {}
  problem: str = ''


def locate(folder: pathlib.Path, sample, version) -> pathlib.Path:
  """Where a prepared sample is kept: a path that changes with its fingerprint, in the `folder` of one form."""
  return folder / f'{sample.name}.{fingerprint(sample, version)}'


def fingerprint(sample, version) -> str:
  """A text that changes with name, size and time of each native file of a sample; no file is opened.

  Args:
    sample: a dataclass with a `name`; its other texts are the paths of native files or folders.
    version: of the preparation.
  """
  digest = hashlib.sha256(f'{version}\n'.encode())
  for value in _leaves(dataclasses.astuple(sample)):
    is_text = isinstance(value, (str, os.PathLike))
    digest.update(os.fsencode(f'{os.path.basename(value) if is_text else value}\n'))
    if is_text:
      with contextlib.suppress(OSError, ValueError):  # a text that is no path
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
  """Keeps a prepared sample. Its file appears under its name when it is whole and on the disk; OSError names it."""
  final = pathlib.Path(record.path)
  final.parent.mkdir(parents=True, exist_ok=True)
  modalities = {name: value for name, value in example.items() if not isinstance(value, str)}
  head = {'frames': record.frames, 'facts': record.facts,
          'texts': {name: value for name, value in example.items() if name not in modalities},
          'sizes': {name: [len(frame) for frame in frames] for name, frames in modalities.items()}}
  temporary = final.with_name(f'{final.name}.{uuid.uuid4().hex}.tmp')  # a cluster may prepare a sample twice at once
  try:
    with open(temporary, 'wb') as file:
      file.write(f'{json.dumps(head)}\n'.encode())
      for frames in modalities.values():
        file.writelines(frames)
      file.flush()
      os.fsync(file.fileno())
    temporary.replace(final)
  except OSError as error:  # without a name where the disk is full
    raise OSError(error.errno, error.strerror, str(final)) from None
  finally:
    temporary.unlink(missing_ok=True)


def find(name: str, path: pathlib.Path) -> Optional[Record]:
  """The record of a sample that was kept at `path`, None if it was not."""
  try:
    with open(path, 'rb') as file:
      head = json.loads(file.readline())
    return Record(name, str(path), head['frames'], head['facts'])
  except FileNotFoundError:
    return None


def read(path: str) -> Dict[str, Union[str, List[bytes]]]:
  """The example of a sample that was kept."""
  with open(path, 'rb') as file:
    head = json.loads(file.readline())
    frames = {name: [file.read(size) for size in sizes] for name, sizes in head['sizes'].items()}
  return {**frames, **head['texts']}
