"""Protocols: which samples train, validate and test, as pure functions of sample names.

Names are those of the native files: `view_2/a01_s04_e01` in the layout of
NW-UCLA, which the synthetic dataset shares.
"""

import collections
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from tf_privinfo import errors

_NAME = re.compile(r'view_(?P<view>\d)/a(?P<action>\d\d)_s(?P<subject>\d\d)_e(?P<episode>\d\d)')


class Split(NamedTuple):
  """Sample names of one protocol; validation is held out of the training set."""
  train: List[str]
  validation: List[str]
  test: List[str]


class MultiviewName(NamedTuple):
  """The parts of a name such as `view_2/a01_s04_e01`, as they stand in the name."""
  view: int
  action: int
  subject: int
  episode: int


def parse_multiview_name(name: str) -> MultiviewName:
  """Parses `view_2/a01_s04_e01`; raises ValueError for anything else."""
  match = _NAME.fullmatch(name)
  if not match:
    raise ValueError(f'{name!r} is not of the form view_2/a01_s04_e01')
  return MultiviewName(*(int(part) for part in match.groups()))


def hold_out_balanced(names: Sequence[str], label_of: Callable[[str], int], fraction: float = 0.05):
  """Holds a class-balanced part of a training set out for validation, as the authors' DMCL code does.

  int(len(names) / classes · fraction) samples of every class, drawn with the
  class's rank as seed from a list that was shuffled with seed 0 (FIDELITY B 6).

  Args:
    names: the training set; its order matters.
    label_of: the class of a name.
    fraction: of the training set.

  Returns:
    (train, validation), both grouped by class.
  """
  names = list(names)
  np.random.RandomState(0).shuffle(names)
  by_class = collections.defaultdict(list)
  for name in names:
    by_class[label_of(name)].append(name)
  count = int(len(names) / len(by_class) * fraction) if by_class else 0
  train, validation = [], []
  for rank, label in enumerate(sorted(by_class)):
    members = by_class[label]
    held_out = np.random.RandomState(rank).choice(members, count, replace=False).tolist() if count else []
    validation += held_out
    train += [name for name in members if name not in held_out]
  return train, validation


def _multiview(names: Sequence[str], tests: Callable[[MultiviewName], bool]) -> Split:
  names = sorted(names)
  test = [name for name in names if tests(parse_multiview_name(name))]
  train, validation = hold_out_balanced(
      [name for name in names if not tests(parse_multiview_name(name))],
      lambda name: parse_multiview_name(name).action)
  return Split(train, validation, test)


def cross_view(test_view: int) -> Callable[[Sequence[str]], Split]:
  """Two of three views train, `test_view` tests; 5 % of the training set validates."""
  return lambda names: _multiview(names, lambda name: name.view == test_view)


def cross_subject(names: Sequence[str]) -> Split:
  """Odd subjects train, even ones test, in all views; 5 % of the training set validates."""
  return _multiview(names, lambda name: name.subject % 2 == 0)


_CROSS_VIEW = {f'cross_view_{view}': cross_view(view) for view in (1, 2, 3)}

# Dataset -> protocol -> function; the first protocol of a dataset is its default.
PROTOCOLS: Dict[str, Dict[str, Callable[[Sequence[str]], Split]]] = {
    'nwucla': _CROSS_VIEW,
    'synthetic': {**_CROSS_VIEW, 'cross_subject': cross_subject},
}


def resolve(dataset: str, protocol: Optional[str]) -> str:
  """The name of a protocol of a dataset, its default for None; raises `UserError` if it does not exist."""
  known = PROTOCOLS[dataset]
  if protocol is None:
    return next(iter(known))
  if protocol not in known:
    raise errors.UserError(
        f'Unknown --protocol={protocol} for dataset {dataset}: choose one of {", ".join(known)}.')
  return protocol


def split(dataset: str, protocol: str, names: Sequence[str]) -> Split:
  """The samples of a protocol; raises `UserError` if none is left to train or to test."""
  result = PROTOCOLS[dataset][protocol](names)
  for part in ('train', 'test'):
    if not getattr(result, part):
      raise errors.UserError(f'Protocol {protocol} finds no video to {part} on among the {len(names)} of {dataset}.')
  return result
