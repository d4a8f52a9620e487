"""Runs a recipe: distribution, stages, resume."""

import math
import os
import pathlib
from typing import List, Optional, Sequence

import tensorflow as tf

from tf_privinfo import callbacks
from tf_privinfo import checkpoints
from tf_privinfo import configs
from tf_privinfo import errors
from tf_privinfo import machine
from tf_privinfo import metrics
from tf_privinfo import optimizers
from tf_privinfo import progress_bars
from tf_privinfo import recipes
from tf_privinfo import runs
from tf_privinfo import settings
from tf_privinfo import summaries
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.datasets import protocols
from tf_privinfo.methods import prediction
from tf_privinfo.networks import slim_checkpoint


_NO_GPU_LIBRARIES = (
    "Install the CUDA libraries with pip install -c constraints.txt -e '.[gpu]', beside NVIDIA's driver 525.60.13 or "
    'newer; --num_gpus=0 trains on the CPU.')


def divide_cores(recipe: recipes.Recipe) -> None:
  """Divides the cores among the networks that a step runs side by side, instead of dividing every operation among all.

  Operations of different networks need not wait for each other. Call it before
  anything else touches TensorFlow's devices. TF_NUM_INTRAOP_THREADS in the
  environment has the last word.

  Args:
    recipe: with the stages that are going to run; the one of the fewest
      networks decides, so that none leaves cores idle.
  """
  if 'TF_NUM_INTRAOP_THREADS' not in os.environ:
    networks = min(len(recipe.streams(stage)) for stage in recipe.stages)
    tf.config.threading.set_intra_op_parallelism_threads(math.ceil(machine.cpu_cores() / networks))


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
    raise errors.UserError(f'--num_gpus={num_gpus}, but TensorFlow finds {len(gpus)} on this machine.'
                           + (f' {_NO_GPU_LIBRARIES}' if not gpus and machine.has_nvidia_gpu() else ''))
  if num_gpus and not gpus and machine.has_nvidia_gpu():
    print(f'Warning: this machine has an NVIDIA GPU, and TensorFlow cannot use it. {_NO_GPU_LIBRARIES}', flush=True)
  if num_gpus >= 0:
    tf.config.set_visible_devices(gpus[:num_gpus], 'GPU')
  devices = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
  if len(devices) == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy([device.name for device in devices])


def describe_devices() -> str:
  """The devices of `make_strategy` for the first line of a run, as in 'the CPU: 2 cores of AMD EPYC (AVX2)'."""
  gpus = tf.config.get_visible_devices('GPU')
  if not gpus:
    return f'the CPU: {machine.cpu_cores()} cores of {machine.processor()}'
  details = map(tf.config.experimental.get_device_details, gpus)
  names = sorted({detail.get('device_name', 'of unknown name') for detail in details})
  return f'{len(gpus)} GPU{"s" if len(gpus) > 1 else ""}: {", ".join(names)}'


def select_stages(recipe: recipes.Recipe, selection: Optional[str]) -> List[str]:
  """The stages that --stage asks for: 'joint' is that one, 'joint:' also all after it, None all of the recipe."""
  stages = list(recipe.stages)
  if selection is None:
    return stages
  name = selection.removesuffix(':')
  if name not in stages:
    raise errors.UserError(f'Unknown --stage={selection}: {recipe.method} has the stages {", ".join(stages)}; '
                           f'{stages[0]}: (with a colon) also runs all that follow.')
  first = stages.index(name)
  return stages[first:] if selection.endswith(':') else [name]


def train(run: runs.Run, source: catalog.Source, split: protocols.Split, strategy: tf.distribute.Strategy,
          stages: Sequence[str]) -> None:
  """Runs those of `stages` that have not finished yet.

  On CPUs the weights are a function of the recipe and of the number of cores,
  however often the run was killed and resumed.

  Args:
    run: its directory and recipe.
    source: the dataset.
    split: its samples; those of the test set are not read.
    strategy: from `make_strategy`.
    stages: from `select_stages`.

  Raises:
    UserError: if the batches do not fit the data or the devices, a stage starts
      from one that was never run or from weights that do not fit, and for a
      loss that is not finite.
  """
  if not tf.config.list_logical_devices('GPU'):
    tf.config.experimental.enable_op_determinism()
  for name in stages:
    if run.read(f'{name}/finished.json') is None:
      stage = run.recipe.stages[name]
      if stage.epochs:
        _check_batches(stage, len(split.train), strategy.num_replicas_in_sync)
      _train_stage(run, name, stage, source, split, strategy)


def _check_batches(stage: configs.StageConfig, samples: int, replicas: int) -> None:
  if samples < stage.batch_size:
    raise errors.UserError(f'{samples} training samples do not fill a batch of {stage.batch_size}: lower --batch_size.')
  if stage.batch_size % replicas:
    raise errors.UserError(f'A batch of {stage.batch_size} cannot be divided among {replicas} devices.')


def _train_stage(run, name: str, stage: configs.StageConfig, source, split, strategy) -> None:
  directory = run.stage_directory(name)
  with strategy.scope():
    method = runs.build_method(run.recipe, name, len(source.label_names))
    method.compile_with(lambda factor: _optimizer(stage, len(split.train), factor))
  state = callbacks.TrainingState()
  manager = tf.train.CheckpointManager(
      tf.train.Checkpoint(networks=method.networks, state=state, **method.optimizers),
      str(directory / 'last'), max_to_keep=2, checkpoint_name='epoch')
  if manager.latest_checkpoint:
    manager.restore_or_initialize()
    print(f'Stage {name}: resuming after epoch {int(state.epoch)}')
  else:
    _initialise(run, name, method, len(source.label_names))
    if not stage.epochs:
      manager.save(checkpoint_number=0)
  finished_epochs = int(state.epoch)
  if finished_epochs < stage.epochs and not bool(state.stopped):
    videos = source.videos(split.train, method.training_modalities)
    batches = clips.training_clips(
        videos, run.recipe.clips, seed=runs.stage_seed(run.recipe, name), epochs=range(finished_epochs, stage.epochs),
        batch_size=stage.batch_size, noisy_depth=method.learns_from_noisy_depth)
    steps = len(split.train) // stage.batch_size
    watching = _callbacks(run, name, stage, source, split, method, state, manager)
    with progress_bars.bar(total=stage.epochs * steps, initial=finished_epochs * steps, desc=f'Stage {name}',
                           unit='step') as bar:
      method.fit(
          batches.map(lambda clip, label, sample_id: (clip, label)), epochs=stage.epochs,
          initial_epoch=finished_epochs, steps_per_epoch=steps, verbose=0,
          callbacks=[callbacks.Progress(bar, name), *watching])
  best = int(state.best_epoch)
  use_best = best > 0 and stage.selection == 'best_validation'
  weights = f'best/epoch-{best}' if use_best else f'last/{pathlib.Path(manager.latest_checkpoint).name}'
  run.write(f'{name}/finished.json', {'weights': weights, 'epochs': int(state.epoch)})


def _initialise(run: runs.Run, name: str, method: tf.keras.Model, num_classes: int) -> None:
  """Gives every network of a stage the weights that it starts from, and says which."""
  recipe = run.recipe
  sources = dict(item.split('=') for item in recipe.stages[name].init)
  for stream, network in method.networks.items():
    if stream in sources:
      stage, saved = sources[stream].split('/')
      if run.read(f'{stage}/finished.json') is None:
        raise errors.UserError(f'Stage {name} starts from stage {stage}, which was never run to its end in '
                               f'{run.directory}: run --stage={stage} first, or leave --stage out.')
      checkpoints.load_networks({saved: network}, run.weights(stage))
      print(f'Stage {name}: {stream} starts as {saved} of stage {stage}')
    elif stream not in method.streams:
      continue  # a discriminator starts anew
    elif recipe.init_from:
      weights = _weights_of_other_run(recipe, name, num_classes)
      checkpoints.load_networks({stream: network}, weights, ('classifier',) if recipe.new_classifier else ())
      print(f'Stage {name}: {stream} starts from {weights}' + (
          ', with a new classifier' if recipe.new_classifier else ''))
    elif getattr(recipe.network, 'pretrained', ''):
      resnet = network.encoder if stream == 'autoencoder' else network
      print(f'Stage {name}, {stream}: {slim_checkpoint.load_pretrained(resnet, recipe.network.pretrained)}')


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


def _optimizer(stage: configs.StageConfig, samples: int, factor: float) -> tf.keras.optimizers.Optimizer:
  # Epochs are counted in samples, not in whole batches, as the authors do.
  schedule = optimizers.stepwise_schedule(
      factor * stage.learning_rate, samples / stage.batch_size, stage.warmup_epochs, stage.decay_epochs)
  if stage.optimizer == 'adam':
    return tf.keras.optimizers.Adam(schedule, epsilon=1e-8)  # TensorFlow 1's (FIDELITY row 33)
  return optimizers.Momentum(schedule, stage.momentum)


def _callbacks(run, name, stage, source, split, method, state, manager) -> Sequence[tf.keras.callbacks.Callback]:
  """In the order in which they see an epoch end: validation adds to the logs that the others write."""
  recipe, directory = run.recipe, run.stage_directory(name)
  result = [callbacks.StopOnNaN()]
  if split.validation and method.classifies:
    result.append(callbacks.Validation(
        _validator(method, source, split.validation, recipe), stage.criterion, stage.validate_every,
        stage.early_stopping_patience, state, directory / 'best'))
  examples, _, _ = next(iter(clips.training_clips(
      source.videos(split.train, method.training_modalities), recipe.clips, seed=recipe.seed, epochs=[0],
      batch_size=min(4, len(split.train)), noisy_depth=method.learns_from_noisy_depth)))
  history = (run.read(f'{name}/history.json') or [])[:int(state.epoch)]
  return result + [
      summaries.TensorBoard(
          run.directory / 'tensorboard' / name, source.label_names, settings.flatten(recipe), examples),
      callbacks.SaveLast(manager, state, history, lambda entries: run.write(f'{name}/history.json', entries),
                         directory / 'best')]


def _validator(method, source, names, recipe):
  """A function that gives the validation accuracies of the method as it is then."""
  fixed = clips.fixed_clips(source.videos(names, method.modalities), recipe.clips)
  ids, labels = source.index(names)
  return lambda: metrics.ensemble_accuracies(
      labels, prediction.predict_videos(method, fixed, ids, labels, recipe.clips.test_clips).logits)
