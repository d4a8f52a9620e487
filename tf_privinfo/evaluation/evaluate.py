"""Final evaluation, with several clips per video, of all stages, streams and subsets of the streams."""

import io
import os
from typing import Any, Dict, Sequence

import numpy as np

from tf_privinfo import runs
from tf_privinfo.datasets import catalog
from tf_privinfo.evaluation import metrics, plots, prediction, summaries
from tf_privinfo.methods import fusion
from tf_privinfo.runs import provenance, restore
from tf_privinfo.runs.run import PREDICTIONS, RESULTS, TENSORBOARD
from tf_privinfo.utils import atomic


def evaluate(run: runs.Run, source: catalog.PreparedDataset, names: Sequence[str], folder: str = '') -> Dict[str, Any]:
  """Evaluates a finished run on the test samples and writes the results to its directory.

  Writes `results.json`, `predictions.npz` (`names` and `labels` [N], and the
  logits [N, C] of each stream under `logits/<stream>`, in float32),
  `confusion_<stream>.png` and images of the confusion matrices for TensorBoard.
  The results belong to the last stage; `stages` has the accuracies of all
  stages.

  Args:
    run: finished run.
    source: prepared dataset.
    names: ids of the test samples.
    folder: subfolder of the run directory for the results; empty: the run
      directory itself.

  Returns:
    The content of `results.json`.

  Raises:
    UserError: if a stage has not finished or its checkpoint does not fit.
  """
  stages, index = {}, source.index(names)
  for stage in run.recipe.stages:
    method = restore.restore_method(run, stage)
    if not method.classifies:
      continue
    predictions = prediction.predict(run, stage, method, source, index)
    stages[stage] = {'reads': list(method.modalities), 'accuracy': _accuracies(predictions)}
    injected = method.injected_modalities
    if injected:
      helped = prediction.predict(run, stage, method, source, index, modalities=method.modalities + injected)
      stages[stage]['accuracy_with_true_' + '_'.join(injected)] = _accuracies(helped)
    for kind, noise in method.test_conditions.items():
      tested = prediction.predict(run, stage, method, source, index, noise=noise)
      stages[stage][f'accuracy_with_{kind}_{run.recipe.noisy_modality}'] = _accuracies(tested)
  results = {
      **provenance.describe(run),
      'split': 'test',
      'samples': len(predictions.names),
      'depth_variant': source.metadata.get('depth_variant'),
      'clips_per_video': run.recipe.clips.test_clips,
      'stages': stages,
      **summarise(predictions, source.label_names),
  }
  plotted = {
      name: plots.confusion_matrix(np.array(matrix), source.label_names, f'{name}: {results["accuracy"][name]:.1%}')
      for name, matrix in results['confusion'].items()}
  for name, plot in plotted.items():
    atomic.write(run.directory / folder / f'confusion_{name}.png', plot)
  summaries.write_confusion_matrices(run.directory / folder / TENSORBOARD / 'test', plotted, step=0)
  atomic.write(run.directory / folder / PREDICTIONS, _archive(predictions))
  run.write(os.path.join(folder, RESULTS), results)
  return results


def _archive(predictions: prediction.Predictions) -> bytes:
  buffer = io.BytesIO()
  np.savez_compressed(
      buffer, names=np.array(predictions.names), labels=predictions.labels,
      **{f'logits/{stream}': logits.astype(np.float32) for stream, logits in predictions.logits.items()})
  return buffer.getvalue()


def _accuracies(predictions):
  return metrics.ensemble_accuracies(predictions.labels, predictions.logits)


def summarise(predictions: prediction.Predictions, label_names: Sequence[str]) -> Dict[str, Any]:
  """Accuracies of predictions (streams, Σ, Φ, subsets, classes), confusions and predicted classes, as plain values."""
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
      'predictions': predictions.as_classes(fused),
  }
