"""Depth images from RGB, a baseline of table 4.5.

| class            | what it does                                                     |
|------------------|------------------------------------------------------------------|
| `Reconstruction` | trains an autoencoder to give the depth images of RGB            |
| `EstimatedDepth` | streams whose depth is what the autoencoder makes of RGB         |
"""

import tensorflow as tf

from tf_privinfo.methods import base, two_stream
from tf_privinfo.networks import autoencoder


class Reconstruction(base.Method):
  """The stream `autoencoder` reads RGB and minimises the mean squared error to the depth image.

  docs/methods.md, section 1.4.
  """

  classifies = False

  @classmethod
  def build_stream(cls, name, recipe, num_classes):
    return autoencoder.Autoencoder(recipe.network, name=name)

  @property
  def training_modalities(self):
    return ('rgb', 'depth')

  def call(self, clips, training=False):
    return {'autoencoder': self.streams['autoencoder'](clips['rgb'], training=training)}

  def objective(self, clips, labels):
    images = self(clips, training=True)['autoencoder']
    depth = tf.cast(clips['depth'], tf.float32)
    return base.Objective(tf.reduce_mean(tf.math.squared_difference(images, depth)), {}, {})

  def images(self, clips):
    """Depth above its reconstruction: [B, 2H, W, 3], of the first frame."""
    images = self.streams['autoencoder'](clips['rgb'])
    both = tf.concat([tf.cast(clips['depth'][:, 0], tf.float32), images[:, 0]], axis=1)
    return {'depth_above_reconstruction': tf.cast(tf.clip_by_value(both, 0.0, 255.0), tf.uint8)}


class EstimatedDepth(two_stream.FusedStreams):
  """`FusedStreams` that see RGB only: the stream `depth` reads what the frozen stream `autoencoder` makes of it."""

  @classmethod
  def build_stream(cls, name, recipe, num_classes):
    if name == 'autoencoder':
      return Reconstruction.build_stream(name, recipe, num_classes)
    return super().build_stream(name, recipe, num_classes)

  @property
  def modalities(self):
    return ('rgb',)

  def call(self, clips, training=False):
    return super().call({**clips, 'depth': self.streams['autoencoder'](clips['rgb'])}, training=training)
