"""ADMD: adversarial training of the hallucination stream (thesis chapter 4), and the use of its discriminator.

The privileged modality is depth in the thesis, the main one RGB (`config.Roles`).

| class                     | purpose                                                                              |
|---------------------------|--------------------------------------------------------------------------------------|
| `AdversarialDistillation` | trains `hall` and the discriminator, each with its own optimizer                     |
| `NoiseDetector`           | trains the discriminator further, to separate clean from noisy privileged clips      |
| `SensorSwitch`            | classifies with the privileged modality and with `hall`, and scores its reliability  |
"""

from typing import Dict

import tensorflow as tf

from tf_privinfo.datasets import colour
from tf_privinfo.methods import base, fusion, losses, two_stream
from tf_privinfo.methods.config import Roles
from tf_privinfo.networks import discriminator as discriminators


class _Discriminating(base.Method):
  """A method with a discriminator that reports its outputs for real, privileged features and for fake features.

  Args:
    streams: name -> network, including the privileged stream.
    discriminator: discriminator of features, frame by frame.
    loss_terms: names of further loss terms.
    roles: roles of the modalities.
    **kwargs: further arguments of the method.

  Attributes:
    FAKES: name of the fake features.
  """

  FAKES: str

  @classmethod
  def options(cls, recipe, streams, num_classes):
    discriminator = discriminators.Discriminator(num_classes, recipe.discriminator, name='discriminator')
    frames = recipe.clips.frames
    discriminator(tf.zeros([frames, streams[recipe.roles.privileged].feature_size]), frames)
    return {**super().options(recipe, streams, num_classes), 'discriminator': discriminator}

  def __init__(self, streams, discriminator: discriminators.Discriminator, *, loss_terms=(),
               roles: Roles = Roles(), **kwargs):
    super().__init__(streams, roles=roles, loss_terms=[*loss_terms, *(
        f'discriminator/{quantity}_{features}' for quantity in ('accuracy', 'fake_probability')
        for features in (roles.privileged, self.FAKES))], **kwargs)
    self.discriminator = discriminator

  @property
  def networks(self):
    return {**self.streams, 'discriminator': self.discriminator}

  def _scores(self, labels, real, fake):
    """Reported quantities, from outputs of the discriminator [N, C + 1] or [N, 1] and labels [N]."""
    return {**_score(self.roles.privileged, real, labels, False), **_score(self.FAKES, fake, labels, True)}


class AdversarialDistillation(_Discriminating, two_stream.FusedStreams):
  """Adversarial training of the stream `hall`, so that its features resemble the features of the privileged stream.

  The discriminator minimises eq. 4.1 on the features of the frozen privileged
  stream and of `hall`, which reads the main modality. `hall` minimises eq. 4.2, the same loss on its own
  features with the label of the video instead of 'fake'. The gradients of both
  come from the same batch and are computed before either step
  (docs/methods.md, section 2). No loss trains the classifier of `hall`, which
  remains the initial one, from the privileged stream. The L2 penalty, if there is
  one, applies to the kernels of both.

  Args:
    streams: name -> network, including `hall` and the privileged stream, which is frozen.
    discriminator: discriminator of the features of both, frame by frame.
    **kwargs: further arguments of `FusedStreams`.
  """

  FAKES = 'hall'

  def __init__(self, streams, discriminator: discriminators.Discriminator, **kwargs):
    super().__init__(streams, discriminator, loss_terms=['d_loss', 'g_loss', 'gradient_norm/discriminator'], **kwargs)

  @property
  def optimizers(self):
    return {**super().optimizers, 'discriminator_optimizer': self.discriminator_optimizer}

  def compile_with(self, new_optimizer):
    super().compile_with(new_optimizer)
    self.discriminator_optimizer = new_optimizer(self.discriminator.config.rate)
    self.discriminator_optimizer.build(self.discriminator.trainable_variables)

  def train_step(self, data):
    """One step of both networks on ({modality: [B, T, H, W, 3]}, labels [B])."""
    clips, labels = data
    clips = colour.distort(clips)
    privileged = self.roles.privileged
    frames = clips[privileged].shape[1]
    frame_labels = tf.repeat(labels, frames)
    teacher = self.streams[privileged].end_points(clips[privileged])
    with tf.GradientTape(persistent=True) as tape:
      hall = self.streams['hall'].end_points(clips[self.roles.main], training=True)
      real = self.discriminator(teacher['features'], frames, training=True)
      fake = self.discriminator(hall['features'], frames, training=True, track=False)
      terms = losses.adversarial(frame_labels, real, fake, self.discriminator.config)
      d_loss, g_loss = tf.reduce_mean(terms['discriminator']), tf.reduce_mean(terms['generator'])
      penalties = [losses.weight_decay(variables, self.weight_decay) if self.weight_decay else 0.0
                   for variables in (self.discriminator.trainable_variables, self.learned_variables)]
      replicas = tf.distribute.get_strategy().num_replicas_in_sync
      # The discriminator computes in float32, also in float16: its own loss needs no factor.
      scaled = (d_loss + penalties[0]) / replicas, base.scale_loss(self.optimizer, (g_loss + penalties[1]) / replicas)
    of_discriminator = base.gradients(tape, scaled[0], self.discriminator.trainable_variables)
    of_hall = base.gradients(tape, scaled[1], self.learned_variables)
    del tape  # a persistent tape keeps all activations
    of_discriminator = base.apply_gradients(self.discriminator_optimizer, of_discriminator)
    of_hall = base.apply_gradients(self.optimizer, of_hall)
    shown = {'d_loss': d_loss, 'g_loss': g_loss,
             'gradient_norm/discriminator': tf.linalg.global_norm([g for g, _ in of_discriminator]),
             **self._fused_loss(labels, {'hall': hall['logits']})[1],
             **self._scores(frame_labels, real, fake)}
    self.epoch_means['loss'].update_state(g_loss + penalties[1])
    if self.weight_decay:
      self.epoch_means['loss_l2'].update_state(tf.add_n(penalties))
    return self._record(labels, base.Objective(g_loss, {'hall': hall['logits']}, shown), of_hall)


class NoiseDetector(_Discriminating):
  """Further training of the discriminator: features of noisy clips replace hallucinated features in eq. 4.1.

  This stage is not in the thesis, which uses the discriminator directly after
  adversarial training (section 4.3.5). If adversarial training ends in an
  equilibrium, the output of the discriminator is uninformative, with or
  without noise.

  Batch norm uses the moving averages of clean features, as at test time.

  Args:
    streams: name -> network, only the privileged stream, which is frozen.
    discriminator: discriminator of the adversarial stage.
    **kwargs: further arguments of `Method`.
  """

  FAKES = 'noise'
  classifies = False
  learns_from_noise = True

  @property
  def learned_variables(self):
    return self.discriminator.trainable_variables

  def call(self, clips, training=False):
    """The outputs of the discriminator for the privileged clips, {'discriminator': [B*T, C + 1]}."""
    images = clips[self.roles.privileged]
    features = self.streams[self.roles.privileged].end_points(images)['features']
    return {'discriminator': self.discriminator(features, images.shape[1])}

  def objective(self, clips, labels):
    privileged = self.roles.privileged
    frame_labels = tf.repeat(labels, clips[privileged].shape[1])
    real, fake = (self({privileged: clips[name]})['discriminator'] for name in (privileged, f'noisy_{privileged}'))
    terms = losses.adversarial(frame_labels, real, fake, self.discriminator.config)
    return base.Objective(tf.reduce_mean(terms['discriminator']), {}, self._scores(frame_labels, real, fake))


def _score(features: str, outputs, labels, is_fake: bool):
  """Accuracy and fake probability, [N] each, of outputs of a discriminator.

  Fake features are right if they are classified as fake, real features if their class is predicted.
  """
  if outputs.shape[-1] == 1:
    right = (outputs[:, 0] < 0.5) == is_fake
  else:
    expected = tf.fill(tf.shape(labels), outputs.shape[-1] + losses.FAKE_CLASS) if is_fake else labels
    right = tf.argmax(outputs, axis=-1, output_type=tf.int32) == expected
  return {f'discriminator/accuracy_{features}': tf.cast(right, tf.float32),
          f'discriminator/fake_probability_{features}': losses.fake_probability(outputs)}


class SensorSwitch(tf.keras.Model):
  """Chooses between the privileged modality and its hallucination, sample by sample (section 4.3.5).

  `switch({main: [B, T, H, W, 3], privileged: [B, T, H, W, 3]})` returns
    'trusted' [B, C]: logits of the main and the privileged stream;
    'hallucinated' [B, C]: logits of the main stream and `hall`, which do not
    depend on the privileged modality;
    'fake_probability' [B, 1]: the discriminator's probability of the class
    'fake' for the privileged features, averaged over the frames; 1 if the
    privileged modality is missing, that is, if a value is not finite or the clip
    has a uniform colour, such as zeros;
    'privileged_features', 'hall_features' [B, D]: features, averaged over the
    frames.

  Args:
    streams: name -> network, for the main modality, the privileged one and `hall`.
    discriminator: discriminator that scores the privileged features.
    roles: roles of the modalities.
  """

  def __init__(self, streams: Dict[str, tf.keras.Model], discriminator: discriminators.Discriminator,
               roles: Roles = Roles(), **kwargs):
    super().__init__(**kwargs)
    self.streams = dict(streams)
    self.discriminator = discriminator
    self.roles = roles

  @property
  def modalities(self):
    """The main modality and the privileged one."""
    return (self.roles.main, self.roles.privileged)

  def hallucinated(self, clips) -> tf.Tensor:
    """Logits [B, C] of the main stream and `hall`."""
    main = self.roles.main
    return fusion.fuse({stream: self.streams[stream](clips[main]) for stream in (main, 'hall')})

  def trusted(self, clips) -> tf.Tensor:
    """Logits [B, C] of the main and the privileged stream."""
    return fusion.fuse({stream: self.streams[stream](clips[stream]) for stream in self.modalities})

  def call(self, clips):
    main, privileged = self.modalities
    images = tf.cast(clips[privileged], tf.float32)
    finite = tf.math.is_finite(images)
    images = tf.where(finite, images, 0.0)
    pixels = [1, 2, 3]
    one_colour = tf.reduce_all(tf.reduce_max(images, pixels) == tf.reduce_min(images, pixels), axis=-1)
    missing = one_colour | ~tf.reduce_all(finite, axis=[*pixels, 4])
    seen = self.streams[main](clips[main])
    teacher, hall = self.streams[privileged].end_points(images), self.streams['hall'].end_points(clips[main])
    frames = images.shape[1]

    def mean(of_frames):
      return tf.reduce_mean(tf.reshape(of_frames, [-1, frames, *of_frames.shape[1:]]), axis=1)

    score = mean(losses.fake_probability(self.discriminator(teacher['features'], frames)))
    return {'trusted': fusion.fuse({main: seen, privileged: teacher['logits']}),
            'hallucinated': fusion.fuse({main: seen, 'hall': hall['logits']}),
            'fake_probability': tf.where(missing, 1.0, score)[:, tf.newaxis],
            'privileged_features': mean(teacher['features']), 'hall_features': mean(hall['features'])}
