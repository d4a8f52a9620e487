"""Atomic writing of files and folders, and locks between processes."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import shutil
import socket
from typing import Any, IO, Iterator, Sequence

from tf_privinfo.utils import errors

# Error numbers of file systems without locks.
_NO_LOCKS = (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EBADF)
# Error numbers where this process may not write.
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def write(path: pathlib.Path, content: 'str | bytes') -> None:
  """Writes a file under a temporary name and renames it; missing folders are created.

  Args:
    path: path of the file.
    content: text, written as UTF-8, or bytes.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')  # another process may write the same file
  mode, encoding = ('wb', None) if isinstance(content, bytes) else ('w', 'utf-8')
  try:
    with open(temporary, mode, encoding=encoding) as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def read_json(path: pathlib.Path, keys: Sequence[str] = (), kind: type = dict) -> Any:
  """Reads a JSON file of a run.

  Args:
    path: path of the file.
    keys: keys that an object must contain.
    kind: expected type of the content, dict or list.

  Raises:
    UserError: if the file is missing or damaged, or has different content.
  """
  try:
    content = json.loads(path.read_text(encoding='utf-8'))
    missing = [] if isinstance(content, kind) else [f'JSON {"object" if kind is dict else "list"}']
  except FileNotFoundError:
    raise errors.UserError(f'{path} is missing: run train_main.py for this run again to write it.') from None
  except ValueError:  # of JSON, or of the encoding
    missing = ['readable JSON']
  missing = missing or [key for key in keys if key not in content]
  if missing:
    raise errors.UserError(f'{path} is damaged or of another version (it contains no {", ".join(missing)}): remove it '
                           'and run train_main.py for this run again to write it.')
  return content


def replace_directory(temporary: pathlib.Path, final: pathlib.Path) -> None:
  """Renames a complete directory into place, replacing an older one, which stays if renaming fails.

  Args:
    temporary: the complete directory.
    final: its final path, on the same file system.

  Raises:
    OSError: if the directory cannot be renamed.
  """
  old = final.with_name(final.name + '.old')
  shutil.rmtree(old, ignore_errors=True)  # of a killed process
  if final.exists():
    final.rename(old)
  try:
    temporary.rename(final)
  except OSError:
    if old.exists():
      old.rename(final)
    raise
  shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def only_process(path: pathlib.Path, busy: str, *, wait: bool = True) -> Iterator[None]:
  """Holds the lock of a file, which ends with the process, however it ends.

  Without locks in the file system, it prints a warning and continues.

  Args:
    path: lock file, created if missing. It is kept and names the last process that held the lock.
    busy: message for the case that another process holds the lock: 'Another process is preparing these data'.
    wait: whether to wait for the other process, after a message, instead of raising an error.

  Raises:
    UserError: if another process holds the lock, unless `wait`.
    OSError: if the lock file is missing and cannot be created.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  file = _locked(path, busy, wait)
  with file:
    if file.writable():
      file.truncate(0)
      file.write(f'process {os.getpid()} on {socket.gethostname()}')
      file.flush()
    yield


def _locked(path: pathlib.Path, busy: str, wait: bool) -> IO[str]:
  """Opens the lock file and locks it, again if it was renamed in the meantime."""
  while True:
    file = _open_lock(path)
    try:
      _lock(file, busy, wait)
      if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
        return file
    except BaseException:
      file.close()
      raise
    file.close()


def _open_lock(path: pathlib.Path) -> IO[str]:
  try:
    return open(path, 'a+', encoding='utf-8')
  except OSError as error:
    if error.errno not in NOT_WRITABLE or not path.exists():
      raise
    # A file of another user, or on a read-only file system, can be locked nevertheless.
    return open(path, encoding='utf-8')


def _lock(file: IO[str], busy: str, wait: bool) -> None:
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    file.seek(0)
    holder = file.read().strip()
    busy += f' ({holder})' if holder else ''
    if not wait:
      raise errors.UserError(f'{busy}: wait until it has ended.') from None
    print(f'{busy}: waiting for it.', flush=True)
    fcntl.flock(file, fcntl.LOCK_EX)
  except OSError as error:
    if error.errno not in _NO_LOCKS:
      raise
    print(f'The file system of {file.name} has no locks ({error.strerror}): make sure that no other process writes '
          'there.', flush=True)
