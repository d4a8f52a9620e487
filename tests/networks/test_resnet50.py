"""ResNet-50 streams against the authors' networks."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_resnet50
from tf_privinfo.networks import resnet50, slim_checkpoint
from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.utils import errors

SMALL = ResNet50Config(width=8, units=(2, 2, 2, 2))


@pytest.fixture(scope='module')
def single():
  return parity.Golden('md_single_stream')


@pytest.fixture(scope='module')
def network():
  return authors_resnet50.build('resnet_v1_50')


@pytest.fixture(scope='module')
def two_stream():
  return parity.Golden('md_two_stream_interaction')


@pytest.fixture(scope='module')
def streams():
  return {name: authors_resnet50.build(f'resnet_v1_50_{name}') for name in ('depth', 'rgb', 'hall')}


@pytest.fixture(scope='module')
def units():
  return parity.Golden('units')


@pytest.fixture(scope='module')
def admd():
  return parity.Golden('admd_action')


@pytest.fixture(scope='module')
def bottleneck_network():
  return authors_resnet50.build('resnet_v1_50', authors_resnet50.ADMD)


@pytest.fixture(scope='module')
def nyud():
  return parity.Golden('nyud_discriminator')


@pytest.fixture(scope='module')
def object_streams():
  return {name: authors_resnet50.build(f'{name}/resnet_v1_50', authors_resnet50.OBJECTS, 19, 224)
          for name in ('rgb', 'depth')}


def cross_entropy(labels, logits):
  return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def random_clips(frames=3, size=32):
  return tf.random.stateless_uniform([2, frames, size, size, 3], [1, 2], 0, 255)


def assert_same(value, expected):
  assert np.linalg.norm(value - expected) < 1e-5 * np.linalg.norm(expected)


def gradients_by_name(gradients, network, scope):
  by_variable = {v.ref(): g for v, g in zip(network.trainable_variables, gradients)}
  named = authors_resnet50.variables(network, scope)
  return {name: by_variable.get(variable.ref()) for name, variable in named.items()}


def norms(golden, gradients, order):
  return [0 if gradients[name] is None else np.linalg.norm(gradients[name]) for name in golden.meta[order]]


def test_variables_are_the_authors(network, single):
  assert len(network.trainable_variables) == single.meta['n_trainable'] == 173
  assert sum(int(tf.size(v)) for v in network.trainable_variables) == single.meta['n_params_trainable'] == 24_574_922
  named = authors_resnet50.variables(network, 'resnet_v1_50')
  assert set(named) == {variable['name'] for variable in single.meta['variables']}


@pytest.mark.parametrize('mode, gradient', [('infer', 'grad_infer'), ('train', 'grad')])
def test_single_stream_parity(network, single, mode, gradient):
  training = mode == 'train'
  with authors_resnet50.keep_statistics(network):
    with tf.GradientTape() as tape:
      points = network.end_points(authors_resnet50.clips(single['images']), training=training)
      loss = cross_entropy(single['labels'], points['logits'])
    moved = {name: v.numpy() for name, v in authors_resnet50.variables(network, 'resnet_v1_50').items()}
  single.check(f'logits_{mode}', points['frame_logits'])
  single.check(f'video_logits_{mode}', points['logits'])
  single.check(f'last_pool_{mode}', points['features'])
  single.check(f'block4_{mode}', points['block4'])
  single.check(f'loss_{mode}', loss)
  gradients = gradients_by_name(tape.gradient(loss, network.trainable_variables), network, 'resnet_v1_50')
  single.check(f'grad_l2norm_{mode}', norms(single, gradients, 'grad_variables'))
  for key in [key for key in single.arrays if key.startswith(f'{gradient}:')]:
    single.check(key, gradients[key.replace(f'{gradient}:', 'resnet_v1_50/')])
  if training:
    for key in [key for key in single.arrays if key.startswith('after1step:') and 'moving' in key]:
      single.check(key, moved[key.replace('after1step:', 'resnet_v1_50/')])


@pytest.mark.parametrize('mode', ['infer', 'train'])
@pytest.mark.parametrize('connections', ['inter', 'nointer'])
def test_step2_parity(streams, two_stream, connections, mode):
  """Depth gives, RGB receives; the authors' depth stream takes the batch's moments in both modes (FIDELITY row 4)."""
  depth, rgb = streams['depth'], streams['rgb']
  with authors_resnet50.keep_statistics(depth, rgb), tf.GradientTape(persistent=True) as tape:
    given = depth.end_points(authors_resnet50.clips(two_stream['images_depth']), training=True)
    points = rgb.end_points(authors_resnet50.clips(two_stream['images_rgb']),
                            given if connections == 'inter' else None, training=mode == 'train')
    combined = (given['logits'] + points['logits']) / 2
    loss = cross_entropy(two_stream['labels'], combined)
    loss_rgb = cross_entropy(two_stream['labels'], points['logits'])

  def check(key, value):
    two_stream.check(f's2_{connections}_{mode}:{key}', value)

  check('depth_logits', given['frame_logits'])
  check('rgb_logits', points['frame_logits'])
  check('video_depth', given['logits'])
  check('video_rgb', points['logits'])
  check('video_combined', combined)
  check('loss_combined', loss)
  check('loss_rgb', loss_rgb)
  if connections == 'inter':
    check('rgb_block4', points['block4'])
  if connections == 'inter' and mode == 'train':
    check('depth_block4', given['block4'])
    for key, value in (('loss_combined', loss), ('loss_rgb_only', loss_rgb)):
      gradients = {}
      for name in ('depth', 'rgb'):
        found = tape.gradient(value, streams[name].trainable_variables)
        gradients |= gradients_by_name(found, streams[name], f'resnet_v1_50_{name}')
      check(f'grad_l2norm_{key}', norms(two_stream, gradients, 'grad_variables'))


@pytest.mark.parametrize('mode', ['infer', 'train'])
@pytest.mark.parametrize('connections', ['inter', 'nointer'])
def test_step3_parity(streams, two_stream, connections, mode):
  """The frozen depth stream gives to the hallucination stream, which reads RGB."""
  given = streams['depth'].end_points(authors_resnet50.clips(two_stream['images_depth']))
  hall = streams['hall']
  with authors_resnet50.keep_statistics(hall):
    points = hall.end_points(authors_resnet50.clips(two_stream['images_rgb']),
                             given if connections == 'inter' else None, training=mode == 'train')
  case = f's3_{connections}_{mode}'
  two_stream.check(f'{case}:depth_logits', given['frame_logits'])
  two_stream.check(f'{case}:hall_logits', points['frame_logits'])
  if case == 's3_inter_infer':
    two_stream.check(f'{case}:depth_block4', given['block4'])
    two_stream.check(f'{case}:hall_block4', points['block4'])


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_step4_parity(streams, two_stream, mode):
  clips = authors_resnet50.clips(two_stream['images_rgb'])
  for name in ('hall', 'rgb'):
    with authors_resnet50.keep_statistics(streams[name]):
      points = streams[name].end_points(clips, training=mode == 'train')
    two_stream.check(f's4_nointer_{mode}:{name}_logits', points['frame_logits'])


def test_variables_with_bottleneck_are_the_authors(bottleneck_network, admd):
  named = authors_resnet50.variables(bottleneck_network, 'resnet_v1_50')
  shapes = {variable['name']: variable['shape'] for variable in admd.meta['stream_variables']}
  assert set(named) == set(shapes) and len(bottleneck_network.trainable_variables) == 176
  assert {name: int(tf.size(variable)) for name, variable in named.items()} == {
      name: np.prod(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_bottleneck_parity(bottleneck_network, admd, mode):
  """The stream of ADMD for videos; the discriminator reads last_pool."""
  network, training = bottleneck_network, mode == 'train'
  with authors_resnet50.keep_statistics(network), tf.GradientTape() as tape:
    points = network.end_points(authors_resnet50.clips(admd['images']), training=training)
    loss = cross_entropy(admd['labels'], points['logits'])

  def check(key, value):
    admd.check(f'stream_{mode}:{key}', value)

  check('logits', points['frame_logits'])
  check('video_logits', points['logits'])
  check('last_pool', points['features'])
  check('loss', loss)
  if training:
    found = tape.gradient(loss, network.trainable_variables)
    gradients = gradients_by_name(found, network, 'resnet_v1_50')
    check('grad_l2norm', norms(admd, gradients, 'stream_grad_variables'))
  else:
    check('block4', points['block4'])


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_two_stream_objects_parity(object_streams, nyud, mode):
  """Two networks of single frames with the 7 x 7 bottleneck, at the thesis' 224 pixels."""
  training = mode == 'train'
  points = {}
  with authors_resnet50.keep_statistics(*object_streams.values()), tf.GradientTape() as tape:
    for name, network in object_streams.items():
      images = (nyud[f'images_{name}_u8'] - np.float32(ResNet50Config().input_mean)) / 64
      points[name] = network.end_points(images[:, np.newaxis], training=training)
    logits = (points['rgb']['logits'] + points['depth']['logits']) / 2
    loss = cross_entropy(nyud['double:labels'], logits)

  def check(key, value):
    nyud.check(f'double_{mode}:{key}', value)

  check('rgb_logits', points['rgb']['logits'])
  check('depth_logits', points['depth']['logits'])
  check('logits', logits)
  check('loss', loss)
  if not training:
    check('rgb_f_repr', points['rgb']['features'])
    variables = {name: network.trainable_variables for name, network in object_streams.items()}
    gradients = {}
    for name, found in tape.gradient(loss, variables).items():
      gradients |= gradients_by_name(found, object_streams[name], f'{name}/resnet_v1_50')
    # slim's own classifier, which the authors leave unused, is not in our networks.
    order = nyud.meta['double_grad_variables']
    assert set(order) - set(gradients) <= set(nyud.meta['trainable_without_gradient'])
    check('grad_l2norm', [np.linalg.norm(gradients[name]) if name in gradients else 0 for name in order])


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_temporal_conv_parity(units, mode):
  layer = resnet50.TemporalConv(8, norm={'momentum': 0.997})
  inputs = tf.constant(units['conv_temp:x'])
  layer(inputs, 5)
  assign(layer, units, 'conv_temp:var/conv_temp')
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs = tf.nn.relu(layer(inputs, 5, training=mode == 'train'))
    loss = tf.reduce_sum(outputs**2)
  units.check(f'conv_temp:{mode}:y', outputs)
  units.check(f'conv_temp:{mode}:grad_x_of_sum_y2', tape.gradient(loss, inputs))


@pytest.mark.parametrize('mode', ['infer', 'train'])
@pytest.mark.parametrize('case', ['pad_H8', 'pad_H9'])
def test_padding_and_pooling_parity(units, case, mode):
  inputs = units[f'{case}:x']
  outputs = {}
  for key, name, kernel_size, strides in (
      ('conv7_s2', 'root', 7, 2), ('conv3_s2', 's2', 3, 2), ('conv3_s1', 's1', 3, 1)):
    layer = resnet50.ConvNorm(5, kernel_size, strides, norm={'momentum': 0.997})
    layer(inputs)
    assign(layer, units, f'{case}:var/{name}')
    outputs[key] = tf.nn.relu(layer(inputs, training=mode == 'train'))
  pool = resnet50.ResNet50(2, SMALL).pool
  outputs |= {'conv7_s2_pool': pool(outputs['conv7_s2']), 'pool3_s2': pool(inputs)}
  for key, value in outputs.items():
    units.check(f'{case}:{mode}:{key}', value)


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_connected_blocks_parity(units, mode):
  """A block of the depth stream, its connection to one of the RGB stream, and the gradients through both."""
  training = mode == 'train'
  blocks, inputs = {}, {}
  for stream in ('depth', 'rgb'):
    blocks[stream] = resnet50.Block(4, units=3, strides=2, norm={'momentum': 0.997})
    inputs[stream] = tf.constant(units[f'block:x_{stream}'])
    blocks[stream](inputs[stream], 5)
    for index, unit in enumerate(blocks[stream].units):
      prefix = f'block:var/resnet_v1_50_{stream}/block1/unit_{index + 1}/bottleneck_v1'
      for part in ('shortcut', 'conv1', 'conv2', 'conv3'):
        assign(getattr(unit, part), units, f'{prefix}/{part}')
      assign(unit.temporal, units, f'{prefix}/conv_temp')
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs = {'depth': blocks['depth'](inputs['depth'], 5, training=training)}
    outputs['rgb'] = blocks['rgb'](inputs['rgb'], 5, outputs['depth'][0], training=training)
    loss = tf.reduce_sum(outputs['rgb'][1]**2)
  for stream in ('depth', 'rgb'):
    first, last = outputs[stream]
    end = f'block:{mode}:end/resnet_v1_50_{stream}/block1'
    units.check(f'{end}/unit_1/bottleneck_v1', first)
    units.check(end, last)
  gradients = tape.gradient(loss, inputs)
  for stream in ('depth', 'rgb'):
    units.check(f'block:{mode}:grad_x_{stream}_of_sum_rgb2', gradients[stream])


def assign(layer, golden, prefix):
  """The golden values below `prefix` to the variables of a convolution, if the unit has it."""
  if layer is None:
    assert f'{prefix}/weights' not in golden.arrays
    return
  for key, variable in slim_checkpoint.conv_variables(layer, prefix).items():
    variable.assign(golden[key].reshape(variable.shape))


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
