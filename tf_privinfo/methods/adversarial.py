"""ADMD: the hallucination stream plays against a discriminator (thesis chapter 4), and what the winner is good for.

| class    | what it does                                                                       |
|----------|------------------------------------------------------------------------------------|
| `Game`   | trains `hall` and the discriminator, each with an optimizer of its own             |
| `Watch`  | trains the discriminator on, to tell clean depth from noisy depth                  |
| `Switch` | classifies RGB and depth, and gives the discriminator's opinion on the depth       |
"""

from typing import Dict

import tensorflow as tf

from tf_privinfo import losses
from tf_privinfo.methods import base
from tf_privinfo.methods import fusion
from tf_privinfo.methods import two_stream
from tf_privinfo.networks import discriminator as discriminators


class _Discriminating(base.Method):
  """A method with a discriminator, whose opinions of real depth features and of fakes are shown.

  Args:
    streams: with `depth`.
    discriminator: reads features, frame by frame.
    terms: further ones.
    **kwargs: of the method.

  Attributes:
    FAKES: name of the fakes.
  """

  FAKES: str

  def __init__(self, streams, discriminator: discriminators.Discriminator, *, terms=(), **kwargs):
    super().__init__(streams, terms=[*terms, *(
        f'discriminator/{quantity}_{features}' for quantity in ('accuracy', 'fake_probability')
        for features in ('depth', self.FAKES))], **kwargs)
    self.discriminator = discriminator

  @property
  def networks(self):
    return {**self.streams, 'discriminator': self.discriminator}

  def _opinions(self, labels, real, fake):
    """What is shown of the discriminator's outputs [N, C + 1] or [N, 1], and labels [N]."""
    return {**_opinion('depth', real, labels, False), **_opinion(self.FAKES, fake, labels, True)}


class Game(_Discriminating, two_stream.FusedStreams):
  """The stream `hall` learns from RGB to have features that the discriminator takes for those of the stream `depth`.

  The discriminator minimises eq. 4.1 on the features of the frozen depth
  stream and of `hall`; `hall` minimises eq. 4.2, the same on its features with
  the label flipped to that of the video. Both take a step from the same batch,
  and neither sees the other's step before (METHODS 2). Nothing teaches the
  classifier of `hall`: it stays the one it started with, the depth stream's.

  Args:
    streams: with `hall` and `depth`; depth is frozen.
    discriminator: reads the features of both, frame by frame.
    **kwargs: of `FusedStreams`.
  """

  FAKES = 'hall'

  def __init__(self, streams, discriminator: discriminators.Discriminator, **kwargs):
    super().__init__(streams, discriminator, terms=['d_loss', 'g_loss', 'gradient_norm/discriminator'], **kwargs)

  @property
  def optimizers(self):
    return {**super().optimizers, 'discriminator_optimizer': self.discriminator_optimizer}

  def compile_with(self, new_optimizer):
    super().compile_with(new_optimizer)
    self.discriminator_optimizer = new_optimizer(self.discriminator.config.rate)
    self.discriminator_optimizer.build(self.discriminator.trainable_variables)

  def train_step(self, data):
    """One step of both players on ({modality: [B, T, H, W, 3]}, labels [B])."""
    clips, labels = data
    frames = clips['depth'].shape[1]
    frame_labels = tf.repeat(labels, frames)
    depth = self.streams['depth'].end_points(clips['depth'])
    with tf.GradientTape(persistent=True) as tape:
      hall = self.streams['hall'].end_points(clips['rgb'], training=True)
      real = self.discriminator(depth['features'], frames, training=True)
      fake = self.discriminator(hall['features'], frames, training=True, track=False)
      terms = losses.adversarial(frame_labels, real, fake, self.discriminator.config)
      d_loss, g_loss = tf.reduce_mean(terms['discriminator']), tf.reduce_mean(terms['generator'])
      replicas = tf.distribute.get_strategy().num_replicas_in_sync
      scaled = d_loss / replicas, g_loss / replicas
    of_discriminator = base.gradients(tape, scaled[0], self.discriminator.trainable_variables)
    of_hall = base.gradients(tape, scaled[1], self.learned_variables)
    del tape  # a persistent one keeps every activation
    of_discriminator = base.apply_gradients(self.discriminator_optimizer, of_discriminator)
    of_hall = base.apply_gradients(self.optimizer, of_hall)
    shown = {'d_loss': d_loss, 'g_loss': g_loss,
             'gradient_norm/discriminator': tf.linalg.global_norm([g for g, _ in of_discriminator]),
             **self._fused_loss(labels, {'hall': hall['logits']})[1],
             **self._opinions(frame_labels, real, fake)}
    self.means['loss'].update_state(g_loss)
    return self._record(labels, base.Objective(g_loss, {'hall': hall['logits']}, shown), of_hall)


class Watch(_Discriminating):
  """The discriminator of a game goes on learning: noisy depth takes the place of hallucinated features in eq. 4.1.

  Not in the thesis, which uses the discriminator of the game as it is (section
  4.3.5). Where the game ends in an equilibrium that discriminator has no
  opinion, and noise does not give it one.

  Batch norm has the moving averages of depth features, as at test time.

  Args:
    streams: `depth`, which is frozen.
    discriminator: of the game.
    **kwargs: of `Method`.
  """

  FAKES = 'noise'
  classifies = False
  learns_from_noisy_depth = True

  @property
  def learned_variables(self):
    return self.discriminator.trainable_variables

  def call(self, clips, training=False):
    """The discriminator's outputs [B*T, C + 1] for depth."""
    features = self.streams['depth'].end_points(clips['depth'])['features']
    return {'discriminator': self.discriminator(features, clips['depth'].shape[1])}

  def objective(self, clips, labels):
    frame_labels = tf.repeat(labels, clips['depth'].shape[1])
    real, fake = (self({'depth': clips[name]})['discriminator'] for name in ('depth', 'noisy_depth'))
    terms = losses.adversarial(frame_labels, real, fake, self.discriminator.config)
    return base.Objective(tf.reduce_mean(terms['discriminator']), {}, self._opinions(frame_labels, real, fake))


def _opinion(features: str, outputs, labels, is_fake: bool):
  """What is shown of a discriminator's outputs: [N] each.

  Its accuracy says whether it sees through fakes; of real features, also whether it knows their class.
  """
  if outputs.shape[-1] == 1:
    right = (outputs[:, 0] < 0.5) == is_fake
  else:
    expected = tf.fill(tf.shape(labels), outputs.shape[-1] + losses.FAKE_CLASS) if is_fake else labels
    right = tf.argmax(outputs, axis=-1, output_type=tf.int32) == expected
  return {f'discriminator/accuracy_{features}': tf.cast(right, tf.float32),
          f'discriminator/fake_probability_{features}': losses.fake_probability(outputs)}


class Switch(tf.keras.Model):
  """Chooses between depth and hallucinated depth, sample by sample (section 4.3.5).

  `switch({'rgb': [B, T, H, W, 3], 'depth': the same})` gives
    'trusted' [B, C]: logits of RGB and depth;
    'hallucinated' [B, C]: logits of RGB and `hall`, which do not depend on depth;
    'fake_probability' [B, 1]: the discriminator's belief that the depth
    features are none, the mean over the frames; 1 where depth is missing: it
    has a value that is not finite, or one colour all over, such as zeros;
    'depth_features', 'hall_features' [B, D]: their means over the frames.

  Args:
    streams: `rgb`, `depth` and `hall`.
    discriminator: that `hall` learned with.
  """

  modalities = ('rgb', 'depth')

  def __init__(self, streams: Dict[str, tf.keras.Model], discriminator: discriminators.Discriminator, **kwargs):
    super().__init__(**kwargs)
    self.streams = dict(streams)
    self.discriminator = discriminator

  def hallucinated(self, clips) -> tf.Tensor:
    """Logits [B, C] of RGB and `hall`."""
    return fusion.fuse({stream: self.streams[stream](clips['rgb']) for stream in ('rgb', 'hall')})

  def trusted(self, clips) -> tf.Tensor:
    """Logits [B, C] of RGB and depth."""
    return fusion.fuse({stream: self.streams[stream](clips[stream]) for stream in ('rgb', 'depth')})

  def call(self, clips):
    depth_clips = tf.cast(clips['depth'], tf.float32)
    finite = tf.math.is_finite(depth_clips)
    depth_clips = tf.where(finite, depth_clips, 0.0)
    pixels = [1, 2, 3]
    one_colour = tf.reduce_all(tf.reduce_max(depth_clips, pixels) == tf.reduce_min(depth_clips, pixels), axis=-1)
    missing = one_colour | ~tf.reduce_all(finite, axis=[*pixels, 4])
    rgb = self.streams['rgb'](clips['rgb'])
    depth, hall = self.streams['depth'].end_points(depth_clips), self.streams['hall'].end_points(clips['rgb'])
    frames = depth_clips.shape[1]

    def mean(of_frames):
      return tf.reduce_mean(tf.reshape(of_frames, [-1, frames, *of_frames.shape[1:]]), axis=1)

    score = mean(losses.fake_probability(self.discriminator(depth['features'], frames)))
    return {'trusted': fusion.fuse({'rgb': rgb, 'depth': depth['logits']}),
            'hallucinated': fusion.fuse({'rgb': rgb, 'hall': hall['logits']}),
            'fake_probability': tf.where(missing, 1.0, score)[:, tf.newaxis],
            'depth_features': mean(depth['features']), 'hall_features': mean(hall['features'])}
