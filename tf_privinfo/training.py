"""Runs a recipe: distribution, stages, resume."""

import pathlib
from typing import Sequence

import tensorflow as tf

from tf_privinfo import callbacks
from tf_privinfo import configs
from tf_privinfo import errors
from tf_privinfo import metrics
from tf_privinfo import optimizers
from tf_privinfo import recipes
from tf_privinfo import runs
from tf_privinfo import summaries
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.datasets import protocols
from tf_privinfo.methods import prediction


def make_strategy(num_gpus: int) -> tf.distribute.Strategy:
  """The default strategy on one device, MirroredStrategy on several.

  Call it before anything else touches TensorFlow's devices.

  Args:
    num_gpus: how many GPUs to use; -1 for all, 0 for none.

  Raises:
    UserError: if there are fewer GPUs.
  """
  gpus = tf.config.list_physical_devices('GPU')
  if num_gpus > len(gpus):
    raise errors.UserError(f'--num_gpus={num_gpus}, but this machine has {len(gpus)}.')
  if num_gpus >= 0:
    tf.config.set_visible_devices(gpus[:num_gpus], 'GPU')
  devices = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
  if len(devices) == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy([device.name for device in devices])


def train(run: runs.Run, source: catalog.Source, split: protocols.Split, strategy: tf.distribute.Strategy) -> None:
  """Runs the stages of a run's recipe that have not finished yet.

  On CPUs the weights are a function of the recipe alone, however often the run
  was killed and resumed.

  Args:
    run: its directory and recipe.
    source: the dataset.
    split: its samples; those of the test set are not read.
    strategy: from `make_strategy`.

  Raises:
    UserError: if the batches do not fit the data or the devices, and for a loss
      that is not finite.
  """
  if not tf.config.list_logical_devices('GPU'):
    tf.config.experimental.enable_op_determinism()
  for name, stage in run.recipe.stages.items():
    if run.read(f'{name}/finished.json') is None:
      _check_batches(stage, len(split.train), strategy.num_replicas_in_sync)
      _train_stage(run, name, stage, source, split, strategy)


def _check_batches(stage: configs.StageConfig, videos: int, replicas: int) -> None:
  if videos < stage.batch_size:
    raise errors.UserError(f'{videos} training videos do not fill a batch of {stage.batch_size}: lower --batch_size.')
  if stage.batch_size % replicas:
    raise errors.UserError(f'A batch of {stage.batch_size} cannot be divided among {replicas} devices.')


def _train_stage(run, name: str, stage: configs.StageConfig, source, split, strategy) -> None:
  directory = run.stage_directory(name)
  with strategy.scope():
    method = runs.build_method(run.recipe, len(source.label_names))
    method.compile(optimizer=_optimizer(stage, len(split.train)))
    method.optimizer.build(method.trainable_variables)
  state = callbacks.TrainingState()
  manager = tf.train.CheckpointManager(
      tf.train.Checkpoint(streams=method.streams, optimizer=method.optimizer, state=state),
      str(directory / 'last'), max_to_keep=2, checkpoint_name='epoch')
  manager.restore_or_initialize()
  finished_epochs = int(state.epoch)
  if finished_epochs:
    print(f'Stage {name}: resuming after epoch {finished_epochs}')
  if not bool(state.stopped):
    videos = source.videos(split.train, run.recipe.modalities)
    batches = clips.training_clips(
        videos, run.recipe.clips, seed=run.recipe.seed, epochs=range(finished_epochs, stage.epochs),
        batch_size=stage.batch_size)
    method.fit(
        batches.map(lambda clip, label, sample_id: (clip, label)), epochs=stage.epochs, initial_epoch=finished_epochs,
        steps_per_epoch=len(split.train) // stage.batch_size, verbose=0,
        callbacks=_callbacks(run, name, stage, source, split, method, state, manager))
  best = int(state.best_epoch)
  use_best = best > 0 and stage.selection == 'best_validation'
  weights = f'best/epoch-{best}' if use_best else f'last/{pathlib.Path(manager.latest_checkpoint).name}'
  run.write(f'{name}/finished.json', {'weights': weights, 'epochs': int(state.epoch)})


def _optimizer(stage: configs.StageConfig, videos: int) -> tf.keras.optimizers.Optimizer:
  # Epochs are counted in images, not in whole batches, as the authors do.
  schedule = optimizers.stepwise_schedule(
      stage.learning_rate, videos / stage.batch_size, stage.warmup_epochs, stage.decay_epochs)
  return optimizers.Momentum(schedule, stage.momentum)


def _callbacks(run, name, stage, source, split, method, state, manager) -> Sequence[tf.keras.callbacks.Callback]:
  """In the order in which they see an epoch end: validation adds to the logs that the others write."""
  recipe, directory = run.recipe, run.stage_directory(name)
  result = [
      callbacks.Progress(name, len(split.train) // stage.batch_size, int(state.epoch)),
      callbacks.StopOnNaN()]
  if split.validation:
    result.append(callbacks.Validation(
        _validator(method, source, split.validation, recipe), stage.validate_every, stage.early_stopping_patience,
        state, directory / 'best'))
  examples, _, _ = next(iter(clips.training_clips(
      source.videos(split.train, recipe.modalities), recipe.clips, seed=recipe.seed, epochs=[0], batch_size=4)))
  history = (run.read(f'{name}/history.json') or [])[:int(state.epoch)]
  return result + [
      summaries.TensorBoard(run.directory / 'tensorboard' / name, source.label_names, recipes.flatten(recipe), examples),
      callbacks.SaveLast(manager, state, history, lambda entries: run.write(f'{name}/history.json', entries),
                         directory / 'best')]


def _validator(method, source, names, recipe):
  """A function that gives the validation accuracies of the method as it is then."""
  fixed = clips.fixed_clips(source.videos(names, recipe.modalities), recipe.clips)
  ids, labels = source.index(names)
  return lambda: metrics.ensemble_accuracies(
      labels, prediction.predict_videos(method, fixed, ids, labels, clips.TEST_CLIPS).logits)
