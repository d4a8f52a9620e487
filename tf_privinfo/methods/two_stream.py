"""Streams with cross-stream connections, and the hallucination stream (thesis chapter 3).

| class           | loss                                                                                |
|-----------------|-------------------------------------------------------------------------------------|
| `FusedStreams`  | cross entropy of the mean logits of one stream (step 1) or two streams (steps 2, 4) |
| `ModDrop`       | the same, with randomly dropped pixels and modalities                               |
| `Hallucination` | imitation of the privileged stream by `hall` (step 3, Hoffman et al.)               |

The main modality is RGB in the thesis, the privileged one depth (`config.Roles`).
"""

from typing import Dict, Iterable

import tensorflow as tf

from tf_privinfo.datasets.noise import Noise
from tf_privinfo.methods import base, fusion, losses
from tf_privinfo.methods.config import ConnectionConfig, HallucinationConfig, ModDropConfig, Roles
from tf_privinfo.utils import errors


def connection_sources(direction: str, streams: Iterable[str], roles: Roles = Roles()) -> Dict[str, str]:
  """Receiving stream -> the stream that feeds it.

  The hallucination stream takes the place of the privileged one: it feeds the
  main stream (step 4), or is fed by it if the direction is inverted. While it is
  trained with connections to the main stream, the privileged stream feeds it
  (step 3).

  Args:
    direction: value of `ConnectionConfig.direction`.
    streams: names of the streams of a method.
    roles: roles of the modalities, which are the names of their streams.
  """
  main, privileged = roles.main, roles.privileged
  if direction == roles.to_main:
    pairs = {'hall': privileged, main: 'hall' if 'hall' in streams else privileged}
  elif direction == roles.to_privileged:
    pairs = {privileged: main, 'hall': main}
  else:
    pairs = {}
  return {receiver: source for receiver, source in pairs.items() if receiver in streams and source in streams}


class FusedStreams(base.Method):
  """Streams whose predictions are fused by the mean of their logits.

  The source of a connection feeds its stream whenever the source's modality is in `clips`.

  Args:
    streams: name -> `ResNet50`.
    connections: connections between the streams.
    **kwargs: further arguments of `Method`.

  Raises:
    UserError: if the network of a connected stream has no connections.
  """

  def __init__(self, streams, connections: ConnectionConfig = ConnectionConfig('none'), *, frozen=(), loss_terms=(),
               **kwargs):
    shown = ['sum', *(stream for stream in streams if stream not in frozen)]
    super().__init__(
        streams, frozen=frozen, loss_terms=[*loss_terms, *(f'loss_hard/{name}' for name in shown)], **kwargs)
    self.connections = connections
    self.connection_sources = connection_sources(connections.direction, streams, self.roles)
    unable = {stream for pair in self.connection_sources.items() for stream in pair
              if not self.streams[stream].CONNECTS}
    if unable:
      raise errors.UserError(f'The network of {", ".join(sorted(unable))} has no cross-stream connections: pass '
                             '--set connections.direction=none, or another network.architecture.')

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {'connections': recipe.connections or ConnectionConfig('none')}

  @property
  def injected_modalities(self):
    read = [self.input_modality[source] for receiver, source in self.connection_sources.items()
            if receiver in self.trainable_streams]
    return tuple(modality for modality in dict.fromkeys(read) if modality not in self.modalities)

  def end_points(self, clips, wanted: Iterable[str], training: bool = False) -> Dict[str, Dict[str, tf.Tensor]]:
    """The end points of the streams `wanted` and of their sources: stream -> end point -> tensor."""
    done = {}

    def run(stream):
      if stream not in done:
        source = self.connection_sources.get(stream)
        if source and self.input_modality[source] in clips:
          run(source)
        done[stream] = self.streams[stream].end_points(
            clips[self.input_modality[stream]], done.get(source), self.connections.form, training=training)

    for stream in wanted:
      run(stream)
    return done

  def call(self, clips, training=False):
    wanted = [stream for stream in self.trainable_streams if self.input_modality[stream] in clips]
    points = self.end_points(clips, wanted, training)
    return {stream: points[stream]['logits'] for stream in wanted}

  def objective(self, clips, labels):
    logits = self(clips, training=True)
    loss, terms = self._fused_loss(labels, logits)
    return base.Objective(loss, logits, terms)

  def _fused_loss(self, labels, logits):
    """The mean cross entropy of the fused logits, and the reported cross entropies, also of each stream alone."""
    fused = losses.cross_entropy(labels, fusion.fuse(logits))
    alone = {f'loss_hard/{stream}': losses.cross_entropy(labels, z) for stream, z in logits.items()}
    return tf.reduce_mean(fused), {'loss_hard/sum': fused, **alone}


class ModDrop(FusedStreams):
  """Streams trained with dropped modalities (Neverova et al.; docs/methods.md, section 2).

  Values of the images are dropped after subtraction of the mean, so dropped
  values have the mean colour. Modalities are dropped for single samples, as by
  Neverova et al. The authors' code intends to drop them for whole batches; then
  all samples have one colour, the variance in batch norm is zero, and gradients
  overflow.

  Args:
    streams: name -> `ResNet50`.
    config: probabilities of keeping pixels and modalities.
    seed: seed of the draws, together with step and modality.
    **kwargs: further arguments of `FusedStreams`.
  """

  test_conditions = {'void': Noise('void')}  # one of the settings of table 4.5

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {**super().options(recipe, streams, num_classes), 'config': recipe.moddrop, 'seed': recipe.seed}

  def __init__(self, streams, config: ModDropConfig = ModDropConfig(), seed: int = 0, **kwargs):
    super().__init__(streams, **kwargs)
    self.config = config
    self.seed = seed

  def objective(self, clips, labels):
    step = tf.cast(self.optimizer.iterations, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, step]), 0)
    means = {self.input_modality[name]: stream.config.input_mean for name, stream in self.streams.items()}
    return super().objective({
        modality: self.drop(clip, means[modality], tf.random.experimental.stateless_fold_in(seed, index))
        for index, (modality, clip) in enumerate(clips.items())}, labels)

  def drop(self, clip: tf.Tensor, mean, seed) -> tf.Tensor:
    """A clip [B, T, H, W, 3] with dropped values, and samples dropped as a whole, as float32.

    Args:
      clip: [B, T, H, W, 3], pixels 0..255.
      mean: colour of dropped values, 3 numbers.
      seed: int32 [2].
    """
    pixels, modality = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    config = self.config
    batch = tf.shape(clip)[0]
    kept = base.draw_for_batch([batch, *clip.shape[1:]], pixels) >= 1 - config.keep_pixel
    kept &= base.draw_for_batch([batch, 1, 1, 1, 1], modality) < config.keep_modality
    centred = tf.where(kept, tf.cast(clip, tf.float32) - tf.constant(mean), 0.0)
    return tf.constant(mean) + centred * (1 / config.keep_pixel)


class Hallucination(FusedStreams):
  """Training of the stream `hall`, which reads the main modality, to imitate the frozen privileged stream (eq. 3.7).

  If further streams are trained at the same time (Hoffman et al.), the cross
  entropy of all fused logits is added: hallucination and task are then learned
  together.

  Args:
    streams: name -> network, including `hall` and the privileged stream.
    config: hyperparameters of the loss.
    **kwargs: further arguments of `FusedStreams`.
  """

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {**super().options(recipe, streams, num_classes), 'config': recipe.hallucination}

  def __init__(self, streams, config: HallucinationConfig = HallucinationConfig(), **kwargs):
    super().__init__(streams, loss_terms=['loss_soft/hall', 'loss_maps/hall'], **kwargs)
    self.config = config

  def objective(self, clips, labels):
    points = self.end_points(clips, [*self.trainable_streams, self.roles.privileged], training=True)
    logits = {stream: points[stream]['logits'] for stream in self.trainable_streams}
    hall, teacher = points['hall'], points[self.roles.privileged]
    config = self.config
    # The form 'sum' always applies the temperature to both.
    student_temperature = config.temperature if config.student_at_temperature or config.form == 'sum' else 1.0
    soft = losses.imitation(teacher['logits'], hall['logits'], config.temperature, student_temperature)
    maps = losses.hallucination(teacher[config.layer], hall[config.layer])
    fused_loss, terms = self._fused_loss(labels, logits)
    combine = losses.modality_distillation if config.form == 'shares' else losses.object_distillation
    # L_hall is a sum over the global batch, the rest a mean.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    loss = combine(terms['loss_hard/hall'], soft, maps * replicas, config)
    if len(self.trainable_streams) > 1:
      loss += fused_loss
    return base.Objective(loss, logits, {**terms, 'loss_soft/hall': soft, 'loss_maps/hall': maps})

  def images(self, clips):
    """True maps above hallucinated maps, averaged over channels, frames side by side: [B, 2h, T*w, 1] uint8."""
    if self.config.layer == 'features':
      return {}
    shown = [self.roles.privileged, 'hall']
    points = self.end_points(clips, shown)
    frames = next(iter(clips.values())).shape[1]
    maps = tf.stack([tf.reduce_mean(tf.cast(points[stream][self.config.layer], tf.float32), axis=-1)
                     for stream in shown], axis=1)
    height, width = maps.shape[2:]
    maps = tf.transpose(tf.reshape(maps, [-1, frames, 2, height, width]), [0, 2, 3, 1, 4])
    pictures = tf.reshape(maps, [-1, 2 * height, frames * width, 1])
    brightest = tf.reduce_max(pictures, axis=[1, 2, 3], keepdims=True)
    pictures = tf.cast(255 * pictures / tf.maximum(brightest, 1e-6), tf.uint8)
    scale = max(1, 32 // height)
    return {f'maps/{self.config.layer}_true_above_hallucinated':
            tf.repeat(tf.repeat(pictures, scale, axis=1), scale, axis=2)}
