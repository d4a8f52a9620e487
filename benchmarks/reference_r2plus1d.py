"""R(2+1)D in its usual form: Conv3D and BatchNormalization on [B, T, H, W, C].

It is the reference of `dmcl_step.py` and has no other use.
"""

import tensorflow as tf

from tf_privinfo.networks.config import R2Plus1DConfig


class ConvNorm(tf.keras.layers.Layer):
  """A 3-D convolution without bias, and batch norm; strided spatial kernels pad explicitly."""

  def __init__(self, filters: int, kernel_size, strides=(1, 1, 1), **kwargs):
    super().__init__(**kwargs)
    margin = kernel_size[1] // 2 if strides[1] > 1 else 0
    self.pad = tf.keras.layers.ZeroPadding3D((0, margin, margin))
    self.conv = tf.keras.layers.Conv3D(
        filters, kernel_size, strides, 'valid' if margin else 'same', use_bias=False)
    self.norm = tf.keras.layers.BatchNormalization(momentum=0.997, epsilon=1e-5)

  def call(self, inputs, training=False):
    return self.norm(self.conv(self.pad(inputs)), training=training)


class BasicUnit(tf.keras.layers.Layer):
  """Two (spatial, temporal) pairs and a shortcut, ReLU after the sum."""

  def __init__(self, filters: int, strides: int, project: bool, **kwargs):
    super().__init__(**kwargs)
    s = strides
    self.shortcut = ConvNorm(filters, (1, 1, 1), (s, s, s)) if project else None
    self.spatial1 = ConvNorm(filters, (1, 3, 3), (1, s, s))
    self.temporal1 = ConvNorm(filters, (3, 1, 1), (s, 1, 1))
    self.spatial2 = ConvNorm(filters, (1, 3, 3))
    self.temporal2 = ConvNorm(filters, (3, 1, 1))

  def call(self, inputs, training=False):
    x = tf.nn.relu(self.spatial1(inputs, training=training))
    x = tf.nn.relu(self.temporal1(x, training=training))
    x = tf.nn.relu(self.spatial2(x, training=training))
    x = self.temporal2(x, training=training)
    return tf.nn.relu(x + (self.shortcut(inputs, training=training) if self.shortcut else inputs))


class ReferenceR2Plus1D(tf.keras.Model):
  """The network of `tf_privinfo.networks.r2plus1d.R2Plus1D` in plain layers: [B, T, H, W, 3] -> logits [B, C]."""

  def __init__(self, num_classes: int, config: R2Plus1DConfig, **kwargs):
    super().__init__(**kwargs)
    self.stem_spatial = ConvNorm(config.width, (1, 7, 7), (1, 2, 2))
    self.stem_temporal = ConvNorm(config.width, (3, 1, 1))
    self.pool = tf.keras.layers.MaxPool3D((1, 3, 3), (1, 2, 2), 'same')
    self.units = [
        BasicUnit(config.width * 2**stage, strides=2 if stage and not unit else 1, project=not unit)
        for stage, units in enumerate(config.units) for unit in range(units)]
    self.classifier = tf.keras.layers.Dense(num_classes)

  def call(self, inputs, training=False):
    x = tf.nn.relu(self.stem_spatial(inputs, training=training))
    x = tf.nn.relu(self.stem_temporal(x, training=training))
    x = self.pool(x)
    for unit in self.units:
      x = unit(x, training=training)
    return self.classifier(tf.reduce_mean(x, axis=[1, 2, 3]))


def copy_weights(network: tf.keras.Model, reference: ReferenceR2Plus1D) -> None:
  """Copies the weights of the project's network to the reference; both create them in the same order."""
  for part in ('trainable_variables', 'non_trainable_variables'):
    for source, target in zip(getattr(network, part), getattr(reference, part), strict=True):
      assert source.name.rsplit('/')[-1] == target.name.rsplit('/')[-1], (source.name, target.name)
      target.assign(tf.reshape(source, target.shape))
