"""Final evaluation: several clips per video, every stage, every stream, every subset of the streams; noisy depth."""

import datetime
import platform
from importlib import metadata
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

import tf_privinfo
from tf_privinfo import errors
from tf_privinfo import metrics
from tf_privinfo import plots
from tf_privinfo import runs
from tf_privinfo import summaries
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.datasets import noise
from tf_privinfo.methods import fusion
from tf_privinfo.methods import prediction

_VERSIONS = ('tensorflow', 'keras', 'tf-models-official', 'tensorflow-datasets', 'numpy')


def evaluate(run: runs.Run, source: catalog.Source, names: Sequence[str]) -> Dict[str, Any]:
  """Evaluates a finished run on the test videos and writes the results to its directory.

  Writes `results.json`, `confusion_<stream>.png` and the confusion matrices'
  TensorBoard images. The figures are those of the last stage; of every stage
  the accuracies are in `stages`.

  Args:
    run: the run.
    source: the dataset.
    names: the test samples.

  Returns:
    What `results.json` holds.
  """
  stages, index = {}, source.index(names)
  for stage in run.recipe.stages:
    method = run.restore_method(stage)
    predictions = _predict(run, stage, method, source, index)
    stages[stage] = {'reads': list(method.modalities),
                     'accuracy': metrics.ensemble_accuracies(predictions.labels, predictions.logits)}
    if method.privileged:
      helped = _predict(run, stage, method, source, index, modalities=method.modalities + method.privileged)
      stages[stage]['accuracy_with_true_' + '_'.join(method.privileged)] = metrics.ensemble_accuracies(
          helped.labels, helped.logits)
  results = {
      **describe(run),
      'split': 'test',
      'samples': len(predictions.names),
      'clips_per_video': run.recipe.clips.test_clips,
      'stages': stages,
      **summarise(predictions, source.label_names),
  }
  matrices = {name: np.array(matrix) for name, matrix in results['confusion'].items()}
  for name, matrix in matrices.items():
    picture = plots.confusion_matrix(matrix, source.label_names, f'{name}: {results["accuracy"][name]:.1%}')
    runs.write_atomically(run.directory / f'confusion_{name}.png', picture)
  summaries.write_confusion_matrices(
      run.directory / 'tensorboard' / 'test', matrices, source.label_names, step=0)
  run.write('results.json', results)
  return results


def _predict(run: runs.Run, stage: str, method, source: catalog.Source, index: Tuple[Sequence[str], np.ndarray],
             modalities: Sequence[str] = (), depth_noise: Optional[noise.DepthNoise] = None) -> prediction.Predictions:
  config, (ids, labels) = run.recipe.clips, index
  fixed = clips.fixed_clips(source.videos(ids, modalities or method.modalities), config, depth_noise=depth_noise)
  return prediction.predict_videos(method, fixed, ids, labels, config.test_clips, progress=f'Evaluating {stage}')


def sweep_noise(run: runs.Run, source: catalog.Source, names: Sequence[str],
                levels: Mapping[str, noise.DepthNoise]) -> Dict[str, Any]:
  """Accuracy of every stage on the test videos under noisy depth (table 3.3).

  Writes `noise.json` and `noise.png`. A stage that reads no depth is evaluated
  once: noise does not reach it.

  Args:
    run: a finished run.
    source: the dataset.
    names: the test samples.
    levels: label -> noise, in the order of the table.

  Returns:
    What `noise.json` holds: `stages`, stage -> {level: Σ accuracy}.

  Raises:
    UserError: if no stage reads depth.
  """
  methods = {stage: run.restore_method(stage) for stage in run.recipe.stages}
  if not any('depth' in method.modalities for method in methods.values()):
    raise errors.UserError(f'--noise needs a run that reads depth; that of {run.directory} reads '
                           f'{", ".join(run.recipe.modalities)}.')
  accuracies, index = {}, source.index(names)
  for stage, method in methods.items():
    distinct = list(levels.values()) if 'depth' in method.modalities else [None]
    predictions = [_predict(run, stage, method, source, index, depth_noise=level) for level in distinct]
    values = [metrics.ensemble_accuracies(p.labels, p.logits)['sum'] for p in predictions]
    accuracies[stage] = dict(zip(levels, values if len(values) == len(levels) else values * len(levels)))
  lines = {f'{stage} ({" + ".join(methods[stage].modalities)})': list(values.values())
           for stage, values in accuracies.items()}
  result = {**describe(run), 'split': 'test', 'samples': len(names),
            'noise': 'depth pixels times N(1, σ²), by σ²; void: no depth', 'stages': accuracies}
  runs.write_atomically(run.directory / 'noise.png', plots.noise_sweep(list(levels), lines))
  run.write('noise.json', result)
  return result


def describe(run: runs.Run) -> Dict[str, Any]:
  """What a result must say of its origin: recipe, software, hardware, date."""
  recipe = run.recipe
  return {
      **{field: getattr(recipe, field) for field in ('method', 'dataset', 'protocol', 'preset', 'variant', 'seed')},
      'versions': {'tf_privinfo': tf_privinfo.__version__, 'python': platform.python_version(),
                   **{package: metadata.version(package) for package in _VERSIONS}},
      'devices': [device.device_type for device in tf.config.list_logical_devices()],
      'date': datetime.date.today().isoformat(),
  }


def summarise(predictions: prediction.Predictions, label_names: Sequence[str]) -> Dict[str, Any]:
  """Accuracies of predictions: streams, Σ, Φ, subsets, classes; plain numbers, ready for JSON."""
  labels, logits = predictions.labels, predictions.logits
  fused = {**logits, 'sum': fusion.fuse(logits)}
  confusion = {name: metrics.confusion_matrix(labels, z) for name, z in fused.items()}
  per_class = {name: metrics.per_class_accuracy(matrix) for name, matrix in confusion.items()}
  return {
      'accuracy': metrics.ensemble_accuracies(labels, logits),
      'subset_accuracy': {
          '+'.join(subset): metrics.accuracy(labels, fusion.fuse({name: logits[name] for name in subset}))
          for subset in fusion.subsets(logits)},
      'class_accuracy': {
          name: {label: None if np.isnan(value) else float(value) for label, value in zip(label_names, values)}
          for name, values in per_class.items()},
      'confusion': {name: matrix.tolist() for name, matrix in confusion.items()},
      'predictions': {
          'names': predictions.names, 'labels': labels.tolist(),
          'predicted': {name: np.argmax(z, axis=-1).tolist() for name, z in fused.items()}},
  }


def table(results: Dict[str, Any]) -> str:
  """The results as text for a terminal."""
  accuracy, subsets = results['accuracy'], results['subset_accuracy']
  clips_each = f'{results["clips_per_video"]} clip{"s" if results["clips_per_video"] > 1 else ""} each'
  lines = [
      f'{results["method"]} on {results["dataset"]}, {results["protocol"]}, preset {results["preset"]}, '
      f'seed {results["seed"]}: {results["samples"]} test videos, {clips_each}', '']
  if len(results['stages']) > 1:
    lines += [*_stages_table(results['stages']), '', f'After the last stage, {list(results["stages"])[-1]}:', '']
  lines += ['| streams that predict | accuracy |', '|---|---|']
  lines += [f'| {name.replace("+", " + ")} | {value:.2%} |' for name, value in subsets.items()]
  lines += [f'| Σ (sum of all predictions) | {accuracy["sum"]:.2%} |',
            f'| Φ (oracle: any stream right) | {accuracy["oracle"]:.2%} |', '']
  streams = list(results['class_accuracy'])
  lines += ['| class | ' + ' | '.join(streams) + ' |', '|---|' + '---|' * len(streams)]
  for label in results['class_accuracy'][streams[0]]:
    values = [results['class_accuracy'][stream][label] for stream in streams]
    lines.append(f'| {label} | ' + ' | '.join('-' if value is None else f'{value:.0%}' for value in values) + ' |')
  return '\n'.join(lines)


def _stages_table(stages):
  yield '| stage | reads at test time | streams | Σ |'
  yield '|---|---|---|---|'
  for stage, result in stages.items():
    for key, accuracy in result.items():
      if key != 'reads':
        injected = [] if key == 'accuracy' else [key.removeprefix('accuracy_with_').replace('_', ' ')]
        streams = ', '.join(f'{name} {value:.2%}' for name, value in accuracy.items() if name not in ('sum', 'oracle'))
        yield f'| {stage} | {" + ".join([*result["reads"], *injected])} | {streams} | {accuracy["sum"]:.2%} |'


def noise_table(result: Dict[str, Any]) -> str:
  """The noise sweep as text for a terminal, in the form of table 3.3."""
  stages = result['stages']
  levels = list(next(iter(stages.values())))
  lines = ['| σ² of the noise on depth | ' + ' | '.join(levels) + ' |', '|---|' + '---|' * len(levels)]
  lines += [f'| {stage} | ' + ' | '.join(f'{value:.2%}' for value in values.values()) + ' |'
            for stage, values in stages.items()]
  *others, last = stages
  for stage in others:
    better = [level for level in levels if stages[last][level] > stages[stage][level]]
    if better and better != levels:
      lines.append(f'\n{last} is better than {stage} at {", ".join(better)}.')
  return '\n'.join(lines)
