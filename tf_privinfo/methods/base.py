"""What all methods share: streams, the training step, its bookkeeping."""

from typing import Dict, Mapping, NamedTuple, Optional, Sequence

import tensorflow as tf

from tf_privinfo import losses


class Objective(NamedTuple):
  """What a method minimises on one batch, and what is worth showing of it.

  Attributes:
    loss: a scalar whose mean over the replicas is the loss of the global batch.
    logits: stream -> [B, C], of the streams whose accuracy is shown.
    terms: name -> values whose mean over the epoch is shown.
  """
  loss: tf.Tensor
  logits: Dict[str, tf.Tensor]
  terms: Dict[str, tf.Tensor]


class Method(tf.keras.Model):
  """Streams that are trained together.

  `method(clips, training=False)` maps {modality: [B, T, H, W, 3]} to
  {stream: logits [B, C]}, for the streams that learn and whose modality is in
  `clips`.

  Args:
    streams: name -> network, in the order that breaks ties.
    reads: stream -> the modality that it reads; those that are not in it read
      the modality of their own name.
    frozen: streams that do not learn: weights and batch statistics stay.
    weight_decay: rate of the L2 penalty on kernels.
    terms: names of the terms that `objective` gives.
  """

  def __init__(self, streams: Dict[str, tf.keras.Model], *, reads: Optional[Mapping[str, str]] = None,
               frozen: Sequence[str] = (), weight_decay: float = 0.0, terms: Sequence[str] = (), **kwargs):
    super().__init__(**kwargs)
    self.streams = dict(streams)
    self.reads = {stream: (reads or {}).get(stream, stream) for stream in streams}
    for stream in frozen:
      self.streams[stream].trainable = False
    self.learning = tuple(stream for stream in streams if stream not in frozen)
    self.weight_decay = weight_decay
    names = ['loss', *(['loss_l2'] if weight_decay else []), *terms, *(
        f'{quantity}/{stream}' for stream in self.learning for quantity in ('accuracy', 'gradient_norm'))]
    self.means = {name: tf.keras.metrics.Mean(name) for name in names}

  @property
  def modalities(self):
    """What a prediction reads, in the order of the streams."""
    return tuple(dict.fromkeys(self.reads[stream] for stream in self.learning))

  @property
  def privileged(self):
    """Further modalities from which a learning stream receives, if they are there."""
    return ()

  @property
  def metrics(self):
    return list(self.means.values())

  def objective(self, clips: Dict[str, tf.Tensor], labels: tf.Tensor) -> Objective:
    """The loss on a batch ({modality: [B, T, H, W, 3]}, labels [B]), run in training mode."""
    raise NotImplementedError

  def scalars(self, label_names: Sequence[str]) -> Dict[str, float]:
    """More scalars for TensorBoard, at the end of an epoch."""
    return {}

  def images(self, clips: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    """Images [N, H, W, 1 or 3] uint8 for TensorBoard, from example clips, at the end of an epoch."""
    return {}

  def train_step(self, data):
    """One step on ({modality: [B, T, H, W, 3]}, labels [B]); the loss is `objective`'s plus the L2 penalty."""
    clips, labels = data
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    with tf.GradientTape() as tape:
      objective = self.objective(clips, labels)
      variables = self.trainable_variables
      penalty = losses.weight_decay(variables, self.weight_decay) if self.weight_decay else 0.0
      loss = objective.loss + penalty
      scaled = loss / replicas
    # A loss on feature maps alone has no gradient for the classifier above them.
    gradients = [(g, v) for g, v in zip(tape.gradient(scaled, variables), variables) if g is not None]
    summed = self.optimizer.aggregate_gradients(gradients)
    self.optimizer.apply_gradients(summed, skip_gradients_aggregation=True)
    self.means['loss'].update_state(loss)
    if self.weight_decay:
      self.means['loss_l2'].update_state(penalty)
    self._record(labels, objective, summed)
    return {name: mean.result() for name, mean in self.means.items()}

  def _record(self, labels, objective, gradients):
    for name, values in objective.terms.items():
      self.means[name].update_state(values)
    gradient_of = {variable.ref(): gradient for gradient, variable in gradients}
    for stream in self.learning:
      predicted = tf.argmax(objective.logits[stream], axis=-1, output_type=labels.dtype)
      self.means[f'accuracy/{stream}'].update_state(tf.cast(predicted == labels, tf.float32))
      self.means[f'gradient_norm/{stream}'].update_state(tf.linalg.global_norm(
          [gradient_of[v.ref()] for v in self.streams[stream].trainable_variables if v.ref() in gradient_of]))
