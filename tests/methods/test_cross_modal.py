"""Depth images from RGB: what the autoencoder learns, and streams that read its estimate."""

import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.methods import cross_modal
from tf_privinfo.networks import autoencoder, resnet50
from tf_privinfo.networks.config import ResNet50Config

NETWORK = ResNet50Config(width=2, units=(2, 2, 2, 2), temporal=False)


def make_clips():
  rng = np.random.default_rng(0)
  return {m: tf.constant(rng.uniform(0, 255, (4, 1, 32, 32, 3)), tf.float32) for m in ('rgb', 'depth')}


def make_autoencoder():
  tf.keras.utils.set_random_seed(0)
  network = autoencoder.Autoencoder(NETWORK, name='autoencoder')
  network(tf.zeros([1, 1, 32, 32, 3]))
  return network


def test_reconstruction_minimises_the_squared_error():
  """With a network that maps colours alone, in training mode."""
  tf.keras.utils.set_random_seed(0)
  network = tf.keras.Sequential(
      [tf.keras.layers.Rescaling(1 / 255), tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(3),
       tf.keras.layers.Rescaling(255.0)])
  clips, labels = make_clips(), tf.zeros([4], tf.int32)
  network(clips['rgb'])
  method = cross_modal.Reconstruction({'autoencoder': network}, input_modality={'autoencoder': 'rgb'})
  method.compile_with(lambda factor: tf.keras.optimizers.Adam(factor * 0.1))
  error = np.mean((method.streams['autoencoder'](clips['rgb'], training=True) - clips['depth'])**2)
  history = [float(method.train_step((clips, labels))['loss'])]
  assert history[0] == pytest.approx(error, rel=1e-4)
  step = tf.function(method.train_step)
  for _ in range(10):
    method.reset_metrics()
    history.append(float(step((clips, labels))['loss']))
  assert history[-1] < 0.8 * history[0]
  assert set(method.training_modalities) == {'rgb', 'depth'}
  [picture] = method.images(clips).values()
  np.testing.assert_array_equal(picture[:, :32], tf.cast(clips['depth'][:, 0], tf.uint8))
  assert picture.shape == (4, 64, 32, 3)


def test_streams_read_the_estimate_and_no_depth():
  tf.keras.utils.set_random_seed(1)
  streams = {name: resnet50.ResNet50(3, NETWORK, name=name) for name in ('rgb', 'depth')}
  streams['autoencoder'] = make_autoencoder()
  method = cross_modal.EstimatedModality(
      streams, input_modality={'rgb': 'rgb', 'depth': 'depth', 'autoencoder': 'rgb'}, frozen=('autoencoder',))
  clips = make_clips()
  logits = method({'rgb': clips['rgb']})
  assert method.modalities == ('rgb',) and set(logits) == {'rgb', 'depth'}
  np.testing.assert_array_equal(logits['depth'], streams['depth'](streams['autoencoder'](clips['rgb'])))
  np.testing.assert_array_equal(logits['depth'], method(clips)['depth'])
