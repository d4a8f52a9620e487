"""Losses against the authors' numbers and by their definitions."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tf_privinfo.methods import losses
from tf_privinfo.methods.config import HallucinationConfig, LoserConfig
from tf_privinfo.networks.config import DiscriminatorConfig

STEP_3 = parity.Golden('md_step3_losses')
OBJECTS = parity.Golden('nyud_discriminator')
GOLDEN = parity.Golden('dmcl_losses')
MODALITIES = GOLDEN.meta['modality_order']


@pytest.mark.parametrize('case', GOLDEN.meta['combos'])
def test_dmcl_parity(case):
  temperature, hard_weight = (float(part.strip('Tagt:')) for part in case.split('_'))
  loser = LoserConfig(hard_weight=hard_weight, temperature=temperature)
  logits = [tf.constant(GOLDEN[f'logits_{m}']) for m in MODALITIES]
  labels = tf.constant(GOLDEN['labels'])
  with tf.GradientTape() as tape:
    tape.watch(logits)
    stacked = tf.stack(logits)
    hard = losses.cross_entropy(labels, stacked)
    winners = tf.argmin(hard, axis=0, output_type=tf.int32)
    terms = losses.distillation_terms(labels, stacked, winners, loser)
    means = {name: tf.reduce_sum(tf.reduce_mean(values, axis=1)) for name, values in terms.items()}
    loss = means['hard'] + means['soft']
  np.testing.assert_array_equal(GOLDEN[f'{case}min_index'][0], winners)  # sample 4 is a tie
  GOLDEN.check(f'{case}closs', hard)
  GOLDEN.check(f'{case}soft_loss_win', means['hard'])
  GOLDEN.check(f'{case}soft_loss_loser', means['soft'])
  GOLDEN.check(f'{case}loss', loss)
  GOLDEN.check(f'{case}soft_winners', tf.nn.softmax(losses.winner_logits(stacked, winners) / temperature))
  for modality, gradient in zip(MODALITIES, tape.gradient(loss, logits)):
    GOLDEN.check(f'{case}grad_{modality}', gradient)


def test_thesis_loser_loss_is_equation_5_3():
  """(1-λ) CE(y, σ(f)) + λ CE(s, σ(f)), s = σ(f_winner/τ), written out in NumPy."""
  lam, tau = 0.3, 5.0
  rng = np.random.default_rng(0)
  winner, loser = rng.normal(size=(2, 7))
  logits = tf.constant(np.stack([winner, loser])[:, None], tf.float32)
  terms = losses.distillation_terms(
      tf.constant([4]), logits, tf.constant([0]),
      LoserConfig(1 - lam, lam, tau, squared_temperature=False, student_at_temperature=False))
  log_probability = loser - np.log(np.exp(loser).sum())
  soft_targets = np.exp(winner / tau) / np.exp(winner / tau).sum()
  np.testing.assert_allclose(terms['hard'][1, 0], -(1 - lam) * log_probability[4], rtol=1e-5)
  np.testing.assert_allclose(terms['soft'][1, 0], -lam * (soft_targets * log_probability).sum(), rtol=1e-5)
  assert terms['soft'][0, 0] == 0


def test_uniform_divergence_is_zero_only_for_equal_logits():
  divergence = losses.uniform_divergence(tf.constant([[2.0, 2.0, 2.0], [5.0, 0.0, 0.0]]))
  p = np.exp([5, 0, 0]) / np.exp([5, 0, 0]).sum()
  np.testing.assert_allclose(divergence, [0, np.sum(1 / 3 * np.log(1 / 3 / p))], atol=1e-6)


def test_confident_criterion_can_prefer_another_winner_than_cross_entropy():
  """Modality 1 has the higher cross entropy, but modality 0 is so sure of itself that it must win."""
  hard = tf.constant([[1.0], [0.9]])
  uniform = tf.constant([[3.0], [0.1]])
  np.testing.assert_allclose(losses.confident_criterion(hard, uniform), [[1.1], [3.9]], rtol=1e-6)


def test_weight_decay_reads_kernels_only():
  kernel = tf.Variable([[3.0, 4.0]], name='conv/kernel')
  bias = tf.Variable([100.0], name='conv/bias')
  assert losses.weight_decay([kernel, bias], 0.1).numpy() == pytest.approx(0.1 * 25 / 2)


def test_step_3_parity():
  """Losses and gradients of modality distillation on the authors' random logits and maps."""
  config = HallucinationConfig()
  per_video = lambda logits: tf.reduce_mean(tf.reshape(logits, [2, 5, -1]), axis=1)
  logits, maps = tf.constant(STEP_3['student_logits']), tf.constant(STEP_3['student_feat'])
  teacher_maps, labels = tf.constant(STEP_3['teacher_feat']), tf.constant(STEP_3['labels'])
  with tf.GradientTape(persistent=True) as tape:
    tape.watch([logits, maps, teacher_maps])
    hard = losses.cross_entropy(labels, per_video(logits))
    soft = losses.imitation(per_video(tf.constant(STEP_3['teacher_logits'])), per_video(logits),
                            config.temperature, config.temperature)
    distances = losses.hallucination(teacher_maps, maps)
    mean_soft = tf.reduce_mean(soft)
    loss = losses.modality_distillation(hard, soft, distances, config)
  STEP_3.check('loss_hard', tf.reduce_mean(hard))
  STEP_3.check('loss_soft', mean_soft)
  STEP_3.check('loss_rect', tf.reduce_sum(distances))
  STEP_3.check('loss_total', loss)
  STEP_3.check('grad_student_logits', tape.gradient(loss, logits))
  STEP_3.check('grad_student_feat', tape.gradient(loss, maps))
  STEP_3.check('grad_student_logits_of_soft_only', tape.gradient(mean_soft, logits))
  assert tape.gradient(loss, teacher_maps) is None  # the teacher is frozen


def test_hallucination_is_float32_for_maps_of_low_precision():
  """A sum of many squares would lose its digits."""
  maps = tf.cast(tf.random.stateless_normal([2, 3, 4, 4, 8], [1, 2]), tf.bfloat16)
  distances = losses.hallucination(maps[0], maps[1])
  assert distances.dtype == tf.float32
  np.testing.assert_array_equal(distances, losses.hallucination(*tf.unstack(tf.cast(maps, tf.float32))))


def test_step_3_of_the_thesis_leaves_the_student_at_temperature_1():
  """Eqs. 3.5 - 3.7 written out in NumPy."""
  rng = np.random.default_rng(1)
  teacher, student = rng.normal(size=(2, 6))
  log_probability = student - np.log(np.exp(student).sum())
  targets = np.exp(teacher / 3) / np.exp(teacher / 3).sum()
  expected = 0.8 * (0.6 * -log_probability[2] + 0.4 * -(targets * log_probability).sum()) + 0.2 * 0.05 * 7.0
  config = HallucinationConfig('shares', 0.2, 0.4, 3.0, student_at_temperature=False, map_weight=0.05)
  logits = tf.constant(student[None], tf.float32)
  loss = losses.modality_distillation(
      losses.cross_entropy(tf.constant([2]), logits),
      losses.imitation(tf.constant(teacher[None], tf.float32), logits, config.temperature, 1.0),
      tf.constant([3.0, 4.0]), config)
  assert loss.numpy() == pytest.approx(expected, rel=1e-5)


def test_object_distillation_parity():
  """Chapter 3's loss on objects: τ = 10, and 0.01 on the summed differences of the 128 features."""
  config = HallucinationConfig()
  logits, features = tf.constant(OBJECTS['eccv:hall_logits'][:, 0, 0]), tf.constant(OBJECTS['hall_features'][:, 0, 0])
  with tf.GradientTape() as tape:
    tape.watch([logits, features])
    hard = losses.cross_entropy(tf.constant(OBJECTS['labels']), logits)
    soft = losses.imitation(tf.constant(OBJECTS['eccv:depth_logits'][:, 0, 0]), logits,
                            config.temperature, config.temperature)
    distances = losses.hallucination(tf.constant(OBJECTS['depth_features'][:, 0, 0]), features)
    loss = losses.object_distillation(hard, soft, distances, config)
  OBJECTS.check('eccv:loss_hall_class', tf.reduce_mean(hard))
  OBJECTS.check('eccv:loss_hall_distill_T2', config.temperature**2 * tf.reduce_mean(soft))
  OBJECTS.check('eccv:loss_rect', tf.reduce_sum(distances))
  OBJECTS.check('eccv:loss', loss)
  gradients = tape.gradient(loss, [logits, features])
  OBJECTS.check('eccv:grad_hall_logits', gradients[0])
  OBJECTS.check('eccv:grad_hall_features', gradients[1])


def test_adversarial_targets_are_equation_4_1():
  """Real: [y || 0]; fake: the last class; the hallucination stream wants the class of its video."""
  real, fake = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(np.float32)
  labels = np.int32([0, 3, 1])
  terms = losses.adversarial(tf.constant(labels), tf.constant(real), tf.constant(fake), DiscriminatorConfig())
  log_probabilities = [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (real, fake)]
  expected = {'real': -log_probabilities[0][[0, 1, 2], labels], 'fake': -log_probabilities[1][:, 4],
              'generator': -log_probabilities[1][[0, 1, 2], labels]}
  expected['discriminator'] = (expected['real'] + expected['fake']) / 2
  assert set(terms) == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, rtol=1e-5)


def test_least_squares_game():
  config = DiscriminatorConfig(task='real_or_fake', loss_weight=1.0)
  terms = losses.adversarial(tf.constant([4, 2]), tf.constant([[1.0], [0.8]]), tf.constant([[0.3], [0.0]]), config)
  expected = {'real': [0, 0.04], 'fake': [0.09, 0], 'generator': [0.49, 1], 'discriminator': [0.09, 0.04]}
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, atol=1e-6)
