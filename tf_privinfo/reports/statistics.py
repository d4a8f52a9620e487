"""Statistics of results over runs and over test samples. N is the number of test samples, C of classes."""

import functools
import math
from typing import Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# Number of resamples of the bootstrap of differences.
_RESAMPLES = 20000
# Number of resamples of runs and samples.
_RESAMPLES_OF_RUNS = 4000
# Distance of a mean from zero, in standard errors, at which a 95 % interval excludes zero in 80 % of the cases.
_EIGHTY_PERCENT_POWER = 1.96 + 0.84


def mean(values: Collection[float]) -> float:
  """The arithmetic mean."""
  return float(np.mean(list(values)))


def deviation(values: Collection[float]) -> Optional[float]:
  """The sample standard deviation; None for fewer than two values."""
  return float(np.std(list(values), ddof=1)) if len(values) > 1 else None


def spread(shares: Collection[float], sign: str = '') -> str:
  """Mean and, for several values, sample standard deviation of shares, as text in percent; `sign` '+' adds the sign."""
  of_runs = deviation(shares)
  return f'{100 * mean(shares):{sign}.2f}' + ('' if of_runs is None else f' ± {100 * of_runs:.2f}')


def accuracy_interval(right: np.ndarray) -> Tuple[float, float]:
  """The 95 % percentile bootstrap interval of an accuracy, from hits [N] bool.

  Exact, since the hits of N samples drawn with replacement are binomial.
  """
  from scipy import stats  # slow import

  low, high = stats.binom.ppf([0.025, 0.975], len(right), right.mean())
  return low / len(right), high / len(right)


def difference_interval(right: np.ndarray, other: np.ndarray) -> Tuple[float, float]:
  """The 95 % paired bootstrap interval of the accuracy of `right` minus `other`, hits [N] bool on the same samples."""
  shares = np.array([np.mean(right & ~other), np.mean(other & ~right)])
  counts = np.random.default_rng(0).multinomial(len(right), [*shares, 1 - shares.sum()], _RESAMPLES)
  low, high = np.quantile((counts[:, 0] - counts[:, 1]) / len(right), [0.025, 0.975])
  return low, high


def mcnemar(right: np.ndarray, other: np.ndarray) -> float:
  """The two-sided p value of McNemar's exact test for two models with hits [N] bool on the same samples."""
  from scipy import stats

  only, only_other = int(np.sum(right & ~other)), int(np.sum(other & ~right))
  return stats.binomtest(only, only + only_other).pvalue if only + only_other else 1.0


def winner_shares(labels: np.ndarray, logits: Dict[str, np.ndarray]) -> np.ndarray:
  """The share [M, C] of samples of each class that each of M streams wins by the lowest cross entropy, as in DMCL.

  Args:
    labels: [N] int.
    logits: stream -> [N, C].

  Returns:
    Shares in [0, 1]; NaN for a class without samples.
  """
  from scipy import special

  losses = np.stack([-special.log_softmax(z, axis=-1)[np.arange(len(labels)), labels] for z in logits.values()])
  winners = np.argmin(losses, axis=0)
  return np.array([[np.mean(winners[labels == label] == stream) if np.any(labels == label) else np.nan
                    for label in range(next(iter(logits.values())).shape[-1])] for stream in range(len(losses))])


class Estimate(NamedTuple):
  """A mean over runs, with its uncertainty from runs and from test samples.

  Attributes:
    mean: mean over all runs, as a share.
    low, high: limits of the 95 % interval.
    runs: number of runs.
    needed: number of runs with which the interval excludes zero with a power of 80 %, if the mean is the true one;
      None if no number of runs is enough, because the test samples alone leave it open.
    repeated: whether a test set has several runs; otherwise the interval covers test samples alone.
  """
  mean: float
  low: float
  high: float
  runs: int
  needed: Optional[int]
  repeated: bool = True


def hierarchical(groups: Sequence[np.ndarray]) -> Estimate:
  """Mean of runs on test samples, with a bootstrap of both runs and samples.

  A group has all runs on the same test set, such as the seeds of one protocol. Samples are drawn with replacement once
  for all runs of a group, since these share them. Of S runs, S - 1 are drawn, which makes the variance of the drawn
  mean unbiased (Rao and Wu, *Resampling inference with complex survey data*, 1988). The groups themselves are not
  drawn. A group with one run has no variation between runs: the interval then covers its samples alone.

  Args:
    groups: values [S, N] of S runs on N samples: hits (0 or 1), or differences of the hits of paired runs.

  Returns:
    The estimate of the mean over all runs.
  """
  runs = sum(len(group) for group in groups)
  drawn, of_samples, of_runs = np.zeros(_RESAMPLES_OF_RUNS), 0.0, 0.0
  for group, (of_group, weights) in zip(groups, _draws(tuple(group.shape for group in groups))):
    count, samples = group.shape
    share = count / runs
    drawn += share * np.einsum('rs,sn,rn->r', weights, group, of_group, optimize=True)
    of_samples += share**2 * group.mean(axis=0).var() / samples
    if count > 1:
      of_runs += share * group.mean(axis=1).var(ddof=1)
  average = float(np.sum([len(group) / runs * group.mean() for group in groups]))
  low, high = np.quantile(drawn, [0.025, 0.975])
  left = (average / _EIGHTY_PERCENT_POWER)**2 - of_samples
  return Estimate(average, float(low), float(high), runs, math.ceil(max(of_runs / left, 1)) if left > 0 else None,
                  repeated=any(len(group) > 1 for group in groups))


@functools.lru_cache(maxsize=1)  # a report has many comparisons of the same runs in succession
def _draws(shapes: Tuple[Tuple[int, int], ...]) -> List[Tuple[np.ndarray, np.ndarray]]:
  """The weights [R, N] of samples and [R, S] of runs in R resamples, of groups with the shapes [S, N]."""
  generator, drawn = np.random.default_rng(0), []
  for count, samples in shapes:
    of_samples = generator.multinomial(samples, np.full(samples, 1 / samples), _RESAMPLES_OF_RUNS) / samples
    drawn_runs = max(count - 1, 1)
    of_runs = generator.multinomial(drawn_runs, np.full(count, 1 / count), _RESAMPLES_OF_RUNS) / drawn_runs
    drawn.append((of_samples, of_runs))
  return drawn
