"""Files and folders that are there whole or not at all."""

import os
import pathlib
import shutil


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
  """Renames a finished directory into place, replacing an older one."""
  if final.exists():
    shutil.rmtree(final)
  temporary.rename(final)
