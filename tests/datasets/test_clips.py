"""Clips: sampling, windows, colour and the pipeline, against the authors' numbers and by their definitions.

Frames of the pipeline's tests carry a code: every pixel says its row, its
column and the number of its frame, so that a clip shows where it was cut out.
"""

import colorsys
import zlib

import numpy as np
import pytest
import tensorflow as tf

from tests import parity
from tf_privinfo.datasets import clips, depth_noise
from tf_privinfo.datasets.config import ClipConfig
from tf_privinfo.datasets.preparation import frames

GOLDEN = parity.Golden('parsers')
CONFIG = ClipConfig(frame_size=32, crop_size=16)
STEP, FRAME_STEP = 7, 12  # of the code, well above what JPEG changes


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


# Colour.


@pytest.mark.parametrize('key, order', [
    ('brightness_-20', 'B'), ('saturation_1.3', 'S'), ('hue_0.1', 'H'), ('contrast_0.7', 'C')])
def test_colour_operation_parity(key, order):
  operations = clips.colour_operations(-20.0, 1.3, 0.1, 0.7)
  GOLDEN.check(f'colour:{key}', operations[order](tf.constant(GOLDEN['colour_in'])))


@pytest.mark.parametrize('key, order', [
    ('fast_order01(B,S)', 'BS'), ('fast_order23(S,B)', 'SB'), ('slow0(B,S,H,C)', 'BSHC'), ('slow1(S,B,C,H)', 'SBCH'),
    ('slow2(C,H,B,S)', 'CHBS'), ('slow3(H,S,C,B)', 'HSCB')])
def test_colour_chain_parity(key, order):
  operations = clips.colour_operations(-20.0, 1.3, 0.1, 0.7)
  GOLDEN.check(f'colour:chain_{key}', clips.apply_colour(tf.constant(GOLDEN['colour_in']), order, operations))


@pytest.fixture(scope='module')
def distorted():
  """What 1500 draws of the colour distortion do to grey frames: slopes, shifts [N, T]; and to colours [N, T, 3]."""
  ramp = np.linspace(-1, 1, 9).reshape(1, 3, 3, 1)
  grey = np.array([130, 120, 125]).reshape(3, 1, 1, 1) + ramp * np.array([30, 20, 40]).reshape(3, 1, 1, 1)
  grey = tf.constant(np.repeat(grey, 3, axis=-1), tf.float32)
  colour = tf.broadcast_to(tf.constant([160.0, 120.0, 80.0]), [3, 3, 3, 3])
  greys, colours = _many(lambda seed: (clips.distort_colour(grey, seed), clips.distort_colour(colour, seed)), 1500)
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
  hues = np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in colours])
  turns = (hues - colorsys.rgb_to_hsv(160, 120, 80)[0] + 0.5) % 1 - 0.5
  check_range(turns[slow], -0.2, 0.2)
  assert abs(turns[~slow]).max() < 1e-4


# The pipeline.


@pytest.fixture(scope='module')
def coded():
  """Twenty encoded frames whose pixels say (row, column, number)."""
  rows, columns = np.mgrid[:32, :32]
  images = np.stack([np.stack([STEP * rows, STEP * columns, np.full_like(rows, FRAME_STEP * number)], -1)
                     for number in range(20)])
  return [tf.io.encode_jpeg(image.astype(np.uint8), quality=100, chroma_downsampling=False).numpy()
          for image in images]


def _videos(encoded, names, modalities=('rgb', 'depth', 'flow')):
  """Videos of 9 to 20 frames, a function of their names."""

  def generate():
    for name in names:
      length = 9 + int(name[1:]) % 12
      yield {m: encoded[:length] for m in modalities}, int(name[1:]), name

  return tf.data.Dataset.from_generator(generate, output_signature=(
      {m: tf.TensorSpec([None], tf.string) for m in modalities}, tf.TensorSpec([], tf.int32),
      tf.TensorSpec([], tf.string)))


def _names(count):
  return [f'v{number}' for number in range(count)]


def _locate(clip):
  """Where a clip [T, S, S, 3] of coded frames comes from: (frame numbers, top, left, flipped)."""
  codes = np.rint(clip / [STEP, STEP, FRAME_STEP]).astype(int)
  assert abs(clip - codes * [STEP, STEP, FRAME_STEP]).max() <= 3
  rows, columns, numbers = np.moveaxis(codes, -1, 0)
  size = clip.shape[1]
  top, left = rows.min(), columns.min()
  flipped = columns[0, 0, 0] > columns[0, 0, -1]
  in_a_row = np.arange(size)[::-1] if flipped else np.arange(size)
  assert (rows == top + np.arange(size)[:, None]).all()
  assert (columns == left + in_a_row).all()
  assert (numbers == numbers[:, :1, :1]).all()
  return tuple(numbers[:, 0, 0]), top, left, flipped


def _collect(batches):
  """Clips {modality: [N, T, S, S, 3]}, labels and sample ids of all batches."""
  clip, label, sample_id = zip(*batches.as_numpy_iterator())
  return {m: np.concatenate([c[m] for c in clip]) for m in clip[0]}, np.concatenate(label), np.concatenate(sample_id)


def _assert_same(first, second):
  tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def test_training_clips_agree_in_frames_and_window(coded):
  """Frames, crop and flip are the same in all modalities; depth and flow keep their colours."""
  videos = _videos(coded, _names(40), ('depth', 'flow'))
  clip, labels, sample_ids = _collect(clips.training_clips(videos, CONFIG, seed=1, epochs=[0], batch_size=20))
  places = [_locate(c) for c in clip['depth']]
  assert places == [_locate(c) for c in clip['flow']]
  assert [f'v{label}'.encode() for label in labels] == list(sample_ids)
  numbers, tops, lefts, flips = zip(*places)
  for name, drawn in zip(sample_ids, numbers):
    length = 9 + int(name[1:]) % 12
    for j, number in enumerate(drawn):
      assert -(-j * length // 8) <= number < -(-(j + 1) * length // 8)
  # 16 pixels of margin: shifts of up to ±4, and not the same for all.
  assert 4 <= min(tops + lefts) < max(tops + lefts) <= 11
  assert len(set(numbers)) > 20 and len(set(flips)) == 2


def test_training_distorts_the_colour_of_rgb_alone():
  """RGB and depth hold the same grey textures: RGB may differ by one slope and one shift for the whole clip."""
  draws = np.random.default_rng(0).uniform(100, 156, (20, 8, 8, 1))
  textures = tf.repeat(tf.image.resize(draws, (32, 32), 'bicubic'), 3, axis=-1)
  videos = _videos(frames.encode_jpeg(textures), _names(32), ('rgb', 'depth'))
  clip, _, _ = _collect(clips.training_clips(videos, CONFIG, seed=2, epochs=[0], batch_size=32))
  x, y = clip['depth'][..., :1], clip['rgb']
  centred = x - x.mean((2, 3), keepdims=True)
  slopes = (centred * y).sum((2, 3)) / (centred**2).sum((2, 3))
  shifts = y.mean((2, 3)) - x.mean((2, 3))
  np.testing.assert_allclose(slopes, np.broadcast_to(slopes[:, :1, :1], slopes.shape), atol=1e-3)
  np.testing.assert_allclose(shifts, np.broadcast_to(shifts[:, :1, :1], shifts.shape), atol=1e-2)
  # Nothing is left to explain: the same frames, the same window, the same flip.
  np.testing.assert_allclose(
      y, slopes[:, :, None, None] * centred + (shifts + x.mean((2, 3)))[:, :, None, None], atol=0.05)
  changed = abs(shifts[:, 0, 0]) > 0.1
  assert 8 <= changed.sum() <= 24


def test_training_clips_keep_their_draws(coded):
  """Published results depend on these clips: their order, frames, windows, flips and colours."""
  clip, _, sample_ids = _collect(clips.training_clips(
      _videos(coded, _names(20)), CONFIG, seed=1, epochs=[0, 1], batch_size=10))
  assert [int(name[1:]) for name in sample_ids] == [
      19, 4, 17, 13, 6, 5, 1, 8, 14, 7, 18, 11, 3, 16, 12, 0, 15, 2, 10, 9,
      6, 8, 4, 3, 10, 13, 14, 5, 16, 11, 2, 12, 7, 15, 9, 18, 19, 0, 1, 17]
  assert [_locate(clip['depth'][i]) for i in (0, 1, 2, 20)] == [
      ((0, 3, 4, 7, 9, 11, 12, 15), 8, 8, True), ((1, 3, 4, 5, 7, 9, 10, 12), 8, 8, False),
      ((1, 2, 4, 6, 7, 10, 12, 13), 7, 5, False), ((1, 3, 5, 7, 8, 10, 12, 14), 5, 5, True)]
  assert zlib.crc32(clip['depth'].astype(np.uint8).tobytes()) == 4047281651
  np.testing.assert_allclose(clip['rgb'][:4].mean((1, 2, 3, 4)), [102.82, 97.806, 90.479, 105.054], atol=2e-3)
  assert clip['rgb'].mean(dtype=np.float64) == pytest.approx(96.342917, abs=1e-4)


def test_fixed_clips_keep_their_draws(coded):
  clip, _, _ = _collect(clips.evaluation_clips(_videos(coded, _names(12), ('depth',)), CONFIG))
  assert [_locate(clip['depth'][i])[0] for i in (100, 101, 119)] == [
      (0, 3, 6, 9, 11, 13, 15, 18), (0, 4, 5, 8, 11, 14, 15, 18), (1, 3, 5, 8, 11, 14, 15, 19)]
  assert zlib.crc32(clip['depth'].astype(np.uint8).tobytes()) == 120989718


def test_mixed_training_clips(coded):
  """Half of the clips evenly spaced, the others not, and always the same frames in all modalities."""
  config = ClipConfig(frames=5, sampling='mixed', frame_size=32, crop_size=16)

  def frame_numbers(epochs):
    clip, _, sample_ids = _collect(clips.training_clips(
        _videos(coded, _names(60)), config, seed=1, epochs=epochs, batch_size=30))
    numbers = [_locate(c)[0] for c in clip['depth']]
    assert numbers == [_locate(c)[0] for c in clip['flow']]
    return list(zip(sample_ids, numbers))

  drawn = frame_numbers([0, 1])
  assert drawn[60:] == frame_numbers([1])
  assert all(len(set(numbers)) == 5 and list(numbers) == sorted(numbers) for _, numbers in drawn)
  even = [numbers == tuple(np.linspace(0, 8 + int(name[1:]) % 12, 5).astype(int)) for name, numbers in drawn]
  assert np.mean(even) == pytest.approx(0.5, abs=0.15)
  # Every epoch draws anew.
  first, second = (dict(zip((name for name, _ in drawn[part]), even[part])) for part in (slice(60), slice(60, 120)))
  assert 15 < sum(first[name] != second[name] for name in first) < 45


def test_uniform_training_clips_are_evenly_spaced(coded):
  config = ClipConfig(frames=5, sampling='uniform', frame_size=32, crop_size=16)
  clip, _, sample_ids = _collect(clips.training_clips(
      _videos(coded, _names(12), ('depth',)), config, seed=1, epochs=[0], batch_size=12))
  for name, c in zip(sample_ids, clip['depth']):
    assert _locate(c)[0] == tuple(np.linspace(0, 8 + int(name[1:]), 5).astype(int))


@pytest.mark.parametrize('sampling', ['uniform', 'mixed'])
def test_evenly_spaced_test_clips_are_all_the_same(coded, sampling):
  config = ClipConfig(frames=5, sampling=sampling, frame_size=32, crop_size=16, test_clips=2)
  clip, labels, _ = _collect(clips.evaluation_clips(_videos(coded, ['v0', 'v11']), config))
  assert list(labels) == [0, 0, 11, 11]
  for m in clip:
    first, second = ((numbers, 8, 8, False) for numbers in ((0, 2, 4, 6, 8), (0, 4, 9, 14, 19)))
    assert [_locate(c) for c in clip[m]] == [first, first, second, second]


def test_colour_and_flip_are_switched_on_their_own(coded):
  def collect(**switches):
    config = ClipConfig(frame_size=32, crop_size=16, **switches)
    return _collect(clips.training_clips(_videos(coded, _names(12)), config, seed=1, epochs=[0], batch_size=12))[0]

  def windows(clip):
    return [_locate(c) for c in clip]

  both, flip, colour = collect(), collect(colour=False), collect(flip=False)
  np.testing.assert_array_equal(flip['rgb'], flip['depth'])
  np.testing.assert_array_equal(flip['depth'], both['depth'])
  assert abs(colour['rgb'] - colour['depth']).max() > 1
  assert windows(colour['depth']) == [place[:3] + (False,) for place in windows(both['depth'])]


def test_whole_frames_are_clips_without_a_crop(coded):
  config = ClipConfig(frame_size=32, crop_size=32, colour=False)
  clip, _, _ = _collect(clips.training_clips(
      _videos(coded, _names(12), ('rgb',)), config, seed=1, epochs=[0], batch_size=12))
  places = [_locate(c) for c in clip['rgb']]
  assert {place[1:3] for place in places} == {(0, 0)} and {place[3] for place in places} == {True, False}


def test_without_augmentation_windows_are_central(coded):
  config = ClipConfig(frame_size=32, crop_size=16, crop_shift=0.0, flip=False, colour=False)
  clip, _, _ = _collect(clips.training_clips(
      _videos(coded, _names(8), ('rgb',)), config, seed=1, epochs=[0], batch_size=8))
  assert {_locate(c)[1:] for c in clip['rgb']} == {(8, 8, False)}


def test_training_clips_are_a_function_of_seed_epoch_and_sample(coded):
  def collect(seed, epochs, names=_names(12)):
    return _collect(clips.training_clips(
        _videos(coded, names, ('rgb', 'depth')), CONFIG, seed=seed, epochs=epochs, batch_size=4))

  def by_sample(collected):
    clip, _, sample_ids = collected
    return {name: {m: clip[m][i] for m in clip} for i, name in enumerate(sample_ids)}

  both = collect(3, [0, 1])
  _assert_same(both, collect(3, [0, 1]))
  first, second = (tf.nest.map_structure(lambda x, part=part: x[part], both) for part in (slice(12), slice(12, 24)))
  # What a run resumed after its first epoch sees, order included.
  _assert_same(second, collect(3, [1]))
  first = by_sample(first)
  for name, clip in by_sample(collect(3, [0], _names(12)[7:3:-1])).items():
    _assert_same(clip, first[name])
  for other in (by_sample(second), by_sample(collect(4, [0]))):
    # Two draws from so few frames and windows may agree, but not for many of the videos.
    assert sum(np.array_equal(first[name]['depth'], other[name]['depth']) for name in first) <= 2


def test_every_epoch_has_every_video_once_in_another_order(coded, monkeypatch):
  monkeypatch.setattr(clips, 'SHUFFLE_BUFFER', 8)
  _, _, sample_ids = _collect(clips.training_clips(
      _videos(coded, _names(20), ('depth',)), CONFIG, seed=0, epochs=[0, 1], batch_size=5))
  first, second = (list(map(bytes.decode, part)) for part in (sample_ids[:20], sample_ids[20:]))
  assert sorted(first) == sorted(second) == sorted(_names(20))
  assert first != second and first != _names(20)


def test_partial_batches_are_dropped_at_the_end_of_each_epoch(coded):
  batches = clips.training_clips(_videos(coded, _names(7), ('depth',)), CONFIG, seed=0, epochs=[0, 1], batch_size=3)
  ids = [sample_id for _, _, sample_id in batches.as_numpy_iterator()]
  assert [len(batch) for batch in ids] == [3, 3, 3, 3]
  for epoch in (ids[:2], ids[2:]):
    assert len(set(np.concatenate(epoch))) == 6


def test_fixed_clips_are_ten_central_ones_per_video(coded):
  clip, labels, sample_ids = _collect(clips.evaluation_clips(_videos(coded, ['v0', 'v11', 'v5']), CONFIG))
  assert list(sample_ids) == [b'v0'] * 10 + [b'v11'] * 10 + [b'v5'] * 10
  assert list(labels) == [0] * 10 + [11] * 10 + [5] * 10
  places = {m: [_locate(c) for c in clip[m]] for m in clip}
  assert places['rgb'] == places['depth'] == places['flow']
  assert {place[1:] for place in places['rgb']} == {(8, 8, False)}
  # The ten clips of the video with twenty frames are independent draws.
  assert len({numbers for numbers, *_ in places['rgb'][10:20]}) > 5


def test_fixed_clips_are_a_function_of_the_sample_alone(coded):
  def collect(names, **kwargs):
    clip, labels, _ = _collect(clips.evaluation_clips(_videos(coded, names, ('rgb', 'depth')), CONFIG, **kwargs))
    return {**clip, 'labels': labels}

  three = collect(['v3', 'v11', 'v8'])
  backwards = collect(['v8', 'v11', 'v3'])
  for part, other in ((slice(10), slice(20, 30)), (slice(10, 20), slice(10, 20)), (slice(20, 30), slice(10))):
    tf.nest.map_structure(
        lambda x, y, i=part, j=other: np.testing.assert_array_equal(x[i], y[j]), three, backwards)
  tf.nest.map_structure(lambda x, y: np.testing.assert_array_equal(x[10:20], y), three, collect(['v11']))
  _assert_same(three, collect(['v3', 'v11', 'v8'], batch_size=7))


def test_fixed_clips_keep_the_last_partial_batch(coded):
  batches = clips.evaluation_clips(_videos(coded, _names(3), ('depth',)), CONFIG, batch_size=7)
  assert [len(labels) for _, labels, _ in batches.as_numpy_iterator()] == [7, 7, 7, 7, 2]


def test_noise_spoils_depth_alone(coded):
  def collect(depth_noise, names=('v3', 'v11'), modalities=('rgb', 'depth', 'flow'), centre=(), **kwargs):
    config = ClipConfig(
        frames=5, sampling='uniform', frame_size=32, crop_size=16, test_clips=2, noise_centre=centre)
    return _collect(clips.evaluation_clips(
        _videos(coded, names, modalities), config, depth_noise=depth_noise, **kwargs))[0]

  clean, noisy = collect(None), collect(depth_noise.DepthNoise('speckle', 0.1))
  for m in ('rgb', 'flow'):
    np.testing.assert_array_equal(noisy[m], clean[m])
  factors = noisy['depth'][clean['depth'] > 100] / clean['depth'][clean['depth'] > 100]
  assert factors.mean() == pytest.approx(1, abs=0.03) and factors.std() == pytest.approx(0.1**0.5, abs=0.04)
  np.testing.assert_array_equal(noisy['depth'], np.clip(np.trunc(noisy['depth']), 0, 255))
  # The two clips of a video have the same frames but not the same noise.
  np.testing.assert_array_equal(clean['depth'][0], clean['depth'][1])
  assert np.mean(noisy['depth'][0] != noisy['depth'][1]) > 0.5
  # Noise is a function of the sample and of the number of the clip.
  backwards = collect(depth_noise.DepthNoise('speckle', 0.1), ('v11', 'v3'), ('depth',), batch_size=3)
  np.testing.assert_array_equal(noisy['depth'], backwards['depth'][[2, 3, 0, 1]])
  _assert_same(collect(depth_noise.DepthNoise('speckle', 0.0)), clean)
  void = collect(depth_noise.DepthNoise('void'))
  assert void['depth'].shape == clean['depth'].shape and not void['depth'].any()
  np.testing.assert_array_equal(void['rgb'], clean['rgb'])
  _assert_same(collect(depth_noise.DepthNoise('speckle', 0.1), modalities=('rgb',)), {'rgb': clean['rgb']})
  for text in ('holes:0.3', 'levels:8', 'shift:0.25', 'frozen'):
    other = collect(depth_noise.DepthNoise.parse(text))
    assert np.mean(other['depth'] != clean['depth']) > 0.1
    for m in ('rgb', 'flow'):
      np.testing.assert_array_equal(other[m], clean[m])
  centred = collect(depth_noise.DepthNoise('void'), centre=(30.0, 20.5, 10.0))
  np.testing.assert_array_equal(centred['depth'], np.broadcast_to([30, 20.5, 10], clean['depth'].shape))
  np.testing.assert_array_equal(centred['rgb'], clean['rgb'])


def test_training_clips_with_noisy_depth_beside_the_clean(coded):
  """Clean clips and their order are what they are without it; depth and nothing else is spoiled."""
  def collect(**options):
    return _collect(clips.training_clips(
        _videos(coded, _names(6), ('rgb', 'depth')), CONFIG, seed=1, epochs=[0, 1], batch_size=6, **options))

  plain, _, sample_ids = collect()
  noisy, _, same_ids = collect(noisy_depth=True)
  np.testing.assert_array_equal(same_ids, sample_ids)
  spoiled = noisy.pop('noisy_depth')
  _assert_same(noisy, plain)
  assert np.abs(spoiled - plain['depth']).max() > 0 and spoiled.shape == plain['depth'].shape


def test_noise_of_training_clips_has_the_centre_of_the_dataset(coded, monkeypatch):
  monkeypatch.setattr(depth_noise, 'random_speckle', lambda clip, seed, centre: tf.cast(clip, tf.float32) + centre)
  config = ClipConfig(frame_size=32, crop_size=16, noise_centre=(30.0, 20.5, 10.0))
  clip, _, _ = _collect(clips.training_clips(
      _videos(coded, _names(2), ('depth',)), config, seed=1, epochs=[0], batch_size=2, noisy_depth=True))
  np.testing.assert_array_equal(clip['noisy_depth'] - clip['depth'], np.broadcast_to(
      config.noise_centre, clip['depth'].shape))
