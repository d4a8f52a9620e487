"""Differences between methods, pooled over runs with different seeds, folds and views."""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tf_privinfo.reports import plots, statistics
from tf_privinfo.reports.tested import Tested
from tf_privinfo.utils import errors

# Runs on one test set, by seed.
OfSeeds = Mapping[int, Tested]
# Fewer runs say nothing about the variation between runs.
_ENOUGH_RUNS = 3
# Explanation of the cells, above tables.
NOTE = ('Accuracies in percent, differences in points, paired by test set and seed. Intervals: 95 %, bootstrap of '
        'runs and test samples. Runs needed: number of runs with which the interval would exclude zero with a power of '
        '80 %, if the measured difference is the true one; more samples: with these test samples, no number is enough.')


class Compared(NamedTuple):
  """A stream of a method beside a stream of a baseline.

  Attributes:
    stream, of_baseline: names of the streams.
    accuracy, baseline: their accuracies.
    difference: accuracy of the method minus that of the baseline, see `difference`.
  """
  stream: str
  of_baseline: str
  accuracy: statistics.Estimate
  baseline: statistics.Estimate
  difference: statistics.Estimate


def compare(groups: Sequence[OfSeeds], baseline: Sequence[OfSeeds], stream: str, of_baseline: str
            ) -> Optional[Compared]:
  """The comparison of two streams, None without a pair of runs; arguments and errors as for `difference`."""
  of_pairs = difference(groups, baseline, stream, of_baseline)
  accuracies = accuracy(groups, stream), accuracy(baseline, of_baseline)
  if of_pairs and accuracies[0] and accuracies[1]:
    return Compared(stream, of_baseline, accuracies[0], accuracies[1], of_pairs)
  return None


def accuracy(groups: Sequence[OfSeeds], stream: str) -> Optional[statistics.Estimate]:
  """The accuracy of a stream over all runs that have it, with its interval; None without such runs.

  Args:
    groups: runs of a method, one group for each test set.
    stream: name of the stream, or 'sum'.
  """
  hits = [[run.right(stream) for run in group.values() if stream in run.predicted] for group in groups]
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
  of_baseline = of_baseline or stream
  found = []
  for of_method, of_other in zip(groups, baseline):
    pairs = [(run, of_other[seed]) for seed, run in of_method.items() if seed in of_other]
    _check_samples([run for pair in pairs for run in pair])
    of_group = [run.right(stream).astype(float) - other.right(of_baseline) for run, other in pairs
                if stream in run.predicted and of_baseline in other.predicted]
    if of_group:
      found.append(np.array(of_group))
  return statistics.hierarchical(found) if found else None


def differences(groups: Sequence[OfSeeds], baseline: Sequence[OfSeeds], streams: Sequence[str]
                ) -> Dict[str, statistics.Estimate]:
  """Stream -> `difference`, for those of `streams` that both have in a pair of runs; arguments as there."""
  return {stream: estimate for stream in streams if (estimate := difference(groups, baseline, stream))}


def answer(estimate: statistics.Estimate, worthwhile: float) -> str:
  """'yes' if the interval is above zero, 'no' if it is below `worthwhile`, a share; otherwise or of few runs 'open'."""
  if _of_few_runs(estimate):
    return 'open'
  if estimate.low > 0:
    return 'yes'
  return 'no' if estimate.high < worthwhile else 'open'


def holds(estimate: statistics.Estimate, loss: float) -> str:
  """'holds' if the interval is above -`loss`, a share, 'fails' if it is below; otherwise or of few runs 'open'."""
  if _of_few_runs(estimate) or estimate.low <= -loss <= estimate.high:
    return 'open'
  return 'holds' if estimate.low > -loss else 'fails'


def _of_few_runs(estimate: statistics.Estimate) -> bool:
  """Whether there are too few runs for an answer, or none that repeats another one with a different seed."""
  return estimate.runs < _ENOUGH_RUNS or not estimate.repeated


def cells(estimate: statistics.Estimate) -> Tuple[str, str, str, str]:
  """Cells of a table: difference in points, 95 % interval, number of runs, number of runs that would be needed."""
  interval = f'{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}'
  if estimate.low > 0 or estimate.high < 0:
    needed = '-'
  else:
    needed = str(estimate.needed) if estimate.needed else 'more samples'
  return f'{100 * estimate.mean:+.1f}', interval, str(estimate.runs), needed


def rows(of_names: Mapping[str, Mapping[str, statistics.Estimate]]) -> List[Tuple[str, ...]]:
  """Rows of a table: name, stream and `cells` of each difference, from name -> `differences`."""
  return [(name, stream, *cells(estimate)) for name, of_streams in of_names.items()
          for stream, estimate in of_streams.items()]


def plot(of_names: Mapping[str, Mapping[str, statistics.Estimate]]) -> Dict[str, bytes]:
  """A plot of differences, one panel for each name; argument as for `rows`."""
  return plots.intervals({name: {stream: {'': estimate} for stream, estimate in of_streams.items()}
                          for name, of_streams in of_names.items()}, '', 'difference, points')


def _check_samples(runs: Sequence[Tested]) -> None:
  sizes = {tuple(run.samples): str(len(run.samples)) for run in runs}
  if len(sizes) > 1:
    raise errors.UserError(f'Runs of {", ".join(runs[0].origin)} were tested on different samples ('
                           f'{", ".join(sizes.values())}): evaluate them on the same data with eval_main.py --run_dir.')
