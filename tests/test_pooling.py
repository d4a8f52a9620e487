"""Pooled statistics: intervals over runs and samples, against closed forms; the pages that show them."""

import numpy as np
import pytest

from tests.made_up_runs import recipe_of, write_run
from tf_privinfo.reports import pooling, results, statistics, thesis_report
from tf_privinfo.reports.tested import Tested
from tf_privinfo.utils import errors


def half_width(estimate):
  return (estimate.high - estimate.low) / 2


def test_one_run_varies_by_its_samples_alone():
  right = np.repeat([1.0, 0.0], [300, 100])
  estimate = statistics.hierarchical([right[None]])
  assert estimate.mean == 0.75 and estimate.runs == 1
  assert half_width(estimate) == pytest.approx(1.96 * np.sqrt(0.75 * 0.25 / 400), rel=0.06)


def test_runs_without_variation_of_samples_vary_by_runs_alone():
  """The standard error of the mean of S runs, with the unbiased variance: the bootstrap of S - 1 of them has it."""
  of_runs = np.linspace(0, 0.4, 9)
  estimate = statistics.hierarchical([np.repeat(of_runs[:, None], 50, axis=1)])
  assert estimate.mean == pytest.approx(0.2)
  assert half_width(estimate) == pytest.approx(1.96 * of_runs.std(ddof=1) / 3, rel=0.06)
  assert estimate.low > 0


def test_groups_are_weighted_by_their_runs():
  groups = [np.ones([3, 10]), np.zeros([1, 20])]
  assert statistics.hierarchical(groups) == pytest.approx((0.75, 0.75, 0.75, 4, 1, True))


def test_number_of_runs_that_are_needed():
  """Differences of the runs of 4 and -2 points: with R runs, the standard error is 3 √2 / √R points."""
  of_runs = np.repeat([[0.04], [-0.02]], 40, axis=1)
  estimate = statistics.hierarchical([of_runs])
  assert estimate.low < 0 < estimate.high
  assert estimate.needed == int(np.ceil((2.8 * 3 * np.sqrt(2))**2))
  samples = np.tile([1.0, -1.0, 1.0, -1.0, 1.0], 4)
  assert statistics.hierarchical([np.stack([samples, samples])]).needed is None
  assert pooling.cells(statistics.hierarchical([np.stack([samples, samples])]))[2:] == ('2', 'more samples')


@pytest.mark.parametrize('limits, expected', [((0.01, 0.03), 'yes'), ((-0.02, 0.01), 'no'), ((-0.01, 0.03), 'open')])
def test_answers(limits, expected):
  assert pooling.answer(statistics.Estimate(0.0, *limits, 5, None), 0.02) == expected
  assert pooling.answer(statistics.Estimate(0.0, *limits, 2, None), 0.02) == 'open'
  assert pooling.answer(statistics.Estimate(0.0, *limits, 5, None, repeated=False), 0.02) == 'open'


@pytest.mark.parametrize('limits, expected', [
    ((-0.01, 0.03), 'holds'), ((-0.05, -0.03), 'fails'), ((-0.03, 0.0), 'open')])
def test_answers_about_a_loss(limits, expected):
  assert pooling.holds(statistics.Estimate(0.0, *limits, 3, None), 0.02) == expected
  assert pooling.holds(statistics.Estimate(0.0, *limits, 2, None), 0.02) == 'open'


NAMES = ['c', 'a', 'b', 'd']


def predictions(*right, names=tuple(NAMES)):
  """Predictions of class 0 where they are right."""
  predicted = [0 if hit else 1 for hit in right]
  return {'names': list(names), 'labels': [0] * len(right), 'predicted': {'rgb': predicted, 'sum': [0] * len(right)}}


def test_seeds_and_views_are_pooled_pairwise(tmp_path):
  """Samples are compared by name; a seed that one method lacks does not count."""
  views = ('cross_view_1', 'cross_view_2')
  for view in views:
    for seed in (0, 1):
      write_run(tmp_path, recipe_of('independent', seed, protocol=view), predictions=predictions(1, 0, 0, 0))
      write_run(tmp_path, recipe_of('dmcl', seed, protocol=view), predictions=predictions(
          1, 1, 1, 0, names=('c', 'a', 'b', 'd') if seed else ('d', 'b', 'c', 'a')))
  write_run(tmp_path, recipe_of('dmcl', 2), predictions=predictions(0, 0, 0, 0))
  selection = results.RunSelection(
      tmp_path, 'synthetic', 'tiny', seeds=(0, 1, 2), methods=('independent', 'dmcl'), protocols=views)
  page = thesis_report.build('methods', selection, results.ResultFiles(tmp_path))
  final, differences = page.tables
  assert [row[2:4] for row in final.rows] == [
      ('synthetic, cross_view_1, tiny', '2 of 3'), ('synthetic, cross_view_2, tiny', '2 of 3'),
      ('synthetic, cross_view_1, tiny', '3 of 3'), ('synthetic, cross_view_2, tiny', '2 of 3')]
  rgb, fused = differences.rows
  assert rgb[:3] == ('dmcl - independent', 'rgb', '+50.0') and rgb[4] == '4'
  assert fused[1:4] == ('sum', '+0.0', '+0.0 to +0.0')
  assert page.plots['differences'].files['png'].startswith(b'\x89PNG')


def test_runs_on_different_samples_are_refused():
  one, other = (Tested.from_results({
      'dataset': 'synthetic', 'protocol': 'p', 'predictions': predictions(1, 0, names=names)})
                for names in (('a', 'b'), ('a', 'c')))
  with pytest.raises(errors.UserError, match='different samples'):
    pooling.difference([{0: one}], [{0: other}], 'rgb')
