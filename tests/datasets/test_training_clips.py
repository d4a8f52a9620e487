"""Training clips: order, frames, windows, colours and rows of a batch."""

import dataclasses
import zlib

import numpy as np
import pytest
import tensorflow as tf

from tests import coded_videos
from tests.coded_videos import assert_same as _assert_same
from tests.coded_videos import collect as _collect
from tests.coded_videos import locate as _locate
from tests.coded_videos import names as _names
from tests.coded_videos import videos as _videos
from tf_privinfo.datasets import clips, colour, noise
from tf_privinfo.datasets.config import ClipConfig
from tf_privinfo.datasets.preparation import frames

CONFIG = ClipConfig(frame_size=32, crop_size=16)


@pytest.fixture(scope='module')
def coded():
  return coded_videos.encode()


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


def test_rgb_travels_as_bytes_with_its_draws(coded):
  batches = clips.training_clips(_videos(coded, _names(8)), CONFIG, seed=1, epochs=[0], batch_size=4)
  clip = batches.element_spec[0]
  assert {clip[m].dtype for m in coded_videos.MODALITIES} == {tf.uint8}
  assert clip[colour.DRAWN] == colour.Draw(tf.TensorSpec([4], tf.int32), tf.TensorSpec([4, 4], tf.float32))
  for others in ({'config': dataclasses.replace(CONFIG, colour=False)},
                 {'videos': _videos(coded, _names(8), ('depth', 'flow'))}):
    options = {'videos': _videos(coded, _names(8)), 'config': CONFIG, **others}
    assert colour.DRAWN not in clips.training_clips(**options, seed=1, epochs=[0], batch_size=4).element_spec[0]


def test_noise_corrupts_distorted_rgb(coded, monkeypatch):
  monkeypatch.setattr(noise, 'random_speckle', lambda clip, seed, centre: clip + 1000)
  noisy, plain = (_collect(clips.training_clips(
      _videos(coded, _names(12)), CONFIG, seed=1, epochs=[0], batch_size=12, noisy=noisy))[0] for noisy in ('rgb', ''))
  np.testing.assert_array_equal(noisy['noisy_rgb'], plain['rgb'] + 1000)
  np.testing.assert_array_equal(noisy['rgb'], plain['rgb'])


def test_training_clips_keep_their_draws(coded):
  """Published results depend on these clips: their order, frames, windows, flips and colours."""
  clip, _, sample_ids = _collect(clips.training_clips(
      _videos(coded, _names(20)), CONFIG, seed=1, epochs=[0, 1], batch_size=10))
  numbers = np.array([int(name[1:]) for name in sample_ids])
  assert numbers.tolist() == [
      7, 17, 8, 1, 13, 10, 0, 3, 11, 5, 19, 2, 14, 12, 6, 18, 15, 4, 9, 16,
      9, 2, 8, 7, 17, 15, 10, 1, 0, 12, 14, 13, 18, 6, 11, 3, 4, 19, 16, 5]
  # The clips themselves are a function of seed, epoch and sample, whatever the order.
  by_epoch_and_number = np.lexsort([numbers, np.repeat([0, 1], 20)])
  clip = {m: kind[by_epoch_and_number] for m, kind in clip.items()}
  assert [_locate(clip['depth'][i]) for i in (19, 4, 17, 26)] == [
      ((0, 3, 4, 7, 9, 11, 12, 15), 8, 8, True), ((1, 3, 4, 5, 7, 9, 10, 12), 8, 8, False),
      ((1, 2, 4, 6, 7, 10, 12, 13), 7, 5, False), ((1, 3, 5, 7, 8, 10, 12, 14), 5, 5, True)]
  assert zlib.crc32(clip['depth'].astype(np.uint8).tobytes()) == 1238847365
  np.testing.assert_allclose(
      clip['rgb'][[19, 4, 17, 13]].mean((1, 2, 3, 4)), [102.82, 97.806, 90.479, 105.054], atol=2e-3)
  assert clip['rgb'].mean(dtype=np.float64) == pytest.approx(96.342917, abs=1e-4)


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


def test_an_epoch_is_a_uniform_permutation():
  """Every video is equally often at every position, and neighbours in the list are not neighbours in the epoch."""
  orders = np.stack([clips.permutation(5, tf.constant([seed, epoch], tf.int64)) for seed in range(25)
                     for epoch in range(40)])
  np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(5), (1000, 1)))
  for position in range(5):
    np.testing.assert_allclose(np.bincount(orders[:, position]) / 1000, 0.2, atol=0.05)
  # All 120 permutations: chi-square with 119 degrees of freedom has a mean of 119 and a deviation of 15.4.
  _, counts = np.unique(orders, axis=0, return_counts=True)
  assert ((counts - 1000 / 120)**2).sum() / (1000 / 120) + (120 - len(counts)) * 1000 / 120 < 119 + 5 * 15.4


def test_batches_of_a_sorted_list_are_mixed():
  """17 setups in succession, as in NTU RGB+D 60: a batch of 8 of a random order has 6.5 of them on average."""
  order = clips.permutation(17 * 400, tf.constant([0, 0], tf.int64)).numpy() // 400
  setups = np.mean([len(set(batch)) for batch in order.reshape(-1, 8)])
  assert setups == pytest.approx(17 * (1 - (16 / 17)**8), abs=0.12)


def test_every_epoch_has_every_video_once_in_another_order(coded):
  _, _, sample_ids = _collect(clips.training_clips(
      _videos(coded, _names(20), ('depth',)), CONFIG, seed=0, epochs=[0, 1], batch_size=5))
  first, second = (list(map(bytes.decode, part)) for part in (sample_ids[:20], sample_ids[20:]))
  assert sorted(first) == sorted(second) == sorted(_names(20))
  assert first != second and first != _names(20)


def test_clips_do_not_depend_on_threads(coded):
  def collect(threads):
    batches = clips.training_clips(
        _videos(coded, _names(13)), CONFIG, seed=5, epochs=[2, 3], batch_size=4)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    return _collect(batches.with_options(options))

  _assert_same(collect(1), collect(5))


@pytest.mark.parametrize('shares', [[slice(0, 2), slice(2, 6)], [slice(0, 6, 3), slice(1, 6, 3), slice(2, 6, 3)]])
def test_rows_of_workers_are_together_the_batches_of_one(coded, shares):
  read = []

  def batches(**options):
    videos = _videos(coded, _names(20))

    def counted(number, positions):
      read.append(int(number))
      return videos.read(number, positions)

    return list(clips.training_clips(
        videos._replace(read=counted), CONFIG, seed=1, epochs=[0, 1], batch_size=6, **options).as_numpy_iterator())

  whole = batches()
  assert len(whole) == 6 and len(read) == 36
  for rows in shares:
    read.clear()
    part = batches(rows=rows)
    assert len(read) == 6 * len(range(6)[rows])  # the others are not read
    assert len(part) == len(whole)
    for batch, of_worker in zip(whole, part):
      _assert_same(tf.nest.map_structure(lambda x, rows=rows: x[rows], batch), of_worker)


def test_partial_batches_are_dropped_at_the_end_of_each_epoch(coded):
  batches = clips.training_clips(_videos(coded, _names(7), ('depth',)), CONFIG, seed=0, epochs=[0, 1], batch_size=3)
  ids = [sample_id for _, _, sample_id in batches.as_numpy_iterator()]
  assert [len(batch) for batch in ids] == [3, 3, 3, 3]
  for epoch in (ids[:2], ids[2:]):
    assert len(set(np.concatenate(epoch))) == 6


def test_training_clips_with_noisy_depth_beside_the_clean(coded):
  """Clean clips and their order are what they are without it; depth and nothing else is spoiled."""
  def collect(**options):
    return _collect(clips.training_clips(
        _videos(coded, _names(6), ('rgb', 'depth')), CONFIG, seed=1, epochs=[0, 1], batch_size=6, **options))

  plain, _, sample_ids = collect()
  noisy, _, same_ids = collect(noisy='depth')
  np.testing.assert_array_equal(same_ids, sample_ids)
  spoiled = noisy.pop('noisy_depth')
  _assert_same(noisy, plain)
  assert np.abs(spoiled - plain['depth']).max() > 0 and spoiled.shape == plain['depth'].shape


def test_noise_of_training_clips_has_the_centre_of_the_dataset(coded, monkeypatch):
  monkeypatch.setattr(noise, 'random_speckle', lambda clip, seed, centre: tf.cast(clip, tf.float32) + centre)
  config = ClipConfig(frame_size=32, crop_size=16, noise_centre=(30.0, 20.5, 10.0))
  clip, _, _ = _collect(clips.training_clips(
      _videos(coded, _names(2), ('depth',)), config, seed=1, epochs=[0], batch_size=2, noisy='depth'))
  np.testing.assert_array_equal(clip['noisy_depth'] - clip['depth'], np.broadcast_to(
      config.noise_centre, clip['depth'].shape))
