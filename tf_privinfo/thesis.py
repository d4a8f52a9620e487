"""The rows of the thesis' tables as data: the recipe that reproduces each, and the figure that the thesis reports."""

import dataclasses
from typing import Any, Dict, Mapping, Optional


@dataclasses.dataclass(frozen=True)
class Row:
  """One row of a table: a figure in the results of a run.

  Attributes:
    method: of the run.
    settings: overrides of the method's recipe.
    stage: of the run.
    stream: in the stage's accuracies; 'sum' for all of its streams.
    reported: protocol of NTU RGB+D -> accuracy in percent, None where the thesis has none.
  """
  method: str
  settings: Mapping[str, Any]
  stage: str
  stream: str
  reported: Mapping[str, Optional[float]]


def _ntu(cross_subject: Optional[float], cross_view: Optional[float]) -> Dict[str, Optional[float]]:
  return {'cross_subject': cross_subject, 'cross_view': cross_view}


_DISTILLATION = 'modality_distillation'
_SEPARATE = {'connections.direction': 'none'}
_INVERTED = {'connections.direction': 'rgb_to_depth'}
_MAPS = {'hallucination.map_share': 1.0}  # eq. 3.3 alone
_SOFT = {'hallucination.map_share': 0.0}  # eqs. 3.4, 3.5 alone
_BOTH = {'hallucination.map_share': 0.5}  # eq. 3.7

# Number of the row -> row: the ablation study, whose rows tables 3.1 and 3.4 repeat.
TABLE_3_2 = {
    '1': Row(_DISTILLATION, {}, 'depth', 'depth', _ntu(70.44, 75.16)),
    '2': Row(_DISTILLATION, {}, 'rgb', 'rgb', _ntu(66.52, 71.39)),
    '3': Row('hoffman', _MAPS, 'hallucination', 'sum', _ntu(64.64, None)),
    '4': Row('hoffman', _SOFT, 'hallucination', 'sum', _ntu(68.60, None)),
    '5': Row('hoffman', _BOTH, 'hallucination', 'sum', _ntu(70.70, None)),
    '6': Row(_DISTILLATION, {}, 'joint', 'depth', _ntu(71.09, 77.30)),
    '7': Row(_DISTILLATION, {}, 'joint', 'rgb', _ntu(66.68, 56.26)),
    '8': Row(_DISTILLATION, {}, 'joint', 'sum', _ntu(79.73, 81.43)),
    '9': Row(_DISTILLATION, _SEPARATE, 'joint', 'sum', _ntu(78.27, 82.11)),
    '10': Row(_DISTILLATION, {**_SEPARATE, **_MAPS}, 'hallucination', 'hall', _ntu(69.93, 70.64)),
    '11': Row(_DISTILLATION, _MAPS, 'hallucination', 'hall', _ntu(70.47, None)),
    '12': Row(_DISTILLATION, _SOFT, 'hallucination', 'hall', _ntu(71.52, None)),
    '13': Row(_DISTILLATION, _BOTH, 'hallucination', 'hall', _ntu(71.93, 74.10)),
    '14': Row(_DISTILLATION, {**_SEPARATE, **_BOTH}, 'hallucination', 'hall', _ntu(71.10, None)),
    '15': Row(_DISTILLATION, {}, 'finetune', 'sum', _ntu(73.42, 77.21)),
}
# The inverted connections; the other rows of table 3.4 are those of table 3.2.
TABLE_3_4 = {
    '6a': Row(_DISTILLATION, _INVERTED, 'joint', 'depth', _ntu(66.6, 73.68)),
    '7a': Row(_DISTILLATION, _INVERTED, 'joint', 'rgb', _ntu(63.98, 61.18)),
    '8a': Row(_DISTILLATION, _INVERTED, 'joint', 'sum', _ntu(74.45, 78.55)),
    '13a': Row(_DISTILLATION, _INVERTED, 'hallucination', 'hall', _ntu(68.47, 72.77)),
    '15a': Row(_DISTILLATION, _INVERTED, 'finetune', 'sum', _ntu(66.86, 73.34)),
}
