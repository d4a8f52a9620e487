"""Pictures of results, as PNG bytes."""

import io
from typing import Dict, Sequence

import numpy as np


def confusion_matrix(confusion: np.ndarray, label_names: Sequence[str], title: str) -> bytes:
  """A confusion matrix [C, C] of counts (row: label), coloured by its rows' shares."""
  from matplotlib import figure  # heavy; no global state, unlike pyplot

  classes = len(label_names)
  side = max(5, 0.5 * classes + 2)
  picture = figure.Figure(figsize=(side, side), layout='constrained')
  axes = picture.add_subplot()
  shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
  axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
  axes.set_xticks(range(classes), label_names, rotation=90)
  axes.set_yticks(range(classes), label_names)
  axes.set(xlabel='predicted', ylabel='label', title=title)
  if classes <= 30:
    for row, column in zip(*np.nonzero(confusion)):
      axes.text(column, row, confusion[row, column], ha='center', va='center',
                color='white' if shares[row, column] > 0.5 else 'black', fontsize=8)
  return _png(picture)


def noise_sweep(levels: Sequence[str], accuracies: Dict[str, Sequence[float]]) -> bytes:
  """Accuracy over noise on depth: one line per method, one value per level."""
  from matplotlib import figure

  picture = figure.Figure(figsize=(9, 4.5), layout='constrained')
  axes = picture.add_subplot()
  for name, values in accuracies.items():
    axes.plot(range(len(levels)), [100 * value for value in values], marker='o', label=name)
  axes.set_xticks(range(len(levels)), levels)
  axes.set(xlabel='variance of the noise on depth', ylabel='accuracy, %', ylim=(0, 100))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside right upper')
  return _png(picture)


def _png(picture) -> bytes:
  buffer = io.BytesIO()
  picture.savefig(buffer, format='png', dpi=80)
  return buffer.getvalue()
