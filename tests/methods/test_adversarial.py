"""The game of ADMD, and the switch that its discriminator makes possible."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import parity, tiny_stream
from tests.networks import authors_discriminator, authors_resnet50
from tf_privinfo import recipes
from tf_privinfo.methods import adversarial, base, losses
from tf_privinfo.networks import discriminator, resnet50
from tf_privinfo.networks.config import DiscriminatorConfig, ResNet50Config
from tf_privinfo.runs import restore

NETWORK = ResNet50Config(width=4, units=(2, 2, 2, 2), bottleneck='pool_then_conv', bottleneck_width=8)
BATCH_NORM = DiscriminatorConfig(hidden=(8, 6))
PLAIN = DiscriminatorConfig('plain', (8, 6), loss_weight=1.0, rate=0.5)
NAIVE = dataclasses.replace(PLAIN, task='real_or_fake', frame_index=False)
CLASSES, FRAMES = 5, 3


def make_streams(names, seed=3):
  tf.keras.utils.set_random_seed(seed)
  streams = {name: resnet50.ResNet50(CLASSES, NETWORK, name=name) for name in names}
  for network in streams.values():
    network(tf.zeros([1, FRAMES, 16, 16, 3]))
  return streams


def make_game(config=BATCH_NORM, optimizer=lambda factor: tf.keras.optimizers.Adam(factor * 1e-2)):
  streams = make_streams(['depth', 'hall'])
  streams['hall'].set_weights(streams['depth'].get_weights())
  opponent = discriminator.Discriminator(CLASSES, config)
  opponent(tf.zeros([FRAMES, 8]), FRAMES)
  game = adversarial.AdversarialDistillation(
      streams, opponent, input_modality={'depth': 'depth', 'hall': 'rgb'}, frozen=('depth',))
  game.compile_with(optimizer)
  return game


def make_batch(size=4):
  rng = np.random.default_rng(1)
  clips = {m: tf.constant(rng.uniform(0, 255, (size, FRAMES, 16, 16, 3)), tf.float32) for m in ('rgb', 'depth')}
  return clips, tf.constant(rng.integers(0, CLASSES, size), tf.int32)


def snapshot(network):
  return [variable.numpy() for variable in network.weights]


def unchanged(network, before):
  return [np.array_equal(variable, old) for variable, old in zip(network.weights, before, strict=True)]


@pytest.mark.parametrize('config', [BATCH_NORM, PLAIN, NAIVE])
def test_a_step_moves_both_players_and_not_the_depth_stream(config):
  """Depth stays byte-identical, batch statistics included; so does the classifier that hall has from it."""
  game = make_game(config)
  before = {name: snapshot(network) for name, network in game.networks.items()}
  classifier = snapshot(game.streams['hall'].classifier)
  for _ in range(2):
    logs = game.train_step(make_batch())
  assert all(unchanged(game.streams['depth'], before['depth']))
  assert not any(unchanged(game.discriminator, before['discriminator']))
  hall = game.streams['hall']
  assert all(unchanged(hall.classifier, classifier))
  assert sum(unchanged(hall, before['hall'])) == len(classifier)
  assert logs['loss'] == logs['g_loss'] and 'accuracy/depth' not in logs


def test_averages_of_the_discriminator_are_those_of_depth_features():
  """Whatever RGB shows, so whatever features are hallucinated; and other depth moves them."""
  def averages(**scales):
    game = make_game()
    clips, labels = make_batch()
    game.train_step(({modality: clip * scales.get(modality, 1.0) for modality, clip in clips.items()}, labels))
    return [v.numpy() for v in game.discriminator.non_trainable_variables]

  one = averages()
  assert len(one) == 2 * 3
  assert all(np.array_equal(a, b) for a, b in zip(one, averages(rgb=0.3), strict=True))
  assert not any(np.array_equal(a, b) for a, b in zip(one, averages(depth=0.3), strict=True))


def test_both_players_answer_the_same_position():
  """Each takes the gradient at the weights that both had before the step."""
  game = make_game(PLAIN, lambda factor: tf.keras.optimizers.SGD(factor * 0.1))
  clips, labels = make_batch()
  frame_labels = tf.repeat(labels, FRAMES)
  hall, opponent = game.streams['hall'], game.discriminator
  with tf.GradientTape(persistent=True) as tape:
    real = opponent(game.streams['depth'].end_points(clips['depth'])['features'], FRAMES)
    fake = opponent(hall.end_points(clips['rgb'], training=True)['features'], FRAMES)
    fooled = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(frame_labels, fake))
    caught = fooled * 0 + tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(frame_labels, real)
        + tf.nn.sparse_softmax_cross_entropy_with_logits(tf.fill([4 * FRAMES], CLASSES), fake))
  expected = {v.ref(): v - rate * g for loss, network, rate in ((fooled, hall, 0.1), (caught, opponent, 0.05))
              for v, g in zip(network.trainable_variables, tape.gradient(loss, network.trainable_variables))
              if g is not None}
  logs = game.train_step((clips, labels))
  assert float(logs['g_loss']) == pytest.approx(float(fooled), rel=1e-5)
  assert float(logs['d_loss']) == pytest.approx(float(caught), rel=1e-5)
  assert len(expected) == len(hall.trainable_variables) - 2 + len(opponent.trainable_variables)
  for variable in [*hall.trainable_variables[:-2], *opponent.trainable_variables]:
    np.testing.assert_allclose(variable, expected[variable.ref()], rtol=1e-4, atol=1e-6)


def test_step_parity():
  """A step's losses and the norm of all gradients of hall, on the authors' networks, weights and clips."""
  golden = parity.Golden('admd_action')
  streams = {name: authors_resnet50.build(f'resnet_v1_50_{name}', authors_resnet50.ADMD) for name in ('depth', 'hall')}
  game = adversarial.AdversarialDistillation(
      streams, authors_discriminator.build_video(), input_modality={'depth': 'depth', 'hall': 'rgb'},
                          frozen=('depth',))
  game.compile_with(lambda factor: tf.keras.optimizers.Adam(factor * 1e-3, epsilon=1e-8))
  clips = {'rgb': authors_resnet50.clips(golden['images']), 'depth': authors_resnet50.clips(golden['images_depth'])}
  logs = game.train_step(({m: tf.constant(clip) for m, clip in clips.items()}, tf.constant(golden['labels'])))
  golden.check('whole_gan_train:d_loss', logs['d_loss'])
  golden.check('whole_gan_train:g_loss', logs['g_loss'])
  norms = golden['whole_gan_train:g_grad_l2norm']
  assert float(logs['gradient_norm/hall']) == pytest.approx(np.sqrt(np.sum(np.square(norms))), rel=2e-2)


def test_what_is_shown_of_the_discriminator():
  """Its accuracies count classes on real features and the fake class on others."""
  game = make_game(PLAIN)
  clips, labels = make_batch()
  frame_labels = np.repeat(labels, FRAMES)
  real = game.discriminator(game.streams['depth'].end_points(clips['depth'])['features'], FRAMES).numpy()
  fake = game.discriminator(game.streams['hall'].end_points(clips['rgb'], training=True)['features'], FRAMES).numpy()
  logs = game.train_step((clips, labels))
  fakes = np.exp(fake) / np.exp(fake).sum(axis=1, keepdims=True)
  for key, expected in (('accuracy_depth', np.mean(real.argmax(axis=1) == frame_labels)),
                        ('accuracy_hall', np.mean(fake.argmax(axis=1) == CLASSES)),
                        ('fake_probability_hall', fakes[:, -1].mean())):
    assert float(logs[f'discriminator/{key}']) == pytest.approx(expected, abs=1e-5), key


def test_two_devices_play_as_one(two_devices):
  """Half batches on two devices: both players take the step that they take on one."""
  clips, labels = make_batch()
  clips['rgb'] *= tf.reshape([0.2, 0.9, 0.5, 1.0], [4, 1, 1, 1, 1])  # halves that differ

  def play(strategy):
    with strategy.scope():
      tf.keras.utils.set_random_seed(3)
      streams = {name: tiny_stream.TinyStream(CLASSES, name=name) for name in ('depth', 'hall')}
      for network in streams.values():
        network.end_points(clips['rgb'])
      opponent = discriminator.Discriminator(CLASSES, BATCH_NORM)
      opponent(tf.zeros([FRAMES, 8]), FRAMES)
      game = adversarial.AdversarialDistillation(
      streams, opponent, input_modality={'depth': 'depth', 'hall': 'rgb'}, frozen=('depth',))
      game.compile_with(lambda factor: tf.keras.optimizers.SGD(factor * 0.1))
    before = [v.numpy() for v in (*game.learned_variables, *opponent.trainable_variables)]
    game.fit(tf.data.Dataset.from_tensor_slices((clips, labels)).batch(4), verbose=0)
    return before, [v.numpy() for v in (*game.learned_variables, *opponent.trainable_variables)]

  (before, after), (same_before, after_on_two) = play(tf.distribute.get_strategy()), play(two_devices)
  for old, same_old, one, two in zip(before, same_before, after, after_on_two, strict=True):
    np.testing.assert_array_equal(old, same_old)
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
  moved = [np.abs(one - old).max() for old, one in zip(before, after)]
  assert sum(step > 1e-4 for step in moved) >= len(moved) - 3  # not the classifier, nor units that are never active


@pytest.fixture(scope='module')
def switch():
  game = make_game()
  game.train_step(make_batch())
  return adversarial.SensorSwitch({**make_streams(['rgb'], seed=4), **game.streams}, game.discriminator)


def test_switch_gives_both_branches_and_a_score(switch):
  clips, _ = make_batch()
  outputs = switch(clips)
  logits = {name: switch.streams[name](clips['depth' if name == 'depth' else 'rgb']) for name in switch.streams}
  np.testing.assert_allclose(outputs['trusted'], (logits['rgb'] + logits['depth']) / 2, atol=1e-6)
  np.testing.assert_allclose(outputs['hallucinated'], (logits['rgb'] + logits['hall']) / 2, atol=1e-6)
  features = switch.streams['depth'].end_points(clips['depth'])['features']
  fakes = tf.nn.softmax(switch.discriminator(features, FRAMES))[:, CLASSES]
  np.testing.assert_allclose(outputs['fake_probability'][:, 0], np.reshape(fakes, [4, FRAMES]).mean(axis=1), atol=1e-6)
  alone = switch({m: clip[1:2] for m, clip in clips.items()})  # a sample's score is its own
  np.testing.assert_allclose(alone['fake_probability'][0], outputs['fake_probability'][1], atol=1e-5)


@pytest.mark.parametrize('no_number', [np.nan, np.inf, -np.inf])
def test_missing_depth_has_score_one_and_finite_logits(switch, no_number):
  clips, _ = make_batch()
  depth = clips['depth'].numpy()
  depth[0] = 0
  depth[1] = (123.68, 116.779, 103.939)
  depth[2, 1, 3, 4, 0] = no_number
  depth[3, :2] = 0  # one frame is left
  outputs = switch({'rgb': clips['rgb'], 'depth': tf.constant(depth)})
  scores = outputs['fake_probability'].numpy()[:, 0]
  assert list(scores == 1) == [True, True, True, False]
  assert all(np.isfinite(values).all() for values in outputs.values())


@pytest.mark.parametrize('outputs, expected', [
    ([[0.0, 0.0, np.log(2.0)]], 0.5), ([[0.25]], 0.75)])
def test_fake_probability_reads_the_last_class_or_the_single_output(outputs, expected):
  assert losses.FAKE_CLASS == -1
  np.testing.assert_allclose(losses.fake_probability(tf.constant(outputs, tf.float32)), [expected], rtol=1e-6)


def test_watch_trains_the_discriminator_alone_to_see_noise():
  """It minimises eq. 4.1 with noisy depth as the fake, at the moving averages of real features, which stay."""
  game = make_game()
  for _ in range(3):
    game.train_step(make_batch())
  watch = adversarial.NoiseDetector({'depth': game.streams['depth']}, game.discriminator, frozen=('depth',))
  watch.compile_with(lambda factor: tf.keras.optimizers.Adam(factor * 1e-2))
  clips, labels = make_batch()
  clips = {'depth': clips['depth'], 'noisy_depth': 0.1 * clips['depth']}
  depth, averages = snapshot(game.streams['depth']), [v.numpy() for v in game.discriminator.non_trainable_variables]
  real, fake = (watch({'depth': clip})['discriminator'] for clip in clips.values())
  fakes = tf.fill([4 * FRAMES], CLASSES)
  expected = tf.reduce_mean(
      0.5 * (losses.cross_entropy(tf.repeat(labels, FRAMES), real) + losses.cross_entropy(fakes, fake)))
  history, step = [], tf.function(watch.train_step)
  for _ in range(40):
    watch.reset_metrics()
    history.append(step((clips, labels)))
  assert float(history[0]['loss']) == pytest.approx(float(expected), rel=1e-5)
  last = {name: float(value) for name, value in history[-1].items()}
  assert last['discriminator/fake_probability_noise'] > last['discriminator/fake_probability_depth'] + 0.05
  assert float(history[0]['discriminator/fake_probability_noise']) < last['discriminator/fake_probability_noise'] - 0.05
  assert all(unchanged(game.streams['depth'], depth))
  for before, after in zip(averages, game.discriminator.non_trainable_variables, strict=True):
    np.testing.assert_array_equal(before, after)


def test_weight_decay_is_a_penalty_on_both_networks():
  """The kernels of `hall` and of the discriminator shrink, and the penalty is reported."""
  norms = {}
  for rate in (0.0, 1e3):
    game = make_game(PLAIN, optimizer=lambda factor: tf.keras.optimizers.SGD(factor * 1e-6))
    game.weight_decay = rate
    game.epoch_means['loss_l2'] = tf.keras.metrics.Mean('loss_l2')
    logs = game.train_step(make_batch())
    kernels = (game.streams['hall'].stem.conv.kernel, game.discriminator.hidden[0].kernel)
    norms[rate] = [float(tf.norm(kernel)) for kernel in kernels]
    assert (float(logs['loss_l2']) > 0) == bool(rate)
  assert all(shrunk < plain for shrunk, plain in zip(norms[1e3], norms[0.0]))


@pytest.mark.parametrize('method, stage', [('admd', 'game'), ('admd', 'watch'), ('autoencoder', 'autoencoder')])
def test_every_method_has_the_weight_decay_of_its_recipe(method, stage):
  recipe = recipes.override(recipes.recipe(method, 'nyud', 'given', 'tiny'), {f'stages.{stage}.weight_decay': 0.25})
  with tiny_stream.in_place_of_resnet50():
    built = restore.build_method(recipe, stage, CLASSES)
  assert built.weight_decay == 0.25 and 'loss_l2' in built.epoch_means


def test_undeclared_terms_are_named():
  game = make_game()
  with pytest.raises(ValueError, match='NoiseDetector.objective.*wrong.*loss_terms'):
    detector = adversarial.NoiseDetector({'depth': game.streams['depth']}, game.discriminator, frozen=('depth',))
    detector._record(tf.constant([0]), base.Objective(tf.constant(0.0), {}, {'wrong': tf.constant(0.0)}), [])
