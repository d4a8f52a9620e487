"""Building of methods from recipes, and restoring of trained methods from runs."""

import contextlib
import pkgutil
from typing import Iterator, Optional

import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.methods import adversarial
from tf_privinfo.recipes.stage import LOSSES
from tf_privinfo.runs import checkpoints
from tf_privinfo.runs.run import SWITCH
from tf_privinfo.utils import errors


def stage_seed(recipe: recipes.Recipe, stage: str) -> int:
  """The seed of weights and data of a stage: the recipe's seed for the first stage, derived seeds for later ones."""
  return recipe.seed + 2**16 * list(recipe.stages).index(stage)


def initial_method(recipe: recipes.Recipe, stage: str, num_classes: int) -> tf.keras.Model:
  """Builds the method of a stage with random initial weights, and sets the global seeds.

  The weights are a function of the recipe's seed, the stage, its streams and the network. The function must be called
  in the scope of a distribution strategy.

  Args:
    recipe: recipe of the method.
    stage: name of the stage.
    num_classes: C.
  """
  tf.keras.utils.set_random_seed(stage_seed(recipe, stage))
  return build_method(recipe, stage, num_classes)


def build_method(recipe: recipes.Recipe, stage: str, num_classes: int) -> tf.keras.Model:
  """Builds the method of a stage with all variables, of unspecified values; arguments as in `initial_method`."""
  loss, clips = LOSSES[recipe.stages[stage].loss], recipe.clips
  method_class = pkgutil.resolve_name(loss.method or recipes.form(recipe.method, recipe.dataset).method)
  tf.keras.backend.set_image_data_format('channels_last')  # regardless of ~/.keras/keras.json
  tf.keras.backend.set_floatx('float32')
  tf.keras.backend.set_epsilon(1e-7)
  with _precision(recipe):
    streams = {name: method_class.build_stream(name, recipe, num_classes) for name in recipe.streams(stage)}
    for network in streams.values():
      network(tf.zeros([1, clips.frames, clips.crop_size, clips.crop_size, 3]))
    method = method_class.from_recipe(recipe, stage, streams, num_classes)
  method.built = True  # all variables belong to the networks
  return method


@contextlib.contextmanager
def _precision(recipe: recipes.Recipe) -> Iterator[None]:
  """Sets the precision of a recipe as the global policy of Keras, and restores the previous policy afterwards."""
  policy = tf.keras.mixed_precision.global_policy()
  tf.keras.mixed_precision.set_global_policy(f'mixed_{recipe.mixed_dtype}' if recipe.mixed_precision else 'float32')
  try:
    yield
  finally:
    tf.keras.mixed_precision.set_global_policy(policy)


def restore_method(run: runs.Run, stage: Optional[str] = None) -> tf.keras.Model:
  """The trained method of a stage (the deployed one by default), for inference.

  Raises:
    UserError: if the stage has not finished, or the checkpoint does not fit the architecture.
  """
  stage = stage or run.recipe.deployed_stage
  weights = run.weights(stage)
  method = build_method(run.recipe, stage, len(run.manifest()['label_names']))
  checkpoints.load_networks(method.networks, weights)
  return method


def restore_switch(run: runs.Run) -> adversarial.SensorSwitch:
  """The trained switch between the privileged modality and `hall`; raises `UserError` as `restore_method`."""
  hallucinated = restore_method(run, recipes.SWITCH.hallucinated)
  detector = restore_method(run, recipes.SWITCH.detector)
  streams = {**hallucinated.streams, **detector.streams}
  return adversarial.SensorSwitch(streams, detector.discriminator, run.recipe.roles)


def restore_deployed(run: runs.Run) -> 'tf.keras.Model | adversarial.SensorSwitch':
  """The model that is deployed: the switch of a run, or the method of its last stage.

  Raises:
    UserError: as `restore_method`, or if the switch has no threshold yet.
  """
  if not run.recipe.has_switch:
    return restore_method(run)
  switch = restore_switch(run)
  if not run.read(SWITCH):
    raise errors.UserError(
        f'{run.directory} has no threshold for its switch yet: run train_main.py again to choose it.')
  return switch
