"""Evaluation under noisy depth: every stage, and the switch to hallucinated depth where a run has one."""

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from tf_privinfo import atomic
from tf_privinfo import errors
from tf_privinfo import evaluation
from tf_privinfo import metrics
from tf_privinfo import plots
from tf_privinfo import runs
from tf_privinfo import summaries
from tf_privinfo import switching
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import noise

# By which the threshold of a switch is chosen: the levels of table 4.6, and others between them, since it is between
# two of these that the better branch changes.
CHOICE = ('0', '1e-3', '3e-3', '1e-2', '3e-2', '1e-1', '3e-1', '1', '3', '10', 'void')

# Stages that are branches of the switch.
_BRANCHES = {'joint': 'trusted', 'fused': 'hallucinated'}


def parse_levels(text: str) -> Dict[str, noise.DepthNoise]:
  """Noise levels separated by commas, by their own texts; raises `UserError` for unknown ones."""
  return {level: noise.DepthNoise.parse(level) for level in text.split(',')}


def sweep(run: runs.Run, source: catalog.Source, names: Sequence[str],
          levels: Mapping[str, noise.DepthNoise]) -> Dict[str, Any]:
  """Accuracy on the test samples under noisy depth (tables 3.3 and 4.6, figure 4.5).

  Writes `noise.json` and `noise.png`, for a run with a switch also `switch.png`
  and `switch_roc.png`. A stage that reads no depth is evaluated once: noise
  does not reach it.

  Args:
    run: a finished run.
    source: the dataset.
    names: the test samples.
    levels: text -> noise, in the order of the table.

  Returns:
    What `noise.json` holds: `stages`, stage -> {level: Σ accuracy}, and
    `switch`, see `_switch_sweep`.

  Raises:
    UserError: if no stage reads depth.
  """
  methods = {stage: run.restore_method(stage) for stage in run.recipe.stages}
  methods = {stage: method for stage, method in methods.items() if method.classifies}
  if not any('depth' in method.modalities for method in methods.values()):
    raise errors.UserError(f'--noise needs a run that reads depth; that of {run.directory} reads '
                           f'{", ".join(run.recipe.modalities)}.')
  accuracies, index = {}, source.index(names)
  result = {**evaluation.describe(run), 'split': 'test', 'samples': len(names), 'stages': accuracies}
  chosen = run.read('switch.json')
  if chosen:
    result['switch'] = _switch_sweep(run, source, index, levels, chosen['threshold'])
  for stage, method in methods.items():
    if chosen and stage in _BRANCHES:
      accuracies[stage] = {level: of_level[_BRANCHES[stage]] for level, of_level in result['switch']['levels'].items()}
      continue
    distinct = list(levels.values()) if 'depth' in method.modalities else [None]
    predictions = [evaluation.predict(run, stage, method, source, index, depth_noise=level) for level in distinct]
    values = [metrics.ensemble_accuracies(p.labels, p.logits)['sum'] for p in predictions]
    accuracies[stage] = dict(zip(levels, values if len(values) == len(levels) else values * len(levels)))
  lines = {f'{stage} ({" + ".join(methods[stage].modalities)})': list(values.values())
           for stage, values in accuracies.items()}
  atomic.write(run.directory / 'noise.png', plots.noise_sweep(list(levels), lines))
  run.write('noise.json', result)
  return result


def choose_switch(run: runs.Run, source: catalog.Source, names: Sequence[str]) -> Dict[str, Any]:
  """Chooses the fake probability above which depth is hallucinated, on validation samples under noise.

  Writes `switch.json`, and real and hallucinated features for TensorBoard's
  projector.

  Args:
    run: a finished run of ADMD.
    source: the dataset.
    names: the validation samples.

  Returns:
    What `switch.json` holds: `threshold`, and the sweep that it was chosen by.
  """
  levels = parse_levels(','.join(CHOICE))
  predictions = _predict_switch(run, source, source.index(names), levels)
  right = {branch: np.array([_right(p, p.logits[branch]) for p in predictions.values()])
           for branch in ('trusted', 'hallucinated')}
  scores = np.array([_scores(p) for p in predictions.values()])
  threshold = switching.choose_threshold(scores, right['trusted'], right['hallucinated'])
  result = {'threshold': threshold, 'split': 'validation', 'samples': len(names),
            'levels': {level: _level(p, threshold) for level, p in predictions.items()}}
  clean = predictions['0']
  summaries.write_projection(
      run.directory / 'tensorboard' / 'features',
      {kind: clean.logits[f'{kind}_features'] for kind in ('depth', 'hall')},
      [source.label_names[label] for label in clean.labels])
  run.write('switch.json', result)  # last: what is there is not written again
  return result


def _switch_sweep(run, source, index, levels, threshold):
  """Accuracy of both branches and of the switch at every level, and how well its score tells noisy from clean depth."""
  predictions = _predict_switch(run, source, index, {'0': noise.DepthNoise.parse('0'), **levels})
  scores = {level: _scores(p) for level, p in predictions.items()}
  result = {'threshold': threshold, 'levels': {level: _level(predictions[level], threshold) for level in levels},
            'roc': {level: switching.roc(scores['0'], scores[level]) for level in levels if level != '0'}}
  curves = {name: np.array([values[name] for values in result['levels'].values()])
            for name in ('trusted', 'hallucinated', 'switched')}
  shown = np.array([scores[level] for level in levels])
  atomic.write(run.directory / 'switch.png', plots.switch_sweep(
      list(levels), curves, switching.regret(*curves.values()), shown.mean(axis=1), threshold,
      np.quantile(shown, [0.25, 0.75], axis=1)))
  atomic.write(run.directory / 'switch_roc.png', plots.roc_curves(result['roc']))
  return result


def _predict_switch(run, source, index, levels):
  switch = run.restore_switch()
  return {level: evaluation.predict(run, f'the switch, noise {level}', switch, source, index, depth_noise=depth_noise)
          for level, depth_noise in levels.items()}


def _level(predictions, threshold):
  logits = predictions.logits
  branches = {branch: logits[branch] for branch in ('trusted', 'hallucinated')}
  scores = _scores(predictions)
  branches['switched'] = switching.switched(scores, threshold, *branches.values())
  return {**{name: float(np.mean(_right(predictions, z))) for name, z in branches.items()},
          'hallucinated_share': float(np.mean(scores > threshold)), 'fake_probability': float(np.mean(scores))}


def _scores(predictions):
  return predictions.logits['fake_probability'][:, 0]


def _right(predictions, logits):
  return np.argmax(logits, axis=-1) == predictions.labels


def table(result: Dict[str, Any]) -> str:
  """The sweep as text for a terminal, in the form of tables 3.3 and 4.6."""
  stages = result['stages']
  levels = list(next(iter(stages.values())))
  lines = ['| noise on depth | ' + ' | '.join(levels) + ' |', '|---|' + '---|' * len(levels)]
  lines += [f'| {stage} | ' + ' | '.join(f'{value:.2%}' for value in values.values()) + ' |'
            for stage, values in stages.items()]
  *others, last = stages
  for stage in others:
    better = [level for level in levels if stages[last][level] > stages[stage][level]]
    if better and better != levels:
      lines.append(f'\n{last} is better than {stage} at {", ".join(better)}.')
  return '\n'.join(lines + (switch_table(result['switch']) if 'switch' in result else []))


def switch_table(switch: Dict[str, Any]) -> List[str]:
  """The switch over the levels, as lines for a terminal."""
  levels = switch['levels']
  rows = {'trusted': 'depth trusted', 'hallucinated': 'depth hallucinated', 'switched': 'switched',
          'hallucinated_share': 'share of samples switched', 'fake_probability': 'mean fake probability'}
  lines = ['', f'The switch, at fake probabilities above {switch["threshold"]:.3g}:', '',
           '| noise on depth | ' + ' | '.join(levels) + ' |', '|---|' + '---|' * len(levels)]
  lines += [f'| {text} | ' + ' | '.join(f'{values[row]:.2%}' for values in levels.values()) + ' |'
            for row, text in rows.items()]
  lines += ['| area under the ROC | ' + ' | '.join(
      f'{switch["roc"][level]["auc"]:.3f}' if level in switch['roc'] else '-' for level in levels) + ' |'
            ] if 'roc' in switch else []
  regret, worst = max((switching.regret(values['trusted'], values['hallucinated'], values['switched']), level)
                      for level, values in levels.items())
  return lines + ['', f'It is at most {100 * regret:.1f} points below the better branch (noise {worst}).']
