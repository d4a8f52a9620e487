"""Plots of reports, as {'png': bytes, 'svg': bytes}."""

import io
import itertools
from typing import Dict, Iterable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from tf_privinfo.reports.statistics import Estimate

# Colours of the palette of Okabe and Ito, which colour-blind readers can distinguish.
_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
_MODALITIES = {'rgb': '#0072b2', 'depth': '#009e73', 'flow': '#e69f00'}


class Curve(NamedTuple):
  """A line of a figure.

  Attributes:
    label: label in the legend.
    x: N texts, either all numbers or none.
    y: N values.
    deviation: N standard deviations, drawn as a band, or None.
    dashed: whether the line is dashed, for values of the thesis.
  """
  label: str
  x: Sequence[str]
  y: Sequence[float]
  deviation: Optional[Sequence[float]] = None
  dashed: bool = False


def curves(panels: Mapping[str, Sequence[Curve]], over: str) -> Dict[str, bytes]:
  """Plots curves in panels side by side.

  Args:
    panels: label of the y axis -> curves of the panel.
    over: label of the x axis.
  """
  from matplotlib import figure

  colours = _colours(curve.label for lines in panels.values() for curve in lines)
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
    if all(value >= 0 for curve in lines for value in curve.y):
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
  """Plots accuracies in percent, one line for each of N rows.

  Args:
    names: names of the rows.
    paper: dataset and protocol of the thesis -> N figures, None if missing.
    measured: N means, None if missing.
    deviations: N standard deviations, None if missing.
  """
  from matplotlib import figure

  picture = figure.Figure(figsize=(9, 1.2 + 0.28 * len(names)), layout='constrained')
  axes = picture.add_subplot()
  for (place, figures), marker in zip(paper.items(), itertools.cycle('DsP^vX')):
    values = {row: value for row, value in enumerate(figures) if value is not None}
    axes.plot([*values.values()], [*values], marker, color='#0072b2', markerfacecolor='none', label=place)
  values = {row: value for row, value in enumerate(measured) if value is not None}
  axes.errorbar([*values.values()], [*values], xerr=[deviations[row] or 0 for row in values], fmt='o',
                color='#d55e00', capsize=3, label='measured')
  axes.set_yticks(range(len(names)), names, fontsize=8)
  axes.invert_yaxis()
  axes.set(xlabel='accuracy, %', xlim=(-2, 102))
  axes.grid(alpha=0.3)
  picture.legend(loc='outside upper right', ncols=2, fontsize=8)
  return _files(picture)


def intervals(panels: Mapping[str, Mapping[str, Mapping[str, Estimate]]], over: str, name: str) -> Dict[str, bytes]:
  """Plots estimates in percent with their 95 % intervals, in panels side by side.

  Args:
    panels: title of a panel -> stream -> position on the x axis -> estimate.
    over: label of the x axis.
    name: label of the y axis.
  """
  from matplotlib import figure

  colours = _colours(stream for lines in panels.values() for stream in lines)
  of_panels = [list(dict.fromkeys(position for line in lines.values() for position in line))
               for lines in panels.values()]
  widths = [max(3.5, sum(max(0.8, 0.1 * len(position)) for position in positions)) for positions in of_panels]
  picture = figure.Figure(figsize=(1.5 + sum(widths), 4.2), layout='constrained')
  all_axes = picture.subplots(1, len(panels), squeeze=False, sharey=True)[0]
  for axes, positions, (title, lines) in zip(all_axes, of_panels, panels.items()):
    for number, (stream, line) in enumerate(lines.items()):
      x = [positions.index(position) + 0.12 * (number - (len(lines) - 1) / 2) for position in line]
      mean = np.array([100 * estimate.mean for estimate in line.values()])
      limits = 100 * np.array([(estimate.low, estimate.high) for estimate in line.values()]).T
      axes.errorbar(x, mean, np.maximum([mean - limits[0], limits[1] - mean], 0), fmt='o', capsize=4, linewidth=2,
                    label=stream, color=colours[stream])
    axes.axhline(0, color='#888888', linewidth=1)
    axes.set_xticks(range(len(positions)), positions)
    axes.set_xlim(-0.6, len(positions) - 0.4)
    axes.set(title=title, xlabel=over)
    axes.grid(alpha=0.3, axis='y')
  all_axes[0].set_ylabel(name)
  handles = {label: handle for axes in all_axes for handle, label in zip(*axes.get_legend_handles_labels())}
  picture.legend(handles.values(), handles.keys(), loc='outside right upper')
  return _files(picture)


def class_bars(label_names: Sequence[str], accuracies: Mapping[str, Sequence[float]]) -> Dict[str, bytes]:
  """Plots the accuracy of each of C classes, one bar for each run.

  Args:
    label_names: C names.
    accuracies: run -> C shares, NaN for a class without samples.
  """
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
  """Plots differences of counts [C, C] of labels (rows) and predicted classes (columns); red: more, blue: fewer."""
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


def _colours(labels: Iterable[str]) -> Dict[str, str]:
  """Label -> colour, the same in all panels; a modality has the colour of figure 5.3."""
  others = iter([colour for colour in _COLOURS if colour not in _MODALITIES.values()])
  return {label: _MODALITIES.get(label) or next(others) for label in dict.fromkeys(labels)}


def _files(figure) -> Dict[str, bytes]:
  """A figure as PNG and as reproducible SVG."""
  import matplotlib

  png, svg = io.BytesIO(), io.BytesIO()
  figure.savefig(png, format='png', dpi=80)
  with matplotlib.rc_context({'svg.hashsalt': 'tf_privinfo'}):
    figure.savefig(svg, format='svg', metadata={'Date': None})
  return {'png': png.getvalue(), 'svg': svg.getvalue()}
