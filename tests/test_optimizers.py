"""Momentum and its schedule against the authors' numbers and by hand; training steps of the authors' ensemble."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tests.networks import authors_r2plus1d
from tf_privinfo.methods import losses, multiple_choice
from tf_privinfo.training import optimizers

SCHEDULE = parity.Golden('lr_schedule')
DECAY_EPOCHS = (100.0, 150.0, 180.0, 200.0)


# The schedule.


def _rates(base, images, steps, batch_size=8):
  schedule = optimizers.stepwise_schedule(base, images / batch_size, 5.0, DECAY_EPOCHS)
  return np.array([schedule(tf.constant(step, tf.int64)) for step in steps])


@pytest.mark.parametrize('key, base, images, steps', [
    ('lr_momentum', 1.28e-3, 1000, 'steps'),
    ('lr_momentum_finetune', 1.28e-5, 1000, 'steps'),
    ('lr_1004', 1.28e-3, 1004, 'steps_1004')])
def test_schedule_parity(key, base, images, steps):
  """Relative to each rate, not to the largest: they span four orders of magnitude."""
  rates, expected = _rates(base, images, SCHEDULE[steps]), SCHEDULE[key]
  print(f'{key}: largest relative error {np.max(abs(rates - expected) / np.maximum(expected, 1e-30)):.1e}')
  np.testing.assert_allclose(rates, expected, rtol=2e-6, atol=0)


def test_schedule_without_warmup_or_decay():
  assert optimizers.stepwise_schedule(0.5, 10, 0, ()) == 0.5
  constant_after_warmup = optimizers.stepwise_schedule(0.5, 10, 2, ())
  np.testing.assert_allclose([constant_after_warmup(step) for step in (0, 10, 20, 1000)], [0, 0.25, 0.5, 0.5])
  stepwise = optimizers.stepwise_schedule(0.5, 10, 0, (1, 3), 0.5)
  np.testing.assert_allclose([stepwise(step) for step in (0, 10, 11, 30, 31)], [0.5, 0.5, 0.25, 0.25, 0.125])


# The update rule.


class _Table(tf.keras.optimizers.schedules.LearningRateSchedule):
  """A learning rate for each step."""

  def __init__(self, rates):
    self._rates = tf.constant(rates)

  def __call__(self, step):
    return self._rates[step]


RATES, GRADIENTS = (0.0, 0.1, 0.01), (1.0, 2.0, -1.0)


def _weights_after_each_step(optimizer):
  weight = tf.Variable([1.0])
  optimizer.build([weight])
  weights = []
  for gradient in GRADIENTS:
    optimizer.apply_gradients([(tf.constant([gradient]), weight)])
    weights.append(weight.numpy()[0])
  return weights


def test_momentum_keeps_the_rate_outside_the_accumulator():
  """a = 1, 0.9 · 1 + 2 = 2.9, 0.9 · 2.9 - 1 = 1.61; the rate multiplies a: TensorFlow 1's rule."""
  np.testing.assert_allclose(
      _weights_after_each_step(optimizers.Momentum(_Table(RATES))), [1, 1 - 0.29, 1 - 0.29 - 0.0161], rtol=1e-6)


def test_keras_sgd_differs_while_the_rate_changes():
  """v = 0, -0.2, 0.9 · -0.2 + 0.01 = -0.17: why `Momentum` exists. At a constant rate the two agree."""
  np.testing.assert_allclose(
      _weights_after_each_step(tf.keras.optimizers.SGD(_Table(RATES), momentum=0.9)), [1, 0.8, 0.63], rtol=1e-6)
  np.testing.assert_allclose(
      _weights_after_each_step(tf.keras.optimizers.SGD(0.1, momentum=0.9)),
      _weights_after_each_step(optimizers.Momentum(0.1)), rtol=1e-6)


def test_momentum_is_not_compiled_variable_by_variable(monkeypatch):
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind=None: ['GPU:0'])
  assert not optimizers.Momentum(0.1).jit_compile


def test_momentum_saves_its_accumulators(tmp_path):
  def variable_and_optimizer():
    weight, optimizer = tf.Variable([1.0]), optimizers.Momentum(0.1)
    optimizer.build([weight])
    return weight, optimizer, tf.train.Checkpoint(weight=weight, optimizer=optimizer)

  weight, optimizer, checkpoint = variable_and_optimizer()
  optimizer.apply_gradients([(tf.constant([1.0]), weight)])
  path = checkpoint.write(str(tmp_path / 'checkpoint'))
  weight, optimizer, checkpoint = variable_and_optimizer()
  checkpoint.read(path).assert_consumed()
  optimizer.apply_gradients([(tf.constant([0.0]), weight)])
  np.testing.assert_allclose(weight, [1 - 0.1 - 0.09], rtol=1e-6)
  assert int(optimizer.iterations) == 2


# Training steps of the authors' ensemble.

MODALITIES = {'rgb': 601, 'depth': 602, 'oflow': 603}  # and the seeds of their clips


@pytest.fixture(scope='module')
def golden():
  return parity.Golden('dmcl_r2plus1d')


@pytest.fixture(scope='module')
def clips(golden):
  draws = {m: np.random.RandomState(seed).standard_normal((2, 8, 64, 64, 3)).astype(np.float32)
           for m, seed in MODALITIES.items()}
  np.testing.assert_array_equal(draws['rgb'], golden['images_rgb'])
  return draws


@pytest.fixture(scope='module')
def ensemble(golden):
  return multiple_choice.DMCL({m: authors_r2plus1d.build(golden, m) for m in MODALITIES}, 10)


@pytest.fixture(scope='module')
def inference_logits(ensemble, clips):
  """Before any step."""
  return tf.stack([ensemble(clips)[m] for m in MODALITIES])


@pytest.fixture(scope='module')
def two_steps(golden, ensemble, clips, inference_logits):
  """The schedule; metrics and the variables of the golden file after one step; the same after two."""
  del inference_logits  # must come first
  # 1000 images in batches of two, as when the golden file was made: the rate of step 1 is a 2500th of the base.
  schedule = optimizers.stepwise_schedule(1.28e-3, 500, 5.0, DECAY_EPOCHS)
  ensemble.compile(optimizers.Momentum(schedule), run_eagerly=True)  # twice: tracing it takes longer
  network = ensemble.streams['rgb']
  first, shortcut = network.stem_spatial.norm, network.units[4].shortcut.norm
  watched = {
      'dense/kernel': network.classifier.kernel, 'dense/bias': network.classifier.bias,
      'batch_normalization/moving_mean': first.moving_mean,
      'batch_normalization/moving_variance': first.moving_variance,
      'batch_normalization_20/moving_mean': shortcut.moving_mean,
      'batch_normalization_20/moving_variance': shortcut.moving_variance}

  def step():
    metrics = ensemble.train_on_batch(clips, golden['labels'], reset_metrics=True, return_dict=True)
    return metrics, {name: variable.numpy() for name, variable in watched.items()}

  return schedule, step(), step()


def _error(value, expected):
  return np.linalg.norm(value - expected) / np.linalg.norm(expected)


def test_ensemble_inference_losses_parity(golden, ensemble, inference_logits):
  for modality, logits in zip(MODALITIES, inference_logits):
    golden.check(f'infer:logits_{modality}', logits)
  labels = tf.constant(golden['labels'])
  winners = ensemble.choose(losses.cross_entropy(labels, inference_logits), inference_logits)
  np.testing.assert_array_equal(winners, golden['infer:min_index'][0])
  terms = ensemble.loss_terms(labels, inference_logits, winners)
  golden.check('infer:soft_loss_win', tf.reduce_sum(tf.reduce_mean(terms['hard'], axis=1)))
  golden.check('infer:soft_loss_loser', tf.reduce_sum(tf.reduce_mean(terms['soft'], axis=1)))


def test_ensemble_training_losses_parity(golden, two_steps):
  _, (metrics, _), _ = two_steps
  golden.check('train:soft_loss_win', sum(metrics[f'loss_hard/{m}'] for m in MODALITIES))
  golden.check('train:soft_loss_loser', sum(metrics[f'loss_soft/{m}'] for m in MODALITIES))
  golden.check('train:loss_total', metrics['loss'])
  # Sums of 15 million squares in float32: two TensorFlow versions agree to 6e-6.
  l2 = sum(float(golden[f'train:l2_{m}']) for m in ('rgb', 'depth', 'of'))
  print(f'l2: relative error {abs(metrics["loss_l2"] / l2 - 1):.1e}')
  assert metrics['loss_l2'] == pytest.approx(l2, rel=2 * 6.3e-6)
  wins = [metrics[f'wins/{m}'] for m in MODALITIES]
  np.testing.assert_array_equal(wins, np.bincount(golden['train:min_index'][0], minlength=3) / 2)


def test_ensemble_first_step_parity(golden, two_steps):
  """The rate is 0: batch norm moves, weights do not."""
  schedule, (_, after), _ = two_steps
  assert float(schedule(0)) == 0
  for name in ('dense/kernel', 'dense/bias'):
    np.testing.assert_array_equal(after[name], golden[f'after1step:resnet_rgb/{name}'])
  for norm in ('batch_normalization', 'batch_normalization_20'):
    golden.check(f'after1step:resnet_rgb/{norm}/moving_mean', after[f'{norm}/moving_mean'])
  golden.check('after1step:resnet_rgb/batch_normalization/moving_variance',
               after['batch_normalization/moving_variance'])
  # Of 64 values per channel, so that the unbiased variance would be 4.7e-5 away, as in the cross-check.
  error = _error(after['batch_normalization_20/moving_variance'],
                 golden['after1step:resnet_rgb/batch_normalization_20/moving_variance'])
  print(f'batch_normalization_20/moving_variance: relative error {error:.1e}')
  assert error < 5e-6


def test_ensemble_second_step_parity(golden, two_steps):
  """The weights' *change* is compared: 1.9 gradients times the rate, lost in the weights themselves."""
  schedule, (_, before), (_, after) = two_steps
  golden.check('lr_at_step_1', schedule(1))
  golden.check('after2steps:resnet_rgb/batch_normalization/moving_variance',
               after['batch_normalization/moving_variance'])
  for name in ('dense/kernel', 'dense/bias'):
    expected = golden[f'after2steps:resnet_rgb/{name}'] - golden[f'after1step:resnet_rgb/{name}']
    error = _error(after[name] - before[name], expected)
    print(f'change of {name}: relative error {error:.1e}')
    # Weights of about 0.05 hold changes of at most 1e-6 to a few parts in a thousand.
    assert error < 5e-3
  change, gradient = after['dense/kernel'] - before['dense/kernel'], golden['train:grad:resnet_rgb/dense/kernel']
  ratio = -np.sum(change * gradient) / np.sum(gradient**2) / golden['lr_at_step_1']
  print(f'rate of the change: {ratio:.4f}')
  assert ratio == pytest.approx(1.9, rel=2e-3)  # 1 if the rate were inside the accumulator
