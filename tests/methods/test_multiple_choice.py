"""The multiple-choice family: who learns what, on one device and on two."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_stream
from tf_privinfo import recipes
from tf_privinfo.methods import losses, multiple_choice
from tf_privinfo.methods.config import LoserConfig
from tf_privinfo.networks import r2plus1d
from tf_privinfo.networks.config import R2Plus1DConfig
from tf_privinfo.recipes import validation
from tf_privinfo.runs import restore
from tf_privinfo.training import optimizers

NETWORK = R2Plus1DConfig(width=4, units=(1, 1))
CLASSES = 5


def new_r2plus1d():
  return r2plus1d.R2Plus1D(CLASSES, NETWORK)


def new_tiny():
  return tiny_stream.TinyStream(CLASSES)


def make(cls, modalities=('rgb', 'depth'), learning_rate=0.1, new_stream=new_r2plus1d, **options):
  tf.keras.utils.set_random_seed(3)
  streams = {m: new_stream() for m in modalities}
  method = cls(streams, CLASSES, **options)
  method(make_batch(modalities)[0])
  method.compile(optimizer=optimizers.Momentum(learning_rate))
  return method


def make_batch(modalities, size=4):
  rng = np.random.default_rng(1)
  clips = {m: tf.constant(rng.uniform(0, 255, (size, 8, 16, 16, 3)), tf.float32) for m in modalities}
  return clips, tf.constant(rng.integers(0, CLASSES, size), tf.int32)


def changed(method, before):
  return {m: any(not np.array_equal(v, old) for v, old in zip(method.streams[m].trainable_variables, before[m]))
          for m in method.modalities}


def snapshot(method):
  return {m: [v.numpy() for v in method.streams[m].trainable_variables] for m in method.modalities}


@pytest.mark.parametrize('cls', [
    multiple_choice.DMCL, multiple_choice.SMCL, multiple_choice.CMCL, multiple_choice.Independent,
    multiple_choice.RandomTeacher])
def test_any_number_and_names_of_modalities(cls):
  """In a graph."""
  method = make(cls, ('thermal', 'audio', 'rgb', 'lidar'), new_stream=new_tiny)
  kernels = [layer.kernel.numpy() for m in method.modalities for layer in (
      method.streams[m].bottleneck, method.streams[m].classifier)]
  logs = tf.function(method.train_step)(make_batch(method.modalities))
  assert float(logs['loss_l2']) == pytest.approx(1e-4 / 2 * sum(np.sum(kernel**2) for kernel in kernels), rel=1e-5)
  assert np.isfinite(logs['loss'])
  assert sum(float(logs[f'wins/{m}']) for m in method.modalities) == pytest.approx(1)
  assert set(method({'audio': make_batch(['audio'])[0]['audio']})) == {'audio'}
  total = sum(float(logs[f'loss_{term}/{m}']) for m in method.modalities for term in method.LOSS_TERMS)
  assert float(logs['loss']) == pytest.approx(total + float(logs['loss_l2']), rel=1e-5)


def test_smcl_losers_do_not_learn():
  """With one sample there is one winner: the other network changes by nothing but weight decay, here off."""
  method = make(multiple_choice.SMCL, weight_decay=0.0)
  before = snapshot(method)
  logs = method.train_step(make_batch(method.modalities, size=1))
  winner = max(method.modalities, key=lambda m: float(logs[f'wins/{m}']))
  assert changed(method, before) == {m: m == winner for m in method.modalities}


@pytest.mark.parametrize('cls', [multiple_choice.DMCL, multiple_choice.SMCL, multiple_choice.Independent])
def test_the_lowest_cross_entropy_wins_and_of_equals_the_first(cls):
  method = make(cls, ('rgb', 'depth', 'flow'), new_stream=new_tiny)
  hard = tf.constant([[3.0, 1.0, 2.0], [2.0, 1.0, 0.5], [1.0, 2.0, 0.5]])
  assert method.choose(hard, None).numpy().tolist() == [2, 0, 1]


def test_cmcl_chooses_and_learns_by_the_confident_criterion():
  """Modality 1 has the lower cross entropy, but 0 wins, since as a loser it would be too sure; 1 becomes unsure."""
  method = make(multiple_choice.CMCL, new_stream=new_tiny)
  logits, labels = tf.constant([[[6.0, 7.5, 0, 0, 0]], [[0.5, 0, 0, 0, 0]]]), tf.constant([0])
  log_p = tf.nn.log_softmax(logits).numpy()[:, 0]
  hard, uniform = -log_p[:, 0], -log_p.mean(axis=1) - np.log(CLASSES)
  [winner] = method.choose(tf.constant(hard)[:, np.newaxis], logits).numpy()
  assert hard[1] < hard[0] and winner == 0
  terms = method.loss_terms(labels, logits, tf.constant([winner]))
  np.testing.assert_allclose(terms['hard'], [[hard[0]], [0]], rtol=1e-5)
  np.testing.assert_allclose(terms['uniform'], [[0], [uniform[1]]], rtol=1e-4)


@pytest.mark.parametrize('cls', [multiple_choice.DMCL, multiple_choice.SMCL])
def test_batch_statistics_of_winners_and_losers_are_tracked(cls):
  method = make(cls, new_stream=new_tiny)
  before = {m: [v.numpy() for v in method.streams[m].non_trainable_variables] for m in method.modalities}
  method.train_step(make_batch(method.modalities, size=1))
  for m in method.modalities:
    for old, variable in zip(before[m], method.streams[m].non_trainable_variables, strict=True):
      assert not np.array_equal(old, variable), variable.name


def test_independent_networks_do_not_see_each_other():
  """A network trained beside another one ends exactly as it does alone."""
  together, alone = make(multiple_choice.Independent), make(multiple_choice.Independent, ('rgb',))
  for old, new in zip(together.streams['rgb'].variables, alone.streams['rgb'].variables):
    new.assign(old)
  clips, labels = make_batch(('rgb', 'depth'))
  together.train_step((clips, labels))
  alone.train_step(({'rgb': clips['rgb']}, labels))
  for a, b in zip(together.streams['rgb'].trainable_variables, alone.streams['rgb'].trainable_variables):
    np.testing.assert_allclose(a, b, atol=1e-7)


def test_dmcl_teacher_gets_no_gradient_from_its_students():
  method = make(multiple_choice.DMCL)
  logits = tf.random.stateless_normal([2, 3, CLASSES], [1, 1])
  labels = tf.constant([0, 1, 2])
  winners = tf.constant([0, 0, 0])
  with tf.GradientTape() as tape:
    tape.watch(logits)
    soft = method.loss_terms(labels, logits, winners)['soft']
  gradient = tape.gradient(soft, logits).numpy()
  assert not gradient[0].any() and gradient[1].any()


def test_dmcl_and_random_teacher_have_the_loser_loss_that_they_are_given():
  loser = LoserConfig(0.25, 0.5, 3.0, squared_temperature=False, student_at_temperature=False)
  logits, labels = tf.random.stateless_normal([2, 3, CLASSES], [1, 1]), tf.constant([0, 1, 2])
  winners = tf.constant([0, 1, 0])
  expected = losses.distillation_terms(labels, logits, winners, loser)
  for cls in (multiple_choice.DMCL, multiple_choice.RandomTeacher):
    terms = make(cls, new_stream=new_tiny, loser=loser).loss_terms(labels, logits, winners)
    for name in cls.LOSS_TERMS:
      np.testing.assert_allclose(terms[name], expected[name], rtol=1e-6)


def test_random_teacher_is_a_function_of_seed_and_step():
  method = make(multiple_choice.RandomTeacher, ('rgb', 'depth', 'flow'), seed=5)
  hard = tf.zeros([3, 300])
  first = method.choose(hard, None).numpy()
  np.testing.assert_array_equal(first, method.choose(hard, None))
  assert np.all(np.bincount(first, minlength=3) > 60)
  method.optimizer.iterations.assign_add(1)
  assert not np.array_equal(first, method.choose(hard, None))


def test_random_teachers_do_not_depend_on_the_number_of_replicas(two_devices):
  expected = make(multiple_choice.RandomTeacher, new_stream=new_tiny).choose(tf.zeros([2, 600]), None)
  with two_devices.scope():
    method = make(multiple_choice.RandomTeacher, new_stream=new_tiny)
  drawn = two_devices.run(lambda: method.choose(tf.zeros([2, 300]), None))
  np.testing.assert_array_equal(tf.concat(two_devices.experimental_local_results(drawn), 0), expected)


def test_the_largest_seed_of_a_recipe_draws_teachers_and_weights_of_every_stage():
  method = make(multiple_choice.RandomTeacher, ('rgb', 'depth'), seed=validation.SEEDS[-1])
  assert set(method.choose(tf.zeros([2, 300]), None).numpy()) == {0, 1}
  recipe = recipes.recipe('admd', 'synthetic', 'cross_view_1', 'tiny', seed=validation.SEEDS[-1])
  for stage in recipe.stages:
    tf.keras.utils.set_random_seed(restore.stage_seed(recipe, stage))


def test_wins_per_class_counts_every_sample_once():
  counts = multiple_choice.ClassCounts(2, 3)
  counts.update_state(tf.constant([0, 1, 1]), tf.constant([2, 2, 0]))
  counts.update_state(tf.constant([1]), tf.constant([2]))
  np.testing.assert_array_equal(counts.result(), [[0, 0, 1], [1, 0, 2]])
  counts.reset_state()
  assert not counts.result().numpy().any()


def test_two_devices_equal_one(two_devices):
  """A step with half batches on two devices against one step with the whole batch."""
  batch = make_batch(('rgb', 'depth'), size=6)
  one = make(multiple_choice.DMCL, new_stream=new_tiny)
  logs_one = one.train_step(batch)

  strategy = two_devices
  with strategy.scope():
    two = make(multiple_choice.DMCL, new_stream=new_tiny)
  halves = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(batch).unbatch().batch(6))

  @tf.function
  def step(data):
    return strategy.run(two.train_step, [data])

  for data in halves:
    assert [len(labels) for labels in strategy.experimental_local_results(data[1])] == [3, 3]
    step(data)
  state = lambda method: [
      *(v for m in method.modalities for v in method.streams[m].variables), *method.optimizer.variables]
  for a, b in zip(state(one), state(two), strict=True):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=2e-5, err_msg=a.name)
  for name in logs_one:
    np.testing.assert_allclose(logs_one[name], two.epoch_means[name].result(), rtol=1e-4, err_msg=name)
