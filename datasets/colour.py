"""Colour distortion of RGB clips in training (docs/methods.md, section 3).

The input pipeline draws it, and the training step applies it, so that RGB
travels as bytes, also to a GPU. On a CPU, a clip is the same numbers wherever
it is distorted.
"""

from typing import Callable, Dict, Mapping, NamedTuple

import tensorflow as tf

# Entry of a batch of training clips: the draws for RGB, until `distort` applies them.
DRAWN = 'drawn_colour'

# Middle and largest deviation of each amount, in the order of `colour_operations`; brightness on pixels of 0..255.
_MIDDLES, _DEVIATIONS = (0.0, 1.0, 0.0, 1.0), (32.0, 0.5, 0.2, 0.5)
# Two orders without hue and contrast, each twice, and four orders with them: both kinds are equally likely.
_ORDERS = ('BS', 'SB', 'BS', 'SB', 'BSHC', 'SBCH', 'CHBS', 'HSCB')


class Draw(NamedTuple):
  """The distortion of a clip, or, with a further first axis, of the clips of a batch.

  Attributes:
    order: int32, which of the orders of operations; half of the numbers stand for no distortion.
    amounts: [4] float32, in the order of `colour_operations`.
  """
  order: tf.Tensor
  amounts: tf.Tensor


def draw(seed) -> Draw:
  """Draws the distortion of a clip.

  Half of the clips remain unchanged. One quarter is distorted in brightness and
  saturation, one quarter also in hue and contrast. The order of the operations
  is drawn from the orders in the authors' code (docs/fidelity.md, B 5).

  Args:
    seed: stateless seed.
  """
  amounts, choice = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  amounts = tf.constant(_MIDDLES) + tf.constant(_DEVIATIONS) * (2 * tf.random.stateless_uniform([4], amounts) - 1)
  return Draw(tf.random.stateless_uniform([], choice, 0, 2 * len(_ORDERS), tf.int32), amounts)


def distort(clips: Mapping[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
  """Applies the distortions that a batch of training clips contains as `DRAWN`.

  Args:
    clips: {modality: [B, T, H, W, 3], pixels 0..255}, perhaps with `DRAWN`.

  Returns:
    {modality: clips}. If there were draws, RGB is float32; all other clips are unchanged.
  """
  result = dict(clips)
  if drawn := result.pop(DRAWN, None):
    rgb = tf.cast(result['rgb'], tf.float32)
    result['rgb'] = tf.map_fn(  # over numbers, which are cheaper than lists of clips
        lambda row: distort_clip(rgb[row], Draw(drawn.order[row], drawn.amounts[row])), tf.range(tf.shape(rgb)[0]),
        fn_output_signature=tf.TensorSpec(rgb.shape[1:], tf.float32))
  return result


def distort_clip(clip: tf.Tensor, drawn: Draw) -> tf.Tensor:
  """Distorts an RGB clip [T, H, W, 3] float32 of 0..255, all frames alike; what is distorted is clipped to 0..255."""
  operations = colour_operations(*tf.unstack(drawn.amounts))
  branches = [lambda order=order: apply_colour(clip, order, operations) for order in _ORDERS]
  return tf.switch_case(drawn.order, branches, default=lambda: clip)


def colour_operations(brightness, saturation, hue, contrast) -> Dict[str, Callable]:
  """Colour operations with the given amounts, by initials: brightness and hue are offsets, the others are factors."""
  return {
      'B': lambda clip: clip + brightness,
      'S': lambda clip: tf.image.adjust_saturation(clip, saturation),
      'H': lambda clip: tf.image.adjust_hue(clip, hue),
      'C': lambda clip: _adjust_contrast(clip, contrast),
  }


def apply_colour(clip, order: str, operations: Dict[str, Callable]) -> tf.Tensor:
  """Applies the colour operations with the initials `order` in this order and clips the result to 0..255."""
  for name in order:
    clip = operations[name](clip)
  return tf.clip_by_value(clip, 0.0, 255.0)


def _adjust_contrast(clip, factor) -> tf.Tensor:
  # On a GPU, TensorFlow's operation is not deterministic, and refused with --deterministic. On a CPU it is faster.
  on_gpu = tf.config.list_logical_devices('GPU')
  return (deterministic_contrast if on_gpu else tf.image.adjust_contrast)(clip, factor)


@tf.function  # traced once for all orders
def deterministic_contrast(clip: tf.Tensor, factor) -> tf.Tensor:
  """`tf.image.adjust_contrast` of a clip [T, H, W, 3] float32 by a factor, with the rounding that it has on a CPU."""
  frames, height, width, channels = clip.shape
  sums, count = tf.reshape(clip, [frames, -1]), height * width
  while count > 1:  # folds the pixels by half
    half = count // 2 * channels
    rest = sums[:, half:-half]
    sums, count = tf.concat([sums[:, :half] + sums[:, -half:], rest], 1), count - count // 2
  means = tf.tile(sums * tf.constant(1 / (height * width)), [1, width])[:, tf.newaxis]
  rows = tf.reshape(clip, [frames, height, -1])  # TensorFlow broadcasts a whole row faster than three channels
  return tf.reshape((rows - means) * factor + means, clip.shape)
