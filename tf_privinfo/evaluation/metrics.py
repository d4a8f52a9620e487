"""Accuracies of predictions, in NumPy. N videos, C classes; labels are [N], logits [N, C]."""

from typing import Dict

import numpy as np

from tf_privinfo.methods import fusion


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
  """The share of samples whose largest logit is the label's."""
  return float(np.mean(np.argmax(logits, axis=-1) == labels))


def oracle_accuracy(labels: np.ndarray, logits: Dict[str, np.ndarray]) -> float:
  """Φ: the share of samples that any stream gets right (thesis 5.3.3)."""
  return float(np.mean(np.any([np.argmax(z, axis=-1) == labels for z in logits.values()], axis=0)))


def ensemble_accuracies(labels: np.ndarray, logits: Dict[str, np.ndarray]) -> Dict[str, float]:
  """Accuracy of every stream, of their sum ('sum', Σ) and of the oracle ('oracle', Φ)."""
  return {
      **{name: accuracy(labels, z) for name, z in logits.items()},
      'sum': accuracy(labels, fusion.fuse(logits)),
      'oracle': oracle_accuracy(labels, logits),
  }


def confusion_matrix(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
  """Counts [C, C]: row the label, column the prediction."""
  return confusion_counts(labels, np.argmax(logits, axis=-1), logits.shape[-1])


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
  """Counts [C, C] of labels [N] (rows) and predicted classes [N] (columns)."""
  counts = np.zeros((classes, classes), np.int64)
  np.add.at(counts, (labels, predicted), 1)
  return counts


def per_class_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Accuracy [C] of each class; NaN for a class without samples."""
  totals = confusion.sum(axis=1)
  return np.divide(np.diag(confusion), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def regret(trusted: np.ndarray, hallucinated: np.ndarray, switch: np.ndarray) -> np.ndarray:
  """What the switch loses on each level against the better of its branches; arguments are accuracies, or hits, [L]."""
  return np.maximum(trusted, hallucinated) - switch
