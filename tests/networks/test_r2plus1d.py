"""R(2+1)D against the authors' network and against plain 3-D convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_r2plus1d
from tf_privinfo.networks import layers, r2plus1d
from tf_privinfo.networks.config import R2Plus1DConfig


@pytest.fixture(scope='module')
def golden():
  return parity.Golden('dmcl_r2plus1d')


@pytest.fixture(scope='module')
def network(golden):
  return authors_r2plus1d.build(golden, 'rgb')


def test_parameter_count(network, golden):
  trainable = sum(int(tf.size(v)) for v in network.trainable_variables)
  assert trainable == 15_383_882 == golden.meta['n_params_trainable_per_network']
  assert sum(int(tf.size(v)) for v in network.variables) == golden.meta['n_params_total_per_network']


def test_inference_mode_parity(network, golden):
  golden.check('infer:reps_rgb', network.represent(golden['images_rgb']))
  golden.check('infer:logits_rgb', network(golden['images_rgb']))


def test_training_mode_parity(golden):
  network = authors_r2plus1d.build(golden, 'rgb')
  golden.check('train:logits_rgb', network(golden['images_rgb'], training=True))
  # The moving averages after one step, the variance biased as in the authors' TensorFlow.
  moving = {v.name: v for v in network.non_trainable_variables}
  first = network.stem_spatial.norm
  assert first.moving_mean.name in moving
  golden.check('after1step:resnet_rgb/batch_normalization/moving_mean', first.moving_mean)
  golden.check('after1step:resnet_rgb/batch_normalization/moving_variance', first.moving_variance)


def test_units_equal_plain_3d_convolutions():
  """The folded form against Conv3D with the same weights, strides and odd sizes included."""
  inputs = tf.random.stateless_normal([2, 6, 13, 11, 4], [1, 2])
  unit = r2plus1d.BasicUnit(8, strides=2, project=True, norm={'momentum': 0.997})
  folded = unit(tf.reshape(inputs, [-1, 13, 11, 4]), 6)

  def conv3d(x, conv, kernel, strides, pad):
    x = tf.pad(x, [[0, 0], [0, 0], [pad, pad], [pad, pad], [0, 0]])
    temporal = 'SAME' if kernel[0] == 3 else 'VALID'
    return tf.nn.conv3d(x, tf.reshape(conv.kernel, [*kernel, *conv.kernel.shape[2:]]), [1, *strides, 1], temporal)

  scale = 1 / np.sqrt(1 + 1e-5)  # batch norm at initialisation
  x = tf.nn.relu(scale * conv3d(inputs, unit.spatial1.conv, (1, 3, 3), (1, 2, 2), 1))
  x = tf.nn.relu(scale * conv3d(x, unit.temporal1.conv, (3, 1, 1), (2, 1, 1), 0))
  x = tf.nn.relu(scale * conv3d(x, unit.spatial2.conv, (1, 3, 3), (1, 1, 1), 1))
  x = scale * conv3d(x, unit.temporal2.conv, (3, 1, 1), (1, 1, 1), 0)
  shortcut = scale * conv3d(inputs, unit.shortcut.conv, (1, 1, 1), (2, 2, 2), 0)
  plain = tf.nn.relu(x + shortcut)
  np.testing.assert_allclose(tf.reshape(folded, plain.shape), plain, atol=2e-6)


def test_initial_kernels_are_the_authors():
  """A normal of variance 1 / fan_in after it was cut at two standard deviations; Glorot uniform for the classifier."""
  unit = r2plus1d.BasicUnit(64, strides=1, project=True, norm={'momentum': 0.997})
  unit(tf.zeros([2, 4, 4, 64]), 2)
  for conv, fan_in in ((unit.spatial1.conv, 9 * 64), (unit.temporal2.conv, 3 * 64)):
    deviation = fan_in**-0.5
    kernel = conv.kernel.numpy()
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.03)
    assert 1.98 * deviation / 0.87963 < np.abs(kernel).max() < 2.001 * deviation / 0.87963
  network = r2plus1d.R2Plus1D(7, R2Plus1DConfig(width=4, units=(1, 1)))
  network(tf.zeros([1, 4, 16, 16, 3]))
  limit = (6 / (8 + 7))**0.5
  assert 0.8 * limit < np.abs(network.classifier.kernel).max() <= limit


def test_config_round_trip():
  network = r2plus1d.R2Plus1D(7, R2Plus1DConfig(width=4, units=(1, 1)))
  rebuilt = r2plus1d.R2Plus1D.from_config(network.get_config())
  clips = tf.zeros([1, 8, 16, 16, 3])
  assert rebuilt(clips).shape == network(clips).shape == (1, 7)
  assert [v.shape for v in rebuilt.variables] == [v.shape for v in network.variables]


@pytest.mark.usefixtures('bfloat16')
def test_float32_logits_under_mixed_precision():
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    network = r2plus1d.R2Plus1D(3, R2Plus1DConfig(width=4, units=(1, 1)))
    logits = network(tf.ones([2, 4, 16, 16, 3]), training=True)
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert logits.dtype == tf.float32
  assert network.units[0].spatial1.conv.compute_dtype == 'bfloat16'
  assert {v.dtype for v in network.variables} == {tf.float32}


@pytest.mark.parametrize('unbiased, factor', [(False, 1.0), (True, 6 / 5)])
def test_moving_variances_are_those_of_the_authors_kernels(unbiased, factor):
  """The averages are of the biased variance of a batch, but for the autoencoder's: of six values by hand."""
  values = np.array([1.0, 2, 4, 8, 16, 32], np.float32)
  norm = layers.BatchNormalization(0.5, unbiased_moving_variance=unbiased)
  norm(tf.constant(values.reshape(6, 1, 1, 1)), training=True)
  np.testing.assert_allclose(norm.moving_variance, [0.5 + 0.5 * factor * values.var()], rtol=1e-5)
  np.testing.assert_allclose(norm.moving_mean, [values.mean() / 2], rtol=1e-6)
