"""Protocols: training, validation and test samples, as pure functions of sample names.

Sample names follow the native files: `view_2/a01_s04_e01` in the layout of NW-UCLA and of the synthetic dataset,
`train/chair/0001` for objects. Datasets with different names have their protocols in their own folders.
"""

import collections
import re
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Union

import numpy as np

_MULTIVIEW = re.compile(r'view_(?P<view>\d)/a(?P<action>\d\d)_s(?P<subject>\d\d)_e(?P<episode>\d\d)')

class Split(NamedTuple):
  """Sample names of one protocol.

  Attributes:
    train: training samples, without the validation samples.
    validation: samples that are held out of the training set; possibly none.
    test: test samples.
  """
  train: List[str]
  validation: List[str]
  test: List[str]


# Function of all sample names and the fraction of the training set that is held out for validation.
Protocol = Callable[[Sequence[str], float], Split]


class MultiviewName(NamedTuple):
  """Numbers in a name such as `view_2/a01_s04_e01`."""
  view: int
  action: int
  subject: int
  episode: int


def parse_multiview_name(name: str) -> MultiviewName:
  """Parses a name such as `view_2/a01_s04_e01`; raises ValueError for other forms."""
  return MultiviewName(**parse(_MULTIVIEW, name, 'view_2/a01_s04_e01'))


def parse(pattern: re.Pattern, name: str, example: str) -> Dict[str, int]:
  """Numbers in a name by the groups of `pattern`; raises ValueError, with the `example`, for other forms."""
  match = pattern.fullmatch(name)
  if not match:
    raise ValueError(f'{name!r} is not of the form {example}')
  return {part: int(digits) for part, digits in match.groupdict().items()}


def hold_out_balanced(names: Sequence[str], label_of: Callable[[str], Union[int, str]], fraction: float,
                      at_least: int = 0):
  """Holds out a class-balanced part of a training set for validation, as in the authors' DMCL code.

  int(len(names) / classes · fraction) samples of every class are held out,
  drawn with the rank of the class as seed from a list that was shuffled with
  seed 0 (docs/fidelity.md, B 6). This number is 0 if classes have fewer than
  1 / fraction samples on average, unless `at_least` is larger. At least one
  sample of every class remains in the training set.

  Args:
    names: training set; the result depends on its order.
    label_of: function of a name that returns its class.
    fraction: fraction of the training set to hold out.
    at_least: minimum number of samples of every class to hold out.

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


def at_most_per_class(names: Sequence[str], label_of: Callable[[str], Union[int, str]], count: int,
                      seed: int) -> List[str]:
  """Draws at most `count` samples of every class, for studies with few training samples.

  The draw is a function of the seed and the set of names. A smaller count draws a subset of a larger one.

  Args:
    names: training set.
    label_of: function of a name that returns its class.
    count: largest number of samples of a class.
    seed: seed of the draw.

  Returns:
    The drawn names, sorted.
  """
  drawn, taken = [], collections.Counter()
  for name in np.random.RandomState(seed).permutation(sorted(names)).tolist():
    label = label_of(name)
    if taken[label] < count:
      taken[label] += 1
      drawn.append(name)
  return sorted(drawn)


def by_parts(parse: Callable[[str], Any], trains: Callable[[Any], bool], tests: Callable[[Any], bool]) -> Protocol:
  """Protocol that selects samples by the parts of their names and holds out a class-balanced validation set.

  Args:
    parse: parser of a name; its result has the field `action`.
    trains: predicate of training samples, on parsed names.
    tests: predicate of test samples, on parsed names.
  """

  def protocol(names, hold_out):
    names = sorted(names)
    train, validation = hold_out_balanced(
        [name for name in names if trains(parse(name))], lambda name: parse(name).action, hold_out)
    return Split(train, validation, [name for name in names if tests(parse(name))])

  return protocol


def cross_view(parse: Callable[[str], MultiviewName], train: Sequence[int], test: Sequence[int]) -> Protocol:
  """Cross-view protocol: trains on the views `train`, tests on the views `test`."""
  return by_parts(parse, lambda name: name.view in train, lambda name: name.view in test)


def cross_subject(parse: Callable[[str], MultiviewName]) -> Protocol:
  """Cross-subject protocol: trains on odd subjects, tests on even ones, in all views."""
  return by_parts(parse, lambda name: name.subject % 2 == 1, lambda name: name.subject % 2 == 0)


def given(names: Sequence[str], hold_out: float) -> Split:
  """Predefined training and test sets: names such as `train/chair/0001` and `test/chair/0001`.

  A class-balanced part of the training set is held out for validation: unless
  `hold_out` is 0, at least one sample of every class with two or more samples.
  """
  names = sorted(names)
  train, validation = hold_out_balanced(
      [name for name in names if name.startswith('train/')], lambda name: name.split('/')[1], hold_out,
      at_least=1 if hold_out else 0)
  return Split(train, validation, [name for name in names if name.startswith('test/')])


# Protocols of NW-UCLA, named by the test view.
CROSS_VIEW = {
    'cross_view_1': cross_view(parse_multiview_name, (2, 3), (1,)),
    'cross_view_2': cross_view(parse_multiview_name, (1, 3), (2,)),
    'cross_view_3': cross_view(parse_multiview_name, (1, 2), (3,)),
}

def missing_classes(protocol: str, parts: Split, label_names: Sequence[str], label_of: Callable[[str], str]
                    ) -> List[str]:
  """Warnings, one line each, for classes without training samples and for classes without test samples.

  Args:
    protocol: name of the protocol.
    parts: samples of the protocol.
    label_names: names of all classes.
    label_of: function of a sample name that returns its class.
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
