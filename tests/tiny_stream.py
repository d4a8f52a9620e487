"""A stream that is quick to build and to trace, where it is not the network that is tested."""

import contextlib

import pytest
import tensorflow as tf

from tf_privinfo.networks import backbone, layers, registry
from tf_privinfo.networks.config import ResNet50Config


class TinyStream(backbone.Backbone):
  """The colours of 2 x 2 parts of each frame -> batch norm -> features [B*T, 8] -> logits [B, C].

  Args:
    num_classes: C.
    config: as of `ResNet50`; only its mean colour is used, by ModDrop.
  """

  CONNECTS = True
  feature_size = 8

  def __init__(self, num_classes: int, config=ResNet50Config(), **kwargs):
    super().__init__(num_classes, config, **kwargs)
    self.norm = layers.BatchNormalization(0.9)
    self.bottleneck = tf.keras.layers.Dense(8, 'relu')
    self.classifier = tf.keras.layers.Dense(num_classes)

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


SPEC = registry.NetworkSpec('tf_privinfo.networks.config:ResNet50Config', f'{__name__}:TinyStream')


@contextlib.contextmanager
def in_place_of_resnet50():
  """Recipes of chapters 3 and 4 build this stream."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(registry.NETWORKS, 'resnet50', SPEC)
    yield
