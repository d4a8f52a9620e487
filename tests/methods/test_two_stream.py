"""Streams with connections and the hallucination stream: who gives, who learns, what is frozen."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity, tiny_stream
from tests.networks import authors_resnet50
from tf_privinfo.methods import two_stream
from tf_privinfo.methods.config import ConnectionConfig, HallucinationConfig
from tf_privinfo.networks import resnet50
from tf_privinfo.networks.config import ResNet50Config

NETWORK = ResNet50Config(width=4, units=(2, 2, 2, 2))
CLASSES = 5
READS = {'rgb': 'rgb', 'depth': 'depth', 'hall': 'rgb'}


def new_resnet(name):
  return resnet50.ResNet50(CLASSES, NETWORK, name=name)


def new_tiny(name):
  return tiny_stream.TinyStream(CLASSES, name=name)


def make(cls, streams, direction='depth_to_rgb', new_stream=new_resnet, **options):
  tf.keras.utils.set_random_seed(3)
  networks = {name: new_stream(name) for name in streams}
  clips, _ = make_batch()
  for name, network in networks.items():
    network(clips[READS[name]])
  method = cls(networks, connections=ConnectionConfig(direction), input_modality=READS, **options)
  method.compile(optimizer=tf.keras.optimizers.Adam(1e-2))
  return method


def make_batch(size=4):
  rng = np.random.default_rng(1)
  clips = {m: tf.constant(rng.uniform(0, 255, (size, 3, 16, 16, 3)), tf.float32) for m in ('rgb', 'depth')}
  return clips, tf.constant(rng.integers(0, CLASSES, size), tf.int32)


def snapshot(network):
  return [variable.numpy() for variable in network.weights]


def same(network, before):
  return [np.array_equal(variable, old) for variable, old in zip(network.weights, before)]


@pytest.mark.parametrize('direction, streams, pairs', [
    ('depth_to_rgb', ['rgb', 'depth'], {'rgb': 'depth'}),
    ('depth_to_rgb', ['rgb', 'hall'], {'rgb': 'hall'}),
    ('depth_to_rgb', ['depth', 'hall'], {'hall': 'depth'}),
    ('rgb_to_depth', ['rgb', 'depth'], {'depth': 'rgb'}),
    ('rgb_to_depth', ['rgb', 'depth', 'hall'], {'depth': 'rgb', 'hall': 'rgb'}),
    ('rgb_to_depth', ['rgb', 'hall'], {'hall': 'rgb'}),
    ('depth_to_rgb', ['rgb'], {}),
    ('none', ['rgb', 'depth', 'hall'], {}),
])
def test_who_gives_to_whom(direction, streams, pairs):
  assert two_stream.connection_sources(direction, streams) == pairs


def test_receiving_stream_changes_with_the_modality_of_its_giver():
  """Two-stream predictions of RGB depend on depth with connections, and RGB alone still works."""
  clips, _ = make_batch()
  method = make(two_stream.FusedStreams, ['rgb', 'depth'])
  both, alone = method(clips), method({'rgb': clips['rgb']})
  assert set(both) == {'rgb', 'depth'} and set(alone) == {'rgb'}
  assert np.abs(both['rgb'] - alone['rgb']).max() > 1e-3
  np.testing.assert_array_equal(alone['rgb'], method.streams['rgb'](clips['rgb']))
  separate = make(two_stream.FusedStreams, ['rgb', 'depth'], 'none')
  np.testing.assert_array_equal(separate(clips)['rgb'], separate({'rgb': clips['rgb']})['rgb'])


def test_fused_loss_trains_both_streams_together():
  """The loss of step 2 is the cross entropy of the mean logits, not the mean of cross entropies."""
  clips, labels = make_batch()
  method = make(two_stream.FusedStreams, ['rgb', 'depth'])
  logits = method(clips, training=True)
  fused = (logits['rgb'] + logits['depth']).numpy() / 2
  log_probability = fused - np.log(np.exp(fused).sum(axis=1, keepdims=True))
  expected = -log_probability[np.arange(4), labels].mean()
  before = {name: snapshot(network) for name, network in method.streams.items()}
  assert float(method.train_step((clips, labels))['loss']) == pytest.approx(expected, rel=1e-4)
  for name, network in method.streams.items():
    assert not any(same(network, before[name])), name


@pytest.mark.parametrize('direction', ['depth_to_rgb', 'rgb_to_depth'])
def test_hallucination_leaves_frozen_streams_untouched(direction):
  """Weights and batch statistics of RGB and depth stay, bit by bit; all of the hallucination stream moves."""
  method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], direction, frozen=('rgb', 'depth'))
  before = {name: snapshot(network) for name, network in method.streams.items()}
  for _ in range(2):
    logs = method.train_step(make_batch())
  assert {'loss', 'loss_hard/hall', 'loss_soft/hall', 'loss_maps/hall', 'accuracy/hall', 'gradient_norm/hall'} <= set(
      logs) and 'accuracy/depth' not in logs
  assert all(same(method.streams['rgb'], before['rgb'])) and all(same(method.streams['depth'], before['depth']))
  assert not any(same(method.streams['hall'], before['hall']))


def test_hallucination_needs_rgb_alone_at_test_time():
  clips, _ = make_batch()
  method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], frozen=('rgb', 'depth'))
  assert method.modalities == ('rgb',) and method.injected_modalities == ('depth',)
  alone = method({'rgb': clips['rgb']})
  assert set(alone) == {'hall'}
  assert np.abs(alone['hall'] - method(clips)['hall']).max() > 1e-3  # with true depth injected
  inverted = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], 'rgb_to_depth', frozen=('rgb', 'depth'))
  assert inverted.injected_modalities == ()


def test_maps_alone_do_not_train_the_classifier():
  """Eq. 3.3 alone (α = 1) has no gradient for what lies above the maps."""
  method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], frozen=('rgb', 'depth'),
                config=HallucinationConfig(map_share=1.0))
  hall = method.streams['hall']
  before = snapshot(hall.classifier), snapshot(hall.stem)
  method.train_step(make_batch())
  assert all(same(hall.classifier, before[0])) and not any(same(hall.stem, before[1]))


def test_hoffman_trains_rgb_and_hallucination_at_once():
  method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], 'none', frozen=('depth',),
                config=HallucinationConfig(map_share=1.0))
  before = {name: snapshot(network) for name, network in method.streams.items()}
  logs = method.train_step(make_batch())
  assert float(logs['loss']) == pytest.approx(
      float(logs['loss_hard/sum']) + 0.01 * 3 * 4 * float(logs['loss_maps/hall']), rel=1e-4)  # 12 frames
  assert all(same(method.streams['depth'], before['depth']))
  assert not any(same(method.streams['rgb'], before['rgb'])) and not any(same(method.streams['hall'], before['hall']))


def test_pictures_show_true_above_hallucinated_maps():
  clips, _ = make_batch()
  method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], 'none', frozen=('rgb', 'depth'))
  [picture] = method.images(clips).values()
  assert picture.dtype == tf.uint8 and picture.shape == (4, 64, 96, 1)  # maps of 1 x 1, 3 frames
  points = method.end_points(clips, ['depth', 'hall'])
  true, hallucinated = (tf.reduce_mean(points[s]['block4'], axis=[1, 2, 3]).numpy() for s in ('depth', 'hall'))
  brightest = max(true[:3].max(), hallucinated[:3].max())
  assert picture[0, 0, 0, 0] == int(255 * true[0] / brightest)
  assert picture[0, 63, 95, 0] == int(255 * hallucinated[2] / brightest)


def test_one_step_on_two_devices_equals_one_device(two_devices):
  """Half batches on two devices: the same gradient, also of the loss that is a sum over the batch."""

  def step(strategy):
    with strategy.scope():
      method = make(two_stream.Hallucination, ['rgb', 'depth', 'hall'], 'none', new_tiny, frozen=('rgb', 'depth'),
                    config=HallucinationConfig(map_weight=10.0))  # makes the sum most of the loss
      method.compile(optimizer=tf.keras.optimizers.SGD(1e-2))
      method.optimizer.build(method.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices(make_batch()).batch(4)
    history = method.fit(data, verbose=0).history
    assert history['loss_maps/hall'][0] > 1
    return history['loss'][0], [v.numpy() for v in method.streams['hall'].trainable_variables]

  loss, weights = step(tf.distribute.get_strategy())
  loss_of_two, weights_of_two = step(two_devices)
  assert loss_of_two == pytest.approx(loss, rel=1e-4)
  for one, two in zip(weights, weights_of_two):
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope='module')
def authors_streams():
  return {name: authors_resnet50.build(f'resnet_v1_50_{name}') for name in ('depth', 'hall')}


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_step_3_parity(mode, authors_streams):
  """The whole objective of step 3 with connections on the authors' networks, weights and clips."""
  golden, streams = parity.Golden('md_two_stream_interaction'), authors_streams
  method = two_stream.Hallucination(streams, connections=ConnectionConfig(), input_modality=READS, frozen=('depth',))
  # In the golden case `infer` the student is in inference mode as well.
  method.streams['hall'].trainable = mode == 'train'
  clips = {m: tf.constant(authors_resnet50.clips(golden[f'images_{m}'])) for m in ('rgb', 'depth')}
  with authors_resnet50.keep_statistics(*streams.values()):
    objective = method.objective(clips, tf.constant(golden['labels']))
  prefix = f's3_inter_{mode}:'
  golden.check(prefix + 'loss_hard', tf.reduce_mean(objective.loss_terms['loss_hard/hall']))
  golden.check(prefix + 'loss_soft', tf.reduce_mean(objective.loss_terms['loss_soft/hall']))
  golden.check(prefix + 'loss_rect', tf.reduce_sum(objective.loss_terms['loss_maps/hall']))
  golden.check(prefix + 'loss_total', objective.loss)


def test_moddrop_drops_values_around_the_mean_and_whole_modalities():
  """A fifth of the values has the mean colour, the rest is 1.25 times as far from it; a tenth of samples has none."""
  method = make(two_stream.ModDrop, ['rgb', 'depth'], 'none', new_tiny)
  clip = tf.random.stateless_uniform([400, 1, 8, 8, 3], [1, 2], 0, 255)
  mean = np.array(NETWORK.input_mean, np.float32)
  dropped = method.drop(clip, NETWORK.input_mean, tf.constant([0, 1])).numpy()
  kept = np.abs(dropped - mean) > 1e-3
  np.testing.assert_allclose(dropped[kept], (1.25 * (clip - mean) + mean).numpy()[kept], rtol=1e-4, atol=1e-3)
  of_sample = kept.mean(axis=(1, 2, 3, 4))
  assert 20 <= np.sum(of_sample == 0) <= 60
  assert 0.78 < of_sample[of_sample > 0].mean() < 0.82 and of_sample[of_sample > 0].min() > 0.6


def test_moddrop_draws_apart_for_every_modality(monkeypatch):
  """RGB and depth of a sample lose different values."""
  method = make(two_stream.ModDrop, ['rgb', 'depth'], 'none', new_tiny)
  method.compile(optimizer=tf.keras.optimizers.SGD(0.0))
  seen = {}
  monkeypatch.setattr(two_stream.FusedStreams, 'objective', lambda self, clips, labels: seen.update(clips))
  clips, labels = make_batch()
  method.objective({'rgb': clips['rgb'], 'depth': clips['rgb']}, labels)
  assert not np.array_equal(seen['rgb'], seen['depth'])


def test_moddrop_draws_anew_in_every_step_and_the_same_after_a_restart():
  def losses_of(steps, start=0):
    method = make(two_stream.ModDrop, ['rgb', 'depth'], 'none', new_tiny, seed=5)
    method.compile(optimizer=tf.keras.optimizers.SGD(0.0))
    method.optimizer.build(method.trainable_variables)
    method.optimizer.iterations.assign(start)
    step, result = tf.function(method.train_step), []
    for _ in range(steps):
      method.reset_metrics()
      result.append(float(step(make_batch())['loss']))
    return result

  first, second = losses_of(2)
  assert first != second
  assert losses_of(1, start=1) == [second]


def test_moddrop_does_not_depend_on_the_number_of_replicas(two_devices, monkeypatch):
  """Each clip has its own draw; what is dropped has the mean colour that its stream subtracts."""
  monkeypatch.setattr(two_stream.FusedStreams, 'objective', lambda self, clips, labels: clips)

  def drop(strategy, rows):
    with strategy.scope():
      method = make(two_stream.ModDrop, ['rgb', 'depth'], 'none', new_tiny)
    white = tf.fill([rows, 3, 16, 16, 3], 255.0)
    dropped = strategy.run(lambda: method.objective({'rgb': white, 'depth': white}, None))
    return [tf.concat(strategy.experimental_local_results(dropped[m]), axis=0).numpy() for m in ('rgb', 'depth')]

  expected, found = drop(tf.distribute.get_strategy(), 8), drop(two_devices, 4)
  np.testing.assert_array_equal(found, expected)
  clips = np.concatenate(found)
  assert len({clip.tobytes() for clip in clips}) == 16
  np.testing.assert_allclose(clips.min(axis=(0, 1, 2, 3)), NETWORK.input_mean, rtol=1e-5)


def test_hallucination_on_objects_sums_its_terms():
  """FIDELITY row 17: CE + τ² · soft CE, both softened, + 0.01 · the sum of squared differences of features."""
  config = HallucinationConfig('sum', layer='features', temperature=4.0, student_at_temperature=False)
  method = make(two_stream.Hallucination, ['depth', 'hall'], 'none', frozen=('depth',), config=config)
  clips, labels = make_batch()
  points = method.end_points(clips, ['depth', 'hall'], training=True)
  log_student = tf.nn.log_softmax(points['hall']['logits'] / 4)
  soft = -tf.reduce_sum(tf.nn.softmax(points['depth']['logits'] / 4) * log_student, axis=1)
  hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, points['hall']['logits'])
  maps = (tf.sigmoid(points['depth']['features']) - tf.sigmoid(points['hall']['features']))**2
  expected = tf.reduce_mean(hard + 16 * soft) + 0.01 * tf.reduce_sum(maps)
  assert float(method.train_step((clips, labels))['loss']) == pytest.approx(float(expected), rel=1e-4)
  assert method.images(clips) == {}
