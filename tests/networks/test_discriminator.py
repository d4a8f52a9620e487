"""Discriminators and both sides of the game against the authors' numbers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_discriminator, authors_resnet50
from tf_privinfo.methods import losses
from tf_privinfo.networks import discriminator
from tf_privinfo.networks.config import DiscriminatorConfig

FRAMES = authors_discriminator.FRAMES
THESIS = DiscriminatorConfig('plain', (2048, 1024), loss_weight=1.0)
NAIVE = dataclasses.replace(authors_discriminator.OBJECTS, task='real_or_fake')


@pytest.fixture(scope='module')
def admd():
  return parity.Golden('admd_action')


@pytest.fixture(scope='module')
def nyud():
  return parity.Golden('nyud_discriminator')


def play(network, labels, real_features, fake_features, frames=1):
  """Outputs, the means of all terms, and a persistent tape that watched the features."""
  real_features, fake_features = tf.constant(real_features), tf.constant(fake_features)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([real_features, fake_features])
    real, fake = (network(features, frames, training=True) for features in (real_features, fake_features))
    terms = losses.adversarial(labels, real, fake, network.config)
    means = {name: tf.reduce_mean(term) for name, term in terms.items()}
  return real, fake, means, tape, (real_features, fake_features)


def test_video_parity(admd):
  """Logits, losses and gradients of the authors' discriminator, whose fake class is the first."""
  network = authors_discriminator.build_video()
  real, fake, means, tape, features = play(
      network, admd['labels_per_frame'], admd['feat_depth'][:, 0, 0], admd['feat_hall'][:, 0, 0], FRAMES)
  first = authors_discriminator.fake_first
  admd.check('logits_real', first(real))
  admd.check('logits_fake', first(fake))
  admd.check('d_loss_real', means['real'])
  admd.check('d_loss_fake', means['fake'])
  admd.check('d_loss', means['discriminator'])
  admd.check('g_loss', means['generator'])
  admd.check('d_loss_grad_logits_real', first(tape.gradient(means['discriminator'], real)))
  admd.check('d_loss_grad_logits_fake', first(tape.gradient(means['discriminator'], fake)))
  admd.check('g_loss_grad_logits_fake', first(tape.gradient(means['generator'], fake)))
  admd.check('d_loss_grad_feat_depth_not_used', tape.gradient(means['discriminator'], features[0]))
  admd.check('g_loss_grad_feat_hall', tape.gradient(means['generator'], features[1]))
  assert tape.gradient(means['generator'], features[0]) is None
  variables = authors_discriminator.video_variables(network)
  gradients = tape.gradient(means['discriminator'], {name: variables[name] for name in admd.meta['d_grad_variables']})
  assert len(gradients) == len(network.trainable_variables) == 9
  for name, gradient in gradients.items():
    admd.check(f'd_loss_grad:{name}', first(gradient, name))


def test_hidden_layers_parity(admd):
  """Their activations, which the authors' code was recomputed to have, and the order of index and feature."""
  network = authors_discriminator.build_video()
  for case, features in (('real', 'feat_depth'), ('fake', 'feat_hall')):
    x = tf.concat([admd['temporal_order'][:, 0, 0], admd[features][:, 0, 0]], axis=1)
    for layer, name in zip(network.hidden, ('fc1', 'fc3')):
      x = tf.nn.leaky_relu(layer(x, training=True), 0.04)
      admd.check(f'numpy_{name}_{case}', x)
    logits = tf.nn.leaky_relu(network.head(x, training=True), 0.2)
    np.testing.assert_allclose(network(admd[features][:, 0, 0], FRAMES, training=True), logits, rtol=1e-5, atol=1e-6)


def test_whole_game_parity(admd):
  """Frozen depth stream, hallucination stream in training mode and discriminator, from the pixels on."""
  networks = {name: authors_resnet50.build(f'resnet_v1_50_{name}', authors_resnet50.ADMD) for name in ('depth', 'hall')}
  depth = networks['depth'].end_points(authors_resnet50.clips(admd['images_depth']))
  hall_network, judge = networks['hall'], authors_discriminator.build_video()
  labels = np.repeat(admd['labels'], FRAMES)
  with tf.GradientTape() as tape:
    hall = hall_network.end_points(authors_resnet50.clips(admd['images']), training=True)
    real, fake = (judge(points['features'], FRAMES, training=True) for points in (depth, hall))
    terms = losses.adversarial(labels, real, fake, judge.config)
    means = {name: tf.reduce_mean(term) for name, term in terms.items()}

  def check(key, value):
    admd.check(f'whole_gan_train:{key}', value)

  check('net_depth_out', depth['frame_logits'])
  check('net_hall_out', hall['frame_logits'])
  check('logits_real', authors_discriminator.fake_first(real))
  check('logits_fake', authors_discriminator.fake_first(fake))
  check('d_loss_real', means['real'])
  check('d_loss_fake', means['fake'])
  check('d_loss', means['discriminator'])
  check('g_loss', means['generator'])
  found = tape.gradient(means['generator'], hall_network.trainable_variables)
  gradients = {v.ref(): g for v, g in zip(hall_network.trainable_variables, found)}
  named = authors_resnet50.variables(hall_network, 'resnet_v1_50_hall')
  gradients = {name: gradients.get(variable.ref()) for name, variable in named.items()}
  check('g_grad_l2norm', [0 if gradients[name] is None else np.linalg.norm(gradients[name])
                          for name in admd.meta['g_grad_variables']])
  assert all(gradients[name] is None for name in admd.meta['g_vars_without_gradient'])  # the classifier


@pytest.mark.parametrize('case, config', [('p2', authors_discriminator.OBJECTS), ('naive', NAIVE)])
def test_objects_parity(nyud, case, config):
  """The residual discriminator, with C + 1 classes and with the least squares of the naive game."""
  network = authors_discriminator.build_objects(config)
  real, fake, means, tape, features = play(
      network, nyud['labels'], nyud['depth_features'][:, 0, 0], nyud['hall_features'][:, 0, 0])
  nyud.check(f'{case}:D_real', real)
  nyud.check(f'{case}:D_fake', fake)
  nyud.check(f'{case}:d_loss_real', means['real'])
  nyud.check(f'{case}:d_loss_fake', means['fake'])
  nyud.check(f'{case}:d_loss', means['discriminator'])
  nyud.check(f'{case}:g_loss', means['generator'])
  nyud.check(f'{case}:g_loss_grad_hall_features', tape.gradient(means['generator'], features[1]))
  nyud.check(f'{case}:d_loss_grad_D_real', tape.gradient(means['discriminator'], real))
  nyud.check(f'{case}:d_loss_grad_D_fake', tape.gradient(means['discriminator'], fake))
  gradients = tape.gradient(means['discriminator'], authors_discriminator.objects_variables(network))
  order = [variable['name'] for variable in nyud.meta[f'{case}:variables']]
  nyud.check(f'{case}:d_loss_grad_l2norm', [np.linalg.norm(np.float64(gradients[name])) for name in order])
  prefix = f'{case}:d_loss_grad:'
  keys = [key for key in nyud.arrays if key.startswith(prefix)]
  assert len(keys) == 7
  for key in keys:
    nyud.check(key, gradients[key.removeprefix(prefix)])


def test_thesis_video_form():
  """Fully connected, ReLU, on [y_t || features], written out; no batch norm."""
  network = discriminator.Discriminator(4, dataclasses.replace(THESIS, hidden=(6, 5)))
  features = tf.random.stateless_normal([4, 3], [1, 2])
  logits = network(features, 2)
  (w1, b1), (w2, b2), (w3, b3) = (layer.get_weights() for layer in (*network.hidden, network.head))
  assert [w.shape for w in (w1, w2, w3)] == [(2 + 3, 6), (6, 5), (5, 5)] and not np.any([*b1, *b2, *b3])
  x = np.concatenate([[[1, 0], [0, 1], [1, 0], [0, 1]], features], axis=1)
  expected = np.maximum(np.maximum(x @ w1, 0) @ w2, 0) @ w3
  np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_number_of_parameters():
  """Those of the authors' variables for objects and videos, and of figure 4.3 for 60 classes."""
  thesis = discriminator.Discriminator(60, THESIS)
  thesis(tf.zeros([FRAMES, 128]), FRAMES)
  assert thesis.count_params() == 134 * 2048 + 2049 * 1024 + 1025 * 61
  objects = discriminator.Discriminator(19, dataclasses.replace(
      authors_discriminator.OBJECTS, hidden=(1024, 1024, 1024, 2048, 3072)))
  objects(tf.zeros([1, 128]))
  assert objects.count_params() == 129 * 1024 + 2 * 1025 * 1024 + 1025 * 2048 + 2049 * 3072 + 3073 * 20


def test_initial_kernels():
  """slim's He initialisation in the authors' video form, Xavier in the others."""
  network = discriminator.Discriminator(10)
  network(tf.zeros([FRAMES, 128]), FRAMES)
  cut = 2 * np.sqrt(2.6 / 133)
  assert 0.98 * cut < np.abs(network.hidden[0].dense.kernel).max() <= 1.001 * cut
  for config in (THESIS, authors_discriminator.OBJECTS):
    network = discriminator.Discriminator(10, config)
    network(tf.zeros([1, 128]))
    rows, columns = network.hidden[1].kernel.shape
    limit = np.sqrt(6 / (rows + columns))
    assert 0.98 * limit < np.abs(network.hidden[1].kernel).max() <= limit


def test_frame_index_is_an_option():
  """Without it the order of frames does not matter to a discriminator without batch statistics."""
  features = tf.random.stateless_normal([4, 3], [1, 2])
  swapped = tf.gather(features, [1, 0, 3, 2])
  for frame_index in (True, False):
    network = discriminator.Discriminator(4, dataclasses.replace(THESIS, hidden=(8, 8), frame_index=frame_index))
    same = np.allclose(tf.gather(network(features, 2), [1, 0, 3, 2]), network(swapped, 2), atol=1e-6)
    assert same == (not frame_index)


def test_batch_norm_in_training():
  """A shift of all features changes nothing, so real and fake batches are normalised apart."""
  network = discriminator.Discriminator(4, DiscriminatorConfig(frame_index=False, hidden=(8, 6)))
  features = tf.random.stateless_normal([10, 3], [1, 2])
  together = network(tf.concat([features, features + 7.0], axis=0), training=True)
  apart = network(features, training=True)
  np.testing.assert_allclose(network(features + 7.0, training=True), apart, atol=1e-4)
  assert np.abs(together[:10] - apart).max() > 1e-2


def test_batch_norm_at_test_time():
  """Samples are normalised as the real features were that it was trained on, each whatever is beside it."""
  network = discriminator.Discriminator(4, DiscriminatorConfig(frame_index=False, hidden=(8, 6)))
  real = tf.random.stateless_normal([500, 3], [1, 2], mean=5.0)

  @tf.function
  def watch_real_features():
    for _ in tf.range(4000):
      network(real, training=True)

  watch_real_features()
  averages = [v.numpy() for v in network.non_trainable_variables]
  network(real * 3 - 9, training=True, track=False)
  for before, after in zip(averages, network.non_trainable_variables, strict=True):
    np.testing.assert_array_equal(before, after)
  np.testing.assert_allclose(network(real), network(real, training=True), atol=1e-3)
  alone = tf.concat([network(real[i:i + 1]) for i in range(3)], axis=0)
  np.testing.assert_allclose(alone, network(tf.concat([real[:3], 100 * real], axis=0))[:3], rtol=1e-5, atol=1e-6)


def test_moving_averages_keep_997_of_1000():
  network = discriminator.Discriminator(4, DiscriminatorConfig(frame_index=False, hidden=(8, 6)))
  features = tf.random.stateless_normal([10, 3], [1, 2])
  network(features, training=True)
  layer = network.hidden[0]
  outputs = layer.dense(features).numpy()
  np.testing.assert_allclose(layer.norm.moving_mean, 0.003 * outputs.mean(axis=0), rtol=1e-3, atol=1e-7)
  np.testing.assert_allclose(layer.norm.moving_variance, 0.997 + 0.003 * outputs.var(axis=0), rtol=1e-5)


def test_two_devices_normalise_as_one(two_devices):
  """The same gradients as on one device, from replicas whose features differ."""
  config = DiscriminatorConfig(hidden=(8, 6))
  features = np.random.default_rng(0).normal(size=(2, 20, 3)).astype(np.float32)
  features[:, :10] += 2
  labels = np.arange(20, dtype=np.int32) % 4
  one = discriminator.Discriminator(4, config)
  one(features[0], FRAMES)
  with two_devices.scope():
    two = discriminator.Discriminator(4, config)
    two(tf.constant(features[0]), FRAMES)
  two.set_weights(one.get_weights())

  def gradients(network, real, fake, labels):
    with tf.GradientTape() as tape:
      terms = losses.adversarial(
          labels, network(real, FRAMES, training=True), network(fake, FRAMES, training=True), config)
      loss = tf.reduce_sum(terms['discriminator']) / 20
    return tape.gradient(loss, network.trainable_variables)

  @tf.function
  def step(batch):
    def replica(*batch):
      return [tf.distribute.get_replica_context().all_reduce('SUM', g) for g in gradients(two, *batch)]
    return two_devices.run(replica, batch)

  data = tf.data.Dataset.from_tensor_slices((*features, labels)).batch(20)
  found = step(next(iter(two_devices.experimental_distribute_dataset(data))))
  for gradient, expected in zip(found, gradients(one, *features, labels), strict=True):
    np.testing.assert_allclose(two_devices.experimental_local_results(gradient)[0], expected, rtol=1e-4, atol=1e-6)


def test_one_output_of_the_video_form_has_no_batch_norm():
  """It would give the outputs for real and for fake features the same mean."""
  tf.keras.utils.set_random_seed(0)
  network = discriminator.Discriminator(4, DiscriminatorConfig(task='real_or_fake', hidden=(16, 8), frame_index=False))
  real = network(tf.random.stateless_normal([64, 3], [1, 2]), training=True)
  fake = network(tf.random.stateless_normal([64, 3], [3, 4])**3, training=True)
  assert real.shape == (64, 1) and 0 < tf.reduce_min(real) and tf.reduce_max(real) < 1
  means = [tf.reduce_mean(tf.math.log(p / (1 - p))) for p in (real, fake)]
  assert abs(means[0] - means[1]) > 1e-3


def test_is_float32_under_mixed_precision():
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    networks = [discriminator.Discriminator(4, config) for config in (
        DiscriminatorConfig(hidden=(8, 6)), dataclasses.replace(THESIS, hidden=(8, 6)))]
    features = tf.random.stateless_normal([4, 3], [1, 2])
    low = [network(features, 2) for network in networks]
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  for network, logits in zip(networks, low):
    assert logits.dtype == tf.float32 and {v.dtype for v in network.variables} == {tf.float32}
    rebuilt = discriminator.Discriminator.from_config(network.get_config())
    rebuilt(features, 2)
    rebuilt.set_weights(network.get_weights())
    np.testing.assert_allclose(rebuilt(features, 2), logits, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('fields', [{'form': 'deep'}, {'task': 'regression'}])
def test_unknown_discriminators_are_refused(fields):
  with pytest.raises(KeyError, match=next(iter(fields.values()))):
    discriminator.Discriminator(4, DiscriminatorConfig(**fields))


def test_spectral_layer_has_norm_one():
  """Also after training changed the kernel; bias and kernel have the gradients of x W / σ(W) + b."""
  layer = discriminator.SpectralDense(5)
  random = np.random.default_rng(0)
  x = random.normal(size=[4, 7]).astype(np.float32)
  layer(x)
  kernel = random.normal(size=[7, 5]).astype(np.float32)
  layer.kernel.assign(kernel)
  for _ in range(100):
    layer(x, training=True)
  expected = kernel / np.linalg.svd(kernel)[1][0]
  np.testing.assert_allclose(layer(np.eye(7, dtype=np.float32)), expected, rtol=1e-4, atol=1e-6)
  weights = random.normal(size=[4, 5]).astype(np.float32)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(x) * weights)
  found = tape.gradient(loss, layer.trainable_variables)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum((x @ (layer.kernel / tf.linalg.svd(layer.kernel)[0][0]) + layer.bias) * weights)
  for value, exact in zip(found, tape.gradient(loss, layer.trainable_variables)):
    np.testing.assert_allclose(value, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('training, track, follows', [(True, True, True), (True, False, False), (False, True, False)])
def test_singular_vector_follows_real_features_in_training(training, track, follows):
  network = discriminator.Discriminator(3, DiscriminatorConfig('spectral', (6, 4)))
  x = np.ones([10, 8], np.float32)
  network(x, FRAMES)
  before = [layer.singular_vector.numpy() for layer in (*network.hidden, network.head)]
  network(x, FRAMES, training=training, track=track)
  for layer, vector in zip((*network.hidden, network.head), before):
    assert np.array_equal(layer.singular_vector, vector) != follows
