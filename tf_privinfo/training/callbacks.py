"""Keras callbacks of all stages: progress, detection of NaN, validation, checkpoints."""

import math
import pathlib
from typing import Callable, Dict, List, Optional

import tensorflow as tf

from tf_privinfo.utils import errors, progress_bars


class Progress(tf.keras.callbacks.Callback):
  """Progress bar of a stage: epoch, loss, accuracy of each stream, remaining time; moved after each execution.

  Args:
    bar: bar of the stage's steps.
    stage: name of the stage.
  """

  def __init__(self, bar: progress_bars.Bar, stage: str):
    super().__init__()
    self._bar = bar
    self._stage = stage
    self._done = 0  # steps of the epoch

  def on_epoch_begin(self, epoch, logs=None):
    self._done = 0
    self._bar.set_description(f'Stage {self._stage}, epoch {epoch + 1}/{self.params["epochs"]}', refresh=False)

  def on_train_batch_end(self, batch, logs=None):
    accuracies = ' '.join(f'{name.split("/")[1]} {value:.0%}'
                          for name, value in logs.items() if name.startswith('accuracy/'))
    self._bar.set_postfix_str(f'loss {logs["loss"]:.3f} {accuracies}', refresh=False)
    self._bar.update(batch + 1 - self._done)
    self._done = batch + 1

  def on_epoch_end(self, epoch, logs=None):
    self._bar.milestone()


class StopOnNaN(tf.keras.callbacks.Callback):
  """Raises `UserError` after the first execution with a term that is not finite, before a checkpoint is written.

  Terms are means over the epoch: a step that is not finite shows in all later ones.
  """

  def __init__(self):
    super().__init__()
    self._done = 0  # steps of the epoch

  def on_epoch_begin(self, epoch, logs=None):
    self._done = 0

  def on_train_batch_end(self, batch, logs=None):
    steps, self._done = batch + 1 - self._done, batch + 1
    bad = [name for name, value in logs.items() if not math.isfinite(value)]
    if bad:
      # The total is not finite whenever a term is not: the message names the term.
      terms = [name for name in bad if name != 'loss'] or bad
      last = int(self.model.optimizer.iterations)
      where = f'Step {last}' if steps == 1 else f'A step from {last - steps + 1} to {last}'
      raise errors.UserError(
          f'{where} gave {terms[0]} = {logs[terms[0]]}: training stopped, the '
          'checkpoint of the last epoch is intact. Lower stages.*.learning_rate or check the data.')


class TrainingState(tf.Module):
  """The state of a stage besides weights and optimizer, as variables of its checkpoint.

  Attributes:
    epoch: number of finished epochs.
    best_accuracy, best_epoch: accuracy and epoch of the best validation; -1 before the first.
    waited: number of validations since the best one.
    stopped: whether early stopping ended the stage.
  """

  def __init__(self):
    super().__init__()
    self.epoch = tf.Variable(0, trainable=False)
    self.best_accuracy = tf.Variable(-1.0, trainable=False)
    self.best_epoch = tf.Variable(-1, trainable=False)
    self.waited = tf.Variable(0, trainable=False)
    self.stopped = tf.Variable(False, trainable=False)


class Validation(tf.keras.callbacks.Callback):
  """Validation at regular epochs; keeps the best weights.

  Of equal accuracies, the latest counts, as in the authors' code (docs/fidelity.md, B 4.3).

  Args:
    evaluate: function that returns the validation accuracies by name.
    criterion: name of the accuracy that decides.
    every: epochs between validations, counted from epoch 0.
    patience: validations without improvement before training stops; 0: never.
    state: state of the stage.
    directory: folder of the best weights; None: they are not written, for workers other than the chief.
  """

  def __init__(self, evaluate: Callable[[], Dict[str, float]], criterion: str, every: int, patience: int,
               state: TrainingState, directory: Optional[pathlib.Path]):
    super().__init__()
    self._evaluate = evaluate
    self._criterion = criterion
    self._every = every
    self._patience = patience
    self._state = state
    self._directory = directory

  def on_epoch_end(self, epoch, logs=None):
    if epoch % self._every:
      return
    accuracies = self._evaluate()
    logs.update({f'validation/{name}': value for name, value in accuracies.items()})
    state = self._state
    if accuracies[self._criterion] >= float(state.best_accuracy):
      state.best_accuracy.assign(accuracies[self._criterion])
      state.best_epoch.assign(epoch + 1)
      state.waited.assign(0)
      # Beside the previous best weights, which the checkpoint of the last epoch still refers to.
      if self._directory:
        tf.train.Checkpoint(networks=self.model.networks).write(str(self._directory / f'epoch-{epoch + 1}'))
    else:
      state.waited.assign_add(1)
      if self._patience and int(state.waited) >= self._patience:
        state.stopped.assign(True)
        self.model.stop_training = True


class SaveLast(tf.keras.callbacks.Callback):
  """Writes the history and the training checkpoint after every epoch.

  Args:
    manager: manager of the training checkpoint.
    state: state of the stage.
    history: one dictionary of logs for each finished epoch; extended in place.
    write_history: function that writes the history to the run directory.
    best_directory: folder of the weights of `Validation`; all but the best are removed.
  """

  def __init__(self, manager: tf.train.CheckpointManager, state: TrainingState, history: List[dict],
               write_history: Callable[[list], None], best_directory: pathlib.Path):
    super().__init__()
    self._manager = manager
    self._state = state
    self._history = history
    self._write_history = write_history
    self._best_directory = best_directory

  def on_epoch_end(self, epoch, logs=None):
    # The history first: a resumed run drops entries that are later than the checkpoint.
    self._history.append({'epoch': epoch + 1, **{name: float(value) for name, value in logs.items()}})
    self._write_history(self._history)
    self._state.epoch.assign(epoch + 1)
    self._manager.save(checkpoint_number=epoch + 1)
    for path in self._best_directory.glob('epoch-*'):
      if path.name.split('.')[0] != f'epoch-{int(self._state.best_epoch)}':
        path.unlink()
