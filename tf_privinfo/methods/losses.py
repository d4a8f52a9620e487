"""The losses of the thesis, as pure functions.

B is the number of samples in a batch, C of classes, M of modalities. Logits of
several modalities are stacked to [M, B, C]. All losses are float32 and per
sample: who calls them decides how a batch is averaged.
"""

from typing import Dict

import tensorflow as tf

from tf_privinfo.methods.config import HallucinationConfig, LoserConfig
from tf_privinfo.networks.config import DiscriminatorConfig

# Among the C + 1 outputs of a discriminator: the last (docs/fidelity.md, row 13).
FAKE_CLASS = -1


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """Cross entropy of labels [B] with σ(logits), for logits [..., B, C]: [..., B]."""
  labels = tf.broadcast_to(labels, tf.shape(logits)[:-1])
  return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def imitation(teacher_logits: tf.Tensor, logits: tf.Tensor, temperature: float,
              student_temperature: float) -> tf.Tensor:
  """Cross entropy of σ(teacher/τ) with σ(logits/τ_student): the soft part of eqs. 3.5 and 5.3.

  No gradient reaches the teacher.

  Args:
    teacher_logits: [..., B, C].
    logits: [..., B, C], the student's.
    temperature: τ.
    student_temperature: τ_student.

  Returns:
    [..., B].
  """
  targets = tf.stop_gradient(tf.nn.softmax(teacher_logits / temperature))
  return tf.nn.softmax_cross_entropy_with_logits(targets, logits / student_temperature)


def hallucination(depth_maps: tf.Tensor, hall_maps: tf.Tensor) -> tf.Tensor:
  """Squared Euclidean distance of sigmoid(A_d) and sigmoid(A_h), eq. 3.3 without λ_l.

  No gradient reaches the depth stream.

  Args:
    depth_maps: activations of the depth stream, [N, ...].
    hall_maps: those of the hallucination stream, [N, ...].

  Returns:
    [N] float32: the sum over all but the first axis.
  """
  target = tf.stop_gradient(tf.sigmoid(tf.cast(depth_maps, tf.float32)))
  distances = tf.math.squared_difference(target, tf.sigmoid(tf.cast(hall_maps, tf.float32)))
  return tf.reduce_sum(distances, axis=tf.range(1, tf.rank(distances)))


def modality_distillation(hard: tf.Tensor, soft: tf.Tensor, maps: tf.Tensor, config: HallucinationConfig) -> tf.Tensor:
  """The loss of training step 3, eqs. 3.4 - 3.7: a scalar.

  (1 - α) · mean((1 - λ) · hard + λ · soft) + α · λ_l · sum(maps): as in the
  authors' code L_hall is not a mean, so it grows with batch and resolution.

  Args:
    hard: cross entropy of the student with the label, [B].
    soft: imitation of the teacher, [B].
    maps: from `hallucination`, [N].
    config: α, λ and λ_l.
  """
  distillation = (1 - config.soft_share) * hard + config.soft_share * soft
  return ((1 - config.map_share) * tf.reduce_mean(distillation)
          + config.map_share * config.map_weight * tf.reduce_sum(maps))


def object_distillation(hard: tf.Tensor, soft: tf.Tensor, distances: tf.Tensor,
                        config: HallucinationConfig) -> tf.Tensor:
  """The loss of chapter 3 on objects as the authors' code has it (docs/fidelity.md, row 17): a scalar.

  mean(hard + τ² · soft) + λ_l · sum(distances).

  Args:
    hard: cross entropy of the student with the label, [B].
    soft: imitation of the teacher, both at temperature τ, [B].
    distances: from `hallucination`, of the bottleneck's features, [B].
    config: τ and λ_l.
  """
  return tf.reduce_mean(hard + config.temperature**2 * soft) + config.map_weight * tf.reduce_sum(distances)


def uniform_divergence(logits: tf.Tensor) -> tf.Tensor:
  """KL(uniform || σ(logits)), the "be unsure" loss of confident multiple choice learning: [..., B]."""
  classes = tf.cast(tf.shape(logits)[-1], logits.dtype)
  return -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1) - tf.math.log(classes)


def confident_criterion(hard: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
  """What CMCL compares to choose the winner (Lee et al. 2017): [M, B].

  Entry m is the ensemble's loss if modality m won: its cross entropy, plus the
  divergence from uniform of all the others.

  Args:
    hard: cross entropy with the label, [M, B].
    uniform: divergence from uniform, [M, B].
  """
  return hard + tf.reduce_sum(uniform, axis=0) - uniform


def winner_logits(logits: tf.Tensor, winners: tf.Tensor) -> tf.Tensor:
  """The logits [B, C] of each sample's winner [B], from logits [M, B, C]."""
  return tf.gather(tf.transpose(logits, [1, 0, 2]), winners, batch_dims=1)


def distillation_terms(labels: tf.Tensor, logits: tf.Tensor, winners: tf.Tensor, loser: LoserConfig):
  """The two terms of DMCL for each modality and sample (algorithm 1, eqs. 5.1 - 5.3).

  Args:
    labels: [B].
    logits: [M, B, C].
    winners: [B], the index of the modality that teaches.
    loser: the losers' loss.

  Returns:
    {'hard': [M, B], 'soft': [M, B]}: the weighted cross entropy with the label
    (weight 1 for the winner), and the weighted imitation of the winner (0 for
    the winner itself).
  """
  won = tf.transpose(tf.one_hot(winners, tf.shape(logits)[0]))
  hard_weights = won + (1 - won) * loser.hard_weight
  student_temperature = loser.temperature if loser.student_at_temperature else 1.0
  scale = loser.soft_weight * (loser.temperature**2 if loser.squared_temperature else 1.0)
  soft = imitation(winner_logits(logits, winners)[tf.newaxis] + tf.zeros_like(logits), logits,
                   loser.temperature, student_temperature)
  return {'hard': hard_weights * cross_entropy(labels, logits), 'soft': scale * (1 - won) * soft}


def weight_decay(variables, rate: float) -> tf.Tensor:
  """L2 penalty rate · Σ w² / 2 over the convolution and dense kernels among `variables`: a scalar.

  Batch norm and biases are left out (docs/fidelity.md, B 4.2).
  """
  return rate * tf.add_n([tf.nn.l2_loss(v) for v in variables if 'kernel' in v.name])


def adversarial(labels: tf.Tensor, real: tf.Tensor, fake: tf.Tensor,
                config: DiscriminatorConfig) -> Dict[str, tf.Tensor]:
  """Both sides of the game between discriminator and hallucination stream, per frame.

  With C + 1 classes the discriminator learns the targets of eq. 4.1, and the
  hallucination stream minimises eq. 4.2 with its label flipped to that of its
  video; with one output both have the least-squares loss of the authors' code.

  Args:
    labels: [N], the class of each frame's video.
    real: the discriminator's outputs for depth features, [N, C + 1], or
      probabilities [N, 1].
    fake: the same for hallucinated features.
    config: of the discriminator: its task, and the weight of its two terms.

  Returns:
    [N] each: 'real' and 'fake', the two terms of the discriminator;
    'discriminator', what it minimises, their weighted sum; 'generator', what
    the hallucination stream minimises.
  """
  if config.task == 'classes':
    fakes = tf.fill(tf.shape(labels), tf.cast(tf.shape(fake)[-1] + FAKE_CLASS, labels.dtype))
    terms = {'real': cross_entropy(labels, real), 'fake': cross_entropy(fakes, fake),
             'generator': cross_entropy(labels, fake)}
  else:
    real, fake = tf.squeeze(real, axis=-1), tf.squeeze(fake, axis=-1)
    terms = {'real': (real - 1)**2, 'fake': fake**2, 'generator': (fake - 1)**2}
  return terms | {'discriminator': config.loss_weight * (terms['real'] + terms['fake'])}


def fake_probability(outputs: tf.Tensor) -> tf.Tensor:
  """The belief that features are hallucinated, [N], from the discriminator's logits [N, C + 1] or outputs [N, 1]."""
  if outputs.shape[-1] == 1:
    return 1 - tf.squeeze(outputs, axis=-1)
  return tf.nn.softmax(outputs)[:, FAKE_CLASS]
