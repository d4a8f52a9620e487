"""The switch of ADMD under noise against its better branch, over several runs: a question of the report `evidence`.

The predictions are those of `noise.json`: streams `trusted/<level>`, `switched/<level>` and `hallucinated`.
"""

from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.reports import plots, pooling
from tf_privinfo.reports.statistics import Estimate

# A loss against the better branch up to this share is the price of a decision without knowing the noise.
TOLERATED = 0.02
# Path of the last entry of a sweep over all levels, which sweeps of earlier versions do not have.
LAST_CLASSES = ('predictions', 'predicted', f'switched/{NOISE_LEVELS[-1]}', '*')
HEADER = ('noise', 'trusted', 'hallucinated', 'switched', 'better branch', 'difference', '95 % interval', 'answer',
          'runs')
NOTE = ('Answer of the switch: holds, if the interval is above '
        f'-{100 * TOLERATED:g} points; fails, if it is below; otherwise, and of fewer than three runs or of one seed, '
        'open. The better branch of a level of noise has the higher mean over all runs.')


class AtLevel(NamedTuple):
  """The switch under one level of noise.

  Attributes:
    level: level of noise.
    branches: accuracies of `trusted` and `hallucinated`.
    better: the branch with the higher accuracy; of equal ones, `trusted`.
    compared: the switch beside the better branch.
  """
  level: str
  branches: Dict[str, Estimate]
  better: str
  compared: pooling.Compared


def at_levels(groups: Sequence[pooling.OfSeeds]) -> Iterator[AtLevel]:
  """Yields the levels of tables 3.3 and 4.6 that any run has.

  The better branch is chosen for all runs together: the maximum of each run would be biased against the switch.

  Args:
    groups: sweeps of runs, one group for each test set.
  """
  for level in NOISE_LEVELS:
    switched, streams = f'switched/{level}', {'trusted': f'trusted/{level}', 'hallucinated': 'hallucinated'}
    swept = [{seed: run for seed, run in group.items() if switched in run.predicted} for group in groups]
    branches = {branch: estimate for branch, stream in streams.items() if (estimate := pooling.accuracy(swept, stream))}
    if branches:
      better = max(branches, key=lambda branch: branches[branch].mean)
      compared = pooling.compare(swept, swept, switched, streams[better])
      if compared:
        yield AtLevel(level, branches, better, compared)


def cells(found: AtLevel) -> Tuple[str, ...]:
  """The cells below `HEADER`."""
  difference, interval, runs, _ = pooling.cells(found.compared.difference)
  accuracies = [f'{100 * estimate.mean:.1f}' for estimate in (*found.branches.values(), found.compared.accuracy)]
  return (found.level, *accuracies, found.better, difference, interval,
          pooling.holds(found.compared.difference, TOLERATED), runs)


def plot(panels: Dict[str, List[AtLevel]]) -> Dict[str, bytes]:
  """A plot of the accuracies of both branches and of the switch over noise, from title of a panel -> levels."""
  return plots.intervals({title: {
      name: {found.level: {**found.branches, 'switched': found.compared.accuracy}[name] for found in levels}
      for name in ('trusted', 'hallucinated', 'switched')} for title, levels in panels.items()}, 'noise', 'accuracy, %')
