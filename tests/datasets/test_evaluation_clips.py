"""Fixed clips of validation and test, also with noise."""

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
from tf_privinfo.datasets import clips, noise
from tf_privinfo.datasets.config import ClipConfig

CONFIG = ClipConfig(frame_size=32, crop_size=16)


@pytest.fixture(scope='module')
def coded():
  return coded_videos.encode()


def test_fixed_clips_keep_their_draws(coded):
  clip, _, _ = _collect(clips.evaluation_clips(_videos(coded, _names(12), ('depth',)), CONFIG))
  assert [_locate(clip['depth'][i])[0] for i in (100, 101, 119)] == [
      (0, 3, 6, 9, 11, 13, 15, 18), (0, 4, 5, 8, 11, 14, 15, 18), (1, 3, 5, 8, 11, 14, 15, 19)]
  assert zlib.crc32(clip['depth'].astype(np.uint8).tobytes()) == 120989718


@pytest.mark.parametrize('sampling', ['uniform', 'mixed'])
def test_evenly_spaced_test_clips_are_all_the_same(coded, sampling):
  config = ClipConfig(frames=5, sampling=sampling, frame_size=32, crop_size=16, test_clips=2)
  clip, labels, _ = _collect(clips.evaluation_clips(_videos(coded, ['v0', 'v11']), config))
  assert list(labels) == [0, 0, 11, 11]
  for m in clip:
    first, second = ((numbers, 8, 8, False) for numbers in ((0, 2, 4, 6, 8), (0, 4, 9, 14, 19)))
    assert [_locate(c) for c in clip[m]] == [first, first, second, second]


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
  def collect(of_depth, names=('v3', 'v11'), modalities=('rgb', 'depth', 'flow'), centre=(), **kwargs):
    config = ClipConfig(
        frames=5, sampling='uniform', frame_size=32, crop_size=16, test_clips=2, noise_centre=centre)
    return _collect(clips.evaluation_clips(
        _videos(coded, names, modalities), config, noise={'depth': of_depth} if of_depth else {}, **kwargs))[0]

  clean, noisy = collect(None), collect(noise.Noise('speckle', 0.1))
  for m in ('rgb', 'flow'):
    np.testing.assert_array_equal(noisy[m], clean[m])
  factors = noisy['depth'][clean['depth'] > 100] / clean['depth'][clean['depth'] > 100]
  assert factors.mean() == pytest.approx(1, abs=0.03) and factors.std() == pytest.approx(0.1**0.5, abs=0.04)
  np.testing.assert_array_equal(noisy['depth'], np.clip(np.trunc(noisy['depth']), 0, 255))
  # The two clips of a video have the same frames but not the same noise.
  np.testing.assert_array_equal(clean['depth'][0], clean['depth'][1])
  assert np.mean(noisy['depth'][0] != noisy['depth'][1]) > 0.5
  # Noise is a function of the sample and of the number of the clip.
  backwards = collect(noise.Noise('speckle', 0.1), ('v11', 'v3'), ('depth',), batch_size=3)
  np.testing.assert_array_equal(noisy['depth'], backwards['depth'][[2, 3, 0, 1]])
  _assert_same(collect(noise.Noise('speckle', 0.0)), clean)
  void = collect(noise.Noise('void'))
  assert void['depth'].shape == clean['depth'].shape and not void['depth'].any()
  np.testing.assert_array_equal(void['rgb'], clean['rgb'])
  _assert_same(collect(noise.Noise('speckle', 0.1), modalities=('rgb',)), {'rgb': clean['rgb']})
  for text in ('holes:0.3', 'levels:8', 'shift:0.25', 'frozen'):
    other = collect(noise.Noise.parse(text))
    assert np.mean(other['depth'] != clean['depth']) > 0.1
    for m in ('rgb', 'flow'):
      np.testing.assert_array_equal(other[m], clean[m])
  centred = collect(noise.Noise('void'), centre=(30.0, 20.5, 10.0))
  np.testing.assert_array_equal(centred['depth'], np.broadcast_to([30, 20.5, 10], clean['depth'].shape))
  np.testing.assert_array_equal(centred['rgb'], clean['rgb'])
