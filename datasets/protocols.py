"""Protocols: which samples train, validate and test, as pure functions of sample names.

Names are those of the native files: `view_2/a01_s04_e01` in the layout of NW-UCLA, which the synthetic dataset shares,
and `train/chair/0001` for objects. Datasets with other names have their protocols in their own folders.
"""

import collections
import re
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Union

import numpy as np

_MULTIVIEW = re.compile(r'view_(?P<view>\d)/a(?P<action>\d\d)_s(?P<subject>\d\d)_e(?P<episode>\d\d)')

class Split(NamedTuple):
  """Sample names of one protocol; validation is held out of the training set."""
  train: List[str]
  validation: List[str]
  test: List[str]


# Of all sample names and the fraction of the training set that is held out for validation.
Protocol = Callable[[Sequence[str], float], Split]


class MultiviewName(NamedTuple):
  """The parts of a name such as `view_2/a01_s04_e01`, as they stand in the name."""
  view: int
  action: int
  subject: int
  episode: int


def parse_multiview_name(name: str) -> MultiviewName:
  """Parses `view_2/a01_s04_e01`; raises ValueError for anything else."""
  return MultiviewName(**parse(_MULTIVIEW, name, 'view_2/a01_s04_e01'))


def parse(pattern: re.Pattern, name: str, example: str) -> Dict[str, int]:
  """The numbers in a name by the groups of `pattern`; raises ValueError, with an `example`, for another form."""
  match = pattern.fullmatch(name)
  if not match:
    raise ValueError(f'{name!r} is not of the form {example}')
  return {part: int(digits) for part, digits in match.groupdict().items()}


def hold_out_balanced(names: Sequence[str], label_of: Callable[[str], Union[int, str]], fraction: float,
                      at_least: int = 0):
  """Holds a class-balanced part of a training set out for validation, as the authors' DMCL code does.

  int(len(names) / classes · fraction) samples of every class, drawn with the
  class's rank as seed from a list that was shuffled with seed 0 (FIDELITY B 6).
  That is none of classes with fewer than 1 / fraction samples in the mean,
  unless `at_least` says otherwise. A class that has no more than are held out
  keeps one to train on.

  Args:
    names: the training set; its order matters.
    label_of: the class of a name.
    fraction: of the training set.
    at_least: of every class, where the fraction is less.

  Returns:
    (train, validation), both grouped by class.
  """
  names = list(names)
  np.random.RandomState(0).shuffle(names)
  by_class = collections.defaultdict(list)
  for name in names:
    by_class[label_of(name)].append(name)
  count = max(at_least, int(len(names) / len(by_class) * fraction)) if by_class else 0
  train, validation = [], []
  for rank, label in enumerate(sorted(by_class)):
    members = by_class[label]
    size = min(count, len(members) - 1)
    held_out = np.random.RandomState(rank).choice(members, size, replace=False).tolist()
    validation += held_out
    train += [name for name in members if name not in held_out]
  return train, validation


def by_parts(parse: Callable[[str], Any], trains: Callable[[Any], bool], tests: Callable[[Any], bool]) -> Protocol:
  """Samples train or test by the parts of their names; a class-balanced part of the training set validates."""

  def protocol(names, hold_out):
    names = sorted(names)
    train, validation = hold_out_balanced(
        [name for name in names if trains(parse(name))], lambda name: parse(name).action, hold_out)
    return Split(train, validation, [name for name in names if tests(parse(name))])

  return protocol


def cross_view(parse: Callable[[str], MultiviewName], train: Sequence[int], test: Sequence[int]) -> Protocol:
  """The views `train` train, the views `test` test."""
  return by_parts(parse, lambda name: name.view in train, lambda name: name.view in test)


def cross_subject(parse: Callable[[str], MultiviewName]) -> Protocol:
  """Odd subjects train, even ones test, in all views."""
  return by_parts(parse, lambda name: name.subject % 2 == 1, lambda name: name.subject % 2 == 0)


def given(names: Sequence[str], hold_out: float) -> Split:
  """The training and test sets of `train/chair/0001`, `test/chair/0001`.

  A balanced part of the former validates: at least one sample of every class
  that has two, unless nothing is to be held out.
  """
  names = sorted(names)
  train, validation = hold_out_balanced(
      [name for name in names if name.startswith('train/')], lambda name: name.split('/')[1], hold_out,
      at_least=1 if hold_out else 0)
  return Split(train, validation, [name for name in names if name.startswith('test/')])


# NW-UCLA's protocols, named by the view that tests.
CROSS_VIEW = {
    'cross_view_1': cross_view(parse_multiview_name, (2, 3), (1,)),
    'cross_view_2': cross_view(parse_multiview_name, (1, 3), (2,)),
    'cross_view_3': cross_view(parse_multiview_name, (1, 2), (3,)),
}

def missing_classes(protocol: str, parts: Split, label_names: Sequence[str], label_of: Callable[[str], str]
                    ) -> List[str]:
  """One line for the classes that have no sample to train on under a protocol, and one for those without test samples.

  Args:
    protocol: its name.
    parts: the samples of the protocol.
    label_names: all classes.
    label_of: the class of a sample.
  """
  advice = {'train': 'they cannot be learned; add samples and prepare the data again, or leave these classes out',
            'test': 'the results do not cover them'}
  lines = []
  for part in advice:
    there = set(map(label_of, getattr(parts, part)))
    missing = [label for label in label_names if label not in there]
    if missing:
      lines.append(f'Warning: protocol {protocol} has no sample to {part} on for {len(missing)} of {len(label_names)} '
                   f'classes ({", ".join(missing)}): {advice[part]}.')
  return lines
