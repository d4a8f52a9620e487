"""The cross-modal autoencoder of table 4.5 (docs/methods.md, section 1.4): images of one modality from another one."""

import dataclasses

import tensorflow as tf

from tf_privinfo.networks import layers, resnet50
from tf_privinfo.networks.config import ResNet50Config


class Decoder(tf.keras.layers.Layer):
  """Maps [N, h, w, D] -> images [N, 32h, 32w, 3] in (-1, 1), float32.

  Five transposed convolutions of stride 2, the first four with batch norm and
  ReLU; at the default width 1024 and 512 channels (3 x 3), 256, 128 and 3
  (5 x 5).

  Args:
    width: width of the encoder; the first layer has 16 times as many channels.
  """

  def __init__(self, width: int = 64, **kwargs):
    super().__init__(**kwargs)
    # Glorot uniform, zero biases.
    self.convs = [
        tf.keras.layers.Conv2DTranspose(filters, kernel_size, 2, 'same')
        for filters, kernel_size in ((16 * width, 3), (8 * width, 3), (4 * width, 5), (2 * width, 5), (3, 5))]
    self.norms = [layers.BatchNormalization(0.95, 1e-3, unbiased_moving_variance=True) for _ in self.convs[:-1]]

  def call(self, inputs, training=False):
    x = inputs
    for conv, norm in zip(self.convs, self.norms):
      x = tf.nn.relu(norm(conv(x), training=training))
    return tf.tanh(tf.cast(self.convs[-1](x), tf.float32))


class Autoencoder(tf.keras.Model):
  """Main clips [B, T, H, W, 3] -> privileged clips [B, T, H, W, 3], pixels 0..255 on both sides.

  Source: docs/fidelity.md, row 19.

  H and W are multiples of 32. The encoder is a ResNet stream up to block 4.

  Args:
    config: sizes of the encoder, without its bottleneck; the decoder has the same width.
  """

  def __init__(self, config: ResNet50Config = ResNet50Config(temporal=False), **kwargs):
    super().__init__(autocast=False, **kwargs)  # the mean is subtracted in float32
    self.config = config
    self.encoder = resnet50.ResNet50(1, dataclasses.replace(config, bottleneck='none'), name='encoder')
    self.encoder.classifier.trainable = False  # its output is not used
    self.decoder = Decoder(config.width, name='decoder')

  def load_pretrained(self, path: str) -> str:
    """Loads weights of the encoder; see `Backbone.load_pretrained`."""
    return self.encoder.load_pretrained(path)

  def call(self, clips, training=False):
    maps = self.encoder.end_points(clips, training=training)['block4']
    images = 127.5 * (1 + self.decoder(maps, training=training))
    return tf.reshape(images, [-1, clips.shape[1], *images.shape[1:]])

  def get_config(self):
    return super().get_config() | {'config': dataclasses.asdict(self.config)}

  @classmethod
  def from_config(cls, config):
    return cls(**config | {'config': ResNet50Config(**config['config'])})
