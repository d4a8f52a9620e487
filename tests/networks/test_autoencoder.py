"""The cross-modal autoencoder: its decoder against the authors' numbers, and the whole."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_resnet50
from tf_privinfo.networks import autoencoder, resnet50
from tf_privinfo.networks.config import ResNet50Config

SMALL = ResNet50Config(width=4, units=(2, 2, 2, 2), temporal=False)
LAYERS = ('conv_transpose1', 'conv_transpose2', 'conv_transpose3', 'conv_transpose4', 'conv_transpose_out')


@pytest.fixture(scope='module')
def nyud():
  return parity.Golden('nyud_discriminator')


@pytest.fixture(scope='module')
def decoder(nyud):
  """The authors' decoder in our layers."""
  layer = autoencoder.Decoder()
  layer(nyud['decoder:features'])
  variables = {}
  for name, conv in zip(LAYERS, layer.convs, strict=True):
    variables |= {f'decoder/{name}/weights': conv.kernel, f'decoder/{name}/biases': conv.bias}
  for index, norm in enumerate(layer.norms):
    variables |= {f'decoder/bn{index + 1}/{part}': getattr(norm, part)
                  for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
  shapes = {variable['name']: variable['shape'] for variable in nyud.meta['decoder_variables']}
  assert {name: list(variable.shape) for name, variable in variables.items()} == shapes
  for name, variable in variables.items():
    # The fan of a transposed convolution is that of its input, which is last.
    value = parity.weight(name, variable.shape)
    if 'conv_transpose' in name and name.endswith('weights'):
      height, width, filters, channels = variable.shape
      value *= np.sqrt(filters / channels)
    variable.assign(value)
  return layer


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_decoder_parity(nyud, decoder, mode):
  """The authors scale to 255 · tanh - mean, twice the range of an image (FIDELITY row 19)."""
  with authors_resnet50.keep_statistics(decoder):
    images = decoder(nyud['decoder:features'], training=mode == 'train')
  np.testing.assert_array_equal(images.shape, nyud[f'decoder_{mode}:shape'])
  images = 255 * images - np.float32(ResNet50Config().input_mean)
  nyud.check(f'decoder_{mode}:out_every_4th_pixel', images[:, ::4, ::4])
  nyud.check(f'decoder_{mode}:out_corner_16', images[:, :16, :16])
  nyud.check(f'decoder_{mode}:out_last_corner_16', images[:, -16:, -16:])
  nyud.check(f'decoder_{mode}:stats_mean_std_min_max',
             [np.mean(images), np.std(images), np.min(images), np.max(images)])


def test_reconstructs_clips_in_the_range_of_images():
  """Block 4 of the encoder decoded, frames in their places, -1..1 of the decoder as 0..255."""
  network = autoencoder.Autoencoder(SMALL)
  clips = tf.random.stateless_uniform([2, 3, 64, 64, 3], [1, 2], 0, 255)
  outputs = network(clips)
  assert outputs.shape == clips.shape and outputs.dtype == tf.float32
  maps = network.encoder.end_points(clips)['block4']
  np.testing.assert_allclose(outputs[1, 0], 127.5 * (1 + network.decoder(maps)[3]), rtol=1e-5)
  network.decoder.convs[-1].bias.assign([-100.0, 0.0, 100.0])
  np.testing.assert_allclose(tf.reduce_min(network(clips)[..., 0]), 0, atol=1e-3)
  np.testing.assert_allclose(tf.reduce_max(network(clips)[..., 2]), 255, atol=1e-3)


def test_everything_learns_but_the_encoders_classifier():
  network = autoencoder.Autoencoder(dataclasses.replace(SMALL, bottleneck='conv7x7'))
  clips = tf.random.stateless_uniform([1, 1, 32, 32, 3], [1, 2], 0, 255)
  with tf.GradientTape() as tape:
    loss = tf.reduce_mean(tf.math.squared_difference(network(clips, training=True), 255 - clips))
  gradients = tape.gradient(loss, network.trainable_variables)
  assert all(gradient is not None for gradient in gradients)
  kept = {v.ref() for v in network.variables} - {v.ref() for v in network.trainable_variables}
  moving = {v.ref() for v in network.variables if 'moving' in v.name}
  assert kept - moving == {v.ref() for v in network.encoder.classifier.variables} and len(kept - moving) == 2


def test_training_moves_all_moving_averages():
  network = autoencoder.Autoencoder(SMALL)
  clips = tf.random.stateless_uniform([2, 1, 64, 64, 3], [1, 2], 0, 255)
  network(clips)
  moving = [v for v in network.variables if 'moving' in v.name]
  before = [v.numpy() for v in moving]
  network(clips, training=True)
  assert not any(np.array_equal(variable, old) for variable, old in zip(moving, before))


def test_moving_averages_of_the_decoder():
  """They keep 0.95 of what they were, and the variance is unbiased."""
  layer = autoencoder.Decoder(width=1)
  inputs = tf.random.stateless_normal([2, 3, 3, 4], [1, 2])
  layer(inputs, training=True)
  maps = layer.convs[0](inputs).numpy()
  np.testing.assert_allclose(layer.norms[0].moving_mean, 0.05 * maps.mean((0, 1, 2)), rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(
      layer.norms[0].moving_variance, 0.95 + 0.05 * maps.var((0, 1, 2), ddof=1), rtol=1e-5)


def test_config_round_trip():
  network = autoencoder.Autoencoder(SMALL)
  clips = tf.zeros([1, 1, 32, 32, 3])
  network(clips)
  rebuilt = autoencoder.Autoencoder.from_config(network.get_config())
  rebuilt(clips)
  assert [v.shape for v in rebuilt.variables] == [v.shape for v in network.variables]
  assert isinstance(rebuilt.encoder, resnet50.ResNet50) and rebuilt.config == SMALL
