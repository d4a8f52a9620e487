"""Multiple choice learning over one network per modality (thesis chapter 5).

Every method trains M networks together and chooses, for each sample, one
network as the winner. The methods differ in the choice of the winner and in the
loss of the losers:

| class           | winner                     | loss of the losers                          |
|-----------------|----------------------------|---------------------------------------------|
| `Independent`   | (only counted)             | cross entropy with the label, as the winner |
| `SMCL`          | lowest cross entropy       | none                                        |
| `CMCL`          | lowest confident criterion | KL(uniform || σ(f))                         |
| `RandomTeacher` | drawn at random            | imitation of the winner (`LoserConfig`)     |
| `DMCL`          | lowest cross entropy       | imitation of the winner (`LoserConfig`)     |
"""

from typing import Dict

import numpy as np
import tensorflow as tf

from tf_privinfo.methods import base, losses
from tf_privinfo.methods.config import LoserConfig


class MultipleChoice(base.Method):
  """Base of the family: an ensemble with one stream per modality, any number, any names.

  Args:
    streams: modality -> network, in the order that breaks ties (the first wins).
    num_classes: C.
    weight_decay: rate of the L2 penalty on kernels.
  """

  # Names of the terms that `loss_terms` returns.
  LOSS_TERMS = ('hard',)

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {'num_classes': num_classes}

  def __init__(self, streams: Dict[str, tf.keras.Model], num_classes: int, weight_decay: float = 1e-4, **kwargs):
    names = [f'{quantity}/{modality}' for modality in streams
             for quantity in (*(f'loss_{term}' for term in self.LOSS_TERMS), 'wins')]
    super().__init__(streams, weight_decay=weight_decay, loss_terms=names, **kwargs)
    self.wins_per_class = ClassCounts(len(streams), num_classes, name='wins_per_class')

  @property
  def metrics(self):
    return [*super().metrics, self.wins_per_class]

  def call(self, clips, training=False):
    return {m: self.streams[m](clips[m], training=training) for m in self.modalities if m in clips}

  def choose(self, hard: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The winner of each sample, [B] int32, from cross entropies `hard` [M, B] and logits [M, B, C]."""
    del logits
    return tf.argmin(hard, axis=0, output_type=tf.int32)

  def loss_terms(self, labels: tf.Tensor, logits: tf.Tensor, winners: tf.Tensor) -> Dict[str, tf.Tensor]:
    """The loss terms {name: [M, B]} of each modality and sample, by the names in `LOSS_TERMS`."""
    raise NotImplementedError

  def objective(self, clips, labels):
    """The objective: the sum over modalities of the mean loss over the batch."""
    outputs = self(clips, training=True)
    logits = tf.stack([outputs[m] for m in self.modalities])
    hard = losses.cross_entropy(labels, logits)
    winners = self.choose(hard, logits)
    terms = self.loss_terms(labels, logits, winners)
    self.wins_per_class.update_state(winners, labels)
    loss = tf.reduce_sum(tf.reduce_mean(tf.add_n(list(terms.values())), axis=1))
    shown = {}
    for index, modality in enumerate(self.modalities):
      shown.update({f'loss_{term}/{modality}': values[index] for term, values in terms.items()})
      shown[f'wins/{modality}'] = tf.cast(winners == index, tf.float32)
    return base.Objective(loss, outputs, shown)

  def scalars(self, label_names):
    """The share of samples of each class that each modality wins."""
    wins = self.wins_per_class.result().numpy()
    shares = wins / np.maximum(wins.sum(axis=0), 1)
    return {f'wins_per_class/{modality}/{label}': share
            for row, modality in zip(shares, self.modalities) for share, label in zip(row, label_names)}


class Independent(MultipleChoice):
  """Networks trained separately, with cross entropy; the baseline of table 5.1."""

  def loss_terms(self, labels, logits, winners):
    return {'hard': losses.cross_entropy(labels, logits)}


class SMCL(MultipleChoice):
  """Stochastic multiple choice learning: only the winner is trained (Lee et al. 2016)."""

  def loss_terms(self, labels, logits, winners):
    return {'hard': _won(winners, self.modalities) * losses.cross_entropy(labels, logits)}


class CMCL(MultipleChoice):
  """Confident multiple choice learning: losers are trained towards uniform predictions (Lee et al. 2017)."""

  LOSS_TERMS = ('hard', 'uniform')

  def choose(self, hard, logits):
    criterion = losses.confident_criterion(hard, losses.uniform_divergence(logits))
    return tf.argmin(criterion, axis=0, output_type=tf.int32)

  def loss_terms(self, labels, logits, winners):
    won = _won(winners, self.modalities)
    return {'hard': won * losses.cross_entropy(labels, logits),
            'uniform': (1 - won) * losses.uniform_divergence(logits)}


class DMCL(MultipleChoice):
  """Distillation multiple choice learning: losers imitate the winner (algorithm 1).

  Args:
    loser: hyperparameters of the loss of losers; for the two variants, see `recipes`.
  """

  LOSS_TERMS = ('hard', 'soft')

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {**super().options(recipe, streams, num_classes), 'loser': recipe.loser}

  def __init__(self, *args, loser: LoserConfig = LoserConfig(), **kwargs):
    super().__init__(*args, **kwargs)
    self.loser = loser

  def loss_terms(self, labels, logits, winners):
    return losses.distillation_terms(labels, logits, winners, self.loser)


class RandomTeacher(DMCL):
  """DMCL with the teacher of each sample drawn at random (table 5.2).

  Args:
    seed: seed of the draws, together with the step.
  """

  @classmethod
  def options(cls, recipe, streams, num_classes):
    return {**super().options(recipe, streams, num_classes), 'seed': recipe.seed}

  def __init__(self, *args, seed: int = 0, **kwargs):
    super().__init__(*args, **kwargs)
    self.seed = seed

  def choose(self, hard, logits):
    step = tf.cast(self.optimizer.iterations, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, step]), 0)
    return base.draw_for_batch([tf.shape(hard)[1]], seed, 0, len(self.modalities), tf.int32)


class ClassCounts(tf.keras.metrics.Metric):
  """Counts [M, C] of the samples of each class that each modality wins."""

  def __init__(self, modalities: int, num_classes: int, **kwargs):
    super().__init__(**kwargs)
    self.counts = self.add_weight('counts', (modalities, num_classes), initializer='zeros')

  def update_state(self, winners, labels):
    modalities, classes = self.counts.shape
    self.counts.assign_add(tf.einsum(
        'bm,bc->mc', tf.one_hot(winners, modalities), tf.one_hot(labels, classes)))

  def result(self):
    return self.counts

  def reset_state(self):
    self.counts.assign(tf.zeros_like(self.counts))


def _won(winners, modalities):
  return tf.transpose(tf.one_hot(winners, len(modalities)))
