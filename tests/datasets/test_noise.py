"""Depth noise: what each model does to a clip, and how it is named."""

import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo.datasets import noise
from tf_privinfo.utils import errors

CENTRE = (123.68, 116.779, 103.939)
SEED = (1, 2)


@pytest.fixture(scope='module')
def clip():
  """Three frames of random pixels of 1..255: missing depth is told from all others in both conventions."""
  return np.random.default_rng(0).integers(1, 256, (3, 64, 64, 3)).astype(np.float32)


def _apply(text, clip, seed=SEED, centre=()):
  noisy = noise.Noise.parse(text).apply(tf.constant(clip), tf.constant(seed), centre).numpy()
  assert noisy.shape == clip.shape and noisy.dtype == np.float32
  return noisy


def _missing(noisy, centre=(0, 0, 0)):
  """Which pixels [T, S, S] have the colour of missing depth; no pixel has it in one channel only."""
  channels = noisy == np.float32(centre)
  assert (channels == channels[..., :1]).all()
  return channels[..., 0]


# Speckle.


def _speckled(variance, pixel, **kwargs):
  return _apply(str(variance), np.full((2, 100, 100, 3), pixel, np.float32), **kwargs)


@pytest.mark.parametrize('variance', [1e-3, 1e-2, 1e-1])
def test_speckle_multiplies_by_draws_of_the_given_variance(variance):
  factors = (_speckled(variance, 120) + 0.5) / 120  # The mean of what truncation takes away.
  unclipped = factors[factors < 254 / 120]
  assert len(unclipped) > 0.999 * factors.size
  assert unclipped.mean() == pytest.approx(1, abs=0.01)
  assert unclipped.std() == pytest.approx(variance**0.5, rel=0.03)
  # Frames and channels have draws of their own.
  draws = np.concatenate([factors[..., :2].reshape(2, -1), factors[..., 1:].reshape(2, -1)])
  assert abs(np.corrcoef(draws) - np.eye(4)).max() < 0.03


def test_speckle_is_clipped_and_truncated():
  strong = _speckled(10, 200)
  assert strong.min() == 0 and strong.max() == 255
  assert np.mean(strong == 0) == pytest.approx(0.376, abs=0.02)  # N(1, 10) below 1/200.
  assert np.mean(strong == 255) == pytest.approx(0.465, abs=0.02)  # N(1, 10) above 255/200.
  np.testing.assert_array_equal(strong, np.rint(strong))
  # Truncation, not rounding: whatever is below 1 becomes 0.
  assert np.mean(_speckled(1e-3, 1) == 0) == pytest.approx(0.5, abs=0.02)
  assert not _speckled(1, 0).any()


def test_speckle_around_a_centre_is_neither_clipped_nor_truncated():
  distances = _speckled(10, 200, centre=CENTRE) - CENTRE
  for c in range(3):
    factors = distances[..., c] / (200 - CENTRE[c])
    assert factors.mean() == pytest.approx(1, abs=0.07) and factors.std() == pytest.approx(10**0.5, rel=0.03)
    assert distances[..., c].min() < -CENTRE[c] and distances[..., c].max() > 255 - CENTRE[c]
  assert np.mean(distances == np.rint(distances)) < 0.01
  # In the colour of the centre nothing is multiplied.
  np.testing.assert_array_equal(_speckled(10, 120, centre=(120.0, 120.0, 120.0)), 120)


def test_speckle_keeps_its_draws(clip):
  """Published results depend on them."""
  assert zlib.crc32(_apply('0.1', clip).astype(np.uint8).tobytes()) == 3326575960


@pytest.mark.parametrize('centre', [(), CENTRE])
def test_no_noise_changes_nothing(centre):
  clip = np.repeat(np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1), 3, axis=-1)
  for text in ('0', 'holes:0', 'shift:0', 'levels:256', 'frozen'):
    np.testing.assert_array_equal(_apply(text, clip, centre=centre), clip)


# Missing depth.


@pytest.mark.parametrize('text', ['void', 'holes:1'])
def test_everything_can_be_missing(clip, text):
  assert not _apply(text, clip).any()
  np.testing.assert_array_equal(_apply(text, clip, centre=CENTRE), np.broadcast_to(np.float32(CENTRE), clip.shape))


@pytest.mark.parametrize('fraction', [0.02, 0.3, 0.7])
def test_holes_are_a_fraction_of_every_frame_in_few_patches(clip, fraction):
  noisy = _apply(f'holes:{fraction}', clip)
  holes = _missing(noisy)
  np.testing.assert_array_equal(noisy[~holes], clip[~holes])
  np.testing.assert_allclose(holes.mean((1, 2)), fraction, atol=1 / 64**2)
  # Independent pixels would make hundreds of patches; a field of 8 x 8 cells has far fewer valleys and hills.
  for frame in holes.astype(np.uint8):
    assert 2 <= cv2.connectedComponents(frame, connectivity=4)[0] <= 33
    assert 2 <= cv2.connectedComponents(1 - frame, connectivity=4)[0] <= 33


def test_holes_grow():
  """More missing pixels are those that were missing before, and others around them."""
  clip = np.ones((2, 32, 32, 1), np.float32)
  holes = [_missing(_apply(f'holes:{fraction}', clip), 0) for fraction in (0.05, 0.1, 0.2, 0.4, 0.8)]
  for fewer, more in zip(holes, holes[1:]):
    assert (fewer <= more).all() and fewer.sum() < more.sum()


def test_holes_of_frames_and_places_are_independent():
  clip = np.ones((100, 32, 32, 1), np.float32)
  holes = _missing(_apply('holes:0.3', clip), 0).reshape(100, -1)
  both = (holes[1:] & holes[:-1]).mean()
  assert both == pytest.approx(0.3**2, abs=0.02)
  # No place is favoured, borders included.
  assert holes.mean(0).min() > 0.05 and holes.mean(0).max() < 0.65


def test_holes_have_the_colour_of_the_centre(clip):
  centred = _apply('holes:0.3', clip, centre=CENTRE)
  holes = _missing(centred, CENTRE)
  np.testing.assert_array_equal(holes, _missing(_apply('holes:0.3', clip)))
  np.testing.assert_array_equal(centred[~holes], clip[~holes])


# Coarse, displaced and frozen depth.


@pytest.mark.parametrize('levels', [2, 3, 8, 100])
def test_levels(clip, levels):
  for centre in ((), CENTRE):
    coarse = _apply(f'levels:{levels}', clip, centre=centre)
    values = np.unique(coarse)
    assert len(values) == levels and values[0] == 0 and values[-1] == 255
    np.testing.assert_allclose(values, np.linspace(0, 255, levels), atol=0.5)
    assert abs(coarse - clip).max() <= 255 / (levels - 1) / 2 + 0.5


def _displacement(noisy, clip):
  """By how much the content of all frames moved (down, right); the rest of every frame must be missing."""
  inside = ~_missing(noisy)[0]
  rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
  size = len(inside)
  height, width = len(rows), len(columns)
  assert inside.sum() == height * width
  # The overlap touches the side that the content moved to.
  down = size - height if rows[0] else height - size
  right = size - width if columns[0] else width - size
  source = clip[:, max(0, -down):size - max(0, down), max(0, -right):size - max(0, right)]
  np.testing.assert_array_equal(noisy[:, rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1], source)
  return down, right


def test_shift_moves_content_by_its_fraction_of_the_side(clip):
  moved = np.array([_displacement(_apply('shift:0.25', clip, (seed, 7)), clip) for seed in range(20)])
  np.testing.assert_allclose(np.hypot(*moved.T), 0.25 * 64, atol=0.75)
  # Directions are drawn from all around.
  assert len({(down > 0, right > 0) for down, right in moved}) == 4


def test_shift_grows_in_one_direction(clip):
  smaller, larger = (np.array(_displacement(_apply(f'shift:{fraction}', clip), clip)) for fraction in (0.1, 0.4))
  np.testing.assert_allclose(larger, 4 * smaller, atol=2.5)
  assert np.hypot(*larger) > 3 * np.hypot(*smaller)


def test_shift_uncovers_the_colour_of_the_centre(clip):
  black, centred = _apply('shift:0.25', clip), _apply('shift:0.25', clip, centre=CENTRE)
  np.testing.assert_array_equal(_missing(black), _missing(centred, CENTRE))
  np.testing.assert_array_equal(centred[~_missing(black)], black[~_missing(black)])


def test_frozen_clips_show_their_first_frame(clip):
  for centre in ((), CENTRE):
    np.testing.assert_array_equal(_apply('frozen', clip, centre=centre), np.repeat(clip[:1], 3, axis=0))
    np.testing.assert_array_equal(_apply('frozen', clip[:1], centre=centre), clip[:1])


# Seeds and names.


@pytest.mark.parametrize('text', ['0.1', 'holes:0.3', 'shift:0.25'])
@pytest.mark.parametrize('centre', [(), CENTRE])
def test_noise_is_a_function_of_the_seed(clip, text, centre):
  first = _apply(text, clip, centre=centre)
  np.testing.assert_array_equal(first, _apply(text, clip, centre=centre))
  assert np.mean(first != _apply(text, clip, (1, 3), centre)) > 0.1


@pytest.mark.parametrize('text, expected', [
    ('0', ('speckle', 0.0)), ('1e-3', ('speckle', 1e-3)), (' 10', ('speckle', 10.0)), ('void', ('void', 0.0)),
    ('holes:0.3', ('holes', 0.3)), ('holes:1', ('holes', 1.0)), ('levels:8', ('levels', 8.0)),
    ('shift:0.1', ('shift', 0.1)), ('frozen ', ('frozen', 0.0))])
def test_parses_noise(text, expected):
  assert noise.Noise.parse(text) == noise.Noise(*expected)


@pytest.mark.parametrize('text', [
    '-1', 'loud', '', 'nan', 'inf', '1,2', 'Void', 'void:1', 'frozen:', ':0.1', 'fog:0.1', 'holes', 'holes:',
    'holes:1.1', 'holes:-0.1', 'holes:nan', 'levels:1', 'levels:257', 'levels:8.5', 'levels:many', 'shift:2',
    'shift:-0.1', 'shift:0.1:0.2'])
def test_malformed_noise_is_a_user_error(text):
  with pytest.raises(errors.UserError) as error:
    noise.Noise.parse(text)
  message = str(error.value)
  assert message.endswith(f', not {text!r}.') and '\n' not in message
  for allowed in ('variance of zero or more', '"void"', '"holes:"', '"levels:"', '"shift:"', '"frozen"'):
    assert allowed in message


def test_random_speckle_draws_variances_of_all_magnitudes_of_table_4_6():
  """From 1e-3 to 10, as often below 0.1 as above; a function of the seed."""
  clip = tf.fill([1, 32, 32, 3], 100.0)
  centre = (0.0, 0.0, 0.0)  # not clipped, so that the variance can be measured
  spoiled = [noise.random_speckle(clip, tf.constant([7, seed]), centre) for seed in range(200)]
  variances = np.array([np.var(clip_ / 100) for clip_ in spoiled])
  assert 9e-4 < variances.min() < 3e-3 and 3.5 < variances.max() < 11.5
  assert 0.4 < np.mean(variances < 0.1) < 0.6
  np.testing.assert_array_equal(spoiled[3], noise.random_speckle(clip, tf.constant([7, 3]), centre))
