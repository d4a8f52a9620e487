"""Protocols from the columns of a table: `split`, `hold_out:subject=S03,S07`, `folds:subject=5+fold=1`, `random`.

`+leave_out:session=6` at the end leaves samples out of all parts.
"""

import collections
import re
from typing import List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from tf_privinfo.datasets import listing
from tf_privinfo.datasets.protocols import hold_out_balanced, Split
from tf_privinfo.utils import errors

FORMS = ('split', 'hold_out:COLUMN=VALUE,VALUE', 'folds:COLUMN=NUMBER', 'random')
WHY_NOT_RANDOM = ('neighbouring recordings are near-duplicates, so a random split tests on samples that are almost in '
                  'the training set')
# Legal values of the column `split`; samples with the last one are in no part.
PARTS = ('train', 'validation', 'test', 'leave_out')
_RANDOM_TEST = 0.2
_PATTERN = re.compile(r'(?P<kind>split|random|(?P<by>hold_out|folds):(?P<column>[^=:+]+)=(?P<values>[^+]+)'
                      r'(\+fold=(?P<fold>\d+))?)(\+leave_out:(?P<left>[^=:+]+)=(?P<left_values>[^+]+))?')

# Sample name -> column -> value; the columns are `label` and all attributes.
Rows = Mapping[str, Mapping[str, str]]


class TableProtocol(NamedTuple):
  """A parsed protocol.

  Attributes:
    kind: `split`, `random`, `hold_out` or `folds`.
    column: attribute that `hold_out` and `folds` select by.
    values: values of the test samples of `hold_out`.
    folds: number of folds.
    fold: number of the fold that tests, from 1.
    left: attribute and values of the samples that are left out; empty for none.
  """
  kind: str
  column: str = ''
  values: Tuple[str, ...] = ()
  folds: int = 0
  fold: int = 1
  left: Tuple[str, Tuple[str, ...]] = ('', ())


def parse(text: str) -> TableProtocol:
  """Parses the name of a protocol; raises `UserError` for another form."""
  match = _PATTERN.fullmatch(text)
  if not match:
    raise errors.UserError(f'Unknown --protocol={text} for recordings: choose one of {", ".join(FORMS)}; each can end '
                           'in +leave_out:COLUMN=VALUE,VALUE.')
  left = (match['left'] or '', _values(match['left_values'] or ''))
  kind = match['by'] or match['kind']
  if kind != 'folds':
    if match['fold']:
      raise errors.UserError(f'--protocol={text} has a fold, but only folds:COLUMN=NUMBER has several.')
    return TableProtocol(kind, match['column'] or '', _values(match['values'] or ''), left=left)
  number, fold = match['values'], int(match['fold'] or 1)
  if not number.isdecimal() or int(number) < 2 or not 1 <= fold <= int(number):
    raise errors.UserError(f'--protocol={text} must have at least 2 folds, and a fold from 1 to their number.')
  return TableProtocol(kind, match['column'], (), int(number), fold, left)


def with_fold(text: str, fold: int) -> str:
  """The name of a protocol of folds, with the number of the fold that tests; raises `UserError` for others."""
  start, leave_out, left = text.partition('+leave_out:')
  name = f'{start}+fold={fold}{leave_out}{left}'
  parse(name)
  return name


def split(text: str, rows: Rows, hold_out: float, hold_out_by: str = '') -> Split:
  """Splits the samples of a table.

  Args:
    text: name of the protocol.
    rows: columns of every sample.
    hold_out: fraction of the training samples that is held out for validation, balanced by class; the protocol `split`
      uses its validation rows instead, if there are any.
    hold_out_by: attribute whose values stay together when validation samples are held out; '': none.

  Raises:
    UserError: for an unknown column or value, and if no sample is left to train or test on.
  """
  protocol = parse(text)
  names = sorted(rows)
  column, values = protocol.left
  if column:
    _check_values(text, rows, column, values)
    names = [name for name in names if rows[name][column] not in values]
  if protocol.kind == 'split':
    _check_column(text, rows, 'split')
    parts = {part: [name for name in names if rows[name]['split'] == part] for part in PARTS}
    train, validation, test = (parts[part] for part in PARTS[:3])
  else:
    test = _tested(text, protocol, names, rows)
    train, validation = [name for name in names if name not in set(test)], []
  if not validation and hold_out and train:
    train, validation = _hold_out(train, rows, hold_out, hold_out_by)
  return Split(train, validation, test)


def counts(parts: Split, rows: Rows) -> List[str]:
  """Lines with the numbers of training, validation and test samples for each class and value of an attribute."""
  lines = []
  for column in next(iter(rows.values())):
    values = sorted({rows[name][column] for part in parts for name in part}, key=listing.natural)
    if column == 'split' or len(values) > 40:
      continue
    numbers = [collections.Counter(rows[name][column] for name in part) for part in parts]
    lines.append(f'per {"class" if column == "label" else column} (train + validate + test): ' + ', '.join(
        f'{value} {"+".join(str(number[value]) for number in numbers)}' for value in values))
  return lines


def _tested(text: str, protocol: TableProtocol, names: Sequence[str], rows: Rows) -> List[str]:
  if protocol.kind == 'random':
    return hold_out_balanced(names, lambda name: rows[name]['label'], _RANDOM_TEST, at_least=1)[1]
  if protocol.kind == 'hold_out':
    _check_values(text, rows, protocol.column, protocol.values)
    tested = set(protocol.values)
  else:
    _check_column(text, rows, protocol.column)
    groups = sorted({rows[name][protocol.column] for name in names}, key=listing.natural)
    if len(groups) < protocol.folds:
      raise errors.UserError(f'--protocol={text} needs at least {protocol.folds} values in the column '
                             f'{protocol.column}, which has {len(groups)}.')
    tested = set(groups[protocol.fold - 1::protocol.folds])
  return [name for name in names if rows[name][protocol.column] in tested]


def _hold_out(train: Sequence[str], rows: Rows, fraction: float, by: str) -> Tuple[List[str], List[str]]:
  """(train, validation): balanced by class, or whole values of the attribute `by`."""
  if not by:
    return hold_out_balanced(train, lambda name: rows[name]['label'], fraction)
  _check_column(f'data.hold_out_by={by}', rows, by)
  groups = sorted({rows[name][by] for name in train}, key=listing.natural)
  size, held = max(1, round(fraction * len(groups))), set()
  for group in np.random.RandomState(0).permutation(groups).tolist():
    rest = {rows[name]['label'] for name in train if rows[name][by] not in held | {group}}
    if len(held) < size and rest == {rows[name]['label'] for name in train}:
      held.add(group)
  if not held:
    raise errors.UserError(f'data.hold_out_by={by}: no value of {by} can be held out for validation without losing a '
                           'class in training; pass --set data.hold_out=0 or another attribute.')
  return ([name for name in train if rows[name][by] not in held], [name for name in train if rows[name][by] in held])


def _check_column(text: str, rows: Rows, column: str) -> None:
  known = [name for name in next(iter(rows.values())) if name != 'label']
  if column not in known:
    raise errors.UserError(
        f'{text}: samples.csv has no column {column} (attributes: {", ".join(known) or "none"}). Pass '
        f'--protocol=hold_out:COLUMN=VALUE or folds:COLUMN=NUMBER, add the column, or pass --protocol=random knowing '
        f'that {WHY_NOT_RANDOM}.')


def _check_values(text: str, rows: Rows, column: str, values: Sequence[str]) -> None:
  _check_column(text, rows, column)
  known = {row[column] for row in rows.values()}
  unknown = [value for value in values if value not in known]
  if unknown:
    raise errors.UserError(f'--protocol={text}: no row has {column}={", ".join(unknown)}; its values are '
                           f'{", ".join(sorted(known, key=listing.natural)[:30])}.')


def _values(text: str) -> Tuple[str, ...]:
  return tuple(value.strip() for value in text.split(',') if value.strip())
