"""The protocols of NTU RGB+D, as functions of names such as `S001C002P003R002A013`."""

import collections
import re
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.protocols import Protocol, Split

_NTU = re.compile(
    r'S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<performer>\d{3})R(?P<replication>\d{3})A(?P<action>\d{3})')

# Performers who train in NTU's cross-subject protocols, and the one of them who validates (thesis section 3.3.6).
_NTU60_PERFORMERS = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
_NTU120_PERFORMERS = _NTU60_PERFORMERS | {
    45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103}
_NTU60_VALIDATION_PERFORMER = 1
# Videos of each class that validate in NTU's cross-view protocol: 5 % of 37,646 (FIDELITY B 6).
_NTU60_VALIDATION_VIDEOS = int(1882 / 60)


class NtuName(NamedTuple):
  """The parts of a name such as `S001C002P003R002A013`."""
  setup: int
  camera: int
  performer: int
  replication: int
  action: int


def parse_ntu_name(name: str) -> NtuName:
  """Parses `S001C002P003R002A013`; raises ValueError for anything else."""
  return NtuName(**protocols.parse(_NTU, name, 'S001C002P003R002A013'))


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


def third(protocol: Protocol) -> Protocol:
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


def half(protocol: Protocol, version: int) -> Protocol:
  """The protocol with one version of NTU120mini as its training set."""

  def mini(names, hold_out):
    result = protocol(names, hold_out)
    return result._replace(train=half_of_each_class(sorted(result.train), version))

  return mini


# NTU's larger dataset has no published validation set; a balanced one is held out.
ntu120_cross_subject = protocols.by_parts(
    parse_ntu_name, lambda name: name.performer in _NTU120_PERFORMERS,
    lambda name: name.performer not in _NTU120_PERFORMERS)
ntu120_cross_setup = protocols.by_parts(
    parse_ntu_name, lambda name: name.setup % 2 == 0, lambda name: name.setup % 2 == 1)
