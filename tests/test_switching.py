"""The switch: known answers, all other thresholds, and small validation sets."""

import json

import numpy as np
import pytest

from tf_privinfo.evaluation import metrics, switch_threshold


def _flags(text):
  return np.array([[character == '1' for character in level] for level in text.split()])


def _sweep(rng, levels, samples):
  """A plausible sweep: the more noise, the higher the scores and the fewer samples are right with trusted depth."""
  noise = np.linspace(0, 1, levels)[:, np.newaxis]
  scores = 1 / (1 + np.exp(4 - 8 * noise - 1.5 * rng.standard_normal((levels, samples))))
  trusted = rng.random((levels, samples)) < 0.9 - 0.7 * noise**2
  return scores.astype(np.float32), trusted, rng.random(samples) < 0.75


def _by_hand(scores, threshold, trusted, hallucinated):
  """Hits of the switched model on every level, sample by sample."""
  return [sum(hallucinated[n] if row[n] > threshold else hits[n] for n in range(len(hallucinated)))
          for row, hits in zip(scores, trusted)]


def test_separable_scores_are_separated_in_the_middle():
  scores = np.repeat([[0.1], [0.2], [0.8], [0.9]], 50, axis=1)
  trusted = np.repeat([[True], [True], [False], [False]], 50, axis=1)
  hallucinated = np.arange(50) < 30
  assert switch_threshold.choose_threshold(scores, trusted, hallucinated) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize('trusted_share, hallucinated_share, switches', [(0.9, 0.1, False), (0.1, 0.9, True)])
def test_a_branch_that_is_always_better_is_always_taken(trusted_share, hallucinated_share, switches):
  rng = np.random.default_rng(0)
  scores = rng.uniform(0.3, 0.7, (5, 100))
  trusted = np.tile(np.arange(100) < 100 * trusted_share, (5, 1))
  threshold = switch_threshold.choose_threshold(scores, trusted, np.arange(100) >= 100 - 100 * hallucinated_share)
  assert np.mean((scores > threshold) == switches) > 0.95


@pytest.mark.parametrize('seed', range(6))
def test_few_samples_more_are_right_with_the_best_threshold_of_all(seed):
  """Against every threshold, sample by sample."""
  scores, trusted, hallucinated = _sweep(np.random.default_rng(seed), 6, 40)
  threshold = switch_threshold.choose_threshold(scores, trusted, hallucinated)
  chosen = sum(_by_hand(scores, threshold, trusted, hallucinated))
  best = max(sum(_by_hand(scores, threshold, trusted, hallucinated)) for threshold in [-1.0, *scores.ravel()])
  assert best - 4 <= chosen <= best  # of 240


def test_hallucination_may_differ_between_levels_and_order_does_not_matter():
  scores, trusted, hallucinated = _sweep(np.random.default_rng(0), 5, 30)
  expected = switch_threshold.choose_threshold(scores, trusted, hallucinated)
  assert switch_threshold.choose_threshold(scores, trusted, np.tile(hallucinated, (5, 1))) == expected
  levels, samples = [0, 4, 3, 2, 1], np.random.default_rng(1).permutation(30)
  shuffled = (array[levels][:, samples] for array in (scores, trusted))
  assert switch_threshold.choose_threshold(*shuffled, hallucinated[samples]) == expected
  assert switch_threshold.choose_threshold(scores, trusted, np.stack([trusted[4], *[~hallucinated] * 4])) != expected


def test_two_samples_do_not_decide():
  """Of these samples alone, the most are right with a threshold above the two that are out of order."""
  noisy = np.concatenate([np.linspace(0.1, 0.4, 30), [0.6], [0.75, 0.75], np.linspace(0.8, 0.9, 30)])
  hallucinated = (noisy > 0.5) & (noisy != 0.75)
  scores, trusted = np.stack([np.full(63, 0.1), noisy]), np.stack([hallucinated, ~hallucinated])
  hits = {threshold: sum(_by_hand(scores, threshold, trusted, hallucinated)) for threshold in (0.5, 0.7, 0.78)}
  assert max(hits, key=hits.get) == 0.78
  assert 0.4 < switch_threshold.choose_threshold(scores, trusted, hallucinated) < 0.7


@pytest.mark.parametrize('more_are_right, clean_is_trusted', [(-3, True), (0, True), (3, True), (16, False)])
def test_samples_without_noise_are_trusted_unless_hallucination_is_clearly_better(more_are_right, clean_is_trusted):
  """Under noise trusted depth is never right; of 40 clean samples both branches are right on 12 or more."""
  rng = np.random.default_rng(0)
  scores = np.stack([rng.uniform(0.4, 0.5, 40), rng.uniform(0.45, 0.9, 40)])
  hallucinated = np.arange(40) < 24 + more_are_right
  trusted = np.stack([(np.arange(40) < 20) | (np.arange(40) >= 36), np.zeros(40, bool)])
  switched = scores[0] > switch_threshold.choose_threshold(scores, trusted, hallucinated)
  assert np.mean(switched) == (pytest.approx(0.1, abs=0.03) if clean_is_trusted else 1)


@pytest.mark.parametrize('present', [0.0, 0.3, np.nextafter(np.float32(1), np.float32(0)), 1.0])
def test_a_missing_sample_is_always_switched(present):
  """Even where trusted depth is always right, and in the float32 of a served model."""
  scores = np.full((3, 20), present, np.float32)
  scores[:, 0] = 1
  threshold = switch_threshold.choose_threshold(scores, np.ones((3, 20), bool), np.zeros(20, bool))
  assert 0 <= threshold < 1 and threshold == np.float32(threshold)
  logits = switch_threshold.switched(scores[0], threshold, np.zeros([20, 2], np.float32), np.ones([20, 2], np.float32))
  np.testing.assert_array_equal(logits[0], 1)
  np.testing.assert_array_equal(logits[1:], float(present == 1))


def test_switched_takes_the_logits_of_hallucination_above_the_threshold():
  trusted, hallucinated = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([[-1, -2], [-3, -4], [-5, -6]])
  logits = switch_threshold.switched(np.float32([0.2, 0.5, 0.7]), 0.5, trusted, hallucinated)
  np.testing.assert_array_equal(logits, [[1, 2], [3, 4], [-5, -6]])
  assert logits.dtype == np.float32


def test_regret_is_against_the_better_branch_of_each_level():
  regret = metrics.regret(np.array([0.9, 0.5, 0.1]), np.array([0.7, 0.7, 0.7]), np.array([0.85, 0.75, 0.7]))
  np.testing.assert_allclose(regret, [0.05, -0.05, 0], atol=1e-12)


def test_roc_by_hand():
  roc = switch_threshold.roc(np.float32([0.25, 0.5]), np.float32([0.375, 0.75]))
  assert roc == {'false_positive_rate': [0, 0, 0.5, 0.5, 1], 'true_positive_rate': [0, 0.5, 0.5, 1, 1],
                 'thresholds': [None, 0.75, 0.5, 0.375, 0.25], 'auc': 0.75}
  assert json.loads(json.dumps(roc, allow_nan=False)) == roc


def test_area_is_the_probability_that_noise_scores_higher():
  rng = np.random.default_rng(0)
  clean, noisy = rng.normal(0.4, 0.1, 70).round(2), rng.normal(0.5, 0.1, 50).round(2)
  difference = noisy[:, np.newaxis] - clean
  assert switch_threshold.roc(clean, noisy)['auc'] == pytest.approx(np.mean((difference > 0) + 0.5 * (difference == 0)))
  assert switch_threshold.roc(clean, clean)['auc'] == 0.5
  assert switch_threshold.roc(clean, clean + 2)['auc'] == 1
