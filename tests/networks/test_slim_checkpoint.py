"""Checkpoints of slim's own ResNet-50, and the ways in which a checkpoint does not fit."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.layers import normalization as tf_normalization
from tf_keras.src.legacy_tf_layers import normalization as legacy_normalization
import tf_slim
from tf_slim.nets import resnet_v1

from tests import parity
from tf_privinfo.networks import resnet50, slim_checkpoint
from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.utils.errors import UserError

SMALL = ResNet50Config(width=4, units=(2, 2, 2, 2))


@pytest.fixture(scope='module')
def pixels():
  return tf.random.stateless_uniform([1, 3, 64, 64, 3], [1, 2], 0, 255).numpy()


@pytest.fixture(scope='module')
def slim(tmp_path_factory, pixels):
  """A checkpoint of slim's network in the old format, as the published one, and its block4 for `pixels`."""
  path = str(tmp_path_factory.mktemp('slim') / 'resnet_v1_50.ckpt')
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.compat.v1.set_random_seed(0)  # graphs have seeds of their own
    images = tf.constant(pixels[0] - np.float32(ResNet50Config().input_mean))
    with tf_slim.arg_scope(resnet_v1.resnet_arg_scope()), pytest.MonkeyPatch.context() as patch:
      # TensorFlow 2.15 looks for slim's batch norm where tf_keras 2.15 does not have it any more.
      patch.setattr(tf_normalization, 'normalization', legacy_normalization)
      _, points = resnet_v1.resnet_v1_50(images, 1000, is_training=False)
    variables = tf.compat.v1.global_variables()
    step = tf.compat.v1.train.create_global_step()
    values = {v.initializer.inputs[1]: parity.weight(v.op.name, v.shape.as_list()) for v in variables}
    session.run([v.initializer for v in [*variables, step]], values)
    saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
    saver.save(session, path, write_meta_graph=False)
    return path, session.run(points['resnet_v1_50/block4'])


@pytest.fixture(scope='module')
def small_network():
  network = resnet50.ResNet50(3, SMALL)
  network(tf.zeros([1, 2, 32, 32, 3]))
  return network


@pytest.fixture
def write_checkpoint(tmp_path, small_network):
  """Writes a checkpoint that fits `small_network` but for the given changes; None takes a variable out."""
  def write(changes=None):
    values = {name: parity.weight(name, v.shape) for name, v in slim_checkpoint.slim_variables(small_network).items()}
    values = {name: value for name, value in (values | (changes or {})).items() if value is not None}
    path = str(tmp_path / 'model.ckpt')
    tf.raw_ops.SaveV2(prefix=path, tensor_names=list(values), shape_and_slices=[''] * len(values),
                      tensors=list(values.values()))
    return path
  return write


@pytest.fixture
def rejected(small_network):
  """Asserts that one sentence with the path and `parts` is raised, and that the network is as before."""
  def check(path, *parts):
    before = small_network.get_weights()
    with pytest.raises(UserError) as raised:
      slim_checkpoint.load_pretrained(small_network, str(path))
    message = str(raised.value)
    assert all(part in message for part in (str(path), *parts)), message
    assert '\n' not in message and not re.search(r'\. \w', message)
    for old, new in zip(before, small_network.get_weights(), strict=True):
      np.testing.assert_array_equal(old, new)
  return check


def test_slims_checkpoint_gives_slims_features(slim, pixels):
  path, block4 = slim
  network = resnet50.ResNet50(10)
  report = slim_checkpoint.load_pretrained(network, path)
  assert 'Loaded 265 variables' in report  # 53 convolutions with four variables of batch norm each
  assert 'Not used from the checkpoint: global_step, resnet_v1_50/logits/biases, resnet_v1_50/logits/weights.' in report
  # An identity kernel is not neutral yet: the batch norm after it divides by sqrt(1 + ε). With a moving variance of
  # 1 - ε it is, and the ReLU after it finds nothing negative, since it follows another one.
  for block in network.blocks:
    norm = block.units[1].temporal.norm
    norm.moving_variance.assign(tf.ones_like(norm.moving_variance) - norm.epsilon)
  features = network.end_points(pixels)['block4']
  error = np.linalg.norm(features - block4) / np.linalg.norm(block4)
  print(f'block4 of slim: relative error {error:.1e}')
  assert error < 4e-6


def test_everything_but_classifier_and_temporal_convolutions(small_network, write_checkpoint):
  before = {v.ref(): v.numpy() for v in small_network.variables}
  report = slim_checkpoint.load_pretrained(small_network, write_checkpoint())
  assert ('Left as they are: the temporal convolutions, which start as the identity, and the classifier, which has '
          'different classes. Not used from the checkpoint: nothing.') in report
  kept = {v.ref() for v in small_network.classifier.variables}
  kept |= {v.ref() for block in small_network.blocks for v in block.units[1].temporal.variables}
  for variable in small_network.variables:
    assert np.array_equal(variable, before[variable.ref()]) == (variable.ref() in kept), variable.name


def test_bottleneck_stays_and_temporal_convolutions_may_be_missing(write_checkpoint):
  network = resnet50.ResNet50(3, dataclasses.replace(SMALL, temporal=False, bottleneck='conv7x7'))
  report = slim_checkpoint.load_pretrained(network, write_checkpoint())
  assert "Left as they are: the bottleneck, which ImageNet's network does not have, and the classifier" in report
  assert network.bottleneck.conv.kernel.shape == (7, 7, 128, 128)  # built for ImageNet's 224 pixels
  for name, variable in slim_checkpoint.slim_variables(network).items():
    np.testing.assert_array_equal(variable, parity.weight(name, variable.shape))


def test_no_checkpoint(tmp_path, rejected):
  rejected(tmp_path / 'nowhere.ckpt', 'no readable TensorFlow checkpoint')
  rejected(tmp_path, 'no readable TensorFlow checkpoint')
  (tmp_path / 'text.ckpt').write_text('not a checkpoint')
  rejected(tmp_path / 'text.ckpt', 'no readable TensorFlow checkpoint')


def test_damaged_checkpoint(write_checkpoint, rejected):
  path = write_checkpoint()
  with open(f'{path}.data-00000-of-00001', 'r+b') as file:
    file.truncate(1000)
  rejected(path, 'damaged or incomplete')


def test_missing_variables(write_checkpoint, rejected):
  norm = 'resnet_v1_50/block2/unit_1/bottleneck_v1/shortcut/BatchNorm'
  names = [f'{norm}/{part}' for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
  names += ['resnet_v1_50/block4/unit_2/bottleneck_v1/conv3/weights']
  rejected(write_checkpoint(dict.fromkeys(names)), 'lacks 5 of the ', *names[:4], 'and 1 more')


def test_other_shapes(write_checkpoint, rejected):
  name = 'resnet_v1_50/block4/unit_2/bottleneck_v1/conv3/weights'
  path = write_checkpoint({name: np.zeros([1, 1, 32, 256], np.float32)})
  rejected(path, name, '[1, 1, 32, 256]', '[1, 1, 32, 128]', 'network.width')


def test_width_of_another_network(slim, rejected):
  rejected(slim[0], 'resnet_v1_50/conv1/weights', '[7, 7, 3, 64]', '[7, 7, 3, 4]', 'network.width')
