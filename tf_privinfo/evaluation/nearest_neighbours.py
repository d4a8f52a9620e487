"""Nearest neighbours on features of untrained networks (table 5.3)."""

from typing import Any, Dict, Sequence

import numpy as np
import tensorflow as tf

from tf_privinfo import runs
from tf_privinfo.datasets import catalog, protocols
from tf_privinfo.evaluation import prediction
from tf_privinfo.runs import provenance, restore
from tf_privinfo.runs.run import RANDOM_FEATURES


def evaluate(run: runs.Run, source: catalog.PreparedDataset, split: protocols.Split,
             neighbours: Sequence[int]) -> Dict[str, Any]:
  """Classifies test samples by their nearest training samples, in the features that the classifiers read.

  The features of a video are averaged over its test clips. The networks have the
  initial weights of training. Writes `random_features.json`.

  Args:
    run: run of a method of chapter 5, which need not be trained.
    source: prepared dataset.
    split: sample ids of the dataset; validation samples count as training samples.
    neighbours: values of k.

  Returns:
    The content of `random_features.json`, with `accuracy`: modality ->
    {k: accuracy}, for all k up to the number of training samples.
  """
  [stage] = run.recipe.stages
  features = _Features(restore.initial_method(run.recipe, stage, len(source.label_names)).streams)
  train, test = (prediction.predict(run, f'untrained networks, {part} samples', features, source, source.index(names))
                 for part, names in (('training', split.train + split.validation), ('test', split.test)))
  result = {
      **provenance.describe(run), 'split': 'test', 'samples': len(test.names), 'training_samples': len(train.names),
      'clips_per_video': run.recipe.clips.test_clips,
      'accuracy': {
          modality: {
              str(count): accuracy(
                  train.logits[modality], train.labels, test.logits[modality], test.labels, count)
              for count in neighbours if count <= len(train.names)}
          for modality in features.modalities}}
  run.write(RANDOM_FEATURES, result)
  return result


def accuracy(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray,
             neighbours: int) -> float:
  """The accuracy of classification by the majority of the nearest training samples.

  Args:
    train_features: [M, D].
    train_labels: [M].
    test_features: [N, D].
    test_labels: [N].
    neighbours: number of nearest training samples, at most M.
  """
  from sklearn import neighbors  # slow import

  classifier = neighbors.KNeighborsClassifier(neighbours).fit(train_features, train_labels)
  return float(np.mean(classifier.predict(test_features) == test_labels))


class _Features(tf.keras.Model):
  """Maps {modality: clips [B, T, H, W, 3]} to {modality: features [B, D]}."""

  def __init__(self, streams: Dict[str, tf.keras.Model]):
    super().__init__()
    self.streams = streams

  @property
  def modalities(self):
    return tuple(self.streams)

  def call(self, clips):
    return {modality: network.represent(clips[modality]) for modality, network in self.streams.items()}
