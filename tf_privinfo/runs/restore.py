"""Builds the methods of recipes, and restores those of runs."""

import contextlib
import pkgutil
from typing import Iterator, Optional

import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.methods import adversarial
from tf_privinfo.recipes.stage import LOSSES
from tf_privinfo.runs import checkpoints


def stage_seed(recipe: recipes.Recipe, stage: str) -> int:
  """The seed of a stage's weights and data: the recipe's for its first stage, others for the rest."""
  return recipe.seed + 2**16 * list(recipe.stages).index(stage)


def initial_method(recipe: recipes.Recipe, stage: str, num_classes: int) -> tf.keras.Model:
  """Builds the method of a stage with the random weights that its training starts from, and sets the global seeds.

  The weights are a function of the recipe's seed, the stage, its streams and the network. Call it inside the scope of
  a distribution strategy.
  """
  tf.keras.utils.set_random_seed(stage_seed(recipe, stage))
  return build_method(recipe, stage, num_classes)


def build_method(recipe: recipes.Recipe, stage: str, num_classes: int) -> tf.keras.Model:
  """Builds the method of a stage with all its variables, whatever their values."""
  loss, clips = LOSSES[recipe.stages[stage].loss], recipe.clips
  method_class = pkgutil.resolve_name(loss.method or recipes.form(recipe.method, recipe.dataset).method)
  tf.keras.backend.set_image_data_format('channels_last')  # whatever ~/.keras/keras.json says
  tf.keras.backend.set_floatx('float32')
  tf.keras.backend.set_epsilon(1e-7)
  with _precision(recipe):
    streams = {name: method_class.build_stream(name, recipe, num_classes) for name in recipe.streams(stage)}
    for network in streams.values():
      network(tf.zeros([1, clips.frames, clips.crop_size, clips.crop_size, 3]))
    method = method_class.from_recipe(recipe, stage, streams, num_classes)
  method.built = True  # all of its variables are its networks'
  return method


@contextlib.contextmanager
def _precision(recipe: recipes.Recipe) -> Iterator[None]:
  """The precision of a recipe as Keras' policy, then the one of before."""
  policy = tf.keras.mixed_precision.global_policy()
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if recipe.mixed_precision else 'float32')
  try:
    yield
  finally:
    tf.keras.mixed_precision.set_global_policy(policy)


def restore_method(run: runs.Run, stage: Optional[str] = None) -> tf.keras.Model:
  """The trained method of a stage (the deployed one by default), for inference.

  Raises:
    UserError: if the stage has not finished, or its checkpoint belongs to another architecture.
  """
  stage = stage or run.recipe.deployed_stage
  weights = run.weights(stage)
  method = build_method(run.recipe, stage, len(run.manifest()['label_names']))
  checkpoints.load_networks(method.networks, weights)
  return method


def restore_switch(run: runs.Run) -> adversarial.SensorSwitch:
  """The switch between depth and hallucinated depth, of trained parts; raises as `restore_method`."""
  hallucinated = restore_method(run, recipes.SWITCH.hallucinated)
  detector = restore_method(run, recipes.SWITCH.detector)
  return adversarial.SensorSwitch({**hallucinated.streams, **detector.streams}, detector.discriminator)
