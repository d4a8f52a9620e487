"""Comparison of runs on the same samples: accuracies with confidence intervals, paired tests, classes, confusions.

N is the number of test samples, C of classes. A stream may also be 'sum', Σ.
"""

import dataclasses
import glob
import pathlib
from typing import Dict, List, Sequence
import zipfile

import numpy as np

from tf_privinfo import recipes
from tf_privinfo.evaluation import metrics
from tf_privinfo.reports import compare_groups, pages, plots, statistics
from tf_privinfo.reports.tested import results_path, Tested
from tf_privinfo.runs.run import PREDICTIONS, RESULTS
from tf_privinfo.utils import atomic, errors


@dataclasses.dataclass(frozen=True)
class EvaluatedRun(Tested):
  """A run of a comparison.

  Attributes:
    name: method and folder of the run.
    class_names: C names.
    logits: stream -> [N, C]; empty if the evaluation did not store them.
  """
  name: str
  class_names: List[str]
  logits: Dict[str, np.ndarray]


def read(directory: pathlib.Path) -> EvaluatedRun:
  """Reads the predictions of an evaluated run; raises `UserError` if they are missing or damaged."""
  path = results_path(directory)
  try:
    return _parse(directory, atomic.read_json(path))
  except (AttributeError, IndexError, KeyError, OSError, StopIteration, TypeError, ValueError, zipfile.BadZipFile):
    raise errors.UserError(f'{path} or predictions.npz beside it is damaged or of another version: evaluate the run '
                           f'again with eval_main.py --run_dir={directory}.') from None


def _parse(directory: pathlib.Path, results) -> EvaluatedRun:
  logits = {}
  if (directory / PREDICTIONS).is_file():
    with np.load(directory / PREDICTIONS) as archive:
      order = np.argsort(archive['names'])
      logits = {key.removeprefix('logits/'): archive[key][order] for key in archive if key.startswith('logits/')}
  return EvaluatedRun.from_results(
      results, name=f'{results["method"]}/{directory.resolve().name}',
      class_names=list(next(iter(results['class_accuracy'].values()))), logits=logits)


def write(selected: Sequence[str], output_dir: pathlib.Path) -> None:
  """Prints a comparison of runs, or of groups of runs, and writes it to a separate folder in `reports/<dataset>`.

  Args:
    selected: run directories, or patterns of the directories of a group; at least two. The others are compared with the
      first.
    output_dir: root of the run directories.

  Raises:
    UserError: if there are fewer than two, or they cannot be read or compared.
  """
  groups = {name: directories(name) for name in selected}
  if len({tuple(path.resolve() for path in group) for group in groups.values()}) < max(len(selected), 2):
    raise errors.UserError('A comparison needs at least two different runs or groups of runs: pass --compare once for '
                           'each.')
  if any(len(group) > 1 for group in groups.values()):
    page, dataset = compare_groups.build(groups)
    names = list(groups)
  else:
    runs = [read(directory) for [directory] in groups.values()]
    if len({run.name for run in runs}) < len(runs):  # the same recipe under several roots
      runs = [dataclasses.replace(run, name=name) for run, name in zip(runs, groups)]
    page, dataset = build(runs), runs[0].origin[0]
    names = [run.name for run in runs]
  folder = output_dir / 'reports' / dataset / recipes.directory_name(['compare', *names])
  pages.write(page, folder)
  print(f'{pages.text(page)}\n\nEverything is in {folder}: report.html, report.md, report.csv, plots')


def directories(selected: str) -> List[pathlib.Path]:
  """The run directory `selected`, or the directories with results that match the pattern, sorted."""
  if pathlib.Path(selected).is_dir():
    return [pathlib.Path(selected)]
  found = [path for path in map(pathlib.Path, sorted(glob.glob(selected))) if (path / RESULTS).is_file()]
  return found or [pathlib.Path(selected)]


def build(runs: Sequence[EvaluatedRun]) -> pages.Page:
  """The page of a comparison with the first run; raises `UserError` for runs tested on different samples."""
  first = runs[0]
  for run in runs[1:]:
    if run.origin != first.origin or run.samples != first.samples or list(run.labels) != list(first.labels):
      raise errors.UserError(
          f'{run.name} was tested on different samples ({", ".join(run.origin)}: {len(run.samples)}) than {first.name} '
          f'({", ".join(first.origin)}: {len(first.samples)}): they cannot be compared.')
  accuracies, records = _accuracies(runs)
  streams = list(dict.fromkeys(stream for run in runs for stream in run.predicted))
  page_plots = {}
  for stream in streams:
    having = [run for run in runs if stream in run.predicted]
    page_plots[f'classes_{stream}'] = pages.Plot(
        f'Accuracy of {stream} in each class', plots.class_bars(first.class_names, {
            run.name: _per_class(run, run.right(stream)) for run in having}))
    for number, run in enumerate(having[1:], 2):
      page_plots[f'confusion_{stream}_{number}'] = pages.Plot(
          f'Confusions of {stream}: {run.name} minus {having[0].name}', plots.confusion_difference(
              _confusion(run, stream) - _confusion(having[0], stream), first.class_names))
  tables = [accuracies, *_differences(runs), _classes(runs, streams), *(
      table for run in runs for table in _winners(run))]
  notes = [f'{", ".join(first.origin)}: {len(first.samples)} test samples, accuracies in percent. Intervals are 95 % '
           'percentile intervals of the bootstrap over test samples: they do not cover the variation between seeds.']
  return pages.Page('Comparison of runs', notes, tables, records, plots=page_plots)


def _accuracies(runs):
  rows, records = [], []
  for run in runs:
    for stream in run.predicted:
      right = run.right(stream)
      low, high = statistics.accuracy_interval(right)
      rows.append((run.name, stream, f'{100 * right.mean():.2f}', f'{100 * low:.2f} to {100 * high:.2f}'))
      records.append({'run': run.name, 'stream': stream, 'samples': len(right), 'accuracy': 100 * right.mean(),
                      'low': 100 * low, 'high': 100 * high})
  return pages.Table('Accuracies', ('run', 'stream', 'accuracy', '95 % interval'), rows), records


def _differences(runs):
  first, rows = runs[0], []
  for run in runs[1:]:
    for stream in run.predicted:
      if stream in first.predicted:
        right, other = run.right(stream), first.right(stream)
        low, high = statistics.difference_interval(right, other)
        rows.append((run.name, stream, f'{100 * (right.mean() - other.mean()):+.2f}',
                     f'{100 * low:+.2f} to {100 * high:+.2f}', str(np.sum(right & ~other)), str(np.sum(other & ~right)),
                     f'{statistics.mcnemar(right, other):.2g}'))
  caption = f'Differences from {first.name}, on the same samples; p of McNemar\'s exact test, of one stream at a time'
  header = ('run', 'stream', 'difference', '95 % interval', 'only this run is right', 'only the first is right', 'p')
  return [pages.Table(caption, header, rows)] if rows else []


def _classes(runs, streams):
  columns = [(run, stream) for stream in streams for run in runs if stream in run.predicted]
  values = [_per_class(run, run.right(stream)) for run, stream in columns]
  return pages.Table(
      'Accuracy in each class', ('class', *(f'{stream}, {run.name}' for run, stream in columns)),
      [(label, *(_percent(value[row]) for value in values))
       for row, label in enumerate(runs[0].class_names)])


def _winners(run):
  """The shares of the samples of each class that each stream wins."""
  if len(run.logits) < 2:
    return []
  shares = statistics.winner_shares(run.labels, run.logits)
  return [pages.Table(
      f'Share of each class that a stream of {run.name} wins with the lowest cross entropy, in percent',
      ('class', *run.logits), [(label, *(_percent(share) for share in column))
                               for label, column in zip(run.class_names, shares.T)])]


def _percent(share: float) -> str:
  """A share in percent; '-' for a class without test samples."""
  return '-' if np.isnan(share) else f'{100 * share:.1f}'


def _per_class(run, right):
  return np.array([np.mean(right[run.labels == label]) if np.any(run.labels == label) else np.nan
                   for label in range(len(run.class_names))])


def _confusion(run, stream):
  return metrics.confusion_counts(run.labels, run.predicted[stream], len(run.class_names))
