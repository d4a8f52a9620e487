"""Clips: frame sampling, augmentation and the tf.data pipeline.

Every draw is a function of (seed, epoch, sample id) through stateless ops, so
clips do not depend on thread timing and a resumed run sees what an
uninterrupted one would have seen. Test clips are a function of the sample id
alone. Frames stay encoded until it is known which ones, and which window of
them, a clip needs.
"""

from typing import Callable, Dict, NamedTuple, Optional, Sequence

import tensorflow as tf

from tf_privinfo.datasets import depth_noise
from tf_privinfo.datasets.config import ClipConfig

# Block of sampled but still encoded clips that are shuffled together: about 0.3 MB each at the thesis' size.
SHUFFLE_BUFFER = 1024
# Clips that go through a network at once in evaluation.
MICRO_BATCH = 16

# Colour distortion of RGB (METHODS 3); brightness on pixels of 0..255.
BRIGHTNESS, HUE = 32.0, 0.2
SATURATION = CONTRAST = (0.5, 1.5)

# Sets the seeds of depth noise apart from those of the frames of test clips.
_NOISE_FOLD = 1


class Window(NamedTuple):
  """The part of every frame of a clip that is decoded, the same in all modalities."""
  top: tf.Tensor
  left: tf.Tensor
  flip: tf.Tensor


def _seeds(sample_id, *folds, count: int):
  """`count` independent seeds, a function of the sample and of the integers `folds`."""
  seed = tf.stack([tf.strings.to_hash_bucket_fast(sample_id, 2**62), tf.constant(0, tf.int64)])
  for fold in folds:
    seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(fold, tf.int64))
  return tf.unstack(tf.random.experimental.stateless_split(seed, count))


def sample_segments(length, frames: int, seed) -> tf.Tensor:
  """One frame index of each of T equal segments of a video, in temporal order.

  Index j is uniform in [ceil(j·L/T), ceil((j+1)·L/T)). Videos of T frames or
  fewer repeat their last frame up to T + 1 first (METHODS 4), so all indices
  are valid for any length of at least one.

  Args:
    length: L, number of frames of the video.
    frames: T.
    seed: a stateless seed.

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
  """T evenly spaced frame indices from the first frame to the last: trunc(linspace(0, L - 1, T)) [T] int32.

  Videos of fewer frames than T give some of them several times.
  """
  return tf.cast(tf.linspace(0.0, tf.cast(length - 1, tf.float32), frames), tf.int32)


def sample_subset(length, frames: int, seed) -> tf.Tensor:
  """A random subset of T distinct frames, in temporal order: [T] int32.

  Videos of fewer frames than T give all of them and then repeat the last.
  """
  draws = tf.random.stateless_uniform([tf.maximum(length, frames)], seed)
  return tf.minimum(tf.sort(tf.argsort(draws)[:frames]), length - 1)


def sample_mixed(length, frames: int, seed) -> tf.Tensor:
  """With probability 1/2 evenly spaced frames, else a random ordered subset (FIDELITY row 28): [T] int32."""
  choice, subset = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  even = tf.random.stateless_uniform([], choice) < 0.5
  return tf.where(even, sample_uniform(length, frames), sample_subset(length, frames, subset))


def _sample_even(length, frames: int, seed) -> tf.Tensor:
  del seed  # As the other samplers.
  return sample_uniform(length, frames)


# How training and test clips draw their frames, by `ClipConfig.sampling`.
_TRAINING_SAMPLERS = {'segments': sample_segments, 'uniform': _sample_even, 'mixed': sample_mixed}
_TEST_SAMPLERS = {'segments': sample_segments, 'uniform': _sample_even, 'mixed': _sample_even}


def centre_window(config: ClipConfig) -> Window:
  """The window of validation and test: the exact centre, not flipped."""
  start = tf.constant((config.frame_size - config.crop_size) // 2)
  return Window(start, start, tf.constant(False))


def crop(frame: tf.Tensor, window: Window, config: ClipConfig) -> tf.Tensor:
  """The window [S, S, 3] of a decoded frame [H, W, 3], not flipped."""
  side = config.crop_size
  return tf.ensure_shape(frame[window.top:window.top + side, window.left:window.left + side], [side, side, 3])


def random_window(config: ClipConfig, seed) -> Window:
  """The window of a training clip: half of them are shifted and, with `config.flip`, half flipped (METHODS 3)."""
  margin = config.frame_size - config.crop_size
  shifted, flipped, row, column = tf.unstack(tf.random.stateless_uniform([4], seed))

  def start(draw):
    shift = (2 * draw - 1) * config.crop_shift * margin
    return tf.cast(margin / 2 + tf.where(shifted < 0.5, shift, 0.0), tf.int32)

  return Window(start(row), start(column), tf.logical_and(config.flip, flipped < 0.5))


def decode_frames(encoded, window: Window, config: ClipConfig) -> tf.Tensor:
  """Decodes one window of T JPEG frames [T]: [T, S, S, 3] uint8.

  Flow is flipped as an image, like the other modalities: the authors do not
  negate its horizontal component.
  """
  box = tf.stack([window.top, window.left, config.crop_size, config.crop_size])
  frames = tf.concat([
      tf.image.decode_and_crop_jpeg(encoded[t], box, channels=3, dct_method='INTEGER_ACCURATE')
      for t in range(config.frames)], 0)
  # All rows of all frames as one image: the one form that TensorFlow mirrors by copying whole pixels.
  rows = tf.ensure_shape(frames, [config.frames * config.crop_size, config.crop_size, 3])
  rows = tf.cond(window.flip, lambda: tf.reverse(rows, [1]), lambda: rows)
  return tf.reshape(rows, [config.frames, config.crop_size, config.crop_size, 3])


def distort_colour(clip: tf.Tensor, seed) -> tf.Tensor:
  """Colour distortion of an RGB clip [T, H, W, 3] of 0..255, one draw for all its frames.

  Half of the clips stay as they are. Of the others half see brightness and
  saturation only, the rest also hue and contrast, each half in an order drawn
  from those of the authors (FIDELITY B 5); the result is clipped to 0..255.
  """
  amounts, choice = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  brightness, saturation, hue, contrast = tf.unstack(tf.random.stateless_uniform([4], amounts))
  operations = colour_operations(
      BRIGHTNESS * (2 * brightness - 1), _between(SATURATION, saturation), HUE * (2 * hue - 1),
      _between(CONTRAST, contrast))
  # Twice as often as each slow order: the fast half has two orders, the slow half four.
  orders = ('BS', 'SB', 'BS', 'SB', 'BSHC', 'SBCH', 'CHBS', 'HSCB')
  drawn = tf.random.stateless_uniform([], choice, 0, 2 * len(orders), tf.int32)
  branches = [lambda order=order: apply_colour(clip, order, operations) for order in orders]
  return tf.switch_case(drawn, branches, default=lambda: clip)


def colour_operations(brightness, saturation, hue, contrast) -> Dict[str, Callable]:
  """The colour operations of given amounts, by their initials: brightness and hue are added, the others factors."""
  return {
      'B': lambda clip: clip + brightness,
      'S': lambda clip: tf.image.adjust_saturation(clip, saturation),
      'H': lambda clip: tf.image.adjust_hue(clip, hue),
      'C': lambda clip: tf.image.adjust_contrast(clip, contrast),
  }


def apply_colour(clip, order: str, operations: Dict[str, Callable]) -> tf.Tensor:
  """Applies the named colour operations in order and clips to 0..255."""
  for name in order:
    clip = operations[name](clip)
  return tf.clip_by_value(clip, 0.0, 255.0)


def _between(bounds, draw):
  return bounds[0] + (bounds[1] - bounds[0]) * draw


def training_clips(videos: tf.data.Dataset, config: ClipConfig, *, seed: int, epochs: Sequence[int],
                   batch_size: int, noisy_depth: bool = False) -> tf.data.Dataset:
  """Batches of one random clip per video for each of `epochs`, one epoch after the other.

  Args:
    videos: encoded videos ({modality: [F] JPEG bytes}, label, sample id).
    config: the clips.
    seed: of the run.
    epochs: their numbers, which decide order, frames and augmentation.
    batch_size: of all replicas together; an epoch's last partial batch is dropped.
    noisy_depth: also give 'noisy_depth', the depth clips spoiled by speckle of random variances.

  Returns:
    A dataset of ({modality: [B, T, S, S, 3], pixels 0..255}, label [B], sample
    id [B]). Pixels are bytes, a quarter as much to move as floats, except
    those with changed colours or noise: float32.
  """
  draw = _TRAINING_SAMPLERS[config.sampling]

  def sample(epoch, encoded, label, sample_id):
    indices_seed, *seeds = _seeds(sample_id, seed, epoch, count=3)
    length = tf.size(next(iter(encoded.values())))
    indices = draw(length, config.frames, indices_seed)
    return {m: tf.gather(frames, indices) for m, frames in encoded.items()}, seeds, label, sample_id

  def decode(encoded, seeds, label, sample_id):
    window = random_window(config, seeds[0])
    clips = {m: decode_frames(frames, window, config) for m, frames in encoded.items()}
    if config.colour and 'rgb' in clips:
      clips['rgb'] = distort_colour(tf.cast(clips['rgb'], tf.float32), seeds[1])
    if noisy_depth:
      seed_of_noise = tf.random.experimental.stateless_fold_in(seeds[1], _NOISE_FOLD)
      clips['noisy_depth'] = depth_noise.random_speckle(clips['depth'], seed_of_noise, config.noise_centre)
    return clips, label, sample_id

  def one_epoch(epoch):
    clips = videos.map(lambda *video: sample(epoch, *video), tf.data.AUTOTUNE)
    clips = _shuffle(clips, tf.stack([tf.constant(seed, tf.int64), epoch]))
    return clips.map(decode, tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)

  return tf.data.Dataset.from_tensor_slices(tf.constant(list(epochs), tf.int64)).flat_map(one_epoch).prefetch(
      tf.data.AUTOTUNE)


def _shuffle(clips: tf.data.Dataset, seed) -> tf.data.Dataset:
  """Shuffles within blocks of SHUFFLE_BUFFER; unlike `Dataset.shuffle` its seed may be a tensor, such as an epoch."""

  def permute(block, elements):
    count = tf.shape(tf.nest.flatten(elements)[0])[0]
    draws = tf.random.stateless_uniform([count], tf.random.experimental.stateless_fold_in(seed, block))
    return tf.nest.map_structure(lambda x: tf.gather(x, tf.argsort(draws)), elements)

  return clips.batch(SHUFFLE_BUFFER).enumerate().map(permute).unbatch()


def evaluation_clips(videos: tf.data.Dataset, config: ClipConfig, *, batch_size: int = MICRO_BATCH,
                depth_noise: Optional[depth_noise.DepthNoise] = None) -> tf.data.Dataset:
  """Micro-batches of `config.test_clips` fixed clips per video, centre crops, those of a video one after the other.

  Frames and noise are drawn from the sample id and the number of the clip
  alone, so every evaluation of every run sees the same clips (FIDELITY row 30).
  Evenly spaced frames are the same in all clips of a video.

  Args:
    videos, config: as for `training_clips`.
    batch_size: clips in a micro-batch; it may cut through a video.
    depth_noise: spoils the depth clips, if there are any, and nothing else.

  Returns:
    A dataset of ({modality: [b, T, S, S, 3], pixels 0..255}, label [b], sample
    id [b]). Pixels are bytes, those with noise float32.
  """
  draw, count, window = _TEST_SAMPLERS[config.sampling], config.test_clips, centre_window(config)

  def sample(encoded, label, sample_id):
    length = tf.size(next(iter(encoded.values())))
    indices = tf.stack([draw(length, config.frames, seed) for seed in _seeds(sample_id, count=count)])
    encoded = {m: tf.gather(frames, indices) for m, frames in encoded.items()}
    return encoded, tf.range(count), tf.repeat(label, count), tf.repeat(sample_id, count)

  def decode(encoded, number, label, sample_id):
    clips = {m: decode_frames(frames, window, config) for m, frames in encoded.items()}
    if depth_noise is not None and 'depth' in clips:
      seed, = _seeds(sample_id, _NOISE_FOLD, number, count=1)
      clips['depth'] = depth_noise.apply(clips['depth'], seed, config.noise_centre)
    return clips, label, sample_id

  clips = videos.map(sample, tf.data.AUTOTUNE).unbatch()
  return clips.map(decode, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)
