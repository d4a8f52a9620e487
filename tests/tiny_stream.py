"""A stream that is quick to build and to trace, where it is not the network that is tested."""

import tensorflow as tf

from tf_privinfo.networks import layers
from tf_privinfo.networks.config import ResNet50Config


class TinyStream(tf.keras.Model):
  """The colours of 2 x 2 parts of each frame -> batch norm -> features [B*T, 8] -> logits [B, C].

  Args:
    num_classes: C.
  """

  def __init__(self, num_classes: int, **kwargs):
    super().__init__(**kwargs)
    self.config = ResNet50Config()
    self.norm = layers.BatchNormalization(0.9)
    self.bottleneck = tf.keras.layers.Dense(8, 'relu')
    self.classifier = tf.keras.layers.Dense(num_classes)

  def call(self, clips, training=False):
    return self.end_points(clips, training=training)['logits']

  def end_points(self, clips, injected=None, form='additive', training=False):
    """Those of a ResNet stream that methods read; `injected` adds to the maps, and `form` means nothing."""
    frames, height, width = clips.shape[1:4]
    parts = tf.reshape(tf.cast(clips, tf.float32), [-1, 2, height // 2, 2, width // 2, 3])
    maps = self.norm(tf.reduce_mean(parts, axis=[2, 4]), training=training)
    if injected is not None:
      maps += injected['block4']
    features = self.bottleneck(tf.reshape(maps, [-1, 12]))
    logits = tf.reduce_mean(tf.reshape(self.classifier(features), [-1, frames, self.classifier.units]), axis=1)
    return {'block4': maps, 'features': features, 'logits': logits}
