"""Training of the stages of a recipe, also resumed."""

import pathlib
import random
from typing import Dict, List, Optional, Sequence

import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog, clips, colour, protocols
from tf_privinfo.evaluation import metrics, prediction
from tf_privinfo.recipes import settings
from tf_privinfo.recipes.stage import StageConfig, Start
from tf_privinfo.runs import checkpoints, restore
from tf_privinfo.runs.run import FINISHED, HISTORY, TENSORBOARD
from tf_privinfo.training import callbacks, cluster, devices, optimizers, tensorboard
from tf_privinfo.utils import errors, progress_bars


def select_stages(recipe: recipes.Recipe, selection: Optional[str]) -> List[str]:
  """The names of the stages that --stage selects.

  Args:
    recipe: recipe of the run.
    selection: 'joint' for one stage, 'joint:' for this and all later stages, None for all stages.

  Raises:
    UserError: for an unknown stage.
  """
  stages = list(recipe.stages)
  if selection is None:
    return stages
  name = selection.removesuffix(':')
  if name not in stages:
    raise errors.UserError(f'Unknown --stage={selection}: {recipe.method} has the stages {", ".join(stages)}; '
                           f'{stages[0]}: (with a colon) also runs all later stages.')
  first = stages.index(name)
  return stages[first:] if selection.endswith(':') else [name]


def train(run: runs.Run, source: catalog.PreparedDataset, split: protocols.Split, strategy: tf.distribute.Strategy,
          stages: Sequence[str], *, deterministic: Optional[bool] = None,
          steps_per_execution: Optional[int] = None) -> None:
  """Trains all stages among `stages` that have not finished yet.

  With deterministic kernels, the weights are a function of the recipe, of the kind
  and number of devices and of the number of cores, regardless of how often the run
  was interrupted and resumed.

  Args:
    run: run directory with its recipe.
    source: prepared dataset.
    split: sample ids of the dataset; test samples are not read.
    strategy: strategy from `make_strategy`.
    stages: names from `select_stages`.
    deterministic: whether kernels are deterministic; None: on CPUs, where that costs nothing.
    steps_per_execution: number of steps between two looks at the loss; None: the default of the devices.

  Raises:
    UserError: if a batch is larger than the training set, if initial weights are
      missing or do not fit, and for a loss that is not finite.
  """
  if deterministic is None:
    deterministic = not tf.config.list_logical_devices('GPU')
  if deterministic:
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(run.recipe.seed)  # all random operations need seeds from here on
  waiting = cluster.from_chief(strategy, [run.finished(name) is None for name in stages])
  stages = [name for name, waits in zip(stages, waiting) if waits]
  _check_batches(run.recipe, stages, len(split.train))
  for name in stages:
    _train_stage(run, name, run.recipe.stages[name], source, split, strategy, steps_per_execution)
    cluster.wait(strategy)  # for what the chief writes


def batches(recipe: recipes.Recipe, stages: Sequence[str]) -> Dict[str, int]:
  """Stage -> batch size of all devices together, for those of `stages` that train."""
  return {name: recipe.stages[name].batch_size for name in stages if recipe.stages[name].epochs}


def _check_batches(recipe: recipes.Recipe, stages: Sequence[str], samples: int) -> None:
  for name, size in batches(recipe, stages).items():
    if samples < size:
      raise errors.UserError(f'{samples} training samples do not fill the batch of {size} of stage {name}: lower '
                             '--batch_size.')


def _train_stage(run, name: str, stage: StageConfig, source, split, strategy, steps_per_execution) -> None:
  directory, chief = run.stage_directory(name), cluster.is_chief(strategy)
  with strategy.scope():
    method = restore.initial_method(run.recipe, name, len(source.label_names))
    method.compile_with(lambda factor: optimizer(stage, len(split.train), factor))
    method.steps_per_execution = steps_per_execution or devices.steps_per_execution()
    method.distribute_reduction_method = 'first'  # Keras would add the means of all workers, which are equal
  state = callbacks.TrainingState()
  checkpoint = tf.train.Checkpoint(networks=method.networks, state=state, **method.optimizers)
  _ = checkpoint.save_counter  # created here: in the strategy's scope, its creation would involve all workers
  manager = tf.train.CheckpointManager(checkpoint, str(directory / 'last'), max_to_keep=2, checkpoint_name='epoch')
  [last] = cluster.from_chief(strategy, [_last_epoch(manager)])
  if last >= 0:
    checkpoint.restore(str(directory / 'last' / f'epoch-{int(last)}'))
    print(f'Stage {name}: resuming after epoch {int(state.epoch)}')
  else:
    _initialise(run, name, method, len(source.label_names))
    if not stage.epochs and chief:
      manager.save(checkpoint_number=0)
  finished_epochs = int(state.epoch)
  if finished_epochs < stage.epochs and not bool(state.stopped):
    videos = source.videos(split.train, method.training_modalities)
    batches_of = lambda rows: clips.training_clips(
        videos, run.recipe.clips, seed=restore.stage_seed(run.recipe, name),
        epochs=range(finished_epochs, stage.epochs), batch_size=stage.batch_size,
        noisy=method.noisy_modality, rows=rows).map(lambda clip, label, sample_id: (clip, label))
    steps = len(split.train) // stage.batch_size
    watching = _callbacks(run, name, stage, source, split, method, state, manager, strategy)
    with progress_bars.bar(total=stage.epochs * steps, initial=finished_epochs * steps, desc=f'Stage {name}',
                           unit='step', disable=not chief) as bar:
      method.fit(
          _shared(batches_of, stage.batch_size, strategy),
          epochs=stage.epochs, initial_epoch=finished_epochs, steps_per_epoch=steps, verbose=0,
          callbacks=[callbacks.Progress(bar, name), *watching])
  if not chief:
    return
  best = int(state.best_epoch)
  use_best = best > 0 and stage.selection == 'best_validation'
  weights = f'best/epoch-{best}' if use_best else f'last/{pathlib.Path(manager.latest_checkpoint).name}'
  run.write(f'{name}/{FINISHED}', {'weights': weights, 'epochs': int(state.epoch)})


def _last_epoch(manager: tf.train.CheckpointManager) -> int:
  """The number of the latest checkpoint; -1 if there is none."""
  return int(manager.latest_checkpoint.rpartition('-')[2]) if manager.latest_checkpoint else -1


def _shared(batches_of, batch_size: int, strategy: tf.distribute.Strategy):
  """The batches of all devices for `fit`; each worker reads its rows alone, as `batches_of(rows)`."""
  if cluster.size(strategy) == 1:
    return devices.prefetched(batches_of(slice(None)), strategy)
  rows = cluster.rows(strategy, batch_size)
  return strategy.distribute_datasets_from_function(
      lambda context: batches_of(rows).rebatch(context.get_per_replica_batch_size(batch_size), drop_remainder=True))


def _initialise(run: runs.Run, name: str, method: tf.keras.Model, num_classes: int) -> None:
  """Loads the initial weights of all networks of a stage, and prints their sources."""
  recipe = run.recipe
  starts = {start.stream: start for start in map(Start.parse, recipe.stages[name].init)}
  for stream, network in method.networks.items():
    if stream in starts:
      _, stage, source = starts[stream]
      if run.finished(stage) is None:
        raise errors.UserError(f'Stage {name} starts from stage {stage}, which has not finished in '
                               f'{run.directory}: run --stage={stage} first, or omit --stage.')
      checkpoints.load_networks({source: network}, run.weights(stage))
      print(f'Stage {name}: {stream} starts as {source} of stage {stage}')
    elif stream not in method.streams:
      continue  # a discriminator starts from scratch
    elif recipe.init_from:
      weights = _weights_of_other_run(recipe, name, num_classes)
      checkpoints.load_networks({stream: network}, weights, ('classifier',) if recipe.new_classifier else ())
      print(f'Stage {name}: {stream} starts from {weights}' + (
          ', with a new classifier' if recipe.new_classifier else ''))
    elif getattr(recipe.network, 'pretrained', ''):
      print(f'Stage {name}, {stream}: {network.load_pretrained(recipe.network.pretrained)}')


def _weights_of_other_run(recipe: recipes.Recipe, stage: str, num_classes: int) -> str:
  other = runs.Run.open(recipe.init_from)
  if stage not in other.recipe.stages:
    raise errors.UserError(f'--init_from={recipe.init_from} is a run of {other.recipe.method}, which has no stage '
                           f'{stage} to start from, only {", ".join(other.recipe.stages)}.')
  classes = len(other.manifest()['label_names'])
  if classes != num_classes and not recipe.new_classifier:
    raise errors.UserError(
        f'--init_from={recipe.init_from} was trained on {classes} classes, {recipe.dataset} has {num_classes}: '
        'pass --new_classifier to start without its classifiers.')
  return other.weights(stage)


def optimizer(stage: StageConfig, samples: int, factor: float) -> tf.keras.optimizers.Optimizer:
  """An optimizer of a stage.

  Args:
    stage: configuration of the stage.
    samples: number of training samples. Epochs are counted in samples, not in whole batches, as in the authors' code.
    factor: factor of the learning rate.
  """
  schedule = optimizers.stepwise_schedule(
      factor * stage.learning_rate, samples / stage.batch_size, stage.warmup_epochs, stage.decay_epochs)
  return with_schedule(stage, schedule)


def with_schedule(stage: StageConfig, schedule: 'float | tf.keras.optimizers.schedules.LearningRateSchedule'
                  ) -> tf.keras.optimizers.Optimizer:
  """The optimizer of a stage, with a learning rate or a schedule of it."""
  if stage.optimizer == 'adam':
    return tf.keras.optimizers.Adam(schedule, epsilon=1e-8, jit_compile=False)  # docs/fidelity.md, row 33
  return optimizers.Momentum(schedule, stage.momentum)


def _callbacks(run, name, stage, source, split, method, state, manager,
               strategy) -> Sequence[tf.keras.callbacks.Callback]:
  """The callbacks of a stage, in order: validation adds to the logs that later callbacks write."""
  recipe, directory, chief = run.recipe, run.stage_directory(name), cluster.is_chief(strategy)
  result = [callbacks.StopOnNaN()]
  if split.validation and method.classifies:
    evaluate = _of_the_chief(_validator(method, source, split.validation, recipe), stage.criterion, strategy)
    result.append(callbacks.Validation(
        evaluate, stage.criterion, stage.validate_every, stage.early_stopping_patience, state,
        directory / 'best' if chief else None))
  shown = random.Random(recipe.seed).sample(split.train, min(4, len(split.train)))  # only these are read
  examples, _, _ = next(iter(clips.training_clips(
      source.videos(shown, method.training_modalities), recipe.clips, seed=recipe.seed, epochs=[0],
      batch_size=len(shown), noisy=method.noisy_modality)))
  result.append(tensorboard.TensorBoard(
      run.directory / TENSORBOARD / name if chief else None, source.label_names, settings.flatten(recipe),
      colour.distort(examples)))
  if chief:
    history = (run.read(f'{name}/{HISTORY}') or [])[:int(state.epoch)]
    result.append(callbacks.SaveLast(
        manager, state, history, lambda entries: run.write(f'{name}/{HISTORY}', entries), directory / 'best'))
  return result


def _of_the_chief(evaluate, criterion: str, strategy: tf.distribute.Strategy):
  """A function that returns the chief's accuracies; on the other workers only the accuracy that decides."""

  def accuracies():
    result = evaluate() if cluster.is_chief(strategy) else {}
    [deciding] = cluster.from_chief(strategy, [result.get(criterion, 0.0)])
    return {**result, criterion: float(deciding)}

  return accuracies


def _validator(method, source, names, recipe):
  """A function that returns the validation accuracies of the method with its present weights."""
  fixed = clips.evaluation_clips(
      source.videos(names, method.modalities), recipe.clips, batch_size=prediction.batch_size(method))
  ids, labels = source.index(names)
  accuracies_of = lambda predictor: metrics.ensemble_accuracies(
      labels, prediction.predict_videos(predictor, fixed, ids, labels, recipe.clips.test_clips).logits)
  if cluster.size(method.distribute_strategy) > 1:
    alone = cluster.LocalPredictor(method)
    return lambda: accuracies_of(alone)

  def validate():
    of_training = int(method.steps_per_execution.numpy())
    method.steps_per_execution = 1  # a prediction has no number of steps
    result = accuracies_of(method)
    method.steps_per_execution = of_training
    return result

  return validate
