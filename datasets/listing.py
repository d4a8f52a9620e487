"""Which files and folders of a dataset's native files count, and how numbered frames are matched, in every dataset."""

import os
import pathlib
import re
from typing import Dict, Iterable, List

# What operating systems, network drives and notebooks leave between the files, besides names that begin with a dot.
_LEFT_BEHIND = frozenset((
    '__macosx', 'thumbs.db', 'desktop.ini', 'lost+found', '$recycle.bin', 'system volume information', '#recycle',
    '#snapshot', '@eadir', '@recycle', '@recently-snapshot', '@tmp'))


def is_passed_over(name: str) -> bool:
  """Whether a file or folder of this name is none of the dataset's, such as `._001.jpg`, `.DS_Store` or `@eaDir`."""
  return name.startswith('.') or name.lower() in _LEFT_BEHIND


def names(folder) -> List[str]:
  """The sorted names in a folder, without those that are passed over; raises OSError if it cannot be read."""
  return sorted(name for name in os.listdir(folder) if not is_passed_over(name))


def folders(parent: pathlib.Path) -> List[pathlib.Path]:
  """The sorted folders in a folder, without those that are passed over; raises OSError if it cannot be read."""
  return [path for path in map(parent.joinpath, names(parent)) if path.is_dir()]


def is_text(name: str) -> bool:
  """Whether a name can be stored: the bytes of others are no UTF-8."""
  return name.isprintable() or not any('\ud800' <= character <= '\udfff' for character in name)


def numbered(folder: pathlib.Path, candidates: Iterable[str], pattern: str) -> Dict[int, str]:
  """Finds the frames in a folder by their numbers.

  Args:
    folder: that holds them.
    candidates: names in it.
    pattern: regular expression that a frame's whole name matches, in upper or lower case; its group is the number.

  Returns:
    Number -> path.

  Raises:
    ValueError: if two frames have the same number, as `frame_5` and `frame_05` have.
  """
  found = {}
  for name in candidates:
    match = re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL)
    if not match:
      continue
    number = int(match[1])
    if number in found:
      raise ValueError(f'{folder / name} has the number of {os.path.basename(found[number])}: remove one of them')
    found[number] = str(folder / name)
  return found
