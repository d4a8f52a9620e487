"""Colour distortion of clips: against the authors' numbers, by its definition, and as a training step applies it."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tf_privinfo.datasets import colour

GOLDEN = parity.Golden('parsers')


def _draws(count):
  """The draws at `count` seeds, as a batch contains them."""
  seeds = np.stack([np.arange(count), np.full(count, 5)], 1)
  one = colour.draw(tf.constant(seeds[0]))
  signature = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), one)
  return tf.function(lambda: tf.map_fn(colour.draw, seeds, fn_output_signature=signature))()


def _distorted_by_first_version(clip, seed):
  """A clip [T, H, W, 3] float32 as the first versions distorted it in the input pipeline."""
  amounts, choice = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  brightness, saturation, hue, contrast = tf.unstack(tf.random.stateless_uniform([4], amounts))
  operations = {
      'B': lambda x: x + 32.0 * (2 * brightness - 1),
      'S': lambda x: tf.image.adjust_saturation(x, 0.5 + 1.0 * saturation),
      'H': lambda x: tf.image.adjust_hue(x, 0.2 * (2 * hue - 1)),
      'C': lambda x: tf.image.adjust_contrast(x, 0.5 + 1.0 * contrast)}
  orders = ('BS', 'SB', 'BS', 'SB', 'BSHC', 'SBCH', 'CHBS', 'HSCB')
  number = int(tf.random.stateless_uniform([], choice, 0, 2 * len(orders), tf.int32))
  if number >= len(orders):
    return clip
  for name in orders[number]:
    clip = operations[name](clip)
  return tf.clip_by_value(clip, 0.0, 255.0)


@pytest.mark.parametrize('shape', [(3, 14, 13, 3), (1, 1, 1, 3), (8, 32, 32, 3)])
def test_batches_are_the_numbers_of_the_first_version(shape):
  """Bit by bit, for all orders, in a graph and without, and however replicas share the batch."""
  drawn = _draws(100)
  assert set(range(8)) < set(drawn.order.numpy())
  rgb = tf.cast(tf.random.stateless_uniform([100, *shape], [1, 2], 0, 256, tf.int32), tf.uint8)
  seeds = [tf.constant([number, 5], tf.int64) for number in range(100)]
  expected = [_distorted_by_first_version(tf.cast(clip, tf.float32), seed) for clip, seed in zip(rgb, seeds)]
  batch = {'rgb': rgb, 'depth': rgb, colour.DRAWN: drawn}
  for distort in (colour.distort, tf.function(colour.distort)):
    clips = distort(batch)
    assert sorted((m, clip.dtype.name) for m, clip in clips.items()) == [('depth', 'uint8'), ('rgb', 'float32')]
    np.testing.assert_array_equal(clips['depth'], rgb)
    np.testing.assert_array_equal(clips['rgb'], expected)
  parts = [distort(tf.nest.map_structure(lambda x, rows=rows: x[rows], batch))['rgb'] for rows in (
      slice(0, 16), slice(16, 18), slice(18, 100))]
  np.testing.assert_array_equal(tf.concat(parts, 0), expected)
  assert colour.DRAWN in batch  # which is not changed


@pytest.mark.parametrize('height, width', [(1, 1), (2, 1), (3, 5), (14, 14), (31, 33), (112, 112)])
def test_contrast_for_gpus_is_the_one_of_cpus(height, width):
  clip = tf.random.stateless_uniform([3, height, width, 3], [1, 2], -40, 300)
  for factor in (0.5, 0.7123, 1.0, 1.4999):
    np.testing.assert_array_equal(colour.deterministic_contrast(clip, tf.constant(factor)),
                                  tf.image.adjust_contrast(clip, tf.constant(factor)))


def test_clips_without_draws_remain_as_they_are():
  batch = {'rgb': tf.zeros([2, 1, 4, 4, 3], tf.uint8)}
  assert colour.distort(batch)['rgb'] is batch['rgb']


@pytest.mark.parametrize('key, order', [
    ('brightness_-20', 'B'), ('saturation_1.3', 'S'), ('hue_0.1', 'H'), ('contrast_0.7', 'C')])
def test_colour_operation_parity(key, order):
  operations = colour.colour_operations(-20.0, 1.3, 0.1, 0.7)
  GOLDEN.check(f'colour:{key}', operations[order](tf.constant(GOLDEN['colour_in'])))


@pytest.mark.parametrize('key, order', [
    ('fast_order01(B,S)', 'BS'), ('fast_order23(S,B)', 'SB'), ('slow0(B,S,H,C)', 'BSHC'), ('slow1(S,B,C,H)', 'SBCH'),
    ('slow2(C,H,B,S)', 'CHBS'), ('slow3(H,S,C,B)', 'HSCB')])
def test_colour_chain_parity(key, order):
  operations = colour.colour_operations(-20.0, 1.3, 0.1, 0.7)
  GOLDEN.check(f'colour:chain_{key}', colour.apply_colour(tf.constant(GOLDEN['colour_in']), order, operations))


@pytest.fixture(scope='module')
def distorted():
  """What 1500 draws of the colour distortion do to grey frames: slopes, shifts [N, T]; and to colours [N, T, 3]."""
  ramp = np.linspace(-1, 1, 9).reshape(1, 3, 3, 1)
  grey = np.array([130, 120, 125]).reshape(3, 1, 1, 1) + ramp * np.array([30, 20, 40]).reshape(3, 1, 1, 1)
  grey = tf.constant(np.repeat(grey, 3, axis=-1), tf.float32)
  orange = tf.broadcast_to(tf.constant([160.0, 120.0, 80.0]), [3, 3, 3, 3])
  batches = [{'rgb': tf.broadcast_to(clip, [1500, *clip.shape]), colour.DRAWN: _draws(1500)} for clip in (grey, orange)]
  greys, colours = (tf.function(colour.distort)(batch)['rgb'].numpy() for batch in batches)
  assert np.ptp(greys, axis=-1).max() < 0.01
  slopes = greys.std((2, 3, 4)) / grey.numpy().std((1, 2, 3))
  shifts = greys.mean((2, 3, 4)) - grey.numpy().mean((1, 2, 3))
  return slopes, shifts, colours[:, :, 0, 0]


def test_colour_is_drawn_once_for_all_frames(distorted):
  for values in distorted:
    np.testing.assert_allclose(values, np.repeat(values[:, :1], 3, axis=1), atol=1e-3)


def test_colour_frequencies_and_ranges(distorted):
  slopes, shifts, colours = (values[:, 0] for values in distorted)
  changed, slow = abs(shifts) > 1e-3, abs(slopes - 1) > 1e-3
  assert np.mean(changed) == pytest.approx(0.5, abs=0.04)
  assert np.mean(slow[changed]) == pytest.approx(0.5, abs=0.06)
  assert not slow[~changed].any()
  np.testing.assert_array_equal(colours[~changed], [[160, 120, 80]] * np.sum(~changed))

  def check_range(values, lowest, highest):
    width = highest - lowest
    assert lowest - 1e-3 <= values.min() < lowest + 0.03 * width
    assert highest - 0.03 * width < values.max() <= highest + 1e-3

  check_range(shifts[changed], -32, 32)
  check_range(slopes[slow], 0.5, 1.5)
  # Saturation scales the largest difference of two channels; brightness and hue keep it.
  check_range(np.ptp(colours[changed], axis=-1) / 80, 0.5, 1.5)
  hues = np.array([colorsys.rgb_to_hsv(*rgb)[0] for rgb in colours])
  turns = (hues - colorsys.rgb_to_hsv(160, 120, 80)[0] + 0.5) % 1 - 0.5
  check_range(turns[slow], -0.2, 0.2)
  assert abs(turns[~slow]).max() < 1e-4
