"""Statistics of results over runs and over test samples. N is the number of test samples, C of classes."""

from typing import Collection, Dict, Optional, Tuple

import numpy as np

# Number of resamples of the bootstrap of differences.
_RESAMPLES = 20000


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
