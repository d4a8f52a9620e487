"""The predictions of runs on their test samples, from `results.json`. N is the number of test samples."""

import dataclasses
import pathlib
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from tf_privinfo.runs.run import RESULTS
from tf_privinfo.utils import errors


@dataclasses.dataclass(frozen=True)
class Tested:
  """The predictions of a run's last stage.

  Attributes:
    origin: dataset and protocol.
    samples: N sample ids, sorted.
    labels: classes of the samples, [N] int.
    predicted: stream -> predicted classes, [N] int; a stream may also be 'sum', Σ.
  """
  origin: Tuple[str, str]
  samples: List[str]
  labels: np.ndarray
  predicted: Dict[str, np.ndarray]

  @classmethod
  def from_results(cls, results: Mapping[str, Any], **more):
    """Parses the content of `results.json`; `more` are the further fields of a subclass."""
    predictions = results['predictions']
    order = np.argsort(predictions['names'])
    return cls(
        (results['dataset'], results['protocol']), [predictions['names'][row] for row in order],
        np.array(predictions['labels'])[order],
        {stream: np.array(classes)[order] for stream, classes in predictions['predicted'].items()}, **more)

  def right(self, stream: str) -> np.ndarray:
    """Whether a stream classifies each sample correctly, [N] bool."""
    return self.predicted[stream] == self.labels


def results_path(directory: pathlib.Path) -> pathlib.Path:
  """The path of the results of a run directory; raises `UserError` if there are none."""
  path = directory / RESULTS
  if not path.is_file():
    raise errors.UserError(f'{directory} has no results.json: it is not a run directory, or the run has not finished.')
  return path
