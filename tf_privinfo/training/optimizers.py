"""The optimizer of chapter 5 and its learning-rate schedule."""

import tensorflow as tf


class Momentum(tf.keras.optimizers.Optimizer):
  """SGD with the learning rate outside the accumulator, as in TensorFlow 1.

  a <- momentum · a + g;  w <- w - learning_rate · a

  Keras' SGD has the learning rate inside the accumulator. Both differ whenever
  the rate changes, such as in all steps of a warm-up (docs/fidelity.md, row 21).

  Args:
    learning_rate: learning rate, a number or a schedule.
    momentum: decay of the accumulator.
  """

  def __init__(self, learning_rate=1e-3, momentum: float = 0.9, name: str = 'Momentum', **kwargs):
    # Keras would compile the update of each variable by itself with XLA on GPUs; it is one operation already.
    super().__init__(name=name, **{'jit_compile': False, **kwargs})
    self._learning_rate = self._build_learning_rate(learning_rate)
    self.momentum = momentum

  def build(self, var_list):
    if getattr(self, '_built', False):
      return
    super().build(var_list)
    self.accumulators = [self.add_variable_from_reference(v, 'accumulator') for v in var_list]
    self._built = True

  def update_step(self, gradient, variable):
    accumulator = self.accumulators[self._index_dict[self._var_key(variable)]]
    tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle, accum=accumulator.handle, lr=tf.cast(self.learning_rate, variable.dtype),
        grad=gradient, momentum=tf.cast(self.momentum, variable.dtype), use_locking=True)

  def get_config(self):
    return super().get_config() | {
        'learning_rate': self._serialize_hyperparameter(self._learning_rate), 'momentum': self.momentum}


def stepwise_schedule(base: float, steps_per_epoch: float, warmup_epochs: float, decay_epochs, decay: float = 0.1):
  """Linear warm-up from 0, then a step down by `decay` at each of `decay_epochs` (docs/fidelity.md, B 4.3).

  Args:
    base: learning rate after the warm-up.
    steps_per_epoch: number of steps, possibly fractional, since the authors count
      epochs in images.
    warmup_epochs: length of the warm-up; the first step has rate 0.
    decay_epochs: increasing epochs after which the rate falls; the boundary step
      itself still has the previous rate.
    decay: factor of each step down.

  Returns:
    A Keras learning-rate schedule.
  """
  from official.modeling.optimization import lr_schedule  # slow import: 3 s

  rates = [base * decay**k for k in range(len(decay_epochs) + 1)]
  boundaries = [int(steps_per_epoch * epoch) for epoch in decay_epochs]
  schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates) if boundaries else base
  warmup_steps = int(steps_per_epoch * warmup_epochs)
  return lr_schedule.LinearWarmup(schedule, warmup_steps, 0.0) if warmup_steps else schedule
