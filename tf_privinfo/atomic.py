"""Files and folders that are there whole or not at all."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
from typing import Any, Iterator, Sequence

from tf_privinfo import errors


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


def read_json(path: pathlib.Path, keys: Sequence[str] = (), kind: type = dict) -> Any:
  """Reads a JSON file of a run.

  Args:
    path: of the file.
    keys: what it must have, if it is an object.
    kind: dict or list.

  Raises:
    UserError: if it is missing, damaged, or holds something else.
  """
  try:
    content = json.loads(path.read_text(encoding='utf-8'))
    missing = [] if isinstance(content, kind) else [f'JSON {"object" if kind is dict else "list"}']
  except FileNotFoundError:
    raise errors.UserError(f'{path} is missing: run train_main.py for this run again, which writes it.') from None
  except ValueError:  # of JSON, or of the encoding
    missing = ['readable JSON']
  missing = missing or [key for key in keys if key not in content]
  if missing:
    raise errors.UserError(f'{path} is damaged or of another version (it holds no {", ".join(missing)}): remove it and '
                           'run train_main.py for this run again, which writes it anew.')
  return content


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
