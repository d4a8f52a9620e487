"""Evaluation under noise on one modality, of all stages and of the switch to `hall` if a run has one."""

from typing import Any, Dict, Mapping, Sequence

import numpy as np

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.noise import Noise
from tf_privinfo.evaluation import metrics, plots, prediction, switch_threshold
from tf_privinfo.runs import provenance, restore
from tf_privinfo.runs.run import NOISE, SWITCH
from tf_privinfo.utils import atomic, errors

# Stage -> name of the branch of the switch in results.
_BRANCHES = {recipes.SWITCH.trusted: 'trusted', recipes.SWITCH.hallucinated: 'hallucinated'}


def parse_levels(text: str) -> Dict[str, Noise]:
  """Parses noise levels separated by commas to {text: noise}; raises `UserError` for unknown ones."""
  return {level: Noise.parse(level) for level in text.split(',')}


def sweep(run: runs.Run, source: catalog.PreparedDataset, names: Sequence[str],
          levels: Mapping[str, Noise]) -> Dict[str, Any]:
  """Evaluates a run on the test samples under noise on its `noisy_modality` (tables 3.3 and 4.6, figure 4.5).

  Writes `noise.json` and `noise.png`, for a run with a switch also `switch.png`
  and `switch_roc.png`. Stages that do not read the modality are evaluated once,
  since noise does not affect them.

  Args:
    run: finished run.
    source: prepared dataset.
    names: ids of the test samples.
    levels: text -> noise, in the order of the table.

  Returns:
    The content of `noise.json`: `modality`, and `stages`, stage -> {level: Σ accuracy}; of a run with a switch also
    `switch` (see `_switch_accuracies`) and `predictions` (see `_switch_classes`).

  Raises:
    UserError: if no stage reads the modality.
  """
  noisy = run.recipe.noisy_modality
  methods = {stage: restore.restore_method(run, stage) for stage in run.recipe.stages}
  methods = {stage: method for stage, method in methods.items() if method.classifies}
  if not any(noisy in method.modalities for method in methods.values()):
    raise errors.UserError(f'--noise needs a run that reads {noisy}; {run.directory} reads '
                           f'{", ".join(run.recipe.modalities)}.')
  accuracies, index = {}, source.index(names)
  result = {**provenance.describe(run), 'split': 'test', 'samples': len(names), 'modality': noisy,
            'stages': accuracies}
  chosen = run.read(SWITCH)
  if chosen:
    of_switch = switch_threshold.predict(run, source, index, {'0': Noise.parse('0'), **levels})
    result['switch'] = _switch_accuracies(run, of_switch, list(levels), chosen['threshold'])
    result['predictions'] = _switch_classes(of_switch, list(levels), chosen['threshold'])
  for stage, method in methods.items():
    if chosen and stage in _BRANCHES:
      accuracies[stage] = {level: of_level[_BRANCHES[stage]] for level, of_level in result['switch']['levels'].items()}
      continue
    distinct = list(levels.values()) if noisy in method.modalities else [None]
    predictions = [prediction.predict(run, stage, method, source, index, noise=level) for level in distinct]
    values = [metrics.ensemble_accuracies(p.labels, p.logits)['sum'] for p in predictions]
    accuracies[stage] = dict(zip(levels, values if len(values) == len(levels) else values * len(levels)))
  lines = {f'{stage} ({" + ".join(methods[stage].modalities)})': list(values.values())
           for stage, values in accuracies.items()}
  atomic.write(run.directory / 'noise.png', plots.noise_sweep(list(levels), lines, noisy))
  run.write(NOISE, result)
  return result


def _switch_accuracies(run, predictions, levels, threshold):
  """Accuracies of both branches and of the switch at all levels, and ROC curves of the score as a detector of noise."""
  scores = {level: switch_threshold.scores_of(p) for level, p in predictions.items()}
  accuracies = {level: switch_threshold.accuracies(predictions[level], threshold) for level in levels}
  result = {'threshold': threshold, 'levels': accuracies,
            'roc': {level: switch_threshold.roc(scores['0'], scores[level]) for level in levels if level != '0'}}
  curves = {name: np.array([values[name] for values in result['levels'].values()])
            for name in ('trusted', 'hallucinated', 'switched')}
  shown = np.array([scores[level] for level in levels])
  atomic.write(run.directory / 'switch.png', plots.switch_sweep(
      levels, curves, metrics.regret(*curves.values()), shown.mean(axis=1), threshold,
      run.recipe.noisy_modality, np.quantile(shown, [0.25, 0.75], axis=1)))
  atomic.write(run.directory / 'switch_roc.png', plots.roc_curves(result['roc'], run.recipe.noisy_modality))
  return result


def _switch_classes(predictions, levels, threshold):
  """The predicted classes of all samples, in the form of `predictions` of `results.json`.

  Streams are `trusted/<level>`, `switched/<level>`, and `hallucinated`, which does not depend on the noise.
  """
  first = predictions[levels[0]]
  logits = {'hallucinated': first.logits['hallucinated']}
  for level in levels:
    of_level = switch_threshold.logits_of(predictions[level], threshold)
    logits.update({f'{name}/{level}': of_level[name] for name in ('trusted', 'switched')})
  return first.as_classes(logits)
