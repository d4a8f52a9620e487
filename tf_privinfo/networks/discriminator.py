"""The discriminator of ADMD, which separates real features, of depth in the thesis, from hallucinated ones.

Source: thesis, section 4.2; docs/methods.md, section 1.3.
"""

import dataclasses

import tensorflow as tf

from tf_privinfo.networks import layers, resnet50
from tf_privinfo.networks.config import DiscriminatorConfig

# Slope of the leaky ReLUs in the form 'batch_norm'.
SLOPE = 0.2


class NormDense(tf.keras.layers.Layer):
  """Dense layer without bias, and batch norm, in float32: [N, D] -> [N, units].

  In training mode, the input is normalised with its own moments, so real
  features and hallucinated features are normalised separately. The moving
  averages follow the real features alone and normalise single samples at test
  time.

  Args:
    units: number of outputs.
  """

  def __init__(self, units: int, **kwargs):
    super().__init__(dtype=tf.float32, **kwargs)
    self.dense = tf.keras.layers.Dense(
        units, use_bias=False, kernel_initializer=resnet50.kernel_initializer(), dtype=tf.float32)
    self.norm = layers.BatchNormalization(dtype=tf.float32)

  def call(self, inputs, training=False, track=True):
    x = self.dense(inputs)[:, tf.newaxis, tf.newaxis]
    return tf.squeeze(self.norm(x, training=training, track=track), axis=[1, 2])


class Discriminator(tf.keras.Model):
  """Features of frames [N, D], N = B*T -> C + 1 logits [N, C + 1], or the probability [N, 1] that they are real.

  The last class is the class 'fake' (`losses.FAKE_CLASS`). All computations are
  in float32 under every precision policy.

  In the form 'batch_norm' a hidden layer is lrelu(lrelu(BN(xW))) and the logits
  are lrelu(BN(xW)), as in the authors' code (docs/fidelity.md, B 2.2). A single
  output has no batch norm, since separate normalisation of real and fake
  outputs would give them the same mean.

  Args:
    num_classes: C.
    config: layers, input and task; `recipes.validation` checks the values in recipes.
  """

  def __init__(self, num_classes: int, config: DiscriminatorConfig = DiscriminatorConfig(), **kwargs):
    super().__init__(dtype=tf.float32, **kwargs)
    self.num_classes = num_classes
    self.config = config
    layer = {'batch_norm': NormDense, 'plain': _dense, 'residual': _dense, 'spectral': _spectral}[config.form]
    head, outputs = {'classes': (layer, num_classes + 1), 'real_or_fake': (_dense, 1)}[config.task]
    self.hidden = [layer(units, name=f'hidden_{index}') for index, units in enumerate(config.hidden)]
    self.head = head(outputs, name='head')

  def call(self, features, frames: int = 1, training=False, track=True):
    """Returns [N, C + 1] or [N, 1] for features [N, D].

    Args:
      features: [N, D] real or fake features, the T frames of a clip in succession.
      frames: T.
      training: whether batch norm, if there is any, uses the moments of the batch.
      track: whether its moving averages follow these moments; True for real features only.
    """
    norm = {'batch_norm': {'training': training, 'track': track},
            'spectral': {'training': training and track}}.get(self.config.form, {})
    x = tf.cast(features, tf.float32)
    if self.config.frame_index:
      index = tf.math.floormod(tf.range(tf.shape(x)[0]), frames)
      x = tf.concat([tf.one_hot(index, frames), x], axis=1)
    for position, layer in enumerate(self.hidden):
      x = self._hidden(position, layer(x, **norm), x)
    x = self.head(x, **norm)
    if self.config.task == 'real_or_fake':
      return tf.sigmoid(x)
    return tf.nn.leaky_relu(x, SLOPE) if self.config.form == 'batch_norm' else x

  def _hidden(self, position, outputs, inputs):
    """The activation of a hidden layer."""
    if self.config.form == 'batch_norm':
      return tf.nn.leaky_relu(tf.nn.leaky_relu(outputs, SLOPE), SLOPE)
    if self.config.form == 'residual' and position in (1, 2):
      # TensorFlow 2.15 fuses ReLU itself with the sum into an operation that it then reports as invalid.
      return tf.maximum(inputs + outputs, 0.0)
    return tf.nn.relu(outputs)

  def get_config(self):
    return super().get_config() | {
        'num_classes': self.num_classes, 'config': dataclasses.asdict(self.config)}

  @classmethod
  def from_config(cls, config):
    return cls(**config | {'config': DiscriminatorConfig(**config['config'])})


def _dense(units: int, name: str):
  return tf.keras.layers.Dense(units, dtype=tf.float32, name=name)  # Glorot uniform (Xavier), zero biases


class _spectral(tf.keras.layers.Dense):
  """A dense layer whose kernel is divided by its largest singular value (Miyato et al. 2018)."""

  def __init__(self, units, name=None, **kwargs):
    super().__init__(units, dtype=tf.float32, name=name, **kwargs)

  def build(self, input_shape):
    super().build(input_shape)
    self.left = self.add_weight('left', [1, self.units], initializer=tf.keras.initializers.RandomNormal(seed=0), trainable=False)

  def call(self, inputs, training=False):
    kernel = tf.convert_to_tensor(self.kernel)
    right = tf.math.l2_normalize(tf.matmul(self.left, kernel, transpose_b=True))
    left = tf.math.l2_normalize(tf.matmul(right, kernel))
    if training:
      self.left.assign(left)
    largest = tf.reduce_sum(tf.matmul(tf.stop_gradient(right), kernel) * tf.stop_gradient(left))
    return tf.matmul(inputs, kernel / largest) + self.bias
