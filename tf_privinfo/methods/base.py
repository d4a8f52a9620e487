"""The base class of all methods: streams, training step, reported means."""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import tensorflow as tf

from tf_privinfo.datasets import colour
from tf_privinfo.datasets.noise import Noise
from tf_privinfo.methods import losses
from tf_privinfo.methods.config import Roles
from tf_privinfo.networks import registry


class Objective(NamedTuple):
  """The loss of a method on one batch, and the reported quantities.

  Attributes:
    loss: scalar whose mean over the replicas is the loss of the global batch.
    logits: stream -> [B, C], for the streams whose accuracy is reported.
    loss_terms: name -> values whose mean over the epoch is reported.
  """
  loss: tf.Tensor
  logits: Dict[str, tf.Tensor]
  loss_terms: Dict[str, tf.Tensor]


class Method(tf.keras.Model):
  """Streams that are trained together.

  `method(clips, training=False)` maps {modality: [B, T, H, W, 3]}, pixels
  0..255 as bytes or floats, to {stream: logits [B, C]}, for the streams that
  are trained and whose modality is in `clips`.

  Args:
    streams: name -> `backbone.Backbone`, in the order that breaks ties.
    input_modality: stream -> its input modality; by default the name of the
      stream.
    frozen: streams that are not trained; weights and batch statistics stay.
    weight_decay: rate of the L2 penalty on kernels.
    loss_terms: names of the terms that `objective` returns.
    roles: roles of the modalities in chapters 3 and 4.

  Attributes:
    classifies: whether the trainable streams output logits; if not, `call` and
      `modalities` are not used, and there is no accuracy.
    learns_from_noise: whether training clips also contain 'noisy_<name>' of the privileged modality.
    test_conditions: kind -> noise on the privileged modality of additional tests.
    trainable_streams: names of the streams that are not frozen.
    epoch_means: name -> mean over the epoch, for all reported quantities.
  """

  classifies = True
  learns_from_noise = False
  test_conditions: Mapping[str, Noise] = {}

  def __init__(self, streams: Dict[str, tf.keras.Model], *, input_modality: Optional[Mapping[str, str]] = None,
               frozen: Sequence[str] = (), weight_decay: float = 0.0, loss_terms: Sequence[str] = (),
               roles: Roles = Roles(), **kwargs):
    super().__init__(**kwargs)
    self.roles = roles
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
    """The network of a stream, as in a `recipes.Recipe`, without variables yet."""
    return registry.build(num_classes, recipe.network, name)

  @classmethod
  def from_recipe(cls, recipe, stage: str, streams: Dict[str, tf.keras.Model], num_classes: int) -> 'Method':
    """The method of a stage of a `recipes.Recipe`.

    Args:
      recipe: recipe with the hyperparameters.
      stage: name of the stage.
      streams: name -> network from `build_stream`, with its variables.
      num_classes: C.
    """
    config = recipe.stages[stage]
    return cls(streams, input_modality=recipe.streams(stage), frozen=config.frozen, weight_decay=config.weight_decay,
               roles=recipe.roles, **cls.options(recipe, streams, num_classes))

  @classmethod
  def options(cls, recipe, streams: Dict[str, tf.keras.Model], num_classes: int) -> Dict[str, Any]:
    """Further arguments of the constructor, from the sections of a recipe."""
    del recipe, streams, num_classes
    return {}

  @property
  def modalities(self):
    """The input modalities of a prediction, in the order of the streams."""
    return tuple(dict.fromkeys(self.input_modality[stream] for stream in self.trainable_streams))

  @property
  def training_modalities(self):
    """The input modalities of a training step."""
    return tuple(dict.fromkeys(self.input_modality.values()))

  @property
  def noisy_modality(self) -> str:
    """The modality whose corrupted clips are also read in training, as 'noisy_<name>'; '' if there is none."""
    return self.roles.privileged if self.learns_from_noise else ''

  @property
  def injected_modalities(self):
    """Further modalities that feed a trainable stream through connections, if they are present."""
    return ()

  @property
  def networks(self) -> Dict[str, tf.keras.Model]:
    """Name -> network, for everything with weights; the content of a checkpoint."""
    return self.streams

  @property
  def optimizers(self) -> Dict[str, tf.keras.optimizers.Optimizer]:
    """Name -> optimizer of a compiled method."""
    return {'optimizer': self.optimizer}

  @property
  def metrics(self):
    return list(self.epoch_means.values())

  def compile_with(self, new_optimizer: Callable[[float], tf.keras.optimizers.Optimizer]) -> None:
    """Compiles the method with optimizers and creates the variables of the optimizers.

    Args:
      new_optimizer: function from a factor to an optimizer with the learning rate of the stage times this factor.
    """
    self.compile(optimizer=new_optimizer(1.0))
    self.optimizer.build(self.learned_variables)

  @property
  def learned_variables(self) -> List[tf.Variable]:
    """The variables trained by the loss of `objective`: the variables of the trainable streams."""
    return [variable for stream in self.trainable_streams for variable in self.streams[stream].trainable_variables]

  def objective(self, clips: Dict[str, tf.Tensor], labels: tf.Tensor) -> Objective:
    """The objective on a batch ({modality: [B, T, H, W, 3]}, labels [B]), in training mode."""
    raise NotImplementedError

  def scalars(self, label_names: Sequence[str]) -> Dict[str, float]:
    """Name -> additional scalar for TensorBoard at the end of an epoch; `label_names` are C class names."""
    return {}

  def images(self, clips: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    """Name -> images [N, H, W, 1 or 3] uint8 of example clips, for TensorBoard at the end of an epoch."""
    return {}

  def train_step(self, data):
    """One step on ({modality: [B, T, H, W, 3]}, labels [B]); the loss is the objective plus the L2 penalty."""
    clips, labels = data
    clips = colour.distort(clips)
    with tf.GradientTape() as tape:
      objective = self.objective(clips, labels)
      penalty = losses.weight_decay(self.learned_variables, self.weight_decay) if self.weight_decay else 0.0
      loss = objective.loss + penalty
      scaled = scale_loss(self.optimizer, loss / tf.distribute.get_strategy().num_replicas_in_sync)
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
      norm = tf.linalg.global_norm(
          [gradient_of[v.ref()] for v in self.streams[stream].trainable_variables if v.ref() in gradient_of])
      applied = not _scales(self.optimizer) or tf.math.is_finite(norm)
      self.epoch_means[f'gradient_norm/{stream}'].update_state(
          tf.where(applied, norm, 0.0), tf.cast(applied, tf.float32))
    return {name: mean.result() for name, mean in self.epoch_means.items()}


def draw_for_batch(shape, seed, *args) -> tf.Tensor:
  """Uniform numbers [B, ...] for the rows of a replica, which do not depend on the number of replicas.

  They are drawn for the global batch, and each replica takes those of its rows.

  Args:
    shape: shape [B, ...] of the numbers of this replica.
    seed: int32 [2], the same on all replicas.
    *args: further arguments of `tf.random.stateless_uniform`.
  """
  replicas, rows = tf.distribute.get_replica_context(), shape[0]
  of_batch = tf.random.stateless_uniform([replicas.num_replicas_in_sync * rows, *shape[1:]], seed, *args)
  return of_batch[replicas.replica_id_in_sync_group * rows:][:rows]


# Gradients with their variables, of one replica or summed over all replicas.
Gradients = List[Tuple[tf.Tensor, tf.Variable]]


def gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[tf.Variable]) -> Gradients:
  """The gradients of a loss, for the variables that it depends on."""
  # A loss on feature maps alone has no gradient for the classifier above them.
  return [(g, v) for g, v in zip(tape.gradient(loss, variables), variables) if g is not None]


def scale_loss(optimizer: tf.keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
  """The loss to be differentiated: in float16, times a factor with which gradients do not underflow."""
  return optimizer.get_scaled_loss(loss) if _scales(optimizer) else loss


def apply_gradients(optimizer: tf.keras.optimizers.Optimizer, of_replica: Gradients) -> Gradients:
  """Sums gradients of a loss from `scale_loss` over the replicas, applies them, and returns the sums.

  In float16, gradients that are not finite change no weights, but lower the factor of the loss.
  """
  if _scales(optimizer):
    values, variables = zip(*of_replica)
    unscaled = list(zip(optimizer.get_unscaled_gradients(values), variables))
    summed = optimizer.inner_optimizer.aggregate_gradients(unscaled)
  else:
    summed = optimizer.aggregate_gradients(of_replica)
  optimizer.apply_gradients(summed, skip_gradients_aggregation=True)
  return summed


def _scales(optimizer) -> bool:
  # Keras wraps the optimizer of a model that was built under the policy mixed_float16.
  return isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
