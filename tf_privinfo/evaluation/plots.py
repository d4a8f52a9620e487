"""Plots of results, as PNG bytes."""

import io
import itertools
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

# Tolerated deficit in accuracy of the switched model relative to its better branch, in points.
REGRET_LIMIT = 1

# Colours of the palette of Okabe and Ito, which colour-blind readers can distinguish. The switched model follows one of
# its branches nearly everywhere, so its line is broad and pale, below the lines of the branches.
_BRANCHES = {
    'switched': {'color': '#009e73', 'linewidth': 10, 'alpha': 0.35, 'marker': 'o', 'markersize': 16,
                 'markeredgewidth': 0},
    'trusted': {'color': '#0072b2', 'linewidth': 2, 'marker': 'o'},
    'hallucinated': {'color': '#e69f00', 'linewidth': 2, 'marker': 's'},
}
_FAKE, _EXCESS = '#a0508c', '#d55e00'
_KINDS = ('#e69f00', '#d55e00', '#cc79a7', '#009e73', '#000000', '#8c564b')


def confusion_matrix(confusion: np.ndarray, label_names: Sequence[str], title: str) -> bytes:
  """A confusion matrix [C, C] of counts (row: label), coloured by the shares in each row."""
  from matplotlib import figure  # slow import; no global state, unlike pyplot

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


def noise_sweep(levels: Sequence[str], accuracies: Dict[str, Sequence[float]], modality: str) -> bytes:
  """Accuracies over noise on a modality.

  Args:
    levels: L texts.
    accuracies: name of a line -> L accuracies in [0, 1].
    modality: name of the noisy modality.
  """
  from matplotlib import figure

  picture = figure.Figure(figsize=(9, 4.5), layout='constrained')
  axes = picture.add_subplot()
  for name, values in accuracies.items():
    axes.plot(range(len(levels)), [100 * value for value in values], marker='o', label=name)
  axes.set_xticks(range(len(levels)), levels)
  axes.set(xlabel=f'noise on {modality}; plain numbers: variance of speckle', ylabel='accuracy, %', ylim=(0, 100))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside right upper')
  return _png(picture)


def switch_sweep(levels: Sequence[str], accuracies: Mapping[str, Sequence[float]], regret: Sequence[float],
                 fake_probability: Sequence[float], threshold: float, modality: str,
                 quartiles: Optional[Tuple[Sequence[float], Sequence[float]]] = None) -> bytes:
  """Figure 4.5 with the switch: accuracies and discriminator over noise; below, the deficit of the switch.

  Args:
    levels: L texts: variances of speckle such as '1e-2', 'kind:amount' or 'kind'. Adjacent levels of a kind are joined.
    accuracies: 'trusted', 'hallucinated' and 'switched' -> L accuracies.
    regret: L deficits of the switched model relative to the better branch, in [0, 1].
    fake_probability: L fake probabilities of the discriminator, averaged over the samples.
    threshold: threshold of the switch.
    modality: name of the noisy modality.
    quartiles: lower and upper quartiles of the fake probability, L each.
  """
  from matplotlib import figure

  kinds = np.array([_noise_kind(level) for level in levels])
  breaks = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
  x = np.arange(len(levels)) + 0.4 * np.cumsum(np.isin(np.arange(len(levels)), breaks))

  def broken(values):
    return np.insert(np.asarray(values, float), breaks, np.nan)  # A line has a gap at NaN.

  picture = figure.Figure(figsize=(max(8, 0.8 * len(levels) + 2), 6), layout='constrained')
  axes, losses = picture.subplots(2, sharex=True, height_ratios=(4, 1))
  confidence = axes.twinx()
  for name, style in _BRANCHES.items():
    axes.plot(broken(x), 100 * broken(accuracies[name]), label=name, **style)
  confidence.plot(broken(x), broken(fake_probability), color=_FAKE, linestyle=':', marker='^', label='P(fake), mean')
  if quartiles is not None:
    confidence.vlines(x, *quartiles, color=_FAKE, alpha=0.2, linewidth=10, label='P(fake), quartiles')
  confidence.axhline(threshold, color=_FAKE, linestyle='--', linewidth=1, label=f'threshold {threshold:.3g}')

  points = 100 * np.asarray(regret)
  colours = np.where(points > REGRET_LIMIT, _EXCESS, _BRANCHES['switched']['color'])
  bars = losses.bar(x, points, width=0.5, color=colours)
  room = 0.35 * (max(REGRET_LIMIT, points.max()) - min(0, points.min()))  # for the numbers
  losses.bar_label(bars, fmt='%.1f', fontsize=8, padding=1)
  losses.axhline(REGRET_LIMIT, color=_EXCESS, linestyle='--', linewidth=1)
  losses.axhline(0, color='black', linewidth=0.8)

  axes.set(ylabel='accuracy, %', ylim=(0, 105))
  axes.grid(axis='y', alpha=0.3)
  confidence.set_ylabel("discriminator's P(fake)", color=_FAKE)
  confidence.set_ylim(0, 1.05)
  confidence.tick_params(axis='y', colors=_FAKE)
  losses.set(xlabel=f'noise on {modality}; plain numbers: variance of speckle', ylabel='below the\nbetter, points',
             ylim=(-room + min(0, points.min()), room + max(REGRET_LIMIT, points.max())))
  losses.set_xticks(x, [level.replace(':', '\n') for level in levels])
  picture.legend(loc='outside upper center', ncols=3)
  return _png(picture)


def roc_curves(rocs: Mapping[str, Mapping[str, Any]], modality: str) -> bytes:
  """ROC curves of the discriminator as a detector of noise on a modality: level -> `switch_threshold.roc`."""
  import matplotlib
  from matplotlib import figure

  picture = figure.Figure(figsize=(7.5, 5), layout='constrained')
  axes = picture.add_subplot(aspect='equal')
  speckle = [level for level in rocs if _noise_kind(level) == 'speckle']
  shades = iter(matplotlib.colormaps['Blues'](np.linspace(0.35, 1, len(speckle))))
  colours = itertools.cycle(_KINDS)
  for level, roc in rocs.items():
    style = {'color': next(shades)} if level in speckle else {'color': next(colours), 'linestyle': '--'}
    axes.plot(roc['false_positive_rate'], roc['true_positive_rate'], linewidth=2,
              label=f'{level}: AUC {roc["auc"]:.3f}', **style)
  axes.plot([0, 1], [0, 1], color='grey', linestyle=':', label='chance: AUC 0.5')
  axes.set(xlabel='clean samples called noisy', ylabel='noisy samples called noisy', xlim=(-0.02, 1.02),
           ylim=(-0.02, 1.02))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside right upper', title=f'noise on {modality}')
  return _png(picture)


def _noise_kind(level: str) -> str:
  """'speckle' for a variance, else the text before the colon."""
  try:
    float(level)
  except ValueError:
    return level.partition(':')[0]
  return 'speckle'


def _png(figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=80)
  return buffer.getvalue()
