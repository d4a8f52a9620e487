"""Runs: the run directory, and how a method is built from a recipe and restored.

    checkpoints/<dataset>/<method>/<run name>/
      recipe.yaml      the resolved recipe, enough to run it again
      manifest.json    the dataset as it was prepared: labels, samples, flow, depth variant
      <stage>/         last/ and best/ checkpoints, history.json, finished.json
      tensorboard/     logs
      results.json     every figure of the final evaluation
      saved_model/     for TF Serving

Everything is written to a temporary name and renamed.
"""

import json
import os
import pathlib
import shutil
import time
from typing import Any, Dict

import tensorflow as tf

from tf_privinfo import errors
from tf_privinfo import recipes
from tf_privinfo.methods import multiple_choice
from tf_privinfo.networks import r2plus1d


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
  def create_or_resume(cls, directory: pathlib.Path, recipe: recipes.Recipe, resume: bool) -> 'Run':
    """Opens the run directory of a recipe, made if it is not there.

    Args:
      directory: where.
      recipe: what is going to run.
      resume: continue what is there; otherwise it is renamed, not deleted.

    Raises:
      UserError: if the directory belongs to another recipe or cannot be written.
    """
    path = directory / 'recipe.yaml'
    if path.exists() and not resume:
      kept = directory.with_name(f'{directory.name}.{time.strftime("%Y%m%d-%H%M%S")}')
      directory.rename(kept)
      print(f'The earlier run was kept as {kept}')
    if path.exists():
      _refuse_other_recipe(directory, recipes.from_yaml(path.read_text()), recipe)
    else:
      try:
        write_atomically(path, recipes.to_yaml(recipe))
      except OSError as error:
        raise errors.UserError(
            f'Cannot write to {directory} ({error.strerror}): choose another --output_dir.') from None
    return cls(directory, recipe)

  @classmethod
  def open(cls, directory: str) -> 'Run':
    """Opens an existing run; raises `UserError` if there is none."""
    path = pathlib.Path(directory) / 'recipe.yaml'
    if not path.is_file():
      raise errors.UserError(f'{directory} is not a run directory (it has no recipe.yaml).')
    return cls(path.parent, recipes.check(recipes.from_yaml(path.read_text())))

  def stage_directory(self, stage: str) -> pathlib.Path:
    return self.directory / stage

  def read(self, name: str) -> Any:
    """The content of a JSON file of the run, or None if it was not written yet."""
    path = self.directory / name
    return json.loads(path.read_text()) if path.exists() else None

  def write(self, name: str, content: Any) -> None:
    """Writes a JSON file of the run, whole or not at all."""
    write_atomically(self.directory / name, json.dumps(content, indent=1))

  def record_dataset(self, manifest: Dict[str, Any]) -> None:
    """Copies the dataset's manifest into the run; raises `UserError` if the run began with other data."""
    before = self.read('manifest.json')
    if before not in (None, manifest):
      raise errors.UserError(
          f'{self.directory} was trained on a dataset that was prepared differently: pass the --data_dir of then, '
          'or --noresume to start anew beside it.')
    self.write('manifest.json', manifest)

  def restore_method(self) -> tf.keras.Model:
    """The trained method with its best weights, for inference.

    Raises:
      UserError: if the last stage has not finished, or its checkpoint belongs
        to another architecture.
    """
    stage = list(self.recipe.stages)[-1]
    finished = self.read(f'{stage}/finished.json')
    if finished is None:
      raise errors.UserError(f'{self.directory} has not finished training: run train_main.py again to resume it.')
    method = build_method(self.recipe, len(self.read('manifest.json')['label_names']))
    restore_weights(method, str(self.directory / stage / finished['weights']))
    return method


def run_name(recipe: recipes.Recipe) -> str:
  """A directory name that tells recipes apart: preset, protocol, variant, seed and what was overridden."""
  default = recipes.flatten(
      recipes.recipe(recipe.method, recipe.dataset, recipe.protocol, recipe.preset, recipe.variant, recipe.seed))
  changed = [f'{key}={value}' for key, value in recipes.flatten(recipe).items() if default.get(key) != value]
  return '-'.join([recipe.preset, recipe.protocol, recipe.variant, f'seed{recipe.seed}', *changed])


def build_method(recipe: recipes.Recipe, num_classes: int) -> tf.keras.Model:
  """Builds the method of a recipe with all its variables, randomly initialised.

  The initial weights are a function of the recipe's seed, modalities and
  network. Call it inside the scope of a distribution strategy.
  """
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if recipe.mixed_precision else 'float32')
  tf.keras.utils.set_random_seed(recipe.seed)
  streams = {m: r2plus1d.R2Plus1D(num_classes, recipe.network, name=m) for m in recipe.modalities}
  classes = {
      'dmcl': multiple_choice.DMCL, 'smcl': multiple_choice.SMCL, 'cmcl': multiple_choice.CMCL,
      'independent': multiple_choice.Independent, 'random_teacher': multiple_choice.RandomTeacher}
  options = {}
  if recipe.method in ('dmcl', 'random_teacher'):
    options['loser'] = recipe.loser
  if recipe.method == 'random_teacher':
    options['seed'] = recipe.seed
  stage = next(iter(recipe.stages.values()))
  method = classes[recipe.method](streams, num_classes, stage.weight_decay, **options)
  clips = recipe.clips
  method({m: tf.zeros([1, clips.frames, clips.crop_size, clips.crop_size, 3]) for m in recipe.modalities})
  return method


def restore_weights(method: tf.keras.Model, checkpoint: str) -> None:
  """Restores a method's weights, every one of them; raises `UserError` if the checkpoint does not fit."""
  try:
    status = tf.train.Checkpoint(streams=method.streams).read(checkpoint)
    status.expect_partial().assert_existing_objects_matched()
  except (ValueError, AssertionError, tf.errors.OpError) as error:
    reason = str(error).strip().splitlines()[0][:200]
    raise errors.UserError(
        f'The checkpoint {checkpoint} does not fit the method {method.name} of this recipe: {reason}') from None


def write_atomically(path: pathlib.Path, content: 'str | bytes') -> None:
  """Writes a file under a temporary name and renames it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(path.name + '.tmp')
  mode, encoding = ('wb', None) if isinstance(content, bytes) else ('w', 'utf-8')
  with open(temporary, mode, encoding=encoding) as file:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
  temporary.replace(path)


def replace_directory(temporary: pathlib.Path, final: pathlib.Path) -> None:
  """Renames a finished directory into place, replacing an older one."""
  if final.exists():
    shutil.rmtree(final)
  temporary.rename(final)


def _refuse_other_recipe(directory, saved: recipes.Recipe, wanted: recipes.Recipe) -> None:
  before, now = recipes.flatten(saved), recipes.flatten(wanted)
  changed = [f'{key} was {before.get(key)!r}, now {now.get(key)!r}'
             for key in {**before, **now} if before.get(key) != now.get(key)]
  if changed:
    raise errors.UserError(
        f'{directory} holds a run of another recipe ({"; ".join(changed)}): '
        'choose another --output_dir, or --noresume to start anew beside it.')
