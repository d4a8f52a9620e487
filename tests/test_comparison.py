"""Runs beside each other: intervals and tests by hand, and the page of two made-up runs."""

import itertools
import json

import numpy as np
import pytest

from tf_privinfo.reports import compare, statistics
from tf_privinfo.utils import atomic, errors

LABELS = [0, 0, 1, 1, 2]
NAMES = ['c', 'a', 'b', 'e', 'd']


def write_run(directory, predicted, names=NAMES, logits=None, protocol='given'):
  """An evaluated run, of which only what a comparison reads is there."""
  atomic.write(directory / 'results.json', json.dumps({
      'method': 'dmcl', 'dataset': 'nyud', 'protocol': protocol,
      'class_accuracy': {'rgb': {'bed': 1, 'box': 1, 'chair': 1}},
      'predictions': {'names': names, 'labels': LABELS, 'predicted': predicted}}))
  if logits:
    np.savez(directory / 'predictions.npz', names=np.array(names), labels=np.array(LABELS),
             **{f'logits/{stream}': z for stream, z in logits.items()})
  return directory


def hits(*counts):
  """[N] bool pairs of two models: how often both are right, only the first, only the second, none."""
  return np.repeat([[True, True], [True, False], [False, True], [False, False]], counts, axis=0).T


@pytest.mark.parametrize('only, only_other, p', [(0, 0, 1), (5, 0, 2 / 32), (3, 1, 10 / 16), (2, 2, 1)])
def test_mcnemar_by_hand(only, only_other, p):
  assert statistics.mcnemar(*hits(7, only, only_other, 4)) == pytest.approx(p)


def test_the_interval_of_an_accuracy_is_that_of_all_resamples():
  """Of four samples there are 4^4 resamples."""
  right = np.array([True, True, True, False])
  means = [np.mean(right[list(rows)]) for rows in itertools.product(range(4), repeat=4)]
  low, high = statistics.accuracy_interval(right)
  assert (low, high) == tuple(np.quantile(means, [0.025, 0.975], method='inverted_cdf'))


def test_the_interval_of_a_difference_is_paired():
  right, other = hits(200, 60, 40, 100)
  low, high = statistics.difference_interval(right, other)
  spread = 1.96 * np.sqrt((100 / 400 - 0.05**2) / 400)  # of the normal approximation
  assert (low, high) == pytest.approx((0.05 - spread, 0.05 + spread), abs=0.006)
  assert statistics.difference_interval(right, right) == (0, 0)


def test_the_lowest_cross_entropy_wins():
  logits = {'rgb': np.array([[5.0, 0], [0, 0], [0, 1]]), 'depth': np.array([[0.0, 0], [1, 0], [9, 0]])}
  np.testing.assert_allclose(statistics.winner_shares(np.array([0, 0, 1]), logits), [[0.5, 1], [0.5, 0]])


def test_page_of_two_runs(tmp_path):
  logits = {'rgb': np.eye(3)[LABELS], 'depth': np.zeros([5, 3])}
  one = write_run(tmp_path / 'one', {'rgb': [0, 0, 1, 1, 2], 'sum': [1, 0, 1, 1, 2]}, logits=logits)
  other = write_run(tmp_path / 'other', {'rgb': [0, 0, 0, 0, 0], 'hall': [0] * 5})
  runs = [compare.read(one), compare.read(other)]
  assert runs[0].samples == sorted(NAMES) and runs[0].right('sum').tolist() == [True, True, False, True, True]
  page = compare.build(runs)
  accuracies, differences, classes, winners = page.tables
  assert [row[:3] for row in accuracies.rows] == [
      ('dmcl/one', 'rgb', '100.00'), ('dmcl/one', 'sum', '80.00'), ('dmcl/other', 'rgb', '40.00'),
      ('dmcl/other', 'hall', '40.00')]
  [(run, stream, difference, _, only, only_other, p)] = differences.rows
  assert (run, stream, difference, only, only_other, p) == ('dmcl/other', 'rgb', '-60.00', '0', '3', '0.25')
  assert classes.rows[1][:3] == ('box', '100.0', '0.0') and winners.rows[2] == ('chair', '100.0', '0.0')
  assert set(page.plots) == {'classes_rgb', 'classes_sum', 'classes_hall', 'confusion_rgb_2'}
  compare.write([str(one), str(other)], tmp_path)
  folder = tmp_path / 'reports/nyud/compare-dmcl_one-dmcl_other'
  assert 'nan' not in (folder / 'report.md').read_text()
  assert (tmp_path / 'reports/nyud/compare-dmcl_one-dmcl_other/report.html').read_text().count('<img ') == 4


@pytest.mark.parametrize('names', [['one'], ['one', 'one/../one']])
def test_a_run_is_not_compared_with_itself(tmp_path, names):
  write_run(tmp_path / 'one', {'rgb': LABELS})
  with pytest.raises(errors.UserError, match='at least two different runs'):
    compare.write([str(tmp_path / name) for name in names], tmp_path)


@pytest.mark.parametrize('changed', [{'protocol': 'other'}, {'names': ['c', 'a', 'b', 'e', 'f']}])
def test_runs_on_other_samples_are_not_compared(tmp_path, changed):
  runs = [compare.read(write_run(tmp_path / 'one', {'rgb': LABELS})),
          compare.read(write_run(tmp_path / 'other', {'rgb': LABELS}, **changed))]
  with pytest.raises(errors.UserError, match='cannot be compared'):
    compare.build(runs)


def write_seed(directory, seed, hits, protocol='given'):
  predicted = [label if hit else (label + 1) % 3 for label, hit in zip(LABELS, hits)]
  path = write_run(directory / f'{protocol}-{seed}', {'rgb': predicted}, protocol=protocol) / 'results.json'
  atomic.write(path, json.dumps({**json.loads(path.read_text()), 'seed': seed}))


def test_groups_of_runs_are_paired_by_protocol_and_seed(tmp_path, capsys):
  for protocol, seed in (('given', 0), ('given', 1), ('other', 0)):
    write_seed(tmp_path / 'one', seed, [1, 1, 0, 0, 0], protocol)
    write_seed(tmp_path / 'two', seed, [1, 1, 1, seed, 0], protocol)
  write_seed(tmp_path / 'two', 7, [0] * 5)
  (tmp_path / 'two/not-finished').mkdir()
  compare.write([f'{tmp_path}/one/*', f'{tmp_path}/two/*'], tmp_path)
  [row] = [line.split(' | ') for line in capsys.readouterr().out.splitlines() if '+26.7' in line]  # points
  assert [row[1].strip(), row[4].strip()] == ['rgb', '3']
  with pytest.raises(errors.UserError, match='no runs with the same protocol'):
    compare.write([f'{tmp_path}/one/other*', f'{tmp_path}/two/given*'], tmp_path)
  with pytest.raises(errors.UserError, match='two runs of nyud, given with seed 0'):
    compare.write([f'{tmp_path}/one/*', f'{tmp_path}/*/given-0'], tmp_path)
