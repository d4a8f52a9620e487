"""ResNet-50 streams: shapes, connections, bottlenecks, initial kernels, precision."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.networks import resnet50
from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.utils import errors

SMALL = ResNet50Config(width=8, units=(2, 2, 2, 2))


def random_clips(frames=3, size=32):
  return tf.random.stateless_uniform([2, frames, size, size, 3], [1, 2], 0, 255)


def assert_same(value, expected):
  assert np.linalg.norm(value - expected) < 1e-5 * np.linalg.norm(expected)


def test_forms_of_the_connection():
  """Neutral gifts change nothing; a gift of zeros mutes eq. 3.2's residual branch and leaves the identity path."""
  network = resnet50.ResNet50(3, SMALL)
  plain = network.end_points(random_clips())

  def connected(form, fill):
    gift = {key: tf.fill(value.shape, fill) for key, value in plain.items() if 'unit_1' in key}
    return network.end_points(random_clips(), gift, form)

  assert_same(connected('additive', 0.0)['logits'], plain['logits'])
  assert_same(connected('multiplicative', 1.0)['logits'], plain['logits'])
  assert np.abs(connected('additive', 1.0)['logits'] - plain['logits']).max() > 1e-2
  muted = connected('multiplicative', 0.0)
  for block, stride in (('block1', 2), ('block2', 2), ('block3', 2), ('block4', 1)):
    np.testing.assert_array_equal(muted[block], muted[f'{block}/unit_1'][:, ::stride, ::stride])


def test_shapes_of_end_points():
  network = resnet50.ResNet50(3, ResNet50Config(width=8, units=(2, 3, 2, 4)))
  shapes = {key: tuple(value.shape) for key, value in network.end_points(random_clips(size=64)).items()}
  assert shapes == {
      'block1/unit_1': (6, 16, 16, 32), 'block1': (6, 8, 8, 32),
      'block2/unit_1': (6, 8, 8, 64), 'block2': (6, 4, 4, 64),
      'block3/unit_1': (6, 4, 4, 128), 'block3': (6, 2, 2, 128),
      'block4/unit_1': (6, 2, 2, 256), 'block4': (6, 2, 2, 256),
      'features': (6, 256), 'frame_logits': (6, 3), 'logits': (2, 3)}


@pytest.mark.parametrize('form, kernels', [
    ('conv7x7', [(2, 2, 256, 16)]),
    ('spatial_then_1d', [(1, 1, 2 * 2 * 256, 256), (1, 1, 256, 16)]),
    ('pool_then_conv', [(1, 1, 256, 16)])])
def test_bottlenecks(form, kernels):
  """Their kernels, and ReLU on the features that the classifier reads."""
  network = resnet50.ResNet50(3, dataclasses.replace(SMALL, bottleneck=form, bottleneck_width=16))
  points = network.end_points(random_clips(size=64))
  assert points['features'].shape == (6, 16) and points['logits'].shape == (2, 3)
  assert points['features'].numpy().min() == 0 < points['features'].numpy().max()
  found = {tuple(v.shape) for v in network.bottleneck.trainable_variables if len(v.shape) > 1}
  assert found == set(kernels)
  assert_same(network.classifier(points['features']), points['frame_logits'])
  trained = network.end_points(random_clips(size=64), training=True)['features']
  assert np.abs(trained - points['features']).max() > 1e-3


def test_whole_map_bottleneck_is_a_convolution_over_the_map():
  """'spatial_then_1d' written out: a VALID convolution with the flat kernel in the map's shape."""
  layer = resnet50.Bottleneck('spatial_then_1d', 4, norm={'momentum': 0.9})
  maps = tf.random.stateless_normal([2, 3, 5, 6], [1, 2])
  features = layer(maps)
  kernel = tf.reshape(layer.spatial.conv.kernel, [3, 5, 6, 6])
  x = tf.nn.relu(layer.spatial.norm(tf.nn.conv2d(maps, kernel, 1, 'VALID')))
  assert_same(features, tf.nn.relu(layer.conv(x))[:, 0, 0])


@pytest.mark.parametrize('form', ['conv7x7', 'spatial_then_1d'])
def test_whole_map_bottleneck_refuses_maps_of_another_size(form):
  network = resnet50.ResNet50(3, dataclasses.replace(SMALL, bottleneck=form))
  network(random_clips(size=64))
  with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
    network(random_clips(size=96))


def test_networks_of_single_frames_have_no_temporal_convolutions():
  network, temporal = (resnet50.ResNet50(3, dataclasses.replace(SMALL, temporal=value)) for value in (False, True))
  clips = random_clips(frames=4)
  whole = tf.reshape(network.end_points(clips)['frame_logits'], [2, 4, 3])
  assert all(unit.temporal is None for block in network.blocks for unit in block.units)
  assert_same(network(clips[:, 2:3]), whole[:, 2])
  temporal(clips)
  assert len(temporal.trainable_variables) - len(network.trainable_variables) == 4 * 3


def test_unknown_bottleneck():
  with pytest.raises(errors.UserError, match="'conv3x3': choose one of none, conv7x7"):
    resnet50.ResNet50(3, ResNet50Config(bottleneck='conv3x3'))


def test_frames_mix_only_through_trained_temporal_kernels():
  """At first the temporal convolutions are the identity, so that a frame alone gives the same as within its clip."""
  network = resnet50.ResNet50(3, SMALL)
  clips = random_clips(frames=4)
  whole = tf.reshape(network.end_points(clips)['frame_logits'], [2, 4, 3])
  for frame in range(4):
    assert_same(network(clips[:, frame:frame + 1]), whole[:, frame])
  kernel = network.blocks[1].units[1].temporal.conv.kernel
  kernel.assign(tf.roll(kernel, 1, axis=0))
  assert np.abs(network(clips[:, 1:2]) - network.end_points(clips)['frame_logits'][1]).max() > 1e-3


def test_initial_kernels_are_slims():
  """slim: a normal of standard deviation sqrt(1.3 * 2 / fan_in), cut at two standard deviations."""
  network = resnet50.ResNet50(3, ResNet50Config(width=32, units=(2, 2, 2, 2)))
  network(random_clips())
  kernel = network.blocks[3].units[0].conv2.conv.kernel.numpy()
  deviation = np.sqrt(2.6 / (3 * 3 * 256))
  assert 1.999 * deviation < np.abs(kernel).max() <= 2.001 * deviation
  np.testing.assert_allclose(kernel.std(), 0.87963 * deviation, rtol=5e-3)  # what the cut leaves of it
  deviation = np.sqrt(2.6 / 1024)
  assert 1.9 * deviation < np.abs(network.classifier.kernel).max() <= 2.001 * deviation
  assert not network.classifier.bias.numpy().any()


def test_initial_kernel_of_the_whole_map_bottleneck_is_glorots():
  layer = resnet50.Bottleneck('conv7x7', 16, norm={'momentum': 0.997})
  layer(tf.zeros([1, 7, 7, 32]))
  limit = np.sqrt(6 / (7 * 7 * (32 + 16)))
  assert 0.99 * limit < np.abs(layer.conv.kernel).max() <= limit


@pytest.mark.parametrize('form, norms', [('pool_then_conv', ['conv']), ('spatial_then_1d', ['spatial', 'conv'])])
def test_bottlenecks_have_the_momentum_of_the_network(form, norms):
  layer = resnet50.Bottleneck(form, 4, norm={'momentum': 0.9})
  layer(tf.zeros([1, 2, 2, 6]))
  assert [getattr(layer, name).norm.momentum for name in norms] == [0.9] * len(norms)


def test_moving_variances():
  """Unbiased, except after temporal convolutions, whose batch norm was 5-D in TensorFlow 1 (FIDELITY B 7)."""
  inputs = tf.random.stateless_normal([2, 2, 2, 3], [5, 6])
  layer = resnet50.ConvNorm(4, 3, 1, norm={'momentum': 0.0})
  layer(inputs, training=True)
  np.testing.assert_allclose(
      layer.norm.moving_variance, np.var(layer.conv(inputs), axis=(0, 1, 2), ddof=1), rtol=1e-5)
  layer = resnet50.TemporalConv(3, norm={'momentum': 0.0})
  layer(inputs, 2, training=True)
  np.testing.assert_allclose(layer.norm.moving_variance, np.var(inputs, axis=(0, 1, 2)), rtol=1e-5)


def test_frozen_network_runs_in_inference_mode():
  network = resnet50.ResNet50(3, SMALL)
  expected = network(random_clips())
  assert np.abs(network(random_clips(), training=True) - expected).max() > 1e-3
  expected = network(random_clips())
  statistics = [v.numpy() for v in network.non_trainable_variables]
  assert np.abs(statistics[0]).max() > 0  # the run in training mode moved them
  network.trainable = False
  assert not network.trainable_variables
  np.testing.assert_array_equal(network(random_clips(), training=True), expected)
  network.trainable = True
  for before, variable in zip(statistics, network.non_trainable_variables, strict=True):
    np.testing.assert_array_equal(variable, before)


@pytest.mark.usefixtures('bfloat16')
@pytest.mark.parametrize('bottleneck', ['none', 'pool_then_conv'])
def test_mixed_precision(bottleneck):
  """Logits are float32, and the mean goes before the cast: bfloat16 has steps of 1 between 128 and 256."""
  config = dataclasses.replace(SMALL, input_mean=(130.0, 140.0, 150.0), bottleneck=bottleneck)
  clips = tf.constant(config.input_mean) + 0.2 * tf.random.stateless_normal([2, 3, 32, 32, 3], [3, 4])
  exact = resnet50.ResNet50(3, config)
  expected = exact.end_points(clips)
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    network = resnet50.ResNet50(3, config)
    logits = network(clips, training=True)
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert logits.dtype == tf.float32
  assert {v.dtype for v in network.variables} == {tf.float32}
  network.set_weights(exact.get_weights())
  points = network.end_points(clips)
  assert points['block4'].dtype == tf.bfloat16 and points['features'].dtype == tf.float32
  np.testing.assert_array_equal(network(clips), points['logits'])
  given = tf.cast(points['block1/unit_1'], tf.float32)
  assert tf.norm(given - expected['block1/unit_1']) < 0.03 * tf.norm(expected['block1/unit_1'])
  assert network.end_points(clips, points)['block4'].dtype == tf.bfloat16


def test_runs_in_a_graph_with_any_number_of_clips():
  network = resnet50.ResNet50(3, SMALL)
  run = tf.function(lambda clips: network(clips), input_signature=[tf.TensorSpec([None, 3, 32, 32, 3])])
  assert_same(run(random_clips()), network(random_clips()))


def test_config_round_trip():
  network = resnet50.ResNet50(7, ResNet50Config(width=4, units=(2, 3, 2, 2)))
  rebuilt = resnet50.ResNet50.from_config(network.get_config())
  clips = tf.zeros([1, 2, 32, 32, 3])
  assert rebuilt(clips).shape == network(clips).shape == (1, 7)
  assert [v.shape for v in rebuilt.variables] == [v.shape for v in network.variables]


@pytest.mark.parametrize('units', [(2, 2, 1, 2), (3, 4, 6)])
def test_too_few_units(units):
  with pytest.raises(errors.UserError, match='four blocks of at least two units each'):
    resnet50.ResNet50(3, ResNet50Config(units=units))
