"""Runs: the run directory, and how a method is built from a recipe and restored.

    checkpoints/<dataset>/<method>/<run name>/
      recipe.yaml      the resolved recipe, enough to run it again
      manifest.json    the dataset as it was prepared: labels, samples, flow, depth variant
      data.json        the --data_dir and --prepared_dir that it was trained with
      run.lock         locked while a process writes here; names the last one
      <stage>/         last/ and best/ checkpoints, history.json, finished.json; one for each stage
      tensorboard/     logs
      results.json     every figure of the final evaluation
      saved_model/     for TF Serving

Everything is written to a temporary name and renamed.
"""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

import tensorflow as tf

from tf_privinfo import atomic
from tf_privinfo import checkpoints
from tf_privinfo import checks
from tf_privinfo import configs
from tf_privinfo import errors
from tf_privinfo import recipes
from tf_privinfo import settings
from tf_privinfo.datasets import protocols
from tf_privinfo.methods import adversarial
from tf_privinfo.methods import cross_modal
from tf_privinfo.methods import multiple_choice
from tf_privinfo.methods import two_stream
from tf_privinfo.networks import autoencoder
from tf_privinfo.networks import discriminator
from tf_privinfo.networks import r2plus1d
from tf_privinfo.networks import resnet50


# What the JSON files of a run must hold to be used.
_KEYS = {
    'manifest.json': ('label_names', 'samples'), 'finished.json': ('weights',), 'switch.json': ('threshold', 'levels'),
    'results.json': ('accuracy', 'subset_accuracy', 'class_accuracy', 'stages', 'samples', 'clips_per_video')}


class Run:
  """One run directory.

  Attributes:
    directory: its path.
    recipe: its recipe.
  """

  def __init__(self, directory: pathlib.Path, recipe: recipes.Recipe):
    self.directory = directory
    self.recipe = recipe

  @classmethod
  def create_or_resume(cls, directory: pathlib.Path, recipe: recipes.Recipe) -> 'Run':
    """Opens the run directory of a recipe, made if it is not there.

    Args:
      directory: where.
      recipe: what is going to run.

    Raises:
      UserError: if the directory belongs to another recipe or cannot be written.
    """
    path = directory / 'recipe.yaml'
    if path.exists():
      _refuse_other_recipe(directory, recipes.read(path), recipe)
    else:
      with _clear_failures(directory):
        atomic.write(path, recipes.to_yaml(recipe))
    return cls(directory, recipe)

  @classmethod
  def open(cls, directory: str) -> 'Run':
    """Opens an existing run; raises `UserError` if there is none."""
    path = pathlib.Path(directory) / 'recipe.yaml'
    if not path.is_file():
      raise errors.UserError(f'{directory} is not a run directory (it has no recipe.yaml).')
    try:
      recipe = checks.check(recipes.read(path))
      protocols.resolve(recipe.dataset, recipe.protocol)
      return cls(path.parent, recipe)
    except errors.UserError as error:
      raise error if str(path) in str(error) else errors.UserError(f'{path}: {error}') from None

  def stage_directory(self, stage: str) -> pathlib.Path:
    return self.directory / stage

  def read(self, name: str) -> Any:
    """The content of a JSON file of the run, or None if it was not written yet."""
    path = self.directory / name
    if not path.exists():
      return None
    return atomic.read_json(path, _KEYS.get(path.name, ()), list if path.name == 'history.json' else dict)

  def manifest(self) -> Dict[str, Any]:
    """The dataset as it was prepared; raises `UserError` if it was never recorded."""
    return atomic.read_json(self.directory / 'manifest.json', _KEYS['manifest.json'])

  def write(self, name: str, content: Any) -> None:
    """Writes a JSON file of the run, whole or not at all."""
    atomic.write(self.directory / name, json.dumps(content, indent=1))

  def record_dataset(self, manifest: Dict[str, Any]) -> None:
    """Copies the dataset's manifest into the run; raises `UserError` if the run began with other data."""
    before = self.read('manifest.json')
    if before not in (None, manifest):
      raise errors.UserError(
          f'{self.directory} was trained on a dataset that was prepared differently: pass the --data_dir of then, '
          'or --noresume to start anew beside it.')
    self.write('manifest.json', manifest)

  def remember_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> None:
    """Writes down where the data are, for a later evaluation; None for a default place, which is not remembered."""
    places = {'data_dir': data_dir, 'prepared_dir': prepared_dir}
    self.write('data.json', {name: place and os.path.abspath(place) for name, place in places.items()})

  def find_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """The --data_dir and --prepared_dir to evaluate with: those given, or else those that the run was trained with.

    Raises:
      UserError: if the folder that the run was trained with is gone.
    """
    places = self.read('data.json') or {'data_dir': None, 'prepared_dir': None}  # earlier versions did not write it
    if data_dir and os.path.abspath(data_dir) != places['data_dir']:
      return data_dir, prepared_dir
    place = places['prepared_dir'] or places['data_dir']
    if not prepared_dir and place and not os.path.isdir(place):
      flag = '--prepared_dir' if places['prepared_dir'] else '--data_dir'
      raise errors.UserError(f'{self.directory} was trained with the data in {place}, which is no longer there: pass '
                             f'{flag} with where they are now.')
    return data_dir or places['data_dir'], prepared_dir or places['prepared_dir']

  def finished_stages_of(self, other: 'Run') -> List[str]:
    """The finished stages of another run that are stages of this one, too, with the same data."""
    if other.read('manifest.json') != self.read('manifest.json'):
      return []
    return list(itertools.takewhile(
        lambda stage: other.read(f'{stage}/finished.json'), recipes.shared_stages(self.recipe, other.recipe)))

  def take_stages(self, other: 'Run', stages: List[str]) -> List[str]:
    """Copies those of `stages` of another run that this run has not finished, and returns their names."""
    taken = [stage for stage in stages if self.read(f'{stage}/finished.json') is None]
    for stage in taken:
      temporary = self.directory / f'{stage}.tmp'
      shutil.rmtree(temporary, ignore_errors=True)
      try:
        shutil.copytree(other.stage_directory(stage), temporary)
      except FileNotFoundError:  # --noresume of another process
        raise errors.UserError(f'{other.directory} was moved while its stage {stage} was copied: run the same command '
                               'again, or leave --stages_from out.') from None
      atomic.replace_directory(temporary, self.stage_directory(stage))
    return taken

  def weights(self, stage: str) -> str:
    """The checkpoint that a stage ended with; raises `UserError` if it has not finished."""
    finished = self.read(f'{stage}/finished.json')
    if finished is None:
      raise errors.UserError(
          f'Stage {stage} of {self.directory} has not finished: run train_main.py for it, or again to resume it.')
    return str(self.directory / stage / finished['weights'])

  def restore_method(self, stage: Optional[str] = None) -> tf.keras.Model:
    """The trained method of a stage (the last one by default), for inference.

    Raises:
      UserError: if the stage has not finished, or its checkpoint belongs to
        another architecture.
    """
    stage = stage or list(self.recipe.stages)[-1]
    weights = self.weights(stage)
    method = build_method(self.recipe, stage, len(self.manifest()['label_names']))
    checkpoints.load_networks(method.networks, weights)
    return method

  def restore_switch(self) -> adversarial.Switch:
    """The switch between depth and hallucinated depth, of trained parts; raises as `restore_method`."""
    fused, watch = self.restore_method('fused'), self.restore_method('watch')
    return adversarial.Switch({**fused.streams, **watch.streams}, watch.discriminator)


@contextlib.contextmanager
def only_process(directory: pathlib.Path, *, wait: bool = False) -> Iterator[None]:
  """Holds the lock of a run directory, made if it is not there; raises `UserError` if a process is writing to it.

  With `wait` it waits for that process instead.
  """
  with contextlib.ExitStack() as stack:
    with _clear_failures(directory):
      stack.enter_context(atomic.only_process(
          directory / 'run.lock', f'The run in {directory} is in progress', wait=wait))
    yield


def set_aside(directory: pathlib.Path) -> None:
  """Renames a run directory, if it is there; raises `UserError` if a process is writing to it."""
  if (directory / 'recipe.yaml').exists():
    with only_process(directory):
      kept = directory.with_name(f'{directory.name}.{time.strftime("%Y%m%d-%H%M%S")}')
      directory.rename(kept)
    print(f'The earlier run was kept as {kept}')


@contextlib.contextmanager
def _clear_failures(directory: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    raise errors.UserError(f'Cannot write to {directory} ({error.strerror}): make it writable, or choose another '
                           '--output_dir.') from None


def stage_seed(recipe: recipes.Recipe, stage: str) -> int:
  """The seed of a stage's weights and data: the recipe's for its first stage, others for the rest."""
  return recipe.seed + 2**16 * list(recipe.stages).index(stage)


def build_method(recipe: recipes.Recipe, stage: str, num_classes: int) -> tf.keras.Model:
  """Builds the method of a stage with all its variables, randomly initialised.

  The initial weights are a function of the recipe's seed, the stage, its
  streams and the network. Call it inside the scope of a distribution strategy.
  """
  tf.keras.backend.set_image_data_format('channels_last')  # whatever ~/.keras/keras.json says
  tf.keras.backend.set_floatx('float32')
  tf.keras.backend.set_epsilon(1e-7)
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if recipe.mixed_precision else 'float32')
  tf.keras.utils.set_random_seed(stage_seed(recipe, stage))
  clips, reads = recipe.clips, recipe.streams(stage)
  streams = {stream: _network(recipe, stream, num_classes) for stream in reads}
  for stream, network in streams.items():
    network(tf.zeros([1, clips.frames, clips.crop_size, clips.crop_size, 3]))
  method = _METHODS[recipe.stages[stage].loss](recipe, stage, streams, num_classes)
  method.built = True  # all of its variables are its networks'
  return method


def _network(recipe, stream, num_classes):
  if stream == 'autoencoder':
    return autoencoder.Autoencoder(recipe.network, name=stream)
  network = resnet50.ResNet50 if isinstance(recipe.network, configs.ResNet50Config) else r2plus1d.R2Plus1D
  return network(num_classes, recipe.network, name=stream)


def _multiple_choice(recipe, stage, streams, num_classes):
  classes = {
      'dmcl': multiple_choice.DMCL, 'smcl': multiple_choice.SMCL, 'cmcl': multiple_choice.CMCL,
      'independent': multiple_choice.Independent, 'random_teacher': multiple_choice.RandomTeacher}
  options = {}
  if recipe.loser:
    options['loser'] = recipe.loser
  if recipe.method == 'random_teacher':
    options['seed'] = recipe.seed
  return classes[recipe.method](streams, num_classes, recipe.stages[stage].weight_decay, **options)


def _two_stream_options(recipe, stage):
  config = recipe.stages[stage]
  return {'connections': recipe.connections or configs.ConnectionConfig('none'), 'reads': recipe.streams(stage),
          'frozen': config.frozen, 'weight_decay': config.weight_decay}


def _cross_entropy(recipe, stage, streams, num_classes):
  del num_classes
  return two_stream.FusedStreams(streams, **_two_stream_options(recipe, stage))


def _hallucination(recipe, stage, streams, num_classes):
  del num_classes
  return two_stream.Hallucination(streams, recipe.hallucination, **_two_stream_options(recipe, stage))


def _adversarial(recipe, stage, streams, num_classes):
  return adversarial.Game(streams, _discriminator(recipe, num_classes), **_two_stream_options(recipe, stage))


def _noise(recipe, stage, streams, num_classes):
  return adversarial.Watch(streams, _discriminator(recipe, num_classes), frozen=recipe.stages[stage].frozen)


def _discriminator(recipe, num_classes):
  network = recipe.network
  result = discriminator.Discriminator(num_classes, recipe.discriminator, name='discriminator')
  features = network.bottleneck_width if network.bottleneck != 'none' else 32 * network.width
  result(tf.zeros([recipe.clips.frames, features]), recipe.clips.frames)
  return result


def _moddrop(recipe, stage, streams, num_classes):
  del num_classes
  return two_stream.ModDrop(streams, recipe.moddrop, recipe.seed, **_two_stream_options(recipe, stage))


def _reconstruction(recipe, stage, streams, num_classes):
  del num_classes
  return cross_modal.Reconstruction(streams, reads=recipe.streams(stage))


def _estimated_depth(recipe, stage, streams, num_classes):
  del num_classes
  return cross_modal.EstimatedDepth(streams, **_two_stream_options(recipe, stage))


# Loss of a stage -> its method.
_METHODS = {
    'multiple_choice': _multiple_choice, 'cross_entropy': _cross_entropy, 'hallucination': _hallucination,
    'adversarial': _adversarial, 'noise': _noise, 'moddrop': _moddrop, 'reconstruction': _reconstruction,
    'estimated_depth': _estimated_depth}


def _refuse_other_recipe(directory, saved: recipes.Recipe, wanted: recipes.Recipe) -> None:
  before, now = settings.flatten(saved), settings.flatten(wanted)
  changed = [f'{key} was {before.get(key)!r}, now {now.get(key)!r}'
             for key in {**before, **now} if before.get(key) != now.get(key)]
  if changed:
    raise errors.UserError(
        f'{directory} holds a run of another recipe ({"; ".join(changed)}): '
        'choose another --output_dir, or --noresume to start anew beside it.')
