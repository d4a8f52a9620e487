"""Layers shared by the networks."""

import functools
from typing import Any, Mapping, Sequence

import tensorflow as tf


class BatchNormalization(tf.keras.layers.Layer):
  """Batch normalisation of [N, H, W, C], with the moments of the whole global batch.

  One replica uses TensorFlow's fused kernel. Several replicas share mean and
  variance (synchronised batch norm), with the same result as one replica with
  the whole batch, in one collective operation forward and one backward. Moments
  and moving averages are float32 under every precision policy.

  Unlike in `tf.keras.layers.BatchNormalization`, the moving variance by default
  averages the *biased* batch variance, as TensorFlow 1 does for 5-D inputs,
  such as in the authors' R(2+1)D networks (docs/fidelity.md, B 7).

  If `trainable` is False, the layer runs in inference mode and does not update
  its moving averages, regardless of `training`.

  Args:
    momentum: momentum of the moving averages.
    epsilon: constant that is added to the variance.
    unbiased_moving_variance: whether the moving variance averages the unbiased batch variance.
    synchronized: whether the moments are those of the global batch; if not, each replica has its own.
  """

  def __init__(self, momentum: float = 0.997, epsilon: float = 1e-5,
               unbiased_moving_variance: bool = False, synchronized: bool = True, **kwargs):
    super().__init__(**kwargs)
    self.momentum = momentum
    self.epsilon = epsilon
    self.unbiased_moving_variance = unbiased_moving_variance
    self.synchronized = synchronized
    self._replicas = tf.distribute.get_strategy().num_replicas_in_sync

  def build(self, input_shape):
    channels = (input_shape[-1],)
    self.gamma = self.add_weight('gamma', channels, tf.float32, 'ones', experimental_autocast=False)
    self.beta = self.add_weight('beta', channels, tf.float32, 'zeros', experimental_autocast=False)
    # Synchronised moments are equal on all replicas: reading those of the first one is exact, and no collective.
    aggregation = (tf.VariableAggregation.ONLY_FIRST_REPLICA if self.synchronized else tf.VariableAggregation.MEAN)
    moving = dict(
        dtype=tf.float32, trainable=False, experimental_autocast=False,
        synchronization=tf.VariableSynchronization.ON_READ, aggregation=aggregation)
    self.moving_mean = self.add_weight('moving_mean', channels, initializer='zeros', **moving)
    self.moving_variance = self.add_weight('moving_variance', channels, initializer='ones', **moving)
    super().build(input_shape)

  def call(self, inputs, training=False, track=True):
    """Normalises [N, H, W, C].

    Args:
      inputs: [N, H, W, C].
      training: whether the moments of the batch are used instead of the moving averages.
      track: whether the moving averages follow the moments of the batch.
    """
    gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
    if not (training and self.trainable):
      return _normalize(inputs, gamma, beta, tf.convert_to_tensor(self.moving_mean),
                        tf.convert_to_tensor(self.moving_variance), self.epsilon)
    if self.shares_moments:
      (outputs,), mean, variance, count = _normalize_global_batch([inputs], [gamma], [beta], self.epsilon)
    else:
      outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, gamma, beta, epsilon=self.epsilon)
      count = _count(inputs)
      variance *= (count - 1) / count  # the kernel returns the unbiased variance
    if track:
      self.follow(mean, variance, count)
    return outputs

  @property
  def shares_moments(self) -> bool:
    """Whether training normalises with moments of several replicas."""
    return self.trainable and self.synchronized and self._replicas > 1

  def follow(self, mean, variance, count) -> None:
    """Moves the averages towards mean [C] and biased variance [C] of `count` values per channel."""
    if self.unbiased_moving_variance:
      variance *= count / (count - 1)
    self.moving_mean.assign_sub((self.moving_mean - mean) * (1 - self.momentum))
    self.moving_variance.assign_sub((self.moving_variance - variance) * (1 - self.momentum))

  def get_config(self):
    return super().get_config() | {
        'momentum': self.momentum, 'epsilon': self.epsilon,
        'unbiased_moving_variance': self.unbiased_moving_variance, 'synchronized': self.synchronized}


def _normalize(x, gamma, beta, mean, variance, epsilon: float):
  """(x - mean) · gamma / sqrt(variance + epsilon) + beta for x [N, H, W, C], with constant moments [C].

  The forward pass is the fused kernel. The gradient of that kernel with constant
  moments has no deterministic form on GPUs; this one consists of products and sums.
  """

  @tf.custom_gradient
  def normalize(x, gamma, beta):

    def gradient(upstream):
      dy, _, scale_gradient, shift_gradient = _gradient_terms(upstream, x, mean, variance, epsilon)
      return (tf.cast(dy * (gamma * tf.math.rsqrt(variance + epsilon)), x.dtype), scale_gradient, shift_gradient)

    outputs, *_ = tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False)
    return outputs, gradient

  return normalize(x, gamma, beta)


def add_normalized(norms: Sequence[BatchNormalization], inputs: Sequence[tf.Tensor], training=False) -> tf.Tensor:
  """The sum [N, H, W, C] of batch norms of as many inputs [N, H, W, C], the end of a residual unit.

  Several replicas share all moments in one collective operation forward and one backward.
  """
  if not (training and all(norm.shares_moments for norm in norms)):
    return functools.reduce(tf.add, [norm(x, training=training) for norm, x in zip(norms, inputs)])
  gammas, betas = ([tf.convert_to_tensor(getattr(norm, name)) for norm in norms] for name in ('gamma', 'beta'))
  outputs, mean, variance, count = _normalize_global_batch(inputs, gammas, betas, norms[0].epsilon)
  for norm, *moments in zip(norms, tf.split(mean, len(norms)), tf.split(variance, len(norms))):
    norm.follow(*moments, count)
  return functools.reduce(tf.add, outputs)


def _normalize_global_batch(inputs, gammas, betas, epsilon: float):
  """Normalises the rows of K inputs [N, H, W, C] of a replica by the moments of the rows of all replicas.

  Replicas may have different numbers of rows, also none. Each direction needs one
  collective operation. The outputs alone have a gradient, not the moments.

  Returns:
    K outputs [N, H, W, C], in the type of the inputs; mean [K·C] and biased variance [K·C] over all replicas, float32;
    the number of values per channel over all replicas.
  """
  size = len(inputs)

  @tf.custom_gradient
  def normalize(*tensors):
    inputs, gammas, betas = tensors[:size], tensors[size:-size], tensors[-size:]
    mean, variance, total = _global_moments(inputs)
    moments = list(zip(tf.split(mean, size), tf.split(variance, size)))

    def gradient(*upstream):
      terms = [_gradient_terms(dy, x, *of_input, epsilon) for dy, x, of_input in zip(upstream, inputs, moments)]
      over_all = tf.distribute.get_replica_context().all_reduce(
          tf.distribute.ReduceOp.SUM, tf.stack([sums for _, _, *sums in terms])) / total
      dxs = [gamma * tf.math.rsqrt(variance + epsilon) * (dy - shift - normalized * scale)
             for gamma, (_, variance), (dy, normalized, *_), (scale, shift) in zip(
                 gammas, moments, terms, map(tf.unstack, tf.unstack(over_all)))]
      return (*(tf.cast(dx, x.dtype) for dx, x in zip(dxs, inputs)),
              *(scale for _, _, scale, _ in terms), *(shift for *_, shift in terms))

    outputs = [tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, mean=of_mean, variance=of_variance, epsilon=epsilon, is_training=False)[0]
               for x, gamma, beta, (of_mean, of_variance) in zip(inputs, gammas, betas, moments)]
    return (*outputs, mean, variance, total), gradient

  *outputs, mean, variance, total = normalize(*inputs, *gammas, *betas)
  return outputs, mean, variance, total


def _global_moments(inputs):
  """Mean [K·C], biased variance [K·C] and count of K inputs over all replicas, by Chan, Golub and LeVeque's formula."""
  replicas = tf.distribute.get_replica_context()
  channels, count = inputs[0].shape[-1], _count(inputs[0])
  _, means, variances = zip(*(
      tf.compat.v1.nn.fused_batch_norm(x, tf.ones([channels]), tf.zeros([channels])) for x in inputs))
  # The kernel returns the unbiased variance, and nothing finite for no rows.
  squares = tf.where(count > 1, tf.concat(variances, 0) * (count - 1), 0.0)
  own = tf.concat([tf.where(count > 0, tf.concat(means, 0), 0.0), squares, [count]], axis=0)
  # A sum of rows that are zero elsewhere gathers them: a sum of squares over all would be inaccurate far from zero.
  row = tf.one_hot(replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync)[:, tf.newaxis]
  means, squares, counts = tf.split(
      replicas.all_reduce(tf.distribute.ReduceOp.SUM, row * own), [*2 * [len(inputs) * channels], 1], axis=1)
  total = tf.reduce_sum(counts)
  mean = tf.reduce_sum(counts * means, axis=0) / total
  variance = tf.reduce_sum(squares + counts * tf.math.squared_difference(means, mean), axis=0) / total
  return mean, variance, total


def _gradient_terms(upstream, x, mean, variance, epsilon: float):
  """The upstream gradient and normalised x, both float32, and the gradients [C] with respect to gamma and beta."""
  dy = tf.cast(upstream, tf.float32)
  normalized = (tf.cast(x, tf.float32) - mean) * tf.math.rsqrt(variance + epsilon)
  return dy, normalized, tf.reduce_sum(dy * normalized, axis=[0, 1, 2]), tf.reduce_sum(dy, axis=[0, 1, 2])


def _count(x):
  """The number of values per channel of [N, H, W, C], as float32."""
  return tf.cast(tf.size(x) // x.shape[-1], tf.float32)


class FixedPaddingConv2D(tf.keras.layers.Conv2D):
  """A convolution without bias that, if strided, pads (k - 1) // 2 pixels before and the rest after.

  TensorFlow's SAME pads even inputs of a strided convolution on one side only;
  the residual networks of the thesis pad them symmetrically. With stride 1,
  both are equal.

  Args:
    filters: number of output channels.
    kernel_size: k.
    strides: stride in both directions.
  """

  def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs):
    padding = 'same' if strides == 1 else 'valid'
    super().__init__(filters, kernel_size, strides, padding, use_bias=False, **kwargs)

  def call(self, inputs):
    if self.strides != (1, 1):
      before = [(k - 1) // 2 for k in self.kernel_size]
      after = [k - 1 - b for k, b in zip(self.kernel_size, before)]
      inputs = tf.pad(inputs, [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    return super().call(inputs)


class ConvNorm(tf.keras.layers.Layer):
  """A convolution and batch norm.

  Args:
    conv: layer of the convolution.
    norm: options of batch norm.
  """

  def __init__(self, conv: tf.keras.layers.Layer, norm: Mapping[str, Any], **kwargs):
    super().__init__(**kwargs)
    self.conv = conv
    self.norm = BatchNormalization(**norm)

  def convolve(self, inputs):
    """The convolution alone: [N, H, W, C] -> [N, H', W', C']."""
    return self.conv(inputs)

  def call(self, *inputs, training=False):
    """Returns [N, H', W', C'] for the inputs of `convolve`."""
    return self.norm(self.convolve(*inputs), training=training)


class TemporalConv(ConvNorm):
  """3 x 1 x 1 convolution over the frames of each clip, and batch norm.

  It runs as a 2-D convolution with a (3, 1) kernel on [B, T, H*W, C].

  Args:
    filters: C', number of output channels.
    strides: temporal stride; padding in time is SAME.
    norm: options of batch norm.
    kernel_initializer: initializer of the kernel [3, 1, C, C'].
  """

  def __init__(self, filters: int, strides: int, norm: Mapping[str, Any], kernel_initializer, **kwargs):
    super().__init__(tf.keras.layers.Conv2D(
        filters, (3, 1), (strides, 1), 'same', use_bias=False, kernel_initializer=kernel_initializer), norm, **kwargs)

  def convolve(self, inputs, frames: int):
    """Returns [B*T', H, W, C'] for inputs [B*T, H, W, C] with T = `frames`, T' = ceil(T / strides)."""
    height, width, channels = inputs.shape[1:]
    x = self.conv(tf.reshape(inputs, [-1, frames, height * width, channels]))
    return tf.reshape(x, [-1, height, width, x.shape[-1]])
