"""Comparison of groups of runs, such as the seeds and folds of two methods, paired by test set and seed."""

import pathlib
from typing import Dict, Mapping, Sequence, Tuple

from tf_privinfo.reports import pages, pooling
from tf_privinfo.reports.statistics import Estimate
from tf_privinfo.reports.tested import results_path, Tested
from tf_privinfo.utils import atomic, errors

# (dataset, protocol) -> seed -> predictions.
Group = Dict[Tuple[str, str], Dict[int, Tested]]


def build(directories: Mapping[str, Sequence[pathlib.Path]]) -> Tuple[pages.Page, str]:
  """The page of groups of run directories by name, the others compared with the first one, and their dataset.

  Raises:
    UserError: if results are missing or damaged, if two runs of a group have the same protocol and seed, or if groups
      have no pair of runs in common.
  """
  groups = {name: _read(name, of_group) for name, of_group in directories.items()}
  first, *others = groups
  accuracies = {(name, stream): accuracy for name, group in groups.items() for stream in _streams(group)
                if (accuracy := pooling.accuracy([*group.values()], stream))}
  differences = {name: _differences(name, groups[name], first, groups[first]) for name in others}
  tables = [
      pages.Table('Accuracies', ('runs', 'stream', 'accuracy', '95 % interval', 'number'), [
          (*key, f'{100 * of.mean:.1f}', f'{100 * of.low:.1f} to {100 * of.high:.1f}', str(of.runs))
          for key, of in accuracies.items()]),
      pages.Table(f'Differences from {first}', (
          'runs', 'stream', 'difference', '95 % interval', 'pairs', 'runs needed'), pooling.rows(differences))]
  records = [{'runs': name, 'stream': stream, 'accuracy': 100 * of.mean, 'low': 100 * of.low, 'high': 100 * of.high,
              'number': of.runs} for (name, stream), of in accuracies.items()]
  return pages.Page(
      'Comparison of groups of runs', [pooling.NOTE], tables, records,
      plots={'differences': pages.Plot(f'Differences from {first} in points', pooling.plot(differences))}), (
          next(iter(groups[first]))[0])


def _read(name: str, directories: Sequence[pathlib.Path]) -> Group:
  group: Group = {}
  for directory in directories:
    content = atomic.read_json(results_path(directory), ('dataset', 'protocol', 'seed', 'predictions'))
    run = Tested.from_results(content)
    of_seeds = group.setdefault(run.origin, {})
    if content['seed'] in of_seeds:
      raise errors.UserError(f'{name} has two runs of {", ".join(run.origin)} with seed {content["seed"]}: choose a '
                             'pattern that matches one of them.')
    of_seeds[content['seed']] = run
  return group


def _streams(group: Group) -> Sequence[str]:
  return list(dict.fromkeys(
      stream for of_seeds in group.values() for run in of_seeds.values() for stream in run.predicted))


def _differences(name: str, group: Group, first: str, baseline: Group) -> Dict[str, Estimate]:
  tests = [test for test in group if test in baseline]
  found = pooling.differences([group[test] for test in tests], [baseline[test] for test in tests], _streams(group))
  if not found:
    raise errors.UserError(f'{name} and {first} have no runs with the same protocol, seed and stream: they cannot be '
                           'compared.')
  return found
