"""TensorBoard logs of a stage."""

import pathlib
from typing import Any, Dict, Optional, Sequence

import tensorflow as tf


class TensorBoard(tf.keras.callbacks.Callback):
  """Logs of a stage: scalars and images of each epoch, example clips, graph and hyperparameters.

  Scalars are the method's means over the epoch (loss and its terms, accuracy and
  gradient norm of each stream, further quantities of the method), validation
  accuracies and the learning rate.

  Args:
    directory: folder of the event files; None: nothing is written, for workers other than the chief, which take part
      in reading the metrics.
    label_names: class names.
    hyperparameters: dotted path -> value, all fields of the recipe.
    examples: one batch of training clips {modality: [B, T, H, W, 3]}.
  """

  def __init__(self, directory: Optional[pathlib.Path], label_names: Sequence[str], hyperparameters: Dict[str, Any],
               examples: Dict[str, tf.Tensor]):
    super().__init__()
    self._writes = directory is not None
    self._writer = tf.summary.create_file_writer(str(directory)) if directory else tf.summary.create_noop_writer()
    self._label_names = label_names
    self._hyperparameters = hyperparameters
    self._examples = examples

  def on_train_begin(self, logs=None):
    if not self._writes:
      return
    from tensorboard.plugins.hparams import api as hparams

    with self._writer.as_default(step=0):
      hparams.hparams(self._hyperparameters)
      for modality, clips in self._examples.items():
        tf.summary.image(f'clips/{modality}', film_strips(clips), max_outputs=4,
                         description='the frames of augmented training clips, in temporal order')
      write_graph(self.model, self._examples)

  def on_epoch_end(self, epoch, logs=None):
    with self._writer.as_default(step=epoch):
      for name, value in logs.items():
        tf.summary.scalar(name if '/' in name else f'train/{name}', value)
      tf.summary.scalar('train/learning_rate', self.model.optimizer.learning_rate)
      for name, value in self.model.scalars(self._label_names).items():
        tf.summary.scalar(name, value)
      for name, pictures in self.model.images(self._examples).items():
        tf.summary.image(name, pictures, max_outputs=4)
    self._writer.flush()

  def on_train_end(self, logs=None):
    self._writer.close()


def write_graph(model: tf.keras.Model, examples: Dict[str, tf.Tensor]) -> None:
  """Logs the graph of a forward pass on clips such as `examples`, {modality: [B, T, H, W, 3]}."""
  clips = {m: tf.TensorSpec([None, *clip.shape[1:]], clip.dtype) for m, clip in examples.items()}
  tf.summary.graph(tf.function(lambda clips: model(clips)).get_concrete_function(clips).graph)


def film_strips(clips: tf.Tensor) -> tf.Tensor:
  """Clips [B, T, H, W, 3], pixels 0..255, as images [B, H, T*W, 3] uint8 with the frames side by side."""
  height, frames, width = clips.shape[2], clips.shape[1], clips.shape[3]
  strips = tf.reshape(tf.transpose(clips, [0, 2, 1, 3, 4]), [-1, height, frames * width, 3])
  return tf.cast(tf.round(strips), tf.uint8)
