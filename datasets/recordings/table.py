"""The table of recordings: samples.csv, one row a sample, one column a modality or an attribute."""

import collections
import dataclasses
import glob
import os
import pathlib
import re
from typing import Dict, Mapping, NamedTuple, Tuple

from tf_privinfo.datasets import listing, tables
from tf_privinfo.datasets.listing import PICTURES
from tf_privinfo.datasets.recordings.protocols import PARTS
from tf_privinfo.utils import errors

NAME = 'samples.csv'
HOW_TO_GET_IT = ('Write DATA_DIR/samples.csv with one row a sample and the columns sample, label, and one for each '
                 'modality, such as rgb and depth (docs/recordings.md).')
VIDEOS = ('.avi', '.mp4', '.mkv', '.mov', '.webm', '.m4v')
_REQUIRED = ('sample', 'label')
_COLUMN = re.compile(r'[A-Za-z][A-Za-z0-9_]*')
# Names of streams and features that a modality cannot have.
_RESERVED = ('hall', 'rgb_2', 'autoencoder', 'sum', 'oracle', 'discriminator', 'noisy_depth', 'sample_id')


@dataclasses.dataclass(frozen=True)
class Recording:
  """One row of the table.

  Attributes:
    name: name of the sample.
    columns: label and attributes as JSON; bytes, so that they are not taken for a path.
    files: paths of every modality, in the order of the columns: one video, or frames in temporal order.
  """
  name: str
  columns: bytes
  files: Tuple[Tuple[str, ...], ...]


class Table(NamedTuple):
  """Content of a table.

  Attributes:
    modalities: names of the columns with paths, in their order.
    rows: sample name -> column -> value, for label and attributes.
    cells: sample name -> modality -> cell.
    lines: sample name -> number of its row.
  """
  modalities: Tuple[str, ...]
  rows: Dict[str, Dict[str, str]]
  cells: Dict[str, Dict[str, str]]
  lines: Dict[str, int]


def read(root: pathlib.Path) -> Table:
  """Reads DIR/samples.csv; raises `UserError` with the number of the row for a wrong table. Opens no recording."""
  path = root / NAME
  found = {}
  lines: Dict[str, int] = {}
  with errors.explaining_os_errors(f'read {path}', 'pass the folder of the table as --data_dir'):
    table = list(tables.rows(path, _REQUIRED, HOW_TO_GET_IT, optional=None))
  for line, row in table:
    name = row['sample']
    _check_row(path, line, row)
    if name in lines:
      raise errors.UserError(f'{path}: row {line} has the sample {name} of row {lines[name]}: rename one of them.')
    lines[name], found[name] = line, row
  if not found:
    raise errors.UserError(f'{path} has a header only: add one row per sample.')
  modalities = tuple(column for column in table[0][1] if column not in (*_REQUIRED, 'split')
                     and any(_is_media(root, row[column]) for row in found.values()))
  _check_columns(path, modalities, found, lines)
  _check_split(path, found, lines)
  rows = {name: {column: value for column, value in row.items() if column != 'sample' and column not in modalities}
          for name, row in found.items()}
  cells = {name: {modality: row[modality] for modality in modalities} for name, row in found.items()}
  for name, row_cells in cells.items():
    for modality, cell in row_cells.items():
      _check_cell(path, lines[name], modality, cell)
  return Table(modalities, rows, cells, lines)


def files(root: pathlib.Path, cell: str) -> Tuple[str, ...]:
  """Paths of a cell: a video, a picture, or sorted frames; raises ValueError with the reason if there are none."""
  path = root / cell
  if any(mark in cell for mark in '*?['):
    found = [name for name in glob.glob(os.path.join(glob.escape(str(root)), cell)) if not listing.is_passed_over(
        os.path.basename(name))]
    if not found:
      raise ValueError(f'the pattern {cell} matches nothing')
  elif path.is_dir():
    found = [str(path / name) for name in listing.names(path) if name.lower().endswith(PICTURES)]
    if not found:
      raise ValueError(f'the folder {cell} has no JPEG or PNG frames')
  elif path.is_file():
    found = [str(path)]
  else:
    raise ValueError(f'{cell} is missing')
  wrong = [name for name in found if not name.lower().endswith(PICTURES if len(found) > 1 else PICTURES + VIDEOS)]
  if wrong:
    raise ValueError(f'{os.path.relpath(wrong[0], root)} is neither {" nor ".join((*VIDEOS, *PICTURES))}'
                     if len(found) == 1 else f'{os.path.relpath(wrong[0], root)} is not a JPEG or PNG frame')
  return tuple(sorted(found, key=listing.natural))


def is_picture(cell: str) -> bool:
  """Whether a cell is a single picture."""
  return cell.lower().endswith(PICTURES) and not any(mark in cell for mark in '*?[')


def _is_media(root: pathlib.Path, cell: str) -> bool:
  path = root / cell
  return bool(cell) and (cell.lower().endswith(VIDEOS + PICTURES) or '*' in cell or (
      '/' in cell and os.path.isdir(path)) or (os.path.isdir(path) and any(
          name.lower().endswith(PICTURES) for name in listing.names(path))))


def _check_row(path: pathlib.Path, line: int, row: Mapping[str, str]) -> None:
  name = row['sample']
  if not name or not row['label']:
    raise errors.UserError(f'{path}: row {line} has no {"label" if name else "sample"}: fill it in.')
  if not listing.is_text(name) or '\\' in name or any(part in ('', '.', '..') for part in name.split('/')):
    raise errors.UserError(f'{path}: row {line} has the sample {name!r}, which cannot be the name of a file: rename '
                           'it.')


def _check_columns(path: pathlib.Path, modalities, found, lines) -> None:
  if not modalities:
    raise errors.UserError(f'{path} has no column with paths of recordings in row {min(lines.values())} or below: add '
                           'one for each modality, such as rgb.')
  for column in modalities:
    if not _COLUMN.fullmatch(column) or column in _RESERVED:
      raise errors.UserError(f'{path} has the column {column!r}, which cannot name a modality: use another name of '
                             'letters, digits and underscores.')
    for name, row in found.items():
      if not row[column]:
        raise errors.UserError(f'{path}: row {lines[name]} ({name}) has no {column}: fill it in, or remove the row.')
  label = {row['label'] for row in found.values()}
  if len(label) < 2:
    raise errors.UserError(f'{path} has only the label {label.pop()} from row {min(lines.values())} on: a model needs '
                           'at least two classes.')
  kinds = {is_picture(row[column]): name for name, row in found.items() for column in modalities}
  if len(kinds) > 1:
    raise errors.UserError(f'{path}: row {lines[kinds[True]]} has a single picture, but row {lines[kinds[False]]} a '
                           'video or several frames: all cells must be of one kind.')


def _check_split(path: pathlib.Path, found, lines) -> None:
  if not all('split' in row for row in found.values()):
    return
  there = collections.defaultdict(set)
  for name, row in found.items():
    if row['split'] not in PARTS:
      raise errors.UserError(f'{path}: row {lines[name]} has split={row["split"] or "(empty)"}: write one of '
                             f'{", ".join(PARTS)}.')
    there[row['label']].add(row['split'])
  for name, row in found.items():
    missing = [part for part in ('train', 'test') if part not in there[row['label']]]
    if missing and there[row['label']] != {'leave_out'}:
      raise errors.UserError(f'{path}: the class {row["label"]} of row {lines[name]} has no row with '
                             f'split={missing[0]}: add one, or leave the class out with split=leave_out.')


def _check_cell(path: pathlib.Path, line: int, modality: str, cell: str) -> None:
  if '\\' in cell:
    raise errors.UserError(f'{path}: row {line} has backslashes in {modality} ({cell}): write / between folders.')
  if os.path.isabs(cell) or re.match(r'[A-Za-z]:', cell):
    raise errors.UserError(f'{path}: row {line} has an absolute path in {modality} ({cell}): write it relative to the '
                           'table.')
  if '..' in cell.split('/'):
    raise errors.UserError(f'{path}: row {line} has a path outside the folder in {modality} ({cell}): put the '
                           'recordings, or a link to them, beside the table.')
