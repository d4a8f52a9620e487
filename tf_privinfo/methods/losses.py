"""The losses of the thesis, as pure functions.

B is the number of samples in a batch, C of classes, M of modalities. Logits of
several modalities are stacked to [M, B, C]. Unless stated otherwise, losses are
float32 and per sample; the caller averages them over the batch.
"""

from typing import Dict

import tensorflow as tf

from tf_privinfo.methods.config import HallucinationConfig, LoserConfig
from tf_privinfo.networks.config import DiscriminatorConfig

# Index of the class 'fake' among the C + 1 outputs of a discriminator: the last (docs/fidelity.md, row 13).
FAKE_CLASS = -1


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  """Cross entropy [..., B] of labels [B] with σ(logits), for logits [..., B, C]."""
  labels = tf.broadcast_to(labels, tf.shape(logits)[:-1])
  return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def imitation(teacher_logits: tf.Tensor, logits: tf.Tensor, temperature: float,
              student_temperature: float) -> tf.Tensor:
  """Cross entropy of σ(teacher/τ) with σ(logits/τ_student): the soft part of eqs. 3.5 and 5.3.

  No gradient reaches the teacher.

  Args:
    teacher_logits: logits of the teacher, [..., B, C].
    logits: logits of the student, [..., B, C].
    temperature: τ.
    student_temperature: τ_student.

  Returns:
    The loss, [..., B].
  """
  targets = tf.stop_gradient(tf.nn.softmax(teacher_logits / temperature))
  return tf.nn.softmax_cross_entropy_with_logits(targets, logits / student_temperature)


def hallucination(privileged_maps: tf.Tensor, hall_maps: tf.Tensor) -> tf.Tensor:
  """Squared Euclidean distance of sigmoid(A_d) and sigmoid(A_h), eq. 3.3 without λ_l.

  No gradient reaches the privileged stream.

  Args:
    privileged_maps: activations of the privileged stream, depth in the thesis, [N, ...].
    hall_maps: activations of the hallucination stream, [N, ...].

  Returns:
    The distances, [N] float32: the sum over all but the first axis.
  """
  target = tf.stop_gradient(tf.sigmoid(tf.cast(privileged_maps, tf.float32)))
  distances = tf.math.squared_difference(target, tf.sigmoid(tf.cast(hall_maps, tf.float32)))
  return tf.reduce_sum(distances, axis=tf.range(1, tf.rank(distances)))


def modality_distillation(hard: tf.Tensor, soft: tf.Tensor, maps: tf.Tensor, config: HallucinationConfig) -> tf.Tensor:
  """The loss of training step 3, eqs. 3.4 - 3.7: a scalar.

  (1 - α) · mean((1 - λ) · hard + λ · soft) + α · λ_l · sum(maps). As in the
  authors' code, L_hall is a sum, so it grows with batch size and resolution.

  Args:
    hard: cross entropy of the student with the label, [B].
    soft: imitation of the teacher, [B].
    maps: distances from `hallucination`, [N].
    config: hyperparameters α, λ and λ_l.
  """
  distillation = (1 - config.soft_share) * hard + config.soft_share * soft
  return ((1 - config.map_share) * tf.reduce_mean(distillation)
          + config.map_share * config.map_weight * tf.reduce_sum(maps))


def object_distillation(hard: tf.Tensor, soft: tf.Tensor, distances: tf.Tensor,
                        config: HallucinationConfig) -> tf.Tensor:
  """The loss of chapter 3 on objects, as in the authors' code (docs/fidelity.md, row 17): a scalar.

  mean(hard + τ² · soft) + λ_l · sum(distances).

  Args:
    hard: cross entropy of the student with the label, [B].
    soft: imitation of the teacher, both at temperature τ, [B].
    distances: distances from `hallucination` of the bottleneck's features, [B].
    config: hyperparameters τ and λ_l.
  """
  return tf.reduce_mean(hard + config.temperature**2 * soft) + config.map_weight * tf.reduce_sum(distances)


def uniform_divergence(logits: tf.Tensor) -> tf.Tensor:
  """KL(uniform || σ(logits)), [..., B], for logits [..., B, C]: the loss of losers in CMCL (Lee et al. 2017)."""
  classes = tf.cast(tf.shape(logits)[-1], logits.dtype)
  return -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1) - tf.math.log(classes)


def confident_criterion(hard: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
  """The criterion [M, B] by which CMCL chooses the winner, the lowest (Lee et al. 2017).

  Entry m is the loss of the ensemble if modality m wins: its cross entropy plus
  the divergence of all others from uniform.

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
    labels: classes, [B].
    logits: logits of the modalities, [M, B, C].
    winners: index of the teaching modality, [B].
    loser: hyperparameters of the loss of losers.

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

  Batch norm and biases are omitted (docs/fidelity.md, B 4.2).
  """
  return rate * tf.add_n([tf.nn.l2_loss(v) for v in variables if 'kernel' in v.name])


def adversarial(labels: tf.Tensor, real: tf.Tensor, fake: tf.Tensor,
                config: DiscriminatorConfig) -> Dict[str, tf.Tensor]:
  """The adversarial losses of discriminator and hallucination stream, per frame.

  With C + 1 classes, the discriminator minimises eq. 4.1, and the hallucination
  stream eq. 4.2, with the label of its video instead of 'fake'. With one output,
  both have the least-squares loss of the authors' code.

  Args:
    labels: class of each frame's video, [N].
    real: outputs of the discriminator for real features: logits [N, C + 1] or
      probabilities [N, 1].
    fake: outputs of the discriminator for hallucinated features, of the same shape.
    config: task of the discriminator, and the weight of its two terms.

  Returns:
    [N] each: 'real' and 'fake', the two terms of the discriminator;
    'discriminator', the loss of the discriminator, their weighted sum; 'generator',
    the loss of the hallucination stream.
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
  """The probability [N] of the class 'fake', from logits [N, C + 1] or outputs [N, 1] of a discriminator."""
  if outputs.shape[-1] == 1:
    return 1 - tf.squeeze(outputs, axis=-1)
  return tf.nn.softmax(outputs)[:, FAKE_CLASS]
