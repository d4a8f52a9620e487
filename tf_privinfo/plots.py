"""Pictures of results, as PNG bytes; those of reports as {'png': bytes, 'svg': bytes}."""

import io
import itertools
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

# Accuracy that the switched model may lack to the better of its branches, in points.
REGRET_LIMIT = 1

# Of the palette of Okabe and Ito, which the colour-blind can tell apart. The switched model follows one of its
# branches nearly everywhere: it is broad and pale, and they lie on it.
_BRANCHES = {
    'switched': {'color': '#009e73', 'linewidth': 10, 'alpha': 0.35, 'marker': 'o', 'markersize': 16,
                 'markeredgewidth': 0},
    'trusted': {'color': '#0072b2', 'linewidth': 2, 'marker': 'o'},
    'hallucinated': {'color': '#e69f00', 'linewidth': 2, 'marker': 's'},
}
_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
_MODALITIES = {'rgb': '#0072b2', 'depth': '#009e73', 'flow': '#e69f00'}
_FAKE, _EXCESS = '#a0508c', '#d55e00'
_KINDS = ('#e69f00', '#d55e00', '#cc79a7', '#009e73', '#000000', '#8c564b')


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
  axes.set(xlabel='noise on depth; plain numbers: variance of speckle', ylabel='accuracy, %', ylim=(0, 100))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside right upper')
  return _png(picture)


def switch_sweep(levels: Sequence[str], accuracies: Mapping[str, Sequence[float]], regret: Sequence[float],
                 fake_probability: Sequence[float], threshold: float,
                 quartiles: Optional[Tuple[Sequence[float], Sequence[float]]] = None) -> bytes:
  """Figure 4.5 with the switch: accuracies and the discriminator over noise on depth; what the switch loses below.

  Args:
    levels: L texts: variances of speckle such as '1e-2', 'kind:amount' or 'kind'. Neighbours of one kind are joined.
    accuracies: 'trusted', 'hallucinated' and 'switched' -> L accuracies.
    regret: L accuracies that the switched model lacks to the better branch.
    fake_probability: the discriminator's, L means over the samples.
    threshold: of the switch.
    quartiles: the lower and the upper quartiles of the fake probability, L each.
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
  losses.set(xlabel='noise on depth; plain numbers: variance of speckle', ylabel='below the\nbetter, points',
             ylim=(-room + min(0, points.min()), room + max(REGRET_LIMIT, points.max())))
  losses.set_xticks(x, [level.replace(':', '\n') for level in levels])
  picture.legend(loc='outside upper center', ncols=3)
  return _png(picture)


def roc_curves(rocs: Mapping[str, Mapping[str, Any]]) -> bytes:
  """The discriminator as a detector of noise: one curve per level of noise, from what `switching.roc` returns."""
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
  picture.legend(loc='outside right upper', title='noise on depth')
  return _png(picture)


class Curve(NamedTuple):
  """A line of a figure.

  Attributes:
    label: in the legend.
    x: N texts, all of them numbers or not.
    y: N values.
    deviation: N standard deviations, drawn as a band.
    dashed: for what was not measured here.
  """
  label: str
  x: Sequence[str]
  y: Sequence[float]
  deviation: Optional[Sequence[float]] = None
  dashed: bool = False


def curves(panels: Mapping[str, Sequence[Curve]], over: str) -> Dict[str, bytes]:
  """Curves over one axis: what an axis of y is -> the curves in its panel, one panel beside the other."""
  from matplotlib import figure

  # Curves of one label have one colour in all panels; those of modalities that of figure 5.3.
  labels = dict.fromkeys(curve.label for lines in panels.values() for curve in lines)
  others = iter([colour for colour in _COLOURS if colour not in _MODALITIES.values()])
  colours = {label: _MODALITIES.get(label) or next(others) for label in labels}
  x = list(dict.fromkeys(key for lines in panels.values() for curve in lines for key in curve.x))
  numbers = over == 'epochs'
  picture = figure.Figure(figsize=(2 + 5 * len(panels), 4.2), layout='constrained')
  for axes, (name, lines) in zip(picture.subplots(1, len(panels), squeeze=False)[0], panels.items()):
    for curve in lines:
      at = [int(key) if numbers else x.index(key) for key in curve.x]
      axes.plot(at, curve.y, label=curve.label, color=colours[curve.label], linewidth=2,
                linestyle='--' if curve.dashed else '-', marker=None if numbers else 'o')
      if curve.deviation is not None:
        low, high = np.asarray(curve.y) - curve.deviation, np.asarray(curve.y) + curve.deviation
        axes.fill_between(at, low, high, color=colours[curve.label], alpha=0.2, linewidth=0)
    if not numbers:
      axes.set_xticks(range(len(x)), x)
    axes.set(xlabel=over, ylabel=name)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if lines:
      axes.legend()
    else:
      axes.text(0.5, 0.5, 'not run', transform=axes.transAxes, ha='center', va='center', color='grey')
  return _files(picture)


def paper_beside_measured(names: Sequence[str], paper: Mapping[str, Sequence[Optional[float]]],
                          measured: Sequence[Optional[float]],
                          deviations: Sequence[Optional[float]]) -> Dict[str, bytes]:
  """Accuracies in percent, a line for each of N rows.

  Args:
    names: of the rows.
    paper: where the thesis measured -> N figures.
    measured: N means.
    deviations: N standard deviations.
  """
  from matplotlib import figure

  picture = figure.Figure(figsize=(9, 1.2 + 0.28 * len(names)), layout='constrained')
  axes = picture.add_subplot()
  for (place, figures), marker in zip(paper.items(), itertools.cycle('DsP^vX')):
    at = [row for row, value in enumerate(figures) if value is not None]
    axes.plot([figures[row] for row in at], at, marker, color='#0072b2', markerfacecolor='none', label=place)
  at = [row for row, value in enumerate(measured) if value is not None]
  axes.errorbar([measured[row] for row in at], at, xerr=[deviations[row] or 0 for row in at], fmt='o',
                color='#d55e00', capsize=3, label='measured')
  axes.set_yticks(range(len(names)), names, fontsize=8)
  axes.invert_yaxis()
  axes.set(xlabel='accuracy, %', xlim=(-2, 102))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside upper right', ncols=2, fontsize=8)
  return _files(picture)


def class_bars(label_names: Sequence[str], accuracies: Mapping[str, Sequence[float]]) -> Dict[str, bytes]:
  """Accuracy of each of C classes, a bar for each run: run -> C shares, NaN for a class without samples."""
  from matplotlib import figure

  picture = figure.Figure(figsize=(max(7, 0.7 * len(label_names)), 4.5), layout='constrained')
  axes = picture.add_subplot()
  width = 0.8 / len(accuracies)
  for number, ((name, values), colour) in enumerate(zip(accuracies.items(), itertools.cycle(_COLOURS))):
    axes.bar(np.arange(len(label_names)) + (number + 0.5) * width - 0.4, 100 * np.asarray(values), width, label=name,
             color=colour)
  axes.set_xticks(range(len(label_names)), label_names, rotation=45, ha='right')
  axes.set(ylabel='accuracy, %', ylim=(0, 105))
  axes.grid(axis='y', alpha=0.3)
  picture.legend(loc='outside upper left', fontsize=8)
  return _files(picture)


def confusion_difference(difference: np.ndarray, label_names: Sequence[str]) -> Dict[str, bytes]:
  """How many more samples [C, C] of a label (row) are predicted as a class (column); red: more, blue: fewer."""
  from matplotlib import figure

  classes = len(label_names)
  side = max(5, 0.5 * classes + 2)
  picture = figure.Figure(figsize=(side, side), layout='constrained')
  axes = picture.add_subplot()
  limit = max(1, np.abs(difference).max())
  axes.imshow(difference, cmap='RdBu_r', vmin=-limit, vmax=limit)
  axes.set_xticks(range(classes), label_names, rotation=90)
  axes.set_yticks(range(classes), label_names)
  axes.set(xlabel='predicted', ylabel='label')
  if classes <= 30:
    for row, column in zip(*np.nonzero(difference)):
      axes.text(column, row, f'{difference[row, column]:+d}', ha='center', va='center', fontsize=8,
                color='white' if abs(difference[row, column]) > 0.6 * limit else 'black')
  return _files(picture)


def _files(picture) -> Dict[str, bytes]:
  """A picture as PNG, and as SVG whose bytes depend on nothing else."""
  import matplotlib

  buffer = io.BytesIO()
  with matplotlib.rc_context({'svg.hashsalt': 'tf_privinfo'}):
    picture.savefig(buffer, format='svg', metadata={'Date': None})
  return {'png': _png(picture), 'svg': buffer.getvalue()}


def _noise_kind(level: str) -> str:
  """'speckle' for a variance, else the text before the colon."""
  try:
    float(level)
  except ValueError:
    return level.partition(':')[0]
  return 'speckle'


def _png(picture) -> bytes:
  buffer = io.BytesIO()
  picture.savefig(buffer, format='png', dpi=80)
  return buffer.getvalue()
