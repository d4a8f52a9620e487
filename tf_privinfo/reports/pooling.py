"""Differences between methods, pooled over runs with different seeds, folds and views."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tf_privinfo.reports import statistics
from tf_privinfo.utils import errors

# Runs on one test set: seed -> content of `results.json`.
OfSeeds = Mapping[int, Mapping[str, Any]]
# Fewer runs say nothing about the variation between runs.
_ENOUGH_RUNS = 3
# Explanation of the cells, above tables.
NOTE = ('Accuracies in percent, differences in points, paired by test set and seed. Intervals: 95 %, bootstrap of '
        'runs and test samples. Runs needed: number of runs with which the interval would exclude zero with a power of '
        '80 %, if the measured difference is the true one.')


def accuracy(groups: Sequence[OfSeeds], stream: str) -> Optional[statistics.Estimate]:
  """The accuracy of a stream over all runs that have it, with its interval; None without such runs.

  Args:
    groups: runs of a method, one group for each test set.
    stream: name of the stream, or 'sum'.
  """
  hits = [[_hits(content)[stream] for content in group.values() if stream in _hits(content)] for group in groups]
  return statistics.hierarchical([np.array(of_group) for of_group in hits if of_group]) if any(hits) else None


def difference(groups: Sequence[OfSeeds], baseline: Sequence[OfSeeds], stream: str, of_baseline: str = ''
               ) -> Optional[statistics.Estimate]:
  """The accuracy of a method minus that of a baseline, over all pairs of runs with the same test set and seed.

  Args:
    groups: runs of the method, one group for each test set.
    baseline: runs of the baseline, with the same test sets in the same order.
    stream: name of the compared stream, or 'sum'.
    of_baseline: stream of the baseline; empty: the same.

  Returns:
    The estimate with its interval; None without a pair of runs.

  Raises:
    UserError: if runs of one test set were tested on different samples.
  """
  differences = []
  for of_method, of_other in zip(groups, baseline):
    seeds = [seed for seed in of_method if seed in of_other]
    _check_samples([of_runs[seed] for seed in seeds for of_runs in (of_method, of_other)])
    pairs = [(_hits(of_method[seed]).get(stream), _hits(of_other[seed]).get(of_baseline or stream)) for seed in seeds]
    of_group = [one.astype(float) - other for one, other in pairs if one is not None and other is not None]
    if of_group:
      differences.append(np.array(of_group))
  return statistics.hierarchical(differences) if differences else None


def answer(estimate: statistics.Estimate, worthwhile: float) -> str:
  """'yes' if the interval is above zero, 'no' if it is below `worthwhile`, a share; otherwise or of few runs 'open'."""
  if estimate.runs < _ENOUGH_RUNS:
    return 'open'
  if estimate.low > 0:
    return 'yes'
  return 'no' if estimate.high < worthwhile else 'open'


def cells(estimate: Optional[statistics.Estimate]) -> Tuple[str, str, str, str]:
  """Cells of a table: difference in points, 95 % interval, number of runs, number of runs that would be needed."""
  if estimate is None:
    return '-', '-', '0', '-'
  interval = f'{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}'
  if estimate.low > 0 or estimate.high < 0:
    needed = '-'
  else:
    needed = str(estimate.needed) if estimate.needed else 'more samples'
  return f'{100 * estimate.mean:+.1f}', interval, str(estimate.runs), needed


def _hits(content: Mapping[str, Any]) -> Dict[str, np.ndarray]:
  """Stream -> hits [N] bool, in the order of the sample names; empty for results of versions without predictions."""
  predictions = content.get('predictions')
  if not predictions:
    return {}
  order = np.argsort(predictions['names'])
  labels = np.array(predictions['labels'])[order]
  return {stream: np.array(classes)[order] == labels for stream, classes in predictions['predicted'].items()}


def _check_samples(contents: List[Mapping[str, Any]]) -> None:
  tested = {tuple(sorted(content['predictions']['names'])) for content in contents if content.get('predictions')}
  if len(tested) > 1:
    sizes = ', '.join(str(len(names)) for names in tested)
    raise errors.UserError(f'Runs of {contents[0]["dataset"]}, {contents[0]["protocol"]} were tested on different '
                           f'samples ({sizes}): evaluate them on the same data with eval_main.py --run_dir.')
