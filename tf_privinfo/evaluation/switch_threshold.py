"""The threshold of the switch from the privileged modality, depth in the thesis, to `hall` (section 4.3.5).

The score of a sample is the discriminator's probability of the class 'fake' for its privileged features, in [0, 1]; it
is 1 if the sample has none. If the score is above the threshold, the sample is switched: it is classified by the main
stream and hall ('hallucinated') instead of the main and the privileged stream ('trusted'). L is the number of noise
levels, N of samples, C of classes.
"""

from typing import Any, Dict, Mapping, Sequence

import numpy as np

from tf_privinfo import runs
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.datasets.noise import Noise
from tf_privinfo.evaluation import prediction, summaries
from tf_privinfo.runs import restore
from tf_privinfo.runs.run import SWITCH, TENSORBOARD

# Levels of noise by which the threshold is chosen: the levels of table 4.6, and levels in between, since the better
# branch changes between two levels of the table.
LEVELS = (*sorted((*NOISE_LEVELS[:-1], '3e-3', '3e-2', '3e-1', '3'), key=float), NOISE_LEVELS[-1])
# Scale of the difference between the scores of a new sample and of a validation sample, in log-odds.
_BLUR = 0.4
# Minimum share of trusted samples among the samples without noise.
_CLEAN_SHARE = 0.9
_LARGEST_BELOW_1 = np.nextafter(np.float32(1), np.float32(0))


def choose(run: runs.Run, source: catalog.PreparedDataset, names: Sequence[str]) -> Dict[str, Any]:
  """Chooses the fake probability above which `hall` replaces the privileged modality, on noisy validation samples.

  Writes `switch.json`, and real and hallucinated features for TensorBoard's
  projector.

  Args:
    run: finished run of ADMD.
    source: prepared dataset.
    names: ids of the validation samples.

  Returns:
    The content of `switch.json`: `threshold`, and the sweep by which it was chosen.
  """
  levels = {level: Noise.parse(level) for level in LEVELS}
  predictions = predict(run, source, source.index(names), levels)
  hits = {branch: np.array([right(p, p.logits[branch]) for p in predictions.values()])
           for branch in ('trusted', 'hallucinated')}
  scores = np.array([scores_of(p) for p in predictions.values()])
  threshold = choose_threshold(scores, hits['trusted'], hits['hallucinated'])
  result = {'threshold': threshold, 'split': 'validation', 'samples': len(names),
            'levels': {level: accuracies(p, threshold) for level, p in predictions.items()}}
  clean = predictions['0']
  summaries.write_projection(
      run.directory / TENSORBOARD / 'features',
      {run.recipe.roles.privileged: clean.logits['privileged_features'], 'hall': clean.logits['hall_features']},
      [source.label_names[label] for label in clean.labels])
  run.write(SWITCH, result)  # last: a complete file is not written again
  return result


def predict(run: runs.Run, source: catalog.PreparedDataset, index, levels: Mapping[str, Noise]
            ) -> Dict[str, prediction.Predictions]:
  """Level -> predictions of the switch of a run under noise; `index` is from `PreparedDataset.index`."""
  switch = restore.restore_switch(run)
  return {level: prediction.predict(run, f'the switch, noise {level}', switch, source, index, noise=noise)
          for level, noise in levels.items()}


def accuracies(predictions: prediction.Predictions, threshold: float) -> Dict[str, float]:
  """The accuracies of both branches and of the switch, the share of switched samples, and the mean score."""
  scores = scores_of(predictions)
  return {**{name: float(np.mean(right(predictions, z))) for name, z in logits_of(predictions, threshold).items()},
          'hallucinated_share': float(np.mean(scores > threshold)), 'fake_probability': float(np.mean(scores))}


def logits_of(predictions: prediction.Predictions, threshold: float) -> Dict[str, np.ndarray]:
  """The logits [N, C] of both branches, `trusted` and `hallucinated`, and of the switch, `switched`."""
  branches = {branch: predictions.logits[branch] for branch in ('trusted', 'hallucinated')}
  return {**branches, 'switched': switched(scores_of(predictions), threshold, *branches.values())}


def scores_of(predictions: prediction.Predictions) -> np.ndarray:
  """The scores [N] of the samples."""
  return predictions.logits['fake_probability'][:, 0]


def right(predictions: prediction.Predictions, logits: np.ndarray) -> np.ndarray:
  """Whether logits [N, C] classify each sample correctly, [N] bool."""
  return np.argmax(logits, axis=-1) == predictions.labels


def choose_threshold(scores: np.ndarray, trusted: np.ndarray, hallucinated: np.ndarray) -> float:
  """The threshold that classifies most samples of a sweep of noise correctly (section 4.3.5).

  On a small validation set, the best threshold depends on chance. Therefore each
  score is smoothed by a logistic distribution in log-odds. At least nine of ten
  samples without noise are trusted, unless hallucination is significantly better
  on them: by two standard deviations of McNemar's test.

  Args:
    scores: scores of the same samples on all levels, [L, N]; the first level has no noise.
    trusted: hits of the main and the privileged stream, [L, N] bool.
    hallucinated: hits of the main stream and hall, [N] or [L, N] bool.

  Returns:
    The threshold, in [0, 1); exact in float32, the precision of the scores.
  """
  scores = np.clip(np.asarray(scores, np.float64), 1e-7, _LARGEST_BELOW_1)
  log_odds = np.log(scores) - np.log1p(-scores)
  gains = trusted.astype(int) - hallucinated  # gain of trusting each sample
  lowest = log_odds.min() - 10 * _BLUR
  if gains[0].sum() >= -2 * np.sqrt(np.abs(gains[0]).sum()):
    lowest = np.quantile(log_odds[0], _CLEAN_SHARE)
  thresholds = np.linspace(lowest, log_odds.max() + 10 * _BLUR, 1001)
  trusts = (1 + np.tanh((thresholds[:, np.newaxis] - log_odds.ravel()) / (2 * _BLUR))) / 2
  best = thresholds[np.argmax(trusts @ gains.ravel())]
  return float(min(np.float32(1 / (1 + np.exp(-best))), _LARGEST_BELOW_1))


def switched(scores: np.ndarray, threshold: float, trusted_logits: np.ndarray,
             hallucinated_logits: np.ndarray) -> np.ndarray:
  """The logits [N, C] of the switched model: hallucinated if a score [N] is above the threshold, otherwise trusted."""
  return np.where((scores > threshold)[:, np.newaxis], hallucinated_logits, trusted_logits)


def roc(clean_scores: np.ndarray, noisy_scores: np.ndarray) -> Dict[str, Any]:
  """The ROC curve of the discriminator as a detector of noise, from clean and noisy scores [N] (section 4.3.5).

  Returns:
    `false_positive_rate` (clean samples classified as noisy),
    `true_positive_rate` and `thresholds` as lists, and `auc`, as plain values.
    Samples are classified as noisy if their score is not below the threshold;
    the first threshold, above all scores, is None.
  """
  from sklearn import metrics  # slow import

  noisy = np.repeat([False, True], [len(clean_scores), len(noisy_scores)])
  scores = np.concatenate([clean_scores, noisy_scores])
  false_positives, true_positives, thresholds = metrics.roc_curve(noisy, scores)
  return {
      'false_positive_rate': false_positives.tolist(),
      'true_positive_rate': true_positives.tolist(),
      'thresholds': [None, *thresholds[1:].tolist()],
      'auc': float(metrics.auc(false_positives, true_positives)),
  }
