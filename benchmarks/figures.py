"""Plots of benchmarks that measure trained runs."""

import pathlib
from typing import Mapping, Sequence

import numpy as np

from tf_privinfo.reports import plots
from tf_privinfo.reports.statistics import Estimate
from tf_privinfo.utils import atomic


def write_accuracies(path: pathlib.Path, stream: str, over: str, accuracies: Mapping[str, Sequence[float]]) -> None:
  """Plots the mean, lowest and highest accuracy of several runs.

  Args:
    path: path of the plot without its ending.
    stream: name of the stream, for the legend.
    over: label of the x axis.
    accuracies: position on the x axis -> accuracies of the runs, between 0 and 1.
  """
  estimates = {position: Estimate(*(float(f(of_runs)) for f in (np.mean, np.min, np.max)), len(of_runs), None)
               for position, of_runs in accuracies.items()}
  picture = plots.intervals({'': {stream: estimates}}, over, 'accuracy, % (mean, lowest and highest run)')
  for ending, content in picture.items():
    atomic.write(path.with_suffix(f'.{ending}'), content)
