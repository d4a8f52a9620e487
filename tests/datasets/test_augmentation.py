"""Frame sampling and windows of clips, against the authors' numbers and by their definitions."""

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tf_privinfo.datasets import clips
from tf_privinfo.datasets.config import ClipConfig
from tf_privinfo.datasets.preparation import frames

GOLDEN = parity.Golden('parsers')


def _many(draw, count=1000):
  """`draw` at `count` seeds, stacked."""
  seeds = np.stack([np.arange(count), np.full(count, 5)], 1)
  signature = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), draw(tf.constant(seeds[0])))
  results = tf.function(lambda: tf.map_fn(draw, seeds, fn_output_signature=signature))()
  return tf.nest.map_structure(lambda x: x.numpy(), results)


# Frame sampling.


@pytest.mark.parametrize('length', [9, 10, 13, 17, 40, 100, 123])
def test_segments_are_those_of_the_authors(length):
  indices = _many(lambda seed: clips.sample_segments(length, 8, seed))
  bounds = GOLDEN.meta['segment_bounds_formula_inclusive'][str(length)]
  np.testing.assert_array_equal(np.stack([indices.min(0), indices.max(0)], 1), bounds)


@pytest.mark.parametrize('length', range(1, 9))
def test_short_videos_repeat_their_last_frame(length):
  """As if the last frame had been appended until there are nine, which is what the authors store."""
  indices = _many(lambda seed: clips.sample_segments(length, 8, seed), 200)
  bounds = np.minimum(GOLDEN.meta['segment_bounds_formula_inclusive']['9'], length - 1)
  np.testing.assert_array_equal(np.stack([indices.min(0), indices.max(0)], 1), bounds)


def test_segments_are_sampled_uniformly():
  first = _many(lambda seed: clips.sample_segments(40, 8, seed), 2000)[:, 0]
  np.testing.assert_allclose(np.bincount(first, minlength=5) / 2000, 0.2, atol=0.03)


def test_segments_keep_their_draws():
  """Published results depend on these indices."""
  drawn = {length: clips.sample_segments(length, 8, tf.constant([3, 4])).numpy().tolist() for length in (1, 5, 40, 123)}
  assert drawn == {1: [0] * 8, 5: [0, 2, 3, 4, 4, 4, 4, 4], 40: [1, 9, 11, 17, 23, 29, 34, 35],
                   123: [3, 30, 34, 54, 73, 90, 107, 109]}


def test_uniform_indices_are_those_of_the_authors():
  indices = tf.map_fn(lambda length: clips.sample_uniform(length, 5), tf.range(5, 301))
  np.testing.assert_array_equal(indices, GOLDEN['uniform_indices_5frames_n5_to_300'])


@pytest.mark.parametrize('length, expected', [
    (1, [0, 0, 0, 0, 0]), (2, [0, 0, 0, 0, 1]), (3, [0, 0, 1, 1, 2]), (4, [0, 0, 1, 2, 3])])
def test_uniform_indices_of_short_videos_repeat(length, expected):
  assert clips.sample_uniform(length, 5).numpy().tolist() == expected


@pytest.mark.parametrize('length, expected', [
    (1, [0, 0, 0, 0, 0]), (3, [0, 1, 2, 2, 2]), (4, [0, 1, 2, 3, 3]), (5, [0, 1, 2, 3, 4])])
def test_subsets_of_short_videos_are_all_frames(length, expected):
  indices = _many(lambda seed: clips.sample_subset(length, 5, seed), 50)
  np.testing.assert_array_equal(indices, [expected] * 50)


def test_subsets_are_distinct_ordered_and_equally_likely():
  indices = _many(lambda seed: clips.sample_subset(12, 5, seed), 4000)
  assert (np.diff(indices, axis=1) > 0).all()
  np.testing.assert_allclose(np.bincount(indices.ravel(), minlength=12) / 4000, 5 / 12, atol=0.03)
  # Of the 792 subsets nearly all occur among so many draws.
  assert len(np.unique(indices, axis=0)) > 750


def test_mixed_is_half_uniform_and_half_subsets():
  indices = _many(lambda seed: clips.sample_mixed(40, 5, seed), 3000)
  even = (indices == [0, 9, 19, 29, 39]).all(1)
  assert np.mean(even) == pytest.approx(0.5, abs=0.03)
  subsets = indices[~even]
  assert (np.diff(subsets, axis=1) > 0).all()
  assert subsets.min() == 0 and subsets.max() == 39
  # The choice says nothing about the subset.
  np.testing.assert_allclose(np.bincount(subsets.ravel(), minlength=40) / len(subsets), 5 / 40, atol=0.045)


@pytest.mark.parametrize('sampler', [clips.sample_segments, clips.sample_subset, clips.sample_mixed])
def test_indices_are_valid_and_ordered_for_any_length(sampler):
  for length in (1, 2, 4, 7, 8, 9, 30):
    indices = _many(lambda seed, length=length: sampler(length, 8, seed), 100)
    assert indices.shape == (100, 8) and indices.dtype == np.int32
    assert (np.diff(indices, axis=1) >= 0).all()
    assert indices.min() >= 0 and indices.max() < length


# Resize and windows.


def test_resize_parity():
  resized = frames.resize_bilinear(GOLDEN['gradient_image_200x300_u8'][None], 256)
  GOLDEN.check('resize_256_gradient_legacy_bilinear', resized)


@pytest.mark.parametrize('image, expected', [
    ('gradient_image_200x300_u8', 'dmcl_eval_224_gradient'), ('random_frame_200x300_u8', 'dmcl_eval_224_random_frame')])
def test_resize_and_centre_crop_parity(image, expected):
  top, left, flip = clips.centre_window(ClipConfig())
  resized = frames.resize_bilinear(GOLDEN[image][None], 256)[0]
  assert not flip
  GOLDEN.check(expected, resized[top:top + 224, left:left + 224])


@pytest.mark.parametrize('crop_shift, lowest, highest', [(0.25, 8, 23), (0.5, 0, 31)])
def test_random_windows(crop_shift, lowest, highest):
  """±8 of the code, ±16 of the text; half of the windows central, half flipped."""
  config = ClipConfig(crop_shift=crop_shift)
  top, left, flip = _many(lambda seed: clips.random_window(config, seed), 3000)
  possible = set(range(lowest, highest + 1))
  # The lowest and highest starts are as frequent as the others, so all occur.
  assert set(top) == set(left) == possible
  central = (top == 16) & (left == 16)
  assert np.mean(central) == pytest.approx(0.5, abs=0.03)
  assert np.mean(flip) == pytest.approx(0.5, abs=0.03)
  assert np.mean(flip[central]) == pytest.approx(0.5, abs=0.05)
  assert abs(np.corrcoef(top[~central], left[~central])[0, 1]) < 0.1


def test_windows_keep_their_draws():
  windows = [[int(part) for part in clips.random_window(ClipConfig(frame_size=32, crop_size=16), tf.constant([s, 9]))]
             for s in range(5)]
  assert windows == [[8, 8, 1], [8, 8, 0], [4, 5, 1], [6, 4, 1], [8, 8, 0]]


def test_without_flip_windows_are_the_same_but_not_flipped():
  flipping = _many(lambda seed: clips.random_window(ClipConfig(), seed), 100)
  top, left, flip = _many(lambda seed: clips.random_window(ClipConfig(flip=False), seed), 100)
  np.testing.assert_array_equal((top, left), flipping[:2])
  assert not flip.any()


@pytest.mark.parametrize('size', [224, 33])
def test_whole_frames_have_one_window(size):
  config = ClipConfig(frame_size=size, crop_size=size, crop_shift=0.5)
  top, left, flip = _many(lambda seed: clips.random_window(config, seed), 100)
  assert not top.any() and not left.any() and 0 < flip.sum() < 100
