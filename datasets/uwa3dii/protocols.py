"""Protocols of UWA3D Multiview Activity II, as functions of names such as `a01_s04_v02_e00`."""

import itertools
import re
from typing import Dict, Sequence

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.protocols import MultiviewName, Protocol

_UWA3D = re.compile(r'a(?P<action>\d\d)_s(?P<subject>\d\d)_v(?P<view>\d\d)_e(?P<episode>\d\d)')


def parse_uwa3d_name(name: str) -> MultiviewName:
  """Parses a name such as `a01_s04_v02_e00`; raises ValueError for other forms."""
  return MultiviewName(**protocols.parse(_UWA3D, name, 'a01_s04_v02_e00'))


def two_to_two(views: Sequence[int]) -> Dict[str, Protocol]:
  """Protocols by name, such as `cross_view_12_34`: each trains on two of four views and tests on the other two."""
  found = {}
  for train in itertools.combinations(views, 2):
    test = [view for view in views if view not in train]
    found['cross_view_{}{}_{}{}'.format(*train, *test)] = protocols.cross_view(parse_uwa3d_name, train, test)
  return found
