"""Checks whether prepared data are complete and whether their native files have changed.

In all functions, `builder` is a `base_builder.NativeBuilder`.
"""

import collections
import hashlib
import os
import pathlib
from typing import List

from tf_privinfo.datasets import prepared_samples
from tf_privinfo.utils import errors, text


def verify(builder, checksums: bool = False) -> None:
  """Raises `UserError` if prepared data are incomplete, damaged, or of another preparation version.

  Args:
    builder: builder whose data are prepared.
    checksums: whether the SHA-256 of all files is compared as well, not only their sizes.
  """
  again = f'remove {builder.data_dir} and rerun the command to prepare the data from scratch'
  version = builder.info.metadata.get('preparation_version', 1)  # the first data record neither this nor the files
  if version != prepared_samples.PREPARATION_VERSION:
    raise errors.UserError(f'The data were prepared by version {version} of the preparation, and this is version '
                           f'{prepared_samples.PREPARATION_VERSION}: {again}.')
  problems = [] if builder.info.metadata['samples'] else ['the metadata are missing']
  for name, expected in builder.info.metadata.get('files', {}).items():
    path = pathlib.Path(builder.data_dir, name)
    size = path.stat().st_size if path.exists() else None
    if size != expected['bytes']:
      problems.append(f'{name} is missing' if size is None else f'{name} has {size} bytes, not {expected["bytes"]}')
    elif checksums and sha256(path) != expected['sha256']:
      problems.append(f'{name} has changed')
  if problems:
    raise errors.UserError(f'The prepared data are damaged ({text.first(problems)}): {again}.')


def changes(builder, native_dir: str) -> List[str]:
  """Compares names, sizes and times of the native files with their state at preparation.

  Args:
    builder: builder whose data are prepared.
    native_dir: folder of the native files.

  Returns:
    One line for each sample that was added, removed or changed, in this
    order; an empty list if there are no native files. Data of earlier versions,
    which did not record sizes and times, are compared by names.

  Raises:
    UserError: if the native files exist, but not in a usable layout.
    OSError: if they cannot be read.
  """
  try:
    root = builder.find_root(native_dir)
  except errors.UserError:
    return []
  unprepared = type(builder)(data_dir=os.path.join(root, 'not_prepared'), config=builder.builder_config)
  found, _ = unprepared.scan(root)  # may change the metadata of its builder
  metadata = builder.info.metadata
  before = metadata.get('native') or dict.fromkeys(
      [*metadata['samples'], *(line.partition(': ')[0] for line in metadata['skipped'])])
  now = builder.fingerprints(found) if 'native' in metadata else dict.fromkeys(sample.name for sample in found)
  usable = before.keys() if 'native' in metadata else metadata['samples'].keys()
  return [*(f'{name}: added' for name in sorted(now.keys() - before)),
          *(f'{name}: removed' for name in sorted(usable - now.keys())),
          *(f'{name}: changed' for name in sorted(now.keys() & before) if now[name] != before[name])]


def changes_line(builder, native_dir: str) -> str:
  """Result of `changes` as a one-line warning for training; empty if nothing has changed."""
  try:
    differences = changes(builder, native_dir)
  except (errors.UserError, OSError) as error:
    return f'Warning: the native files cannot be compared with the prepared data, which are used unchanged: {error}'
  if not differences:
    return ''
  counts = collections.Counter(line.rpartition(' ')[2] for line in differences)
  return (f'Warning: since these data were prepared, native files of {len(differences)} {builder.UNIT}s differ ('
          + ', '.join(f'{count} {kind}' for kind, count in counts.items())
          + f': {text.first(differences, 3)}). The prepared data are used unchanged; '
          f'{how_to_prepare_again(builder)}.')


def how_to_prepare_again(builder) -> str:
  """Instruction to prepare the data again from the current native files, as part of a sentence."""
  return f'to use the current files, remove {builder.data_dir} and rerun the command'


def sha256(path: pathlib.Path) -> str:
  """SHA-256 checksum of a file, in hexadecimal."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
