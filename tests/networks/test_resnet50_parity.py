"""ResNet-50 streams against the authors' networks."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_resnet50
from tf_privinfo.networks import resnet50, slim_checkpoint
from tf_privinfo.networks.config import ResNet50Config


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
  pool = resnet50.ResNet50(2).pool
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
