"""R(2+1)D residual networks for clips (thesis 5.3.2, docs/methods.md, section 1.2).

Spatial convolutions run as 2-D convolutions on [B*T, H, W, C] and temporal
ones as 2-D convolutions with a (3, 1) kernel on [B, T, H*W, C]. Up to rounding,
this equals 3-D convolutions of 1 x k x k and 3 x 1 x 1, and batch norm runs in its
fused 4-D form. `benchmarks/` compares the speed with plain Conv3D.
"""

from typing import Any, Mapping

import tensorflow as tf

from tf_privinfo.networks import backbone, layers
from tf_privinfo.networks.config import R2Plus1DConfig


def _kernel_initializer():
  # Truncated normal of variance 1 / fan_in (not 2 / fan_in as by He), as measured in the authors' code.
  return tf.keras.initializers.VarianceScaling(1.0, 'fan_in', 'truncated_normal')


class SpatialConv(layers.ConvNorm):
  """1 x k x k convolution of [B*T, H, W, C] and batch norm; the output is [B*T, H', W', filters]."""

  def __init__(self, filters: int, kernel_size: int, strides: int, norm: Mapping[str, Any], **kwargs):
    super().__init__(layers.FixedPaddingConv2D(
        filters, kernel_size, strides, kernel_initializer=_kernel_initializer()), norm, **kwargs)


class BasicUnit(tf.keras.layers.Layer):
  """Two (spatial, temporal) pairs and a shortcut, ReLU after the sum."""

  def __init__(self, filters: int, strides: int, project: bool, norm: Mapping[str, Any], **kwargs):
    super().__init__(**kwargs)
    self.strides = strides
    self.shortcut = SpatialConv(filters, 1, 1, norm) if project else None
    self.spatial1 = SpatialConv(filters, 3, strides, norm)
    self.temporal1 = layers.TemporalConv(filters, strides, norm, _kernel_initializer())
    self.spatial2 = SpatialConv(filters, 3, 1, norm)
    self.temporal2 = layers.TemporalConv(filters, 1, norm, _kernel_initializer())

  def call(self, inputs, frames: int, training=False):
    """Returns the unit's output [B*T', H', W', C'] for inputs [B*T, H, W, C] with T = `frames`."""
    x = tf.nn.relu(self.spatial1(inputs, training=training))
    x = tf.nn.relu(self.temporal1(x, frames, training=training))
    x = tf.nn.relu(self.spatial2(x, training=training))
    x = self.temporal2.convolve(x, -(-frames // self.strides))
    if self.shortcut is None:
      return tf.nn.relu(self.temporal2.norm(x, training=training) + inputs)
    # A 1 x 1 x 1 convolution with strides reads every s-th frame, row and column.
    s = self.strides
    if s > 1:
      clips = tf.reshape(inputs, [-1, frames, *inputs.shape[1:]])[:, ::s, ::s, ::s]
      inputs = tf.reshape(clips, [-1, *clips.shape[2:]])
    return tf.nn.relu(layers.add_normalized(
        (self.temporal2.norm, self.shortcut.norm), (x, self.shortcut.convolve(inputs)), training))


class R2Plus1D(backbone.Backbone):
  """An R(2+1)D network: clips [B, T, H, W, 3], pixels 0..255, -> logits [B, C].

  The network of every modality in chapter 5, trained from scratch. The default
  configuration is R(2+1)D-18 with 15,383,882 trainable parameters for 10
  classes. Logits are float32 under every precision policy.

  Args:
    num_classes: C.
    config: sizes of the network.
  """

  def __init__(self, num_classes: int, config: R2Plus1DConfig = R2Plus1DConfig(), **kwargs):
    super().__init__(num_classes, config, **kwargs)
    self.stem_spatial = SpatialConv(config.width, 7, 2, config.norm)
    self.stem_temporal = layers.TemporalConv(config.width, 1, config.norm, _kernel_initializer())
    self.pool = tf.keras.layers.MaxPool2D(3, 2, 'same')
    self.units = [
        BasicUnit(config.width * 2**stage, 2 if stage and not unit else 1, not unit, config.norm,
                  name=f'stage{stage + 1}_unit{unit + 1}')
        for stage, units in enumerate(config.units) for unit in range(units)]
    self.classifier = tf.keras.layers.Dense(num_classes, dtype=tf.float32, name='classifier')

  @property
  def feature_size(self):
    return self.config.width * 2**(len(self.config.units) - 1)

  def end_points(self, clips, injected=None, form='additive', training=False):
    """See `Backbone.end_points`; the features [B, D] are the mean over time and space."""
    features = self.represent(clips, training)
    return {'features': features, 'logits': self.classifier(features)}

  def represent(self, clips, training=False):
    frames = clips.shape[1]
    x = tf.reshape(tf.cast(clips, self.compute_dtype), [-1, *clips.shape[2:]])
    x = tf.nn.relu(self.stem_spatial(x, training=training))
    x = tf.nn.relu(self.stem_temporal(x, frames, training=training))
    x = self.pool(x)
    for unit in self.units:
      x = unit(x, frames, training=training)
      frames = -(-frames // unit.strides)
    x = tf.reshape(tf.cast(x, tf.float32), [-1, frames, *x.shape[1:]])
    return tf.reduce_mean(x, axis=[1, 2, 3])
