"""The switch by its definition: known answers, brute force over all thresholds, and small validation sets."""

import json

import numpy as np
import pytest

from tf_privinfo import switching


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
  return [sum(hallucinated[n] if scores[l][n] > threshold else trusted[l][n] for n in range(len(hallucinated)))
          for l in range(len(scores))]


def test_separable_scores_are_separated_in_the_middle():
  # Trusted depth is right on the clean level alone; the 3 samples of margin count whole levels out.
  scores = np.repeat([[0.1], [0.2], [0.8], [0.9]], 50, axis=1)
  trusted = np.repeat([[True], [True], [False], [False]], 50, axis=1)
  hallucinated = np.arange(50) < 30
  assert switching.choose_threshold(scores, trusted, hallucinated) == pytest.approx(0.5)


@pytest.mark.parametrize('trusted_share, hallucinated_share, switches', [(0.9, 0.1, False), (0.1, 0.9, True)])
def test_a_branch_that_is_always_better_is_always_taken(trusted_share, hallucinated_share, switches):
  rng = np.random.default_rng(0)
  scores = rng.uniform(0.3, 0.7, (5, 100))
  trusted = np.tile(np.arange(100) < 100 * trusted_share, (5, 1))
  threshold = switching.choose_threshold(scores, trusted, np.arange(100) >= 100 - 100 * hallucinated_share)
  assert np.mean((scores > threshold) == switches) > 0.95


def test_hits_of_all_thresholds_by_hand():
  scores = np.float32([[0.1, 0.5, 0.3], [0.5, 0.5, 1.0]])
  trusted, hallucinated = _flags('110 100'), np.array([False, True, True])
  np.testing.assert_array_equal(switching._candidates(scores), np.float32([0.05, 0.2, 0.4, 0.75]))
  hits = [switching._switched_hits(s, t, hallucinated, switching._candidates(scores)) for s, t in zip(scores, trusted)]
  np.testing.assert_array_equal(hits, [[2, 3, 2, 2], [2, 2, 2, 2]])


def test_a_score_that_is_the_threshold_is_trusted():
  """As it happens between neighbours in float32."""
  score = np.nextafter(np.float32(1), np.float32(0))
  np.testing.assert_array_equal(switching._candidates(np.array([score])), [score / 2, score])
  for hallucinated in (False, True):
    hits = switching._switched_hits(np.array([score]), np.array([not hallucinated]), np.array([hallucinated]),
                                    np.array([score]))
    assert hits == [not hallucinated]


@pytest.mark.parametrize('seed', range(12))
def test_no_threshold_is_better_by_more_than_the_margins(seed):
  rng = np.random.default_rng(seed)
  levels, samples = rng.integers(2, 6), int(rng.integers(4, 25))
  scores, trusted, hallucinated = _sweep(rng, levels, samples)
  if seed % 2:
    scores = scores.round(1)  # equal scores, also 0 and 1
  chosen = switching.choose_threshold(scores, trusted, hallucinated)
  better = [max(sum(level), sum(hallucinated)) for level in trusted]

  def judge(threshold):
    hits = _by_hand(scores, threshold, trusted, hallucinated)
    return max(b - h for b, h in zip(better, hits)), sum(hits)

  values = sorted({0.0, 1.0, *scores.ravel().tolist()})
  judged = [judge((low + high) / 2) for low, high in zip(values, values[1:])]
  near_regret = [(r, hits) for r, hits in judged if r <= min(judged)[0] + 2]
  good = [r <= min(judged)[0] + 2 and hits >= max(h for _, h in near_regret) - levels for r, hits in judged]
  place = sum(value < chosen for value in values) - 1
  assert good[place]
  runs = ''.join('x' if g else ' ' for g in good).split(' ')
  before = len(''.join('x' if g else ' ' for g in good[:place]).split(' ')[-1])
  after = len(''.join('x' if g else ' ' for g in good[place + 1:]).split(' ')[0])
  assert before + 1 + after == max(map(len, runs))  # the longest run
  assert 0 <= before - after <= 1  # its middle


def test_hallucination_may_differ_between_levels_and_order_does_not_matter():
  scores, trusted, hallucinated = _sweep(np.random.default_rng(0), 5, 30)
  expected = switching.choose_threshold(scores, trusted, hallucinated)
  assert switching.choose_threshold(scores, trusted, np.tile(hallucinated, (5, 1))) == expected
  shuffled = np.random.default_rng(1).permutation(30)
  assert switching.choose_threshold(scores[::-1, shuffled], trusted[::-1, shuffled], hallucinated[shuffled]) == expected
  assert switching.choose_threshold(scores, trusted, np.stack([trusted[4], *trusted[:4]])) != expected


def test_loses_less_on_new_samples_than_the_best_threshold_of_a_small_validation_set():
  rng, losses = np.random.default_rng(0), {'best': [], 'chosen': []}
  for _ in range(200):
    scores, trusted, hallucinated = _sweep(rng, 7, 40)
    candidates = switching._candidates(scores)
    better = np.maximum(trusted.sum(axis=1), hallucinated.sum())
    hits = [switching._switched_hits(s, t, hallucinated, candidates) for s, t in zip(scores, trusted)]
    best = candidates[np.argmin(np.max(better[:, np.newaxis] - hits, axis=0))]
    chosen = switching.choose_threshold(scores, trusted, hallucinated)
    scores, trusted, hallucinated = _sweep(rng, 7, 500)
    for name, threshold in (('best', best), ('chosen', chosen)):
      hits = np.where(scores > threshold, hallucinated, trusted)
      losses[name].append(switching.regret(trusted.mean(axis=1), hallucinated.mean(), hits.mean(axis=1)).max())
  assert np.mean(losses['chosen']) < np.mean(losses['best']) - 0.002


@pytest.mark.parametrize('present', [0.0, 0.3, np.nextafter(np.float32(1), np.float32(0)), 1.0])
def test_a_missing_sample_is_always_switched(present):
  """Even where trusted depth is always right, and in the float32 of a served model."""
  scores = np.full((3, 20), present, np.float32)
  scores[:, 0] = 1
  threshold = switching.choose_threshold(scores, np.ones((3, 20), bool), np.zeros(20, bool))
  assert 0 <= threshold < 1 and threshold == np.float32(threshold)
  logits = switching.switched(scores[0], threshold, np.zeros([20, 2], np.float32), np.ones([20, 2], np.float32))
  np.testing.assert_array_equal(logits[0], 1)
  np.testing.assert_array_equal(logits[1:], float(present == 1))


def test_switched_takes_the_logits_of_hallucination_above_the_threshold():
  trusted, hallucinated = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([[-1, -2], [-3, -4], [-5, -6]])
  logits = switching.switched(np.float32([0.2, 0.5, 0.7]), 0.5, trusted, hallucinated)
  np.testing.assert_array_equal(logits, [[1, 2], [3, 4], [-5, -6]])
  assert logits.dtype == np.float32


def test_regret_is_against_the_better_branch_of_each_level():
  regret = switching.regret(np.array([0.9, 0.5, 0.1]), np.array([0.7, 0.7, 0.7]), np.array([0.85, 0.75, 0.7]))
  np.testing.assert_allclose(regret, [0.05, -0.05, 0], atol=1e-12)


def test_roc_by_hand():
  roc = switching.roc(np.float32([0.25, 0.5]), np.float32([0.375, 0.75]))
  assert roc == {'false_positive_rate': [0, 0, 0.5, 0.5, 1], 'true_positive_rate': [0, 0.5, 0.5, 1, 1],
                 'thresholds': [None, 0.75, 0.5, 0.375, 0.25], 'auc': 0.75}
  assert json.loads(json.dumps(roc, allow_nan=False)) == roc


def test_area_is_the_probability_that_noise_scores_higher():
  rng = np.random.default_rng(0)
  clean, noisy = rng.normal(0.4, 0.1, 70).round(2), rng.normal(0.5, 0.1, 50).round(2)
  difference = noisy[:, np.newaxis] - clean
  assert switching.roc(clean, noisy)['auc'] == pytest.approx(np.mean((difference > 0) + 0.5 * (difference == 0)))
  assert switching.roc(clean, clean)['auc'] == 0.5
  assert switching.roc(clean, clean + 2)['auc'] == 1
