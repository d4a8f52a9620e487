"""Protocols of NTU RGB+D, as functions of names such as `S001C002P003R002A013`."""

import collections
import re
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.protocols import Protocol, Split

_NTU = re.compile(
    r'S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<performer>\d{3})R(?P<replication>\d{3})A(?P<action>\d{3})')

# Training performers of NTU's cross-subject protocols, and the validation performer among them (section 3.3.6).
_NTU60_PERFORMERS = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
_NTU120_PERFORMERS = _NTU60_PERFORMERS | {
    45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103}
_NTU60_VALIDATION_PERFORMER = 1
# Validation videos per class in NTU's cross-view protocol: 5 % of 37,646 videos (docs/fidelity.md, B 6).
_NTU60_VALIDATION_VIDEOS = int(1882 / 60)


class NtuName(NamedTuple):
  """Numbers in a name such as `S001C002P003R002A013`."""
  setup: int
  camera: int
  performer: int
  replication: int
  action: int


def parse_ntu_name(name: str) -> NtuName:
  """Parses a name such as `S001C002P003R002A013`; raises ValueError for other forms."""
  return NtuName(**protocols.parse(_NTU, name, 'S001C002P003R002A013'))


def ntu60_cross_subject(names: Sequence[str], hold_out: float) -> Split:
  """Trains on twenty performers, tests on the others; performer 1 validates unless `hold_out` is 0 (section 3.3.6).

  Chapter 5 has the same training performers (docs/fidelity.md, row 31): all
  videos of the first 60 actions are by performers of NTU RGB+D 60.
  """
  result = Split([], [], [])
  for name in sorted(names):
    performer = parse_ntu_name(name).performer
    validates = hold_out and performer == _NTU60_VALIDATION_PERFORMER
    part = result.test if performer not in _NTU60_PERFORMERS else result.validation if validates else result.train
    part.append(name)
  return result


def ntu60_cross_view(names: Sequence[str], hold_out: float) -> Split:
  """Trains on cameras 2 and 3, tests on camera 1; 31 videos per class validate unless `hold_out` is 0 (section 3.3.6).

  The validation videos are drawn with seed 0 from the sorted names of every
  class. At least one video of every class remains in the training set.
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
  """Number of an action -> names of its samples, in the given order."""
  members = collections.defaultdict(list)
  for name in names:
    members[parse_ntu_name(name).action].append(name)
  return members


def third(protocol: Protocol) -> Protocol:
  """Mini-NTU of chapter 4: the given protocol with the first third of its training set, shuffled with seed 0."""

  def mini(names, hold_out):
    result = protocol(names, hold_out)
    train = sorted(result.train)
    np.random.RandomState(0).shuffle(train)
    return result._replace(train=train[:len(train) // 3])

  return mini


def half_of_each_class(train: Sequence[str], version: int) -> List[str]:
  """NTU120mini of chapter 5: int(len(train) / 2 / classes) videos of each class (docs/fidelity.md, B 6).

  In version 1, the only one in the authors' code, the number of the class is
  the seed of its draw. The thesis has three versions, and the seeds of the
  other two are unknown. Here versions 2 and 3 add 120 and 240 to the seed.

  Args:
    train: names of the training set; the result depends on their order.
    version: version of NTU120mini, 1 to 3.
  """
  classes = _by_class(train)
  count = int(len(train) / 2 / len(classes)) if classes else 0
  half = []
  for action, members in sorted(classes.items()):
    seed = action + 120 * (version - 1)
    half += np.random.RandomState(seed).choice(members, min(count, len(members)), replace=False).tolist()
  return half


def half(protocol: Protocol, version: int) -> Protocol:
  """The given protocol with one version of NTU120mini as training set."""

  def mini(names, hold_out):
    result = protocol(names, hold_out)
    return result._replace(train=half_of_each_class(sorted(result.train), version))

  return mini


# NTU RGB+D 120 has no published validation set; a class-balanced one is held out.
ntu120_cross_subject = protocols.by_parts(
    parse_ntu_name, lambda name: name.performer in _NTU120_PERFORMERS,
    lambda name: name.performer not in _NTU120_PERFORMERS)
ntu120_cross_setup = protocols.by_parts(
    parse_ntu_name, lambda name: name.setup % 2 == 0, lambda name: name.setup % 2 == 1)
