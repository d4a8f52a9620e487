"""ResNet-50 streams with temporal convolutions and cross-stream connections.

Source: thesis, chapters 3 and 4; docs/methods.md, section 1.1.

The network processes the frames of all clips as [B*T, H, W, C], the frames of
one clip in succession. The layout follows slim's `resnet_v1_50`, so that its
ImageNet weights fit (`slim_checkpoint.py`): the last unit of a block has the
stride.
"""

import functools
import math
from typing import Any, Dict, Mapping, Optional

import tensorflow as tf

from tf_privinfo.networks import backbone, layers, slim_checkpoint
from tf_privinfo.networks.config import BOTTLENECKS, ResNet50Config
from tf_privinfo.utils.errors import UserError

# Form of the connection -> input of the residual branch of the second unit: p is
# the sum of the first unit before its ReLU, r = relu(p), and d the output of the
# first unit in the source stream (docs/fidelity.md, row 3).
CONNECTIONS = {
    'additive': lambda p, r, d: r + p * d,
    'multiplicative': lambda p, r, d: r * d,
}


def kernel_initializer():
  """He initialisation as in slim: a Keras initializer."""
  # slim draws from a normal distribution of variance 1.3 * 2 / fan_in, truncated at two standard deviations. The scale
  # in Keras is the variance after truncation, 0.7737 of it: 2.0117, slightly more than He's 2.
  return tf.keras.initializers.VarianceScaling(2.6 * 0.87962566103423978**2, 'fan_in', 'truncated_normal')


class CentredIdentity(tf.keras.initializers.Initializer):
  """The identity centred in time, [0, 1, 0] per channel, for kernels [3, 1, C, C]."""

  def __call__(self, shape, dtype=None, **kwargs):
    identity = tf.eye(shape[2], shape[3], dtype=dtype or tf.float32)[tf.newaxis, tf.newaxis]
    before = (shape[0] - 1) // 2
    return tf.pad(identity, [[before, shape[0] - 1 - before], [0, 0], [0, 0], [0, 0]])


class ConvNorm(layers.ConvNorm):
  """k x k convolution of [N, H, W, C] without bias, and batch norm: [N, H', W', filters].

  The moving variance averages the unbiased batch variance, as TensorFlow 1
  does for 4-D inputs (docs/fidelity.md, B 7).

  Args:
    filters: number of output channels.
    kernel_size: k.
    strides: stride in both directions.
    norm: options of batch norm.
  """

  def __init__(self, filters: int, kernel_size: int, strides: int, norm: Mapping[str, Any], **kwargs):
    super().__init__(
        layers.FixedPaddingConv2D(filters, kernel_size, strides, kernel_initializer=kernel_initializer()),
        {**norm, 'unbiased_moving_variance': True}, **kwargs)


class TemporalConv(layers.TemporalConv):
  """3 x 1 x 1 convolution over the frames of each clip, initially the identity, and batch norm."""

  def __init__(self, filters: int, norm: Mapping[str, Any], **kwargs):
    super().__init__(filters, 1, norm, CentredIdentity(), **kwargs)


class BottleneckUnit(tf.keras.layers.Layer):
  """A residual unit of 1 x 1, 3 x 3 and 1 x 1 convolutions; the caller applies the ReLU after the sum.

  Args:
    filters: C, channels of the inner convolutions; the unit has 4C output channels.
    strides: stride of the 3 x 3 convolution.
    project: whether the shortcut is a convolution, since the number of channels changes.
    temporal: whether there is a temporal convolution before the last 1 x 1 convolution.
    norm: options of batch norm.
  """

  def __init__(self, filters: int, strides: int, project: bool, temporal: bool, norm: Mapping[str, Any], **kwargs):
    super().__init__(**kwargs)
    self.strides = strides
    self.shortcut = ConvNorm(4 * filters, 1, strides, norm) if project else None
    self.conv1 = ConvNorm(filters, 1, 1, norm)
    self.conv2 = ConvNorm(filters, 3, strides, norm)
    self.temporal = TemporalConv(filters, norm) if temporal else None
    self.conv3 = ConvNorm(4 * filters, 1, 1, norm)

  def call(self, inputs, frames: int, branch_inputs=None, training=False):
    """Returns the sum [B*T, H', W', 4C] of the shortcut and the residual branch.

    Args:
      inputs: [B*T, H, W, D].
      frames: T.
      branch_inputs: input of the residual branch instead of `inputs`.
      training: whether batch norm uses the moments of the batch.
    """
    x = inputs if branch_inputs is None else branch_inputs
    x = tf.nn.relu(self.conv1(x, training=training))
    x = tf.nn.relu(self.conv2(x, training=training))
    if self.temporal is not None:
      x = tf.nn.relu(self.temporal(x, frames, training=training))
    if self.shortcut is None:
      return self.conv3(x, training=training) + inputs[:, ::self.strides, ::self.strides]
    return layers.add_normalized((self.conv3.norm, self.shortcut.norm),
                                 (self.conv3.convolve(x), self.shortcut.convolve(inputs)), training)


class Block(tf.keras.layers.Layer):
  """Bottleneck units; the last has the stride, the second the temporal convolution and the incoming connection.

  Args:
    filters: C, channels of the inner convolutions.
    units: number of units, at least two.
    strides: stride of the last unit.
    norm: options of batch norm.
    temporal: whether the second unit has a temporal convolution.
  """

  def __init__(self, filters: int, units: int, strides: int, norm: Mapping[str, Any], temporal: bool = True, **kwargs):
    super().__init__(**kwargs)
    self.units = [
        BottleneckUnit(filters, strides if unit == units else 1, unit == 1, temporal and unit == 2, norm,
                       name=f'unit_{unit}')
        for unit in range(1, units + 1)]

  def call(self, inputs, frames: int, given=None, form: str = 'additive', training=False):
    """Returns the outputs [B*T, H, W, 4C] of the first unit and [B*T, H', W', 4C] of the block, after ReLU.

    Args:
      inputs: [B*T, H, W, D].
      frames: T.
      given: output of the first unit in the source stream, or None.
      form: form of the connection, a key of `CONNECTIONS`.
      training: whether batch norm uses the moments of the batch.
    """
    total = self.units[0](inputs, frames, training=training)
    first = tf.nn.relu(total)
    branch_inputs = None if given is None else CONNECTIONS[form](total, first, given)
    x = tf.nn.relu(self.units[1](first, frames, branch_inputs, training=training))
    for unit in self.units[2:]:
      x = tf.nn.relu(unit(x, frames, training=training))
    return first, x


class Bottleneck(tf.keras.layers.Layer):
  """Maps [N, h, w, C] -> features [N, D] after ReLU (table 4.2).

  | form              | layers                                                                       |
  |-------------------|------------------------------------------------------------------------------|
  | `conv7x7`         | h x w convolution to D, bias: the authors' code for objects                  |
  | `spatial_then_1d` | h x w convolution to C, batch norm, ReLU; 1 x 1 convolution to D, batch norm |
  | `pool_then_conv`  | mean; 1 x 1 convolution to D, batch norm: the authors' code for video        |

  The first input determines h and w: 7 for frames of 224 pixels.

  Args:
    form: one of `BOTTLENECKS` except 'none'.
    width: D.
    norm: options of batch norm.
  """

  def __init__(self, form: str, width: int, norm: Mapping[str, Any], **kwargs):
    super().__init__(**kwargs)
    self.form = form
    self.width = width
    self.conv_norm = functools.partial(ConvNorm, kernel_size=1, strides=1, norm=norm)

  def build(self, input_shape):
    if self.form == 'conv7x7':
      self.conv = tf.keras.layers.Conv2D(self.width, input_shape[1:3], name='conv')  # Glorot uniform
    else:
      self.conv = self.conv_norm(self.width, name='conv')
    if self.form == 'spatial_then_1d':
      self.spatial = self.conv_norm(input_shape[-1], name='spatial')
    super().build(input_shape)

  def call(self, maps, training=False):
    if self.form == 'conv7x7':
      x = self.conv(maps)
    elif self.form == 'spatial_then_1d':
      # A convolution over the whole map is a 1 x 1 one over its values.
      x = tf.nn.relu(self.spatial(tf.reshape(maps, [-1, 1, 1, math.prod(maps.shape[1:])]), training=training))
      x = self.conv(x, training=training)
    else:
      x = self.conv(tf.reduce_mean(tf.cast(maps, tf.float32), axis=[1, 2], keepdims=True), training=training)
    return tf.nn.relu(tf.squeeze(x, axis=[1, 2]))


class ResNet50(backbone.Backbone):
  """A ResNet stream: clips [B, T, H, W, 3], pixels 0..255, -> logits [B, C], the mean of the frames' logits.

  The network of every modality in chapters 3 and 4. The default configuration,
  of chapter 3, is ResNet-50 with 24,574,922 trainable parameters for 10
  classes. Logits are float32 under every precision policy.

  Args:
    num_classes: C.
    config: sizes of the network.

  Raises:
    UserError: if there are not four blocks of two or more units, or the bottleneck is unknown.
  """

  CONNECTS = True

  def __init__(self, num_classes: int, config: ResNet50Config = ResNet50Config(), **kwargs):
    super().__init__(num_classes, config, autocast=False, **kwargs)  # the mean is subtracted in float32
    if len(config.units) != 4 or min(config.units) < 2:
      raise UserError(f'A ResNet stream has four blocks of at least two units each, not {tuple(config.units)}.')
    if config.bottleneck not in BOTTLENECKS:
      raise UserError(f'Unknown bottleneck {config.bottleneck!r}: choose one of {", ".join(BOTTLENECKS)}.')
    self.stem = ConvNorm(config.width, 7, 2, config.norm)
    self.pool = tf.keras.layers.MaxPool2D(3, 2, 'same')
    self.blocks = [
        Block(config.width * 2**index, units, 2 if index < 3 else 1, config.norm, config.temporal,
              name=f'block{index + 1}')
        for index, units in enumerate(config.units)]
    self.bottleneck = None
    if config.bottleneck != 'none':
      self.bottleneck = Bottleneck(config.bottleneck, config.bottleneck_width, config.norm, name='bottleneck')
    self.classifier = tf.keras.layers.Dense(
        num_classes, kernel_initializer=kernel_initializer(), dtype=tf.float32, name='classifier')

  @property
  def feature_size(self):
    # A block has four times as many output channels as its 3x3 convolutions.
    return 32 * self.config.width if self.bottleneck is None else self.config.bottleneck_width

  def load_pretrained(self, path):
    return slim_checkpoint.load_pretrained(self, path)

  def end_points(self, clips, injected: Optional[Dict[str, tf.Tensor]] = None, form: str = 'additive',
                 training=False) -> Dict[str, tf.Tensor]:
    """Runs the network and returns its tensors by name.

    Args:
      clips: [B, T, H, W, 3], pixels 0..255.
      injected: end points of the source stream that feeds this one, or None. Gradients flow into it.
      form: form of the connections, a key of `CONNECTIONS`.
      training: whether batch norm uses the moments of the batch.

    Returns:
      'block1/unit_1' ... 'block4/unit_1', which feed another stream, and
      'block1' ... 'block4' (all [B*T, h, w, c], after ReLU);
      'features' [B*T, D], the bottleneck's output or the spatial mean of block4;
      'frame_logits' [B*T, C]; 'logits' [B, C]. The last three are float32.
    """
    frames = clips.shape[1]
    x = tf.cast(clips, tf.float32) - tf.constant(self.config.input_mean, tf.float32)
    x = tf.reshape(tf.cast(x, self.compute_dtype), [-1, *clips.shape[2:]])
    x = self.pool(tf.nn.relu(self.stem(x, training=training)))
    points = {}
    for block in self.blocks:
      giver = f'{block.name}/unit_1'
      given = None if injected is None else injected[giver]
      points[giver], x = block(x, frames, given, form, training=training)
      points[block.name] = x
    if self.bottleneck is None:
      features = tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2])
    else:
      features = tf.cast(self.bottleneck(x, training=training), tf.float32)
    frame_logits = self.classifier(features)
    logits = tf.reduce_mean(tf.reshape(frame_logits, [-1, frames, self.num_classes]), axis=1)
    return points | {'features': features, 'frame_logits': frame_logits, 'logits': logits}
