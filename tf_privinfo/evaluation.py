"""Final evaluation: several clips per video, every stage, every stream, every subset of the streams."""

import datetime
import io
import os
import platform
from importlib import metadata
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

import tf_privinfo
from tf_privinfo import atomic
from tf_privinfo import machine
from tf_privinfo import metrics
from tf_privinfo import plots
from tf_privinfo import report_pages
from tf_privinfo import runs
from tf_privinfo import summaries
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.datasets import noise
from tf_privinfo.methods import fusion
from tf_privinfo.methods import prediction

# The package behind tf.keras: keras, or tf_keras beside a newer TensorFlow.
_KERAS = tf.keras.Model.__module__.partition('.')[0]
_VERSIONS = ('tensorflow', 'tf-models-official', 'tensorflow-datasets', 'numpy')


def evaluate(run: runs.Run, source: catalog.Source, names: Sequence[str], folder: str = '') -> Dict[str, Any]:
  """Evaluates a finished run on the test samples and writes the results to its directory.

  Writes `results.json`, `predictions.npz` (`names` and `labels` [N], and the
  logits [N, C] of each stream under `logits/<stream>`, in float32),
  `confusion_<stream>.png` and the confusion matrices' TensorBoard images. The
  figures are those of the last stage; of every stage the accuracies are in
  `stages`.

  Args:
    run: the run.
    source: the dataset.
    names: the test samples.
    folder: of the run directory where they are written, if not into itself.

  Returns:
    What `results.json` holds.
  """
  stages, index = {}, source.index(names)
  for stage, config in run.recipe.stages.items():
    method = run.restore_method(stage)
    if not method.classifies:
      continue
    predictions = predict(run, stage, method, source, index)
    stages[stage] = {'reads': list(method.modalities), 'accuracy': _accuracies(predictions)}
    if method.privileged:
      helped = predict(run, stage, method, source, index, modalities=method.modalities + method.privileged)
      stages[stage]['accuracy_with_true_' + '_'.join(method.privileged)] = _accuracies(helped)
    if config.loss == 'moddrop':  # one of its test settings (table 4.5)
      blind = predict(run, stage, method, source, index, depth_noise=noise.DepthNoise('void'))
      stages[stage]['accuracy_with_void_depth'] = _accuracies(blind)
  results = {
      **describe(run),
      'split': 'test',
      'samples': len(predictions.names),
      'depth_variant': source.metadata.get('depth_variant'),
      'clips_per_video': run.recipe.clips.test_clips,
      'stages': stages,
      **summarise(predictions, source.label_names),
  }
  pictures = {
      name: plots.confusion_matrix(np.array(matrix), source.label_names, f'{name}: {results["accuracy"][name]:.1%}')
      for name, matrix in results['confusion'].items()}
  for name, picture in pictures.items():
    atomic.write(run.directory / folder / f'confusion_{name}.png', picture)
  summaries.write_confusion_matrices(run.directory / folder / 'tensorboard' / 'test', pictures, step=0)
  atomic.write(run.directory / folder / 'predictions.npz', _archive(predictions))
  run.write(os.path.join(folder, 'results.json'), results)
  return results


def _archive(predictions: prediction.Predictions) -> bytes:
  buffer = io.BytesIO()
  np.savez_compressed(
      buffer, names=np.array(predictions.names), labels=predictions.labels,
      **{f'logits/{stream}': logits.astype(np.float32) for stream, logits in predictions.logits.items()})
  return buffer.getvalue()


def _accuracies(predictions):
  return metrics.ensemble_accuracies(predictions.labels, predictions.logits)


def predict(run: runs.Run, name: str, model, source: catalog.Source, index: Tuple[Sequence[str], np.ndarray], *,
            modalities: Sequence[str] = (), depth_noise: Optional[noise.DepthNoise] = None) -> prediction.Predictions:
  """Predictions of a method or a switch of a run for the samples of `index`.

  Args:
    run: whose clips are used.
    name: of the model, for the progress bar.
    model: maps {modality: clips} to {name: [B, ...]}.
    source: the dataset.
    index: from `Source.index`.
    modalities: what is read, if not what the model reads.
    depth_noise: spoils depth.
  """
  config, (ids, labels) = run.recipe.clips, index
  fixed = clips.fixed_clips(source.videos(ids, modalities or model.modalities), config, depth_noise=depth_noise)
  return prediction.predict_videos(model, fixed, ids, labels, config.test_clips, progress=f'Evaluating {name}')


def describe(run: runs.Run) -> Dict[str, Any]:
  """What a result must say of its origin: recipe, software, hardware, date."""
  recipe = run.recipe
  return {
      **{field: getattr(recipe, field) for field in ('method', 'dataset', 'protocol', 'preset', 'variant', 'seed')},
      'versions': {'tf_privinfo': tf_privinfo.__version__, 'python': platform.python_version(),
                   'keras': metadata.version(_KERAS),
                   **{package: metadata.version(package) for package in _VERSIONS}},
      'devices': [device.device_type for device in tf.config.list_logical_devices()],
      # Other processors have other kernels, and other numbers of threads divide sums otherwise: both round differently.
      'processor': machine.processor(),
      'cpu_cores': machine.cpu_cores(),
      'threads_of_an_operation': (tf.config.threading.get_intra_op_parallelism_threads()
                                  or int(os.environ.get('TF_NUM_INTRAOP_THREADS', machine.cpu_cores()))),
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
      f'seed {results["seed"]}: {results["samples"]} test samples, {clips_each}', '']
  if len(results['stages']) > 1:
    stages = report_pages.stages_table([results['stages']], lambda values: f'{values[0]:.2%}')
    lines += [*report_pages.lines(stages), '', f'After the last stage, {list(results["stages"])[-1]}:', '']
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
