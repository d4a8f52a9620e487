"""Layers shared by the networks."""

import tensorflow as tf


class BatchNormalization(tf.keras.layers.Layer):
  """Batch normalisation of [N, H, W, C], with the moments of the whole global batch.

  One replica uses TensorFlow's fused kernel. Several replicas share mean and
  variance (synchronised batch norm), with the same result as one replica with
  the whole batch. Moments and moving averages are float32 under every
  precision policy.

  Unlike in `tf.keras.layers.BatchNormalization`, the moving variance by default
  averages the *biased* batch variance, as TensorFlow 1 does for 5-D inputs,
  such as in the authors' R(2+1)D networks (docs/fidelity.md, B 7).

  If `trainable` is False, the layer runs in inference mode and does not update
  its moving averages, regardless of `training`.

  Args:
    momentum: momentum of the moving averages.
    epsilon: constant that is added to the variance.
    unbiased_moving_variance: whether the moving variance averages the unbiased batch variance.
  """

  def __init__(self, momentum: float = 0.997, epsilon: float = 1e-5,
               unbiased_moving_variance: bool = False, **kwargs):
    super().__init__(**kwargs)
    self.momentum = momentum
    self.epsilon = epsilon
    self.unbiased_moving_variance = unbiased_moving_variance
    self._synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1

  def build(self, input_shape):
    channels = (input_shape[-1],)
    self.gamma = self.add_weight('gamma', channels, tf.float32, 'ones', experimental_autocast=False)
    self.beta = self.add_weight('beta', channels, tf.float32, 'zeros', experimental_autocast=False)
    moving = dict(
        dtype=tf.float32, trainable=False, experimental_autocast=False,
        synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.MEAN)
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
    if not (training and self.trainable):
      return self._fused(inputs, is_training=False)[0]
    if self._synchronized:
      outputs, mean, variance, count = self._synchronized_batch(inputs)
    else:
      outputs, mean, variance = self._fused(inputs, is_training=True)
      count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
      variance *= (count - 1) / count  # the kernel returns the unbiased variance
    if not track:
      return outputs
    if self.unbiased_moving_variance:
      variance *= count / (count - 1)
    self.moving_mean.assign_sub((self.moving_mean - mean) * (1 - self.momentum))
    self.moving_variance.assign_sub((self.moving_variance - variance) * (1 - self.momentum))
    return outputs

  def _fused(self, inputs, is_training):
    moments = {} if is_training else dict(mean=self.moving_mean, variance=self.moving_variance)
    return tf.compat.v1.nn.fused_batch_norm(
        inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=is_training, **moments)

  def _synchronized_batch(self, inputs):
    """Returns outputs, mean [C], biased variance [C] and the global count."""
    x = tf.cast(inputs, tf.float32)
    replicas = tf.distribute.get_replica_context()
    # Replicas may have different numbers of samples in the last batch.
    total, count = replicas.all_reduce(
        tf.distribute.ReduceOp.SUM,
        [tf.reduce_sum(x, axis=[0, 1, 2]), tf.cast(tf.size(x) // x.shape[-1], tf.float32)])
    mean = total / count
    # Two passes: E[x²] - E[x]² is inaccurate for inputs far from zero, such as raw pixels.
    variance = replicas.all_reduce(
        tf.distribute.ReduceOp.SUM, tf.reduce_sum(tf.math.squared_difference(x, mean), axis=[0, 1, 2])) / count
    outputs = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
    return tf.cast(outputs, inputs.dtype), mean, variance, count

  def get_config(self):
    return super().get_config() | {
        'momentum': self.momentum, 'epsilon': self.epsilon,
        'unbiased_moving_variance': self.unbiased_moving_variance}


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


class TemporalConv(tf.keras.layers.Layer):
  """3 x 1 x 1 convolution over the frames of each clip, and batch norm.

  It runs as a 2-D convolution with a (3, 1) kernel on [B, T, H*W, C].

  Args:
    filters: C', number of output channels.
    strides: temporal stride; padding in time is SAME.
    norm_momentum: momentum of batch norm.
    kernel_initializer: initializer of the kernel [3, 1, C, C'].
  """

  def __init__(self, filters: int, strides: int, norm_momentum: float, kernel_initializer, **kwargs):
    super().__init__(**kwargs)
    self.conv = tf.keras.layers.Conv2D(
        filters, (3, 1), (strides, 1), 'same', use_bias=False, kernel_initializer=kernel_initializer)
    self.norm = BatchNormalization(norm_momentum)

  def call(self, inputs, frames: int, training=False):
    """Returns [B*T', H, W, C'] for inputs [B*T, H, W, C] with T = `frames`, T' = ceil(T / strides)."""
    height, width, channels = inputs.shape[1:]
    x = self.conv(tf.reshape(inputs, [-1, frames, height * width, channels]))
    return self.norm(tf.reshape(x, [-1, height, width, x.shape[-1]]), training=training)
