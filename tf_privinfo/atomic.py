"""Files and folders that are there whole or not at all."""

import contextlib
import fcntl
import os
import pathlib
import shutil
from typing import Iterator


def write(path: pathlib.Path, content: 'str | bytes') -> None:
  """Writes a file under a temporary name and renames it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(path.name + '.tmp')
  mode, encoding = ('wb', None) if isinstance(content, bytes) else ('w', 'utf-8')
  with open(temporary, mode, encoding=encoding) as file:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
  temporary.replace(path)


def replace_directory(temporary: pathlib.Path, final: pathlib.Path) -> None:
  """Renames a finished directory into place, replacing an older one; none is ever there in part."""
  old = final.with_name(final.name + '.old')
  shutil.rmtree(old, ignore_errors=True)  # of a killed process
  if final.exists():
    final.rename(old)
  temporary.rename(final)
  shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def only_process(path: pathlib.Path) -> Iterator[None]:
  """Holds the lock of a file, which ends with the process; waits while another process prepares the same data."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', encoding='ascii') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      print('Another process is preparing these data: waiting for it.', flush=True)
      fcntl.flock(file, fcntl.LOCK_EX)
    yield
