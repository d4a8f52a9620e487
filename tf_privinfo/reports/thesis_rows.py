"""Rows of tables and curves of figures of the thesis, as data."""

import dataclasses
from typing import Any, Mapping, Optional


@dataclasses.dataclass(frozen=True)
class Row:
  """One row of a table, and its accuracy in the results of a run.

  Attributes:
    method: method of the run.
    settings: overrides of the method's recipe.
    stage: stage of the accuracy.
    stream: stream of the accuracy; 'sum' for the sum of all streams (Σ), 'oracle'
      for the oracle (Φ).
    reported: protocol -> accuracy in percent, None if the thesis has none.
    dataset: dataset of the run. 'ntu60_mini' and 'ntu120_mini' train on a part of NTU's
      training sets and test on the whole test sets.
    init_from: dataset of the run of this method that `--init_from` names; empty: none.
    accuracies: name of the stage's accuracies in `results.json`.
    depth_variant: variant of depth in the test, if it differs from the training.
    noise: level of noise on depth -> accuracy in percent; `reported` is without
      noise.
  """
  method: str
  settings: Mapping[str, Any]
  stage: str
  stream: str
  reported: Mapping[str, Optional[float]]
  dataset: str = 'ntu60'
  init_from: str = ''
  accuracies: str = 'accuracy'
  depth_variant: str = ''
  noise: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ThesisCurve:
  """One curve of a figure, over the epochs of a stage or over noise on depth.

  Attributes:
    method: method of the run.
    settings: overrides of the method's recipe.
    stage: stage whose `history.json` contains the curve; 'switch' stands for the
      sweep in `noise.json`, with 'joint' as the two-stream model.
    quantity: name of the quantity in this file.
    dataset: dataset of the run.
    protocol: protocol of the run.
    axis: label of the y axis; curves of one axis share a panel.
    paper: x -> y, if the thesis prints numbers; accuracies are in percent.
  """
  method: str
  settings: Mapping[str, Any]
  stage: str
  quantity: str
  dataset: str
  protocol: str
  axis: str
  paper: Mapping[str, Optional[float]] = dataclasses.field(default_factory=dict)
