"""Streams from checkpoints: all variables or none, and words for what does not fit."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.networks import resnet50
from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.runs import checkpoints
from tf_privinfo.utils import errors

CONFIG = ResNet50Config(width=4, units=(2, 2, 2, 2))


def make(num_classes=5, seed=0, **config):
  tf.keras.utils.set_random_seed(seed)
  network = resnet50.ResNet50(num_classes, dataclasses.replace(CONFIG, **config))
  network(tf.zeros([1, 2, 16, 16, 3]))
  return network


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A checkpoint of two streams, and the networks."""
  streams = {'rgb': make(seed=1), 'depth': make(seed=2)}
  path = str(tmp_path_factory.mktemp('checkpoint') / 'epoch-1')
  tf.train.Checkpoint(networks=streams, optimizer=tf.keras.optimizers.Adam()).write(path)
  return path, streams


def values(network):
  return [variable.numpy() for variable in network.weights]


def test_a_stream_starts_as_another_one(saved):
  path, streams = saved
  hall = make(seed=3)
  checkpoints.load_networks({'depth': hall}, path)
  for loaded, original in zip(values(hall), values(streams['depth'])):
    np.testing.assert_array_equal(loaded, original)


def test_new_classifier_for_other_classes(saved):
  path, streams = saved
  network = make(num_classes=7, seed=3)
  before = values(network.classifier)
  checkpoints.load_networks({'rgb': network}, path, without=('classifier',))
  for kept, original in zip(values(network.classifier), before):
    np.testing.assert_array_equal(kept, original)
  for loaded, original in zip(values(network)[:-2], values(streams['rgb'])[:-2]):
    np.testing.assert_array_equal(loaded, original)


@pytest.mark.parametrize('num_classes, config, words', [
    (7, {}, ['classifier.kernel', '[128, 5]', '[128, 7]']),
    (5, {'width': 8}, ['blocks.0', '[4] there and [8] here', 'more']),
    (5, {'units': (3, 2, 2, 2)}, ['missing', 'blocks.0.units.2']),
])
def test_what_does_not_fit_is_named_and_nothing_restored(saved, num_classes, config, words):
  network = make(num_classes, seed=3, **config)
  before = values(network)
  with pytest.raises(errors.UserError) as error:
    checkpoints.load_networks({'rgb': network}, saved[0])
  assert all(word in str(error.value) for word in ['does not fit', *words]), error.value
  for now, old in zip(values(network), before):
    np.testing.assert_array_equal(now, old)


def test_variables_that_the_network_does_not_have(tmp_path):
  path = str(tmp_path / 'epoch-1')
  tf.train.Checkpoint(networks={'rgb': make(units=(2, 3, 2, 2))}).write(path)
  with pytest.raises(errors.UserError, match=r'blocks\.1\.units\.2 is not expected'):
    checkpoints.load_networks({'rgb': make()}, path)


def test_damaged_checkpoint(saved, tmp_path):
  for end in ('.index', '.data-00000-of-00001'):
    content = pathlib.Path(saved[0] + end).read_bytes()
    (tmp_path / f'epoch-1{end}').write_bytes(content if end == '.index' else content[:2000])
  with pytest.raises(errors.UserError, match='damaged'):
    checkpoints.load_networks({'rgb': make()}, str(tmp_path / 'epoch-1'))


def test_no_such_stream_or_checkpoint(saved, tmp_path):
  with pytest.raises(errors.UserError, match='it has no flow'):
    checkpoints.load_networks({'flow': make()}, saved[0])
  with pytest.raises(errors.UserError, match='no readable checkpoint'):
    checkpoints.load_networks({'rgb': make()}, str(tmp_path / 'nothing'))


def test_on_two_devices(saved, two_devices):
  path, streams = saved
  with two_devices.scope():
    network = make(seed=3)
    checkpoints.load_networks({'depth': network}, path)
  for loaded, original in zip(network.weights, values(streams['depth'])):
    for replica in two_devices.experimental_local_results(loaded):
      np.testing.assert_array_equal(replica, original)


@pytest.mark.usefixtures('bfloat16')
def test_between_precisions(saved):
  """bfloat16 is for computation: the weights are float32 under both policies, and fit."""
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    network = make(seed=3)
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  checkpoints.load_networks({'rgb': network}, saved[0])
  np.testing.assert_array_equal(network.stem.conv.kernel, saved[1]['rgb'].stem.conv.kernel)
