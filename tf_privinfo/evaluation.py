"""Final evaluation: ten clips per video, every stream, every subset of the modalities."""

import datetime
import platform
from importlib import metadata
from typing import Any, Dict, Sequence

import numpy as np
import tensorflow as tf

import tf_privinfo
from tf_privinfo import metrics
from tf_privinfo import plots
from tf_privinfo import runs
from tf_privinfo import summaries
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.methods import fusion
from tf_privinfo.methods import prediction

_VERSIONS = ('tensorflow', 'keras', 'tf-models-official', 'tensorflow-datasets', 'numpy')


def evaluate(run: runs.Run, method: tf.keras.Model, source: catalog.Source, names: Sequence[str]) -> Dict[str, Any]:
  """Evaluates a trained method on the test videos and writes the results to the run directory.

  Writes `results.json`, `confusion_<stream>.png` and the confusion matrices'
  TensorBoard images.

  Args:
    run: the run.
    method: with the weights to evaluate.
    source: the dataset.
    names: the test samples.

  Returns:
    What `results.json` holds.
  """
  recipe = run.recipe
  fixed = clips.fixed_clips(source.videos(names, recipe.modalities), recipe.clips)
  ids, labels = source.index(names)
  predictions = prediction.predict_videos(method, fixed, ids, labels, clips.TEST_CLIPS, progress=True)
  results = {
      **describe(run),
      'split': 'test',
      'samples': len(ids),
      'clips_per_video': clips.TEST_CLIPS,
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
  lines = [
      f'{results["method"]} on {results["dataset"]}, {results["protocol"]}, preset {results["preset"]}, '
      f'seed {results["seed"]}: {results["samples"]} test videos, {results["clips_per_video"]} clips each', '',
      '| modalities at test time | accuracy |', '|---|---|']
  lines += [f'| {name.replace("+", " + ")} | {value:.2%} |' for name, value in subsets.items()]
  lines += [f'| Σ (sum of all predictions) | {accuracy["sum"]:.2%} |',
            f'| Φ (oracle: any stream right) | {accuracy["oracle"]:.2%} |', '']
  streams = list(results['class_accuracy'])
  lines += ['| class | ' + ' | '.join(streams) + ' |', '|---|' + '---|' * len(streams)]
  for label in results['class_accuracy'][streams[0]]:
    values = [results['class_accuracy'][stream][label] for stream in streams]
    lines.append(f'| {label} | ' + ' | '.join('-' if value is None else f'{value:.0%}' for value in values) + ' |')
  return '\n'.join(lines)
