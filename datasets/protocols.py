"""Protocols: which samples train, validate and test, as pure functions of sample names.

Names are those of the native files: `view_2/a01_s04_e01` in the layout of
NW-UCLA, which the synthetic dataset shares, `a01_s04_v02_e00` in UWA3D
Multiview II, `S001C002P003R002A013` in NTU RGB+D, and `train/chair/0001` for
objects.
"""

import collections
import itertools
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

import numpy as np

from tf_privinfo import errors

_MULTIVIEW = re.compile(r'view_(?P<view>\d)/a(?P<action>\d\d)_s(?P<subject>\d\d)_e(?P<episode>\d\d)')
_UWA3D = re.compile(r'a(?P<action>\d\d)_s(?P<subject>\d\d)_v(?P<view>\d\d)_e(?P<episode>\d\d)')
_NTU = re.compile(
    r'S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<performer>\d{3})R(?P<replication>\d{3})A(?P<action>\d{3})')

# Performers who train in NTU's cross-subject protocols, and the one of them who validates (thesis section 3.3.6).
_NTU60_PERFORMERS = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
_NTU120_PERFORMERS = _NTU60_PERFORMERS | {
    45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103}
_NTU60_VALIDATION_PERFORMER = 1
# Videos of each class that validate in NTU's cross-view protocol: 5 % of 37,646 (FIDELITY B 6).
_NTU60_VALIDATION_VIDEOS = int(1882 / 60)


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


class NtuName(NamedTuple):
  """The parts of a name such as `S001C002P003R002A013`."""
  setup: int
  camera: int
  performer: int
  replication: int
  action: int


def parse_multiview_name(name: str) -> MultiviewName:
  """Parses `view_2/a01_s04_e01`; raises ValueError for anything else."""
  return MultiviewName(**_parse(_MULTIVIEW, name, 'view_2/a01_s04_e01'))


def parse_uwa3d_name(name: str) -> MultiviewName:
  """Parses `a01_s04_v02_e00`; raises ValueError for anything else."""
  return MultiviewName(**_parse(_UWA3D, name, 'a01_s04_v02_e00'))


def parse_ntu_name(name: str) -> NtuName:
  """Parses `S001C002P003R002A013`; raises ValueError for anything else."""
  return NtuName(**_parse(_NTU, name, 'S001C002P003R002A013'))


def _parse(pattern: re.Pattern, name: str, example: str) -> Dict[str, int]:
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


def _multiview(parse: Callable[[str], Any], trains: Callable[[Any], bool], tests: Callable[[Any], bool]) -> Protocol:
  """Samples train or test by the parts of their names; a class-balanced part of the training set validates."""

  def protocol(names, hold_out):
    names = sorted(names)
    train, validation = hold_out_balanced(
        [name for name in names if trains(parse(name))], lambda name: parse(name).action, hold_out)
    return Split(train, validation, [name for name in names if tests(parse(name))])

  return protocol


def cross_view(parse: Callable[[str], MultiviewName], train: Sequence[int], test: Sequence[int]) -> Protocol:
  """The views `train` train, the views `test` test."""
  return _multiview(parse, lambda name: name.view in train, lambda name: name.view in test)


def cross_subject(parse: Callable[[str], MultiviewName]) -> Protocol:
  """Odd subjects train, even ones test, in all views."""
  return _multiview(parse, lambda name: name.subject % 2 == 1, lambda name: name.subject % 2 == 0)


def _two_to_two(views: Sequence[int]) -> Dict[str, Protocol]:
  """`cross_view_12_34` and so on: any two of four views train, the other two test."""
  protocols = {}
  for train in itertools.combinations(views, 2):
    test = [view for view in views if view not in train]
    protocols['cross_view_{}{}_{}{}'.format(*train, *test)] = cross_view(parse_uwa3d_name, train, test)
  return protocols


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


def ntu60_cross_subject(names: Sequence[str], hold_out: float) -> Split:
  """Twenty performers train, the others test; performer 1 validates unless `hold_out` is 0 (thesis section 3.3.6).

  The same performers train in chapter 5 (FIDELITY row 31): all videos of the
  first 60 actions are by performers of NTU RGB+D 60.
  """
  result = Split([], [], [])
  for name in sorted(names):
    performer = parse_ntu_name(name).performer
    validates = hold_out and performer == _NTU60_VALIDATION_PERFORMER
    part = result.test if performer not in _NTU60_PERFORMERS else result.validation if validates else result.train
    part.append(name)
  return result


def ntu60_cross_view(names: Sequence[str], hold_out: float) -> Split:
  """Cameras 2 and 3 train, camera 1 tests; 31 videos of each class validate unless `hold_out` is 0 (section 3.3.6).

  They are drawn with seed 0 from the sorted names of every class. A class that
  has no more keeps one to train on.
  """
  names = sorted(names)
  train = [name for name in names if parse_ntu_name(name).camera in (2, 3)]
  held_out = set()
  for members in _by_class(train).values() if hold_out else ():
    size = min(_NTU60_VALIDATION_VIDEOS, len(members) - 1)
    held_out.update(np.random.RandomState(0).choice(members, size, replace=False).tolist())
  return Split([name for name in train if name not in held_out], sorted(held_out),
               [name for name in names if parse_ntu_name(name).camera == 1])


def _by_class(names: Sequence[str]) -> Dict[int, List[str]]:
  """Names of NTU by the number of their action, in the order in which they are given."""
  members = collections.defaultdict(list)
  for name in names:
    members[parse_ntu_name(name).action].append(name)
  return members


def _third(protocol: Protocol) -> Protocol:
  """Mini-NTU of chapter 4: the first third of the training list, which was sorted and shuffled with seed 0."""

  def mini(names, hold_out):
    result = protocol(names, hold_out)
    train = sorted(result.train)
    np.random.RandomState(0).shuffle(train)
    return result._replace(train=train[:len(train) // 3])

  return mini


def half_of_each_class(train: Sequence[str], version: int) -> List[str]:
  """NTU120mini of chapter 5: int(len(train) / 2 / classes) videos of each class (FIDELITY B 6).

  They are drawn with the number of the class as seed. That is version 1, the
  only one in the authors' code; the thesis has three, whose seeds are not known.
  Here the seeds of versions 2 and 3 follow on those of the 120 classes before.
  """
  classes = _by_class(train)
  count = int(len(train) / 2 / len(classes)) if classes else 0
  half = []
  for action, members in sorted(classes.items()):
    seed = action + 120 * (version - 1)
    half += np.random.RandomState(seed).choice(members, min(count, len(members)), replace=False).tolist()
  return half


def _half(protocol: Protocol, version: int) -> Protocol:
  """The protocol with one version of NTU120mini as its training set."""

  def mini(names, hold_out):
    result = protocol(names, hold_out)
    return result._replace(train=half_of_each_class(sorted(result.train), version))

  return mini


# NTU's larger dataset has no published validation set; a balanced one is held out.
_ntu120_cross_subject = _multiview(parse_ntu_name, lambda name: name.performer in _NTU120_PERFORMERS,
                                   lambda name: name.performer not in _NTU120_PERFORMERS)
_ntu120_cross_setup = _multiview(parse_ntu_name, lambda name: name.setup % 2 == 0, lambda name: name.setup % 2 == 1)

# Named by the view that tests.
_CROSS_VIEW = {
    'cross_view_1': cross_view(parse_multiview_name, (2, 3), (1,)),
    'cross_view_2': cross_view(parse_multiview_name, (1, 3), (2,)),
    'cross_view_3': cross_view(parse_multiview_name, (1, 2), (3,)),
}

# Dataset -> protocol -> function; the first protocol of a dataset is its default.
PROTOCOLS: Dict[str, Dict[str, Protocol]] = {
    'nwucla': _CROSS_VIEW,
    'ntu60': {'cross_subject': ntu60_cross_subject, 'cross_view': ntu60_cross_view},
    'ntu60_mini': {'cross_subject': _third(ntu60_cross_subject), 'cross_view': _third(ntu60_cross_view)},
    'ntu120': {'cross_subject': _ntu120_cross_subject, 'cross_setup': _ntu120_cross_setup},
    'ntu120_mini': {
        'cross_subject': _half(_ntu120_cross_subject, 1), 'cross_subject_2': _half(_ntu120_cross_subject, 2),
        'cross_subject_3': _half(_ntu120_cross_subject, 3)},
    'nyud': {'given': given},
    'synthetic': {**_CROSS_VIEW, 'cross_subject': cross_subject(parse_multiview_name)},
    'synthetic_objects': {'given': given},
    'uwa3dii': {'cross_view_4': cross_view(parse_uwa3d_name, (1, 2, 3), (4,)), **_two_to_two((1, 2, 3, 4))},
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


def split(dataset: str, protocol: str, names: Sequence[str], hold_out: float = 0.05) -> Split:
  """The samples of a protocol, of which the fraction `hold_out` of the training set validates.

  With a `hold_out` of 0 nothing validates and the whole training set trains.
  Raises `UserError` if no sample is left to train or to test on.
  """
  result = PROTOCOLS[dataset][protocol](names, hold_out)
  for part in ('train', 'test'):
    if not getattr(result, part):
      raise errors.UserError(f'Protocol {protocol} finds no sample to {part} on among the {len(names)} of {dataset}.')
  return result


def missing_classes(protocol: str, parts: Split, label_names: Sequence[str], label_of: Callable[[str], str]
                    ) -> List[str]:
  """One line for the classes that have no sample to train on under a protocol, and one for those without test samples.

  Args:
    protocol: its name.
    parts: the samples of the protocol.
    label_names: all classes.
    label_of: the class of a sample.
  """
  advice = {'train': 'nothing can learn them, so add samples and prepare the data again, or leave these classes out',
            'test': 'the results say nothing about them'}
  lines = []
  for part in advice:
    there = set(map(label_of, getattr(parts, part)))
    missing = [label for label in label_names if label not in there]
    if missing:
      lines.append(f'Warning: protocol {protocol} has no sample to {part} on of {len(missing)} of {len(label_names)} '
                   f'classes ({", ".join(missing)}): {advice[part]}.')
  return lines
