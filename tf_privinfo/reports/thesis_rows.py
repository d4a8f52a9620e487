"""What a row of a table, and a curve of a figure, of the thesis is."""

import dataclasses
from typing import Any, Mapping, Optional


@dataclasses.dataclass(frozen=True)
class Row:
  """One row of a table: a figure in the results of a run.

  Attributes:
    method: of the run.
    settings: overrides of the method's recipe.
    stage: of the run.
    stream: in the stage's accuracies; 'sum' for all of its streams (Σ), 'oracle'
      for any of them (Φ).
    reported: protocol -> accuracy in percent, None where the thesis has none.
    dataset: of the run. 'ntu60_mini' and 'ntu120_mini' train on a part of NTU's
      training sets and test on the whole test sets.
    init_from: dataset of the run of this method that `--init_from` names; empty: none.
    accuracies: which of the stage's accuracies, by their name in `results.json`.
    depth_variant: of the depth that is read in the test, where it is not that of
      the training.
    noise: level of noise on depth -> accuracy in percent; without noise it is
      the one reported.
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
    method: of the run.
    settings: overrides of the method's recipe.
    stage: whose `history.json` has it; 'switch': the sweep in `noise.json` has
      it, of which 'joint' is the two-stream model.
    quantity: its name there.
    dataset: of the run.
    protocol: of the run.
    axis: what the quantity is; curves of one axis are drawn together.
    paper: x -> y, where the thesis prints numbers; accuracies are in percent.
  """
  method: str
  settings: Mapping[str, Any]
  stage: str
  quantity: str
  dataset: str
  protocol: str
  axis: str
  paper: Mapping[str, Optional[float]] = dataclasses.field(default_factory=dict)
