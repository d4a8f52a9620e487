"""Clips: frame sampling, augmentation and the tf.data pipeline.

Every draw is a function of (seed, epoch, sample id) through stateless ops, and
the order of an epoch is a function of (seed, epoch), so clips do not depend on
thread timing, and a resumed run reads the same clips as an uninterrupted one.
Test clips are a function of the sample id alone. Only the frames of a clip are
read, and only the window that the clip shows is decoded.
"""

from typing import Callable, Dict, Mapping, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

from tf_privinfo.datasets import colour
from tf_privinfo.datasets import noise as noises
from tf_privinfo.datasets.config import ClipConfig

# Number of clips in a forward pass of evaluation.
MICRO_BATCH = 16

# Separates the seeds of noise from the seeds that draw frames of test clips.
_NOISE_FOLD = 1


class Videos(NamedTuple):
  """N encoded videos whose frames can be read one by one.

  Attributes:
    names: N sample ids.
    labels: [N] int32.
    lengths: [N] int32, numbers of frames.
    modalities: M names of modalities.
    read: function of the number of a video and positions [T] of frames: [M, T] JPEG bytes, as objects. It is called in
      several threads at once.
  """
  names: Sequence[str]
  labels: np.ndarray
  lengths: np.ndarray
  modalities: Sequence[str]
  read: Callable[[int, np.ndarray], np.ndarray]

  def frames(self, numbers, positions) -> Dict[str, tf.Tensor]:
    """Frames of the videos `numbers` [B] at `positions` [B, T], {modality: JPEG bytes [B, T]}."""

    def read(numbers, positions):  # calls of Python cost more than what they do: one for all videos
      return np.stack([self.read(*video) for video in zip(numbers, positions)], axis=1)

    encoded = tf.numpy_function(read, [numbers, positions], tf.string, stateful=False)
    return dict(zip(self.modalities, tf.unstack(tf.ensure_shape(encoded, [len(self.modalities), *positions.shape]))))


class Window(NamedTuple):
  """The part of every frame of a clip that is decoded, the same in all modalities.

  Attributes:
    top: first row, scalar int32.
    left: first column, scalar int32.
    flip: whether the frames are mirrored, scalar bool.
  """
  top: tf.Tensor
  left: tf.Tensor
  flip: tf.Tensor


def _seeds(sample_id, *folds, count: int):
  """List of `count` independent stateless seeds, a function of the sample id and of the integers `folds`."""
  seed = tf.stack([tf.strings.to_hash_bucket_fast(sample_id, 2**62), tf.constant(0, tf.int64)])
  for fold in folds:
    seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(fold, tf.int64))
  return tf.unstack(tf.random.experimental.stateless_split(seed, count))


def sample_segments(length, frames: int, seed) -> tf.Tensor:
  """Draws one frame index from each of T equal segments of a video, in temporal order.

  Index j is uniform in [ceil(j·L/T), ceil((j+1)·L/T)). Videos of T frames or
  fewer are first extended to T + 1 frames by repeating the last frame
  (docs/methods.md, section 4), so all indices are valid if L is at least 1.

  Args:
    length: number of frames of the video, L.
    frames: number of frames of the clip, T.
    seed: stateless seed.

  Returns:
    [T] int32.
  """
  length = tf.cast(length, tf.int32)
  padded = tf.maximum(length, frames + 1)
  bounds = -(-tf.range(frames + 1) * padded // frames)
  draws = tf.random.stateless_uniform([frames], seed)
  widths = tf.cast(bounds[1:] - bounds[:-1], tf.float32)
  indices = bounds[:-1] + tf.cast(tf.floor(draws * widths), tf.int32)
  return tf.minimum(tf.minimum(indices, bounds[1:] - 1), length - 1)


def sample_uniform(length, frames: int) -> tf.Tensor:
  """Evenly spaced frame indices from the first frame to the last: trunc(linspace(0, L - 1, T)), [T] int32.

  Videos of fewer than T frames repeat some of them.

  Args:
    length: number of frames of the video, L.
    frames: number of frames of the clip, T.
  """
  return tf.cast(tf.linspace(0.0, tf.cast(length - 1, tf.float32), frames), tf.int32)


def sample_subset(length, frames: int, seed) -> tf.Tensor:
  """Random subset of T distinct frame indices, in temporal order: [T] int32.

  Videos of fewer than T frames yield all indices and repeat the last one.
  Arguments as in `sample_segments`.
  """
  draws = tf.random.stateless_uniform([tf.maximum(length, frames)], seed)
  return tf.minimum(tf.sort(tf.argsort(draws)[:frames]), length - 1)


def sample_mixed(length, frames: int, seed) -> tf.Tensor:
  """Frame indices [T] int32: evenly spaced with probability 1/2, otherwise a random ordered subset.

  See docs/fidelity.md, row 28. Arguments as in `sample_segments`.
  """
  choice, subset = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  even = tf.random.stateless_uniform([], choice) < 0.5
  return tf.where(even, sample_uniform(length, frames), sample_subset(length, frames, subset))


def _sample_even(length, frames: int, seed) -> tf.Tensor:
  del seed  # Same signature as the other samplers.
  return sample_uniform(length, frames)


# Samplers of training and test clips, by `ClipConfig.sampling`.
_TRAINING_SAMPLERS = {'segments': sample_segments, 'uniform': _sample_even, 'mixed': sample_mixed}
_TEST_SAMPLERS = {'segments': sample_segments, 'uniform': _sample_even, 'mixed': _sample_even}


def centre_window(config: ClipConfig) -> Window:
  """The window of validation and test clips: the exact centre, not flipped."""
  start = tf.constant((config.frame_size - config.crop_size) // 2)
  return Window(start, start, tf.constant(False))


def crop(frame: tf.Tensor, window: Window, config: ClipConfig) -> tf.Tensor:
  """Crops a decoded frame [H, W, 3] to the window: [S, S, 3], not flipped."""
  side = config.crop_size
  return tf.ensure_shape(frame[window.top:window.top + side, window.left:window.left + side], [side, side, 3])


def random_window(config: ClipConfig, seed) -> Window:
  """Draws the window of a training clip (docs/methods.md, section 3).

  Half of the windows are shifted from the centre. With `config.flip`, half of them are flipped.
  """
  margin = config.frame_size - config.crop_size
  shifted, flipped, row, column = tf.unstack(tf.random.stateless_uniform([4], seed))

  def start(draw):
    shift = (2 * draw - 1) * config.crop_shift * margin
    return tf.cast(margin / 2 + tf.where(shifted < 0.5, shift, 0.0), tf.int32)

  return Window(start(row), start(column), tf.logical_and(config.flip, flipped < 0.5))


def decode_frames(encoded, window: Window, config: ClipConfig) -> tf.Tensor:
  """Decodes one window of T JPEG frames ([T] string): [T, S, S, 3] uint8.

  Flow is flipped as an image, like the other modalities. As in the authors'
  code, its horizontal component is not negated.
  """
  box = tf.stack([window.top, window.left, config.crop_size, config.crop_size])
  frames = tf.concat([
      tf.image.decode_and_crop_jpeg(encoded[t], box, channels=3, dct_method='INTEGER_ACCURATE')
      for t in range(config.frames)], 0)
  # All rows of all frames as one image: TensorFlow mirrors only this form by copying whole pixels.
  rows = tf.ensure_shape(frames, [config.frames * config.crop_size, config.crop_size, 3])
  rows = tf.cond(window.flip, lambda: tf.reverse(rows, [1]), lambda: rows)
  return tf.reshape(rows, [config.frames, config.crop_size, config.crop_size, 3])


def training_clips(videos: Videos, config: ClipConfig, *, seed: int, epochs: Sequence[int], batch_size: int,
                   noisy: str = '', rows: slice = slice(None)) -> tf.data.Dataset:
  """Batches of one random clip per video for each of `epochs`, one epoch after another.

  The order of an epoch is a uniform permutation of all videos.

  Args:
    videos: encoded videos.
    config: sampling and augmentation of the clips.
    seed: seed of the run.
    epochs: numbers of the epochs, which determine order, frames and augmentation.
    batch_size: total batch size of all replicas; the last partial batch of an epoch is dropped.
    noisy: modality that the clips also contain as 'noisy_<name>', corrupted by speckle of random variance; '': none.
    rows: rows of every batch that are read, for one of several workers.

  Returns:
    A dataset of ({modality: [B, T, S, S, 3], pixels 0..255}, label [B], sample
    id [B]), where B is `batch_size` or the number of `rows`. Pixels are uint8, a
    quarter of the size of floats; clips with noise are float32. With
    `config.colour`, the clips also contain the distortions of RGB, which
    `colour.distort` applies in the training step.
  """
  draw, steps = _TRAINING_SAMPLERS[config.sampling], len(videos.names) // batch_size
  names, labels, lengths = map(tf.constant, (list(videos.names), videos.labels, videos.lengths))

  def one_epoch(epoch):
    order = permutation(len(videos.names), tf.stack([tf.constant(seed, tf.int64), epoch]))
    order = tf.reshape(order[:steps * batch_size], [steps, batch_size])[:, rows]
    return tf.data.Dataset.from_tensor_slices(tf.reshape(order, [-1])).map(lambda number: (epoch, number))

  def sample(epoch, number):
    indices_seed, *seeds = _seeds(names[number], seed, epoch, count=3)
    return number, draw(lengths[number], config.frames, indices_seed), seeds

  def read(numbers, positions, seeds):
    return videos.frames(numbers, positions), numbers, seeds

  def clip(encoded, number, seeds):
    window = random_window(config, seeds[0])
    clips = {m: decode_frames(frames, window, config) for m, frames in encoded.items()}
    if config.colour and 'rgb' in clips:
      drawn = colour.draw(seeds[1])
      if noisy == 'rgb':  # noise corrupts the distorted clip
        clips['rgb'] = colour.distort_clip(tf.cast(clips['rgb'], tf.float32), drawn)
      else:
        clips[colour.DRAWN] = drawn
    if noisy:
      seed_of_noise = tf.random.experimental.stateless_fold_in(seeds[1], _NOISE_FOLD)
      clips[f'noisy_{noisy}'] = noises.random_speckle(clips[noisy], seed_of_noise, config.noise_centre)
    return clips, labels[number], names[number]

  numbers = tf.data.Dataset.from_tensor_slices(tf.constant(list(epochs), tf.int64)).flat_map(one_epoch)
  size = len(range(batch_size)[rows])
  encoded = numbers.map(sample).batch(size, drop_remainder=True).map(read, tf.data.AUTOTUNE).unbatch()
  return encoded.map(clip, tf.data.AUTOTUNE).batch(size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def permutation(count: int, seed) -> tf.Tensor:
  """A uniform permutation of 0..count - 1, [count] int32, a function of the stateless seed."""
  # Not `index_shuffle`, whose permutations are not uniform.
  return tf.argsort(tf.random.stateless_uniform([count], seed, None, None, tf.int32), stable=True)


def test_indices(length, sample_id, config: ClipConfig) -> tf.Tensor:
  """Frame indices of the N = `config.test_clips` test clips of a video, a function of the sample id: [N, T] int32.

  Args:
    length: number of frames of the video.
    sample_id: scalar string.
    config: sampling of the clips.
  """
  draw = _TEST_SAMPLERS[config.sampling]
  return tf.stack([draw(length, config.frames, seed) for seed in _seeds(sample_id, count=config.test_clips)])


def evaluation_clips(videos: Videos, config: ClipConfig, *, batch_size: int = MICRO_BATCH,
                     noise: Mapping[str, noises.Noise] = {}) -> tf.data.Dataset:
  """Micro-batches of `config.test_clips` fixed clips per video, centre crops, all clips of a video in sequence.

  Frames and noise are drawn from the sample id and the number of the clip
  alone, so every evaluation of every run reads the same clips
  (docs/fidelity.md, row 30). Evenly spaced frames are the same in all clips of
  a video.

  Args:
    videos: encoded videos.
    config: sampling of the clips.
    batch_size: number of clips in a micro-batch; clips of a video can be in two micro-batches.
    noise: modality -> noise that corrupts its clips, if there are any; other modalities remain unchanged.

  Returns:
    A dataset of ({modality: [b, T, S, S, 3], pixels 0..255}, label [b], sample
    id [b]). Pixels are uint8, with noise float32.
  """
  count, window = config.test_clips, centre_window(config)
  names, labels, lengths = map(tf.constant, (list(videos.names), videos.labels, videos.lengths))

  def read(number):
    positions = tf.reshape(test_indices(lengths[number], names[number], config), [1, -1])
    encoded = {m: tf.reshape(frames, [count, -1]) for m, frames in videos.frames([number], positions).items()}
    return encoded, tf.range(count), tf.repeat(labels[number], count), tf.repeat(names[number], count)

  def decode(encoded, clip, label, sample_id):
    clips = {m: decode_frames(frames, window, config) for m, frames in encoded.items()}
    for modality in noise.keys() & clips.keys():
      seed, = _seeds(sample_id, _NOISE_FOLD, clip, count=1)
      clips[modality] = noise[modality].apply(clips[modality], seed, config.noise_centre)
    return clips, label, sample_id

  clips = tf.data.Dataset.range(len(videos.names)).map(read, tf.data.AUTOTUNE).unbatch()
  return clips.map(decode, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)
