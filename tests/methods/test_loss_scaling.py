"""Mixed precision: its flag, and training steps in float16, whose loss is scaled."""

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.methods import multiple_choice
from tf_privinfo.networks import r2plus1d
from tf_privinfo.networks.config import R2Plus1DConfig
from tf_privinfo.training import optimizers
import train_main

MODALITIES = ('rgb', 'depth')
BATCH = ({m: tf.random.stateless_uniform([4, 2, 16, 16, 3], [0, i], 0, 255) for i, m in enumerate(MODALITIES)},
         tf.constant([0, 1, 2, 0]))


def _method(policy):
  previous = tf.keras.mixed_precision.global_policy()
  tf.keras.mixed_precision.set_global_policy(policy)
  try:
    tf.keras.utils.set_random_seed(1)
    streams = {m: r2plus1d.R2Plus1D(3, R2Plus1DConfig(width=8, units=(1,))) for m in MODALITIES}
    for modality, stream in streams.items():
      stream(BATCH[0][modality])
    method = multiple_choice.DMCL(streams, 3)
  finally:
    tf.keras.mixed_precision.set_global_policy(previous)
  method.compile_with(lambda factor: optimizers.Momentum(0.1 * factor))
  return method


def _changes(method):
  before = [variable.numpy() for variable in method.learned_variables]
  means = method.train_step(BATCH)
  return [v.numpy() - start for v, start in zip(method.learned_variables, before)], means


def test_a_step_is_nearly_the_step_in_float32():
  expected, means = _changes(_method('float32'))
  found, means_of_float16 = _changes(_method('mixed_float16'))
  error, size = (np.sqrt(sum(np.sum(part**2) for part in parts)) for parts in (
      [value - reference for value, reference in zip(found, expected)], expected))
  assert error < 0.05 * size
  for name in ('loss', 'gradient_norm/rgb'):
    assert float(means_of_float16[name]) == pytest.approx(float(means[name]), rel=0.01)


def test_gradients_that_overflow_change_no_weights_and_lower_the_scale():
  method = _method('mixed_float16')
  method.optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizers.Momentum(0.1), initial_scale=2.0**40)
  method.optimizer.build(method.learned_variables)
  changes, means = _changes(method)
  assert not any(change.any() for change in changes)
  assert float(method.optimizer.loss_scale) == 2.0**39
  assert np.isfinite(means['loss']) and np.isfinite(means['gradient_norm/rgb'])


@pytest.mark.parametrize('arguments, expected', [
    ([], (False, 'bfloat16')), (['--nomixed_precision'], (False, 'bfloat16')),
    (['--mixed_precision'], (True, 'bfloat16')), (['--mixed_precision=true'], (True, 'bfloat16')),
    (['--mixed_precision=bfloat16'], (True, 'bfloat16')), (['--mixed_precision=float16'], (True, 'float16'))])
def test_spellings_of_the_flag(arguments, expected):
  with flagsaver.flagsaver():
    train_main.FLAGS(['train_main.py', '--method=dmcl', '--dataset=synthetic', *arguments])
    recipe = train_main.resolve_recipe()
  assert (recipe.mixed_precision, recipe.mixed_dtype) == expected


def test_another_type_is_refused():
  with flagsaver.flagsaver(), pytest.raises(flags.IllegalFlagValueError, match='choose one of bfloat16, float16'):
    train_main.FLAGS(['train_main.py', '--mixed_precision=float8'])
