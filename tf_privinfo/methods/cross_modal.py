"""Depth images from RGB, a baseline of table 4.5.

| class            | purpose                                                          |
|------------------|------------------------------------------------------------------|
| `Reconstruction` | trains an autoencoder to reconstruct depth images from RGB       |
| `EstimatedDepth` | streams whose depth is the autoencoder's estimate from RGB       |
"""

import tensorflow as tf

from tf_privinfo.methods import base, two_stream
from tf_privinfo.networks import autoencoder


class Reconstruction(base.Method):
  """Training of the stream `autoencoder`, which reads RGB, by the mean squared error to the depth image.

  Source: docs/methods.md, section 1.4.
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
    """The first depth frame above its reconstruction, [B, 2H, W, 3] uint8."""
    images = self.streams['autoencoder'](clips['rgb'])
    both = tf.concat([tf.cast(clips['depth'][:, 0], tf.float32), images[:, 0]], axis=1)
    return {'depth_above_reconstruction': tf.cast(tf.clip_by_value(both, 0.0, 255.0), tf.uint8)}


class EstimatedDepth(two_stream.FusedStreams):
  """`FusedStreams` on RGB only: the stream `depth` reads the output of the frozen stream `autoencoder`."""

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
