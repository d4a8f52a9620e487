"""What all methods share: streams, the training step, its bookkeeping."""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import tensorflow as tf

from tf_privinfo.datasets.depth_noise import DepthNoise
from tf_privinfo.methods import losses
from tf_privinfo.networks import registry


class Objective(NamedTuple):
  """What a method minimises on one batch, and what is reported of it.

  Attributes:
    loss: a scalar whose mean over the replicas is the loss of the global batch.
    logits: stream -> [B, C], of the streams whose accuracy is reported.
    loss_terms: name -> values whose mean over the epoch is reported.
  """
  loss: tf.Tensor
  logits: Dict[str, tf.Tensor]
  loss_terms: Dict[str, tf.Tensor]


class Method(tf.keras.Model):
  """Streams that are trained together.

  `method(clips, training=False)` maps {modality: [B, T, H, W, 3]}, pixels
  0..255 as bytes or floats, to {stream: logits [B, C]}, for the streams that
  learn and whose modality is in `clips`.

  Args:
    streams: name -> `backbone.Backbone`, in the order that breaks ties.
    input_modality: stream -> the modality that it reads; those that are not in
      it read the modality of their own name.
    frozen: streams that do not learn: weights and batch statistics stay.
    weight_decay: rate of the L2 penalty on kernels.
    loss_terms: names of the terms that `objective` returns.

  Attributes:
    classifies: whether the trainable streams give logits; if not, `call` and
      `modalities` mean nothing, and there is no accuracy.
    learns_from_noisy_depth: whether training clips have 'noisy_depth', too.
    test_conditions: name -> noise on depth under which it is tested, too.
    trainable_streams: those that are not frozen.
    epoch_means: name -> mean over the epoch, of everything that is reported.
  """

  classifies = True
  learns_from_noisy_depth = False
  test_conditions: Mapping[str, DepthNoise] = {}

  def __init__(self, streams: Dict[str, tf.keras.Model], *, input_modality: Optional[Mapping[str, str]] = None,
               frozen: Sequence[str] = (), weight_decay: float = 0.0, loss_terms: Sequence[str] = (), **kwargs):
    super().__init__(**kwargs)
    self.streams = dict(streams)
    self.input_modality = {stream: (input_modality or {}).get(stream, stream) for stream in streams}
    for stream in frozen:
      self.streams[stream].trainable = False
    self.trainable_streams = tuple(stream for stream in streams if stream not in frozen)
    self.weight_decay = weight_decay
    quantities = ('accuracy', 'gradient_norm') if self.classifies else ('gradient_norm',)
    names = ['loss', *(['loss_l2'] if weight_decay else []), *loss_terms, *(
        f'{quantity}/{stream}' for stream in self.trainable_streams for quantity in quantities)]
    self.epoch_means = {name: tf.keras.metrics.Mean(name) for name in names}

  @classmethod
  def build_stream(cls, name: str, recipe, num_classes: int) -> tf.keras.Model:
    """The network of a stream of a `recipes.Recipe`, without variables yet."""
    return registry.build(num_classes, recipe.network, name)

  @classmethod
  def from_recipe(cls, recipe, stage: str, streams: Dict[str, tf.keras.Model], num_classes: int) -> 'Method':
    """The method of a stage of a `recipes.Recipe`.

    Args:
      recipe: with the hyperparameters.
      stage: its name.
      streams: name -> network from `build_stream`, with its variables.
      num_classes: C.
    """
    config = recipe.stages[stage]
    return cls(streams, input_modality=recipe.streams(stage), frozen=config.frozen, weight_decay=config.weight_decay,
               **cls.options(recipe, streams, num_classes))

  @classmethod
  def options(cls, recipe, streams: Dict[str, tf.keras.Model], num_classes: int) -> Dict[str, Any]:
    """Further arguments of the constructor, from the sections of a recipe."""
    del recipe, streams, num_classes
    return {}

  @property
  def modalities(self):
    """What a prediction reads, in the order of the streams."""
    return tuple(dict.fromkeys(self.input_modality[stream] for stream in self.trainable_streams))

  @property
  def training_modalities(self):
    """What a training step reads."""
    return tuple(dict.fromkeys(self.input_modality.values()))

  @property
  def privileged(self):
    """Further modalities from which a learning stream receives, if they are there."""
    return ()

  @property
  def networks(self) -> Dict[str, tf.keras.Model]:
    """All that has weights, by name: what a checkpoint holds."""
    return self.streams

  @property
  def optimizers(self) -> Dict[str, tf.keras.optimizers.Optimizer]:
    """The optimizers of a compiled method, by name."""
    return {'optimizer': self.optimizer}

  @property
  def metrics(self):
    return list(self.epoch_means.values())

  def compile_with(self, new_optimizer: Callable[[float], tf.keras.optimizers.Optimizer]) -> None:
    """Compiles the method with optimizers whose variables are created at once.

    Args:
      new_optimizer: gives one whose rate is the stage's, times the argument.
    """
    self.compile(optimizer=new_optimizer(1.0))
    self.optimizer.build(self.learned_variables)

  @property
  def learned_variables(self) -> List[tf.Variable]:
    """What the loss of `objective` trains: the learning streams' variables."""
    return [variable for stream in self.trainable_streams for variable in self.streams[stream].trainable_variables]

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
    with tf.GradientTape() as tape:
      objective = self.objective(clips, labels)
      penalty = losses.weight_decay(self.learned_variables, self.weight_decay) if self.weight_decay else 0.0
      loss = objective.loss + penalty
      scaled = loss / tf.distribute.get_strategy().num_replicas_in_sync
    summed = apply_gradients(self.optimizer, gradients(tape, scaled, self.learned_variables))
    self.epoch_means['loss'].update_state(loss)
    if self.weight_decay:
      self.epoch_means['loss_l2'].update_state(penalty)
    return self._record(labels, objective, summed)

  def _record(self, labels, objective, summed):
    """Adds a step to the means over the epoch, and returns them."""
    undeclared = sorted(objective.loss_terms.keys() - self.epoch_means)
    if undeclared:
      raise ValueError(f'{type(self).__name__}.objective returns the terms {", ".join(undeclared)}, which are not '
                       'among the loss_terms of its constructor')
    for name, values in objective.loss_terms.items():
      self.epoch_means[name].update_state(values)
    for stream, logits in objective.logits.items():
      predicted = tf.argmax(logits, axis=-1, output_type=labels.dtype)
      self.epoch_means[f'accuracy/{stream}'].update_state(tf.cast(predicted == labels, tf.float32))
    gradient_of = {variable.ref(): gradient for gradient, variable in summed}
    for stream in self.trainable_streams:
      self.epoch_means[f'gradient_norm/{stream}'].update_state(tf.linalg.global_norm(
          [gradient_of[v.ref()] for v in self.streams[stream].trainable_variables if v.ref() in gradient_of]))
    return {name: mean.result() for name, mean in self.epoch_means.items()}


# Of one replica or summed over all of them, each with its variable.
Gradients = List[Tuple[tf.Tensor, tf.Variable]]


def gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[tf.Variable]) -> Gradients:
  """The gradients of a loss, without the variables that it does not depend on."""
  # A loss on feature maps alone has no gradient for the classifier above them.
  return [(g, v) for g, v in zip(tape.gradient(loss, variables), variables) if g is not None]


def apply_gradients(optimizer: tf.keras.optimizers.Optimizer, of_replica: Gradients) -> Gradients:
  """Sums gradients over the replicas, takes a step with them, and returns the sums."""
  summed = optimizer.aggregate_gradients(of_replica)
  optimizer.apply_gradients(summed, skip_gradients_aggregation=True)
  return summed
