"""Batch norm on two replicas against one, its collective operations, and its gradient in inference mode."""

import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.networks import layers


def _data(rows, mean):
  random = np.random.default_rng(0)
  x = (random.normal(size=[rows, 3, 3, 4]) * [1, 2, 3, 4] + mean).astype(np.float32)
  return x, random.normal(size=x.shape).astype(np.float32)


def _layer(**options):
  norm = layers.BatchNormalization(0.9, **options)
  norm.build([None, 3, 3, 4])
  norm.gamma.assign([0.5, 1, 2, -1])
  norm.beta.assign([0, 1, 2, 3])
  return norm


def _outputs_and_gradients(norm, x, dy, training=True):
  with tf.GradientTape() as tape:
    tape.watch(x)
    outputs = norm(x, training=training)
  return outputs, tape.gradient(outputs, [x, norm.gamma, norm.beta], dy)


def _exact(x, dy, gamma, beta, epsilon=1e-5):
  """Outputs and gradients in float64."""
  x, dy = x.astype(np.float64), dy.astype(np.float64)
  axes = (0, 1, 2)
  deviation = np.sqrt(x.var(axes) + epsilon)
  normalized = (x - x.mean(axes)) / deviation
  scale, shift = (dy * normalized).sum(axes), dy.sum(axes)
  count = x.size / x.shape[-1]
  return normalized * gamma + beta, gamma / deviation * (dy - shift / count - normalized * scale / count), scale, shift


def _on_two(strategy, norm, x, dy, first):
  """Outputs and gradients by x of all rows, summed gradients by scale and offset; `first` rows are on one replica."""
  rows = [(x[:first], dy[:first]), (x[first:], dy[first:])]

  def value(index):
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(rows[context.replica_id_in_sync_group][index]))

  @tf.function
  def step(x, dy):
    return strategy.run(lambda x, dy: _outputs_and_gradients(norm, x, dy), (x, dy))

  outputs, (dx, scale, shift) = step(value(0), value(1))
  local = strategy.experimental_local_results
  return (np.concatenate(local(outputs)), np.concatenate(local(dx)), sum(local(scale)).numpy(),
          sum(local(shift)).numpy())


@pytest.mark.parametrize('mean', [0, 1000])
@pytest.mark.parametrize('first', [3, 5, 0])
def test_two_replicas_normalise_as_one(two_devices, first, mean):
  x, dy = _data(6, mean)
  with two_devices.scope():
    norm = _layer()
  found = _on_two(two_devices, norm, x, dy, first)
  for value, expected in zip(found, _exact(x, dy, norm.gamma.numpy(), norm.beta.numpy())):
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5 if mean == 0 else 3e-3)
  for variable, start, moment in ((norm.moving_mean, 0, x.mean((0, 1, 2), np.float64)),
                                  (norm.moving_variance, 1, x.var((0, 1, 2), np.float64))):
    of_replicas = two_devices.experimental_local_results(variable)
    np.testing.assert_array_equal(of_replicas[0], of_replicas[1])
    np.testing.assert_allclose(variable, 0.9 * start + 0.1 * moment, rtol=1e-4)


def test_replicas_without_shared_moments(two_devices):
  x, dy = _data(6, 0)
  with two_devices.scope():
    norm = _layer(synchronized=False)
  outputs, *_ = _on_two(two_devices, norm, x, dy, 3)
  gamma, beta = norm.gamma.numpy(), norm.beta.numpy()
  expected = [_exact(rows, rows, gamma, beta)[0] for rows in (x[:3], x[3:])]
  np.testing.assert_allclose(outputs, np.concatenate(expected), rtol=1e-4, atol=1e-5)
  means = [rows.mean((0, 1, 2)) for rows in (x[:3], x[3:])]
  np.testing.assert_allclose(norm.moving_mean, 0.1 * sum(means) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('synchronized, collectives', [(True, 2), (False, 0)])
def test_one_collective_operation_in_each_direction(two_devices, synchronized, collectives):
  x, dy = _data(3, 0)
  with two_devices.scope():
    norm = _layer(synchronized=synchronized)

  @tf.function
  def step():
    return two_devices.run(lambda: _outputs_and_gradients(norm, tf.constant(x), tf.constant(dy)))

  operations = [op.type for op in step.get_concrete_function().graph.get_operations()]
  assert operations.count('CollectiveReduceV2') == collectives * two_devices.num_replicas_in_sync


def test_reading_the_averages_is_no_collective_operation(two_devices):
  """A save or a prediction by one worker alone must not wait for the others."""
  with two_devices.scope():
    norm = _layer()
  assert norm.moving_mean.aggregation == tf.VariableAggregation.ONLY_FIRST_REPLICA


def test_bfloat16_stays(two_devices):
  x, dy = _data(6, 0)
  with two_devices.scope():
    norm = _layer(dtype='mixed_bfloat16')
  bfloat16 = [tf.cast(value, tf.bfloat16).numpy() for value in (x, dy)]
  outputs, dx, scale, _ = _on_two(two_devices, norm, *bfloat16, 2)
  assert outputs.dtype == dx.dtype == tf.bfloat16.as_numpy_dtype and scale.dtype == np.float32
  expected = _exact(*(value.astype(np.float32) for value in bfloat16), norm.gamma.numpy(), norm.beta.numpy())
  np.testing.assert_allclose(outputs.astype(np.float32), expected[0], rtol=0.01, atol=0.02)
  np.testing.assert_allclose(scale, expected[2], rtol=1e-3, atol=1e-3)


def test_gradient_in_inference_mode_has_deterministic_operations():
  """Products and sums with the gradient of the formula; the fused kernel's has no deterministic form on GPUs."""
  x, dy = map(tf.constant, _data(3, 0))
  norm = _layer()
  norm.moving_mean.assign([1, 2, 3, 4])
  norm.moving_variance.assign([4, 3, 2, 1])
  _, found = _outputs_and_gradients(norm, x, dy, training=False)
  with tf.GradientTape() as tape:
    tape.watch(x)
    outputs = tf.nn.batch_normalization(x, norm.moving_mean, norm.moving_variance, norm.beta, norm.gamma, 1e-5)
  for value, expected in zip(found, tape.gradient(outputs, [x, norm.gamma, norm.beta], dy)):
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
  graph = tf.function(lambda: _outputs_and_gradients(norm, x, dy, training=False)).get_concrete_function().graph
  assert not [op.type for op in graph.get_operations() if 'BatchNormGrad' in op.type]


def test_sum_of_two_on_two_replicas(two_devices):
  """The values and gradients of two layers, with one collective operation in each direction for both."""
  x, dy = _data(6, 3)
  with two_devices.scope():
    norms = [_layer(), _layer(unbiased_moving_variance=True)]
  norms[1].gamma.assign([3, 1, -2, 1])

  def both(first, second, dy):
    with tf.GradientTape() as tape:
      tape.watch([first, second])
      outputs = layers.add_normalized(norms, (first, second), training=True)
    return outputs, tape.gradient(outputs, [first, second, *(norm.gamma for norm in norms)], dy)

  @tf.function
  def step(*values):
    return two_devices.run(both, values)

  def rows(values):
    return two_devices.experimental_distribute_values_from_function(
        lambda context: tf.constant(values[:4] if context.replica_id_in_sync_group else values[4:]))

  inputs = [rows(values) for values in (x, x[::-1] ** 3, dy)]
  outputs, (*dxs, _, scale) = step(*inputs)
  local = two_devices.experimental_local_results
  exact = [_exact(values, dy, norm.gamma.numpy(), norm.beta.numpy()) for values, norm in zip((x, x[::-1] ** 3), norms)]
  merged = lambda values: np.concatenate(local(values)[::-1])
  np.testing.assert_allclose(merged(outputs), exact[0][0] + exact[1][0], rtol=1e-3, atol=1e-4)
  for dx, (_, expected, *_) in zip(dxs, exact):
    np.testing.assert_allclose(merged(dx), expected, rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(sum(local(scale)), exact[1][2], rtol=1e-3)
  count = x.size / 4
  for norm, values, unbiased in zip(norms, (x, x[::-1] ** 3), (1, count / (count - 1))):
    np.testing.assert_allclose(norm.moving_mean, 0.1 * values.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * unbiased * values.var((0, 1, 2)), rtol=1e-4)
  operations = [op.type for op in step.get_concrete_function(*inputs).graph.get_operations()]
  assert operations.count('CollectiveReduceV2') == 2 * two_devices.num_replicas_in_sync
