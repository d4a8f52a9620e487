"""Multi-clip prediction, shared by validation and evaluation."""

from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tf_privinfo import runs
from tf_privinfo.datasets import catalog, clips
from tf_privinfo.datasets.noise import Noise
from tf_privinfo.utils import progress_bars


class Predictions(NamedTuple):
  """Predictions for N videos.

  Attributes:
    names: sample ids.
    labels: [N] int.
    logits: stream -> [N, C] float64, averaged over the clips of each video.
  """
  names: list
  labels: np.ndarray
  logits: Dict[str, np.ndarray]

  def as_classes(self, logits: Mapping[str, np.ndarray]) -> Dict[str, Any]:
    """The entry `predictions` of a result file, as plain values: `names`, `labels`, `predicted` (name -> classes [N]).

    Args:
      logits: name -> logits [N, C] of the videos, such as those of streams and of their sum.
    """
    return {'names': self.names, 'labels': self.labels.tolist(),
            'predicted': {name: np.argmax(z, axis=-1).tolist() for name, z in logits.items()}}


class _Progress(tf.keras.callbacks.Callback):

  def __init__(self, bar: progress_bars.Bar):
    super().__init__()
    self._bar = bar

  def on_predict_batch_end(self, batch, logs=None):
    self._bar.update(len(next(iter(logs['outputs'].values()))))


def predict_videos(method: tf.keras.Model, batches: tf.data.Dataset, names, labels, clips_per_video: int,
                   progress: Optional[str] = None) -> Predictions:
  """Predicts videos by the mean of the logits of their clips.

  Only logits are kept, so memory does not grow with the clips. Micro-batches may
  split a video without an effect on the result.

  Args:
    method: model that maps {modality: [b, T, S, S, 3]} to {stream: [b, C]}.
    batches: micro-batches ({modality: clips}, ...), the clips of a video in
      succession; further elements are ignored.
    names: N sample ids in the order of the clips.
    labels: [N] int, in the same order.
    clips_per_video: number of clips of each video.
    progress: text of a progress bar; None: no bar.
  """
  with progress_bars.bar(total=len(names) * clips_per_video, desc=progress, unit='clip', disable=not progress) as bar:
    outputs = method.predict(
        batches.map(lambda clip, *_: clip), verbose=0, callbacks=[_Progress(bar)] if progress else [])
  logits = {
      stream: z.astype(np.float64).reshape(len(names), clips_per_video, -1).mean(axis=1)
      for stream, z in outputs.items()}
  return Predictions(list(names), np.asarray(labels), logits)


def batch_size(model: tf.keras.Model) -> int:
  """The number of clips of a forward pass: `clips.MICRO_BATCH` for each replica of the model's strategy."""
  return clips.MICRO_BATCH * model.distribute_strategy.num_replicas_in_sync


def predict(run: runs.Run, name: str, model, source: catalog.PreparedDataset,
            index: Tuple[Sequence[str], np.ndarray], *, modalities: Sequence[str] = (),
            noise: Optional[Noise] = None) -> Predictions:
  """Predictions of a method or a switch of a run for the samples of `index`, on all replicas of its strategy.

  Args:
    run: run whose recipe determines the clips.
    name: name of the model, for the progress bar.
    model: model that maps {modality: clips} to {name: [B, ...]}.
    source: prepared dataset.
    index: sample ids and labels, from `PreparedDataset.index`.
    modalities: modalities to read; by default the modalities of the model.
    noise: noise that corrupts `Recipe.noisy_modality`, or None.
  """
  config, (ids, labels) = run.recipe.clips, index
  batches = clips.evaluation_clips(source.videos(ids, modalities or model.modalities), config,
                                   batch_size=batch_size(model),
                                   noise={run.recipe.noisy_modality: noise} if noise else {})
  return predict_videos(model, batches, ids, labels, config.test_clips, progress=f'Evaluating {name}')
