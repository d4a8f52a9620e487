"""Images of the privileged modality from the main one (depth from RGB in table 4.5), a baseline.

| class               | purpose                                                                             |
|---------------------|-------------------------------------------------------------------------------------|
| `Reconstruction`    | trains an autoencoder to reconstruct privileged images from the main modality       |
| `EstimatedModality` | streams whose privileged modality is the autoencoder's estimate                     |
"""

import tensorflow as tf

from tf_privinfo.methods import base, two_stream
from tf_privinfo.networks import autoencoder


class Reconstruction(base.Method):
  """Training of the stream `autoencoder` on the main modality, by the mean squared error to privileged images.

  Source: docs/methods.md, section 1.4.
  """

  classifies = False

  @classmethod
  def build_stream(cls, name, recipe, num_classes):
    return autoencoder.Autoencoder(recipe.network, name=name)

  @property
  def training_modalities(self):
    return (self.roles.main, self.roles.privileged)

  def call(self, clips, training=False):
    return {'autoencoder': self.streams['autoencoder'](clips[self.roles.main], training=training)}

  def objective(self, clips, labels):
    images = self(clips, training=True)['autoencoder']
    targets = tf.cast(clips[self.roles.privileged], tf.float32)
    return base.Objective(tf.reduce_mean(tf.math.squared_difference(images, targets)), {}, {})

  def images(self, clips):
    """The first privileged frame above its reconstruction, [B, 2H, W, 3] uint8."""
    privileged = self.roles.privileged
    images = self.streams['autoencoder'](clips[self.roles.main])
    both = tf.concat([tf.cast(clips[privileged][:, 0], tf.float32), images[:, 0]], axis=1)
    return {f'{privileged}_above_reconstruction': tf.cast(tf.clip_by_value(both, 0.0, 255.0), tf.uint8)}


class EstimatedModality(two_stream.FusedStreams):
  """`FusedStreams` on the main modality: the privileged stream reads the output of the frozen stream `autoencoder`."""

  @classmethod
  def build_stream(cls, name, recipe, num_classes):
    if name == 'autoencoder':
      return Reconstruction.build_stream(name, recipe, num_classes)
    return super().build_stream(name, recipe, num_classes)

  @property
  def modalities(self):
    return (self.roles.main,)

  def call(self, clips, training=False):
    estimate = self.streams['autoencoder'](clips[self.roles.main])
    return super().call({**clips, self.roles.privileged: estimate}, training=training)
