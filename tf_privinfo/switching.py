"""The switch of section 4.3.5: when hallucinated depth replaces the depth that arrives, in NumPy.

A sample's score is the probability that the discriminator gives to the class
'fake' for its depth features: in [0, 1], and 1 if the sample has no depth. A
sample whose score is above the threshold is switched: classified from rgb and
hall ('hallucinated') in place of rgb and depth ('trusted'). L is the number of
noise levels, N of samples, C of classes.
"""

from typing import Any, Dict

import numpy as np

# How far the score of a new sample may be from that of a validation sample, in log-odds.
_BLUR = 0.4
# Of the samples without noise, how many are trusted at least.
_CLEAN_SHARE = 0.9
_LARGEST_BELOW_1 = np.nextafter(np.float32(1), np.float32(0))


def choose_threshold(scores: np.ndarray, trusted: np.ndarray, hallucinated: np.ndarray) -> float:
  """The threshold with which most samples of a sweep of noise are right (section 4.3.5).

  That is where hallucination becomes better. Which threshold is best on a small
  validation set is a matter of chance, so every sample is counted as if its
  score were spread around it, by a logistic distribution in log-odds. And nine
  of ten samples without noise are trusted, unless hallucination is right on
  more of them than chance explains: by two standard deviations of McNemar's
  test.

  Args:
    scores: [L, N], of the same samples on every level; the first has no noise.
    trusted: [L, N] bool, whether rgb + depth is right.
    hallucinated: [N] or [L, N] bool, whether rgb + hall is right.

  Returns:
    The threshold, in [0, 1); exact in float32, the precision of the scores.
  """
  scores = np.clip(np.asarray(scores, np.float64), 1e-7, _LARGEST_BELOW_1)
  log_odds = np.log(scores) - np.log1p(-scores)
  gains = trusted.astype(int) - hallucinated  # of trusting each sample
  lowest = log_odds.min() - 10 * _BLUR
  if gains[0].sum() >= -2 * np.sqrt(np.abs(gains[0]).sum()):
    lowest = np.quantile(log_odds[0], _CLEAN_SHARE)
  thresholds = np.linspace(lowest, log_odds.max() + 10 * _BLUR, 1001)
  trusts = (1 + np.tanh((thresholds[:, np.newaxis] - log_odds.ravel()) / (2 * _BLUR))) / 2
  best = thresholds[np.argmax(trusts @ gains.ravel())]
  return float(min(np.float32(1 / (1 + np.exp(-best))), _LARGEST_BELOW_1))


def regret(trusted: np.ndarray, hallucinated: np.ndarray, switch: np.ndarray) -> np.ndarray:
  """What the switch loses on each level against the better of its branches; arguments are accuracies, or hits, [L]."""
  return np.maximum(trusted, hallucinated) - switch


def switched(scores: np.ndarray, threshold: float, trusted_logits: np.ndarray,
             hallucinated_logits: np.ndarray) -> np.ndarray:
  """Logits [N, C] of the switched model: hallucinated where a score [N] is above the threshold, else trusted."""
  return np.where((scores > threshold)[:, np.newaxis], hallucinated_logits, trusted_logits)


def roc(clean_scores: np.ndarray, noisy_scores: np.ndarray) -> Dict[str, Any]:
  """The discriminator as a detector of noise: its ROC curve on clean [N] against noisy [N] scores (section 4.3.5).

  Returns:
    `false_positive_rate` (clean samples called noisy), `true_positive_rate`
    and `thresholds` as lists, and `auc`, ready for JSON. A sample is called
    noisy if its score is not below the threshold; the first threshold, above
    every score, is None.
  """
  from sklearn import metrics  # heavy

  noisy = np.repeat([False, True], [len(clean_scores), len(noisy_scores)])
  scores = np.concatenate([clean_scores, noisy_scores])
  false_positives, true_positives, thresholds = metrics.roc_curve(noisy, scores)
  return {
      'false_positive_rate': false_positives.tolist(),
      'true_positive_rate': true_positives.tolist(),
      'thresholds': [None, *thresholds[1:].tolist()],
      'auc': float(metrics.auc(false_positives, true_positives)),
  }
