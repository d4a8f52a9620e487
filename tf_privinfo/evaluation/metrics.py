"""Accuracies of predictions, in NumPy. N videos, C classes; labels are [N], logits [N, C]."""

from typing import Dict

import numpy as np

from tf_privinfo.methods import fusion


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
  """The share of samples whose largest logit belongs to the label, in [0, 1]."""
  return float(np.mean(np.argmax(logits, axis=-1) == labels))


def oracle_accuracy(labels: np.ndarray, logits: Dict[str, np.ndarray]) -> float:
  """Φ: the share of samples that at least one stream classifies correctly (thesis 5.3.3)."""
  return float(np.mean(np.any([np.argmax(z, axis=-1) == labels for z in logits.values()], axis=0)))


def ensemble_accuracies(labels: np.ndarray, logits: Dict[str, np.ndarray]) -> Dict[str, float]:
  """The accuracies of all streams, of their sum ('sum', Σ) and of the oracle ('oracle', Φ), in [0, 1]."""
  return {
      **{name: accuracy(labels, z) for name, z in logits.items()},
      'sum': accuracy(labels, fusion.fuse(logits)),
      'oracle': oracle_accuracy(labels, logits),
  }


def confusion_matrix(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
  """Counts [C, C] int64 of labels (rows) and predicted classes (columns)."""
  return confusion_counts(labels, np.argmax(logits, axis=-1), logits.shape[-1])


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
  """Counts [C, C] int64 of labels [N] (rows) and predicted classes [N] (columns)."""
  counts = np.zeros((classes, classes), np.int64)
  np.add.at(counts, (labels, predicted), 1)
  return counts


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
  """The accuracy [C] of each class, from counts [C, C]; NaN for a class without samples."""
  totals = confusion.sum(axis=1)
  return np.divide(np.diag(confusion), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def regret(trusted: np.ndarray, hallucinated: np.ndarray, switch: np.ndarray) -> np.ndarray:
  """The deficit [L] of the switch relative to its better branch; arguments are accuracies or hits, [L]."""
  return np.maximum(trusted, hallucinated) - switch
