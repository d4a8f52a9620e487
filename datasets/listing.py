"""Listing of native files in all datasets: ignored names, and frames matched by their numbers."""

import os
import pathlib
import re
from typing import Dict, Iterable, List, Tuple

# Extensions of pictures, in lower case.
PICTURES = ('.jpg', '.jpeg', '.png')

# Files that operating systems, network drives and notebooks leave behind, besides names that begin with a dot.
_LEFT_BEHIND = frozenset((
    '__macosx', 'thumbs.db', 'desktop.ini', 'lost+found', '$recycle.bin', 'system volume information', '#recycle',
    '#snapshot', '@eadir', '@recycle', '@recently-snapshot', '@tmp'))


def is_passed_over(name: str) -> bool:
  """Whether a file or folder of this name is ignored, such as `._001.jpg`, `.DS_Store` or `@eaDir`."""
  return name.startswith('.') or name.lower() in _LEFT_BEHIND


def names(folder) -> List[str]:
  """Sorted names in a folder, without ignored ones; raises OSError if the folder cannot be read."""
  return sorted(name for name in os.listdir(folder) if not is_passed_over(name))


def folders(parent: pathlib.Path) -> List[pathlib.Path]:
  """Sorted subfolders of a folder, without ignored ones; raises OSError if the folder cannot be read."""
  return [path for path in map(parent.joinpath, names(parent)) if path.is_dir()]


def is_text(name: str) -> bool:
  """Whether a file name is valid UTF-8 and can be stored."""
  return name.isprintable() or not any('\ud800' <= character <= '\udfff' for character in name)


def natural(name: str) -> List[Tuple[int, str]]:
  """Sort key of a name or path that orders numbers inside it by value: frame_2 before frame_10."""
  return [(int(part), '') if part.isdecimal() else (-1, part) for part in re.split(r'(\d+)', name)]


def numbered(folder: pathlib.Path, candidates: Iterable[str], pattern: str) -> Dict[int, str]:
  """Finds the frames in a folder by their numbers.

  Args:
    folder: folder of the frames.
    candidates: file names in the folder.
    pattern: regular expression for complete file names of frames, case-insensitive; its group is the number.

  Returns:
    Number of a frame -> path.

  Raises:
    ValueError: if two frames have the same number, such as `frame_5` and `frame_05`.
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
