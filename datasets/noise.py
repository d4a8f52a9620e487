"""Models of noise, for evaluation with an unreliable modality: depth in the thesis (sections 3.3.4 and 4.3.5).

The thesis studies multiplicative speckle and missing depth; the other models
are additions. As in the authors' code, noise acts on the stored 8-bit images,
not on millimetres. With the same seed, more noise corrupts the
same pixels more strongly, so results vary smoothly with the amount of noise.
"""

import math
from typing import NamedTuple, Sequence

import tensorflow as tf

from tf_privinfo.utils import errors

# Cells of the random field of holes along the side of a crop: a typical hole has the size of a cell.
HOLE_CELLS = 8
# Range of the variances of table 4.6, as powers of ten.
_MAGNITUDES = (-3.0, 1.0)


class Noise(NamedTuple):
  """A model of noise and its amount.

  | text        | kind      | effect                                                |
  |-------------|-----------|-------------------------------------------------------|
  | `0`         | `speckle` | none                                                  |
  | `1e-2`      | `speckle` | every element times N(1, 1e-2) (tables 3.3 and 4.6)   |
  | `void`      | `void`    | all pixels are missing                                |
  | `holes:0.3` | `holes`   | connected patches, 0.3 of every frame, are missing    |
  | `levels:8`  | `levels`  | quantisation of 0..255 to 8 values                    |
  | `shift:0.1` | `shift`   | shift by 0.1 of the side of the crop                  |
  | `frozen`    | `frozen`  | all frames are the first one; no effect on one frame  |

  Attributes:
    kind: name of the noise model.
    amount: variance, fraction or number of levels; unused by void and frozen.
  """
  kind: str
  amount: float = 0.0

  @classmethod
  def parse(cls, text: str) -> 'Noise':
    """Parses a text of the form in the table; raises `UserError` for other texts."""
    name, colon, number = text.strip().partition(':')
    if not colon and name in _MODELS and name not in _ALLOWED_AMOUNTS:
      return cls(name)
    kind, number = (name, number) if colon else ('speckle', name)
    try:
      amount = float(number)
    except ValueError:
      amount = math.nan  # No kind allows it.
    if kind not in _ALLOWED_AMOUNTS or not _ALLOWED_AMOUNTS[kind](amount):
      raise errors.UserError(
          'Noise must be a variance of zero or more, such as 0.1, "void", "holes:" with a fraction of the pixels '
          'from 0 to 1, "levels:" with a whole number from 2 to 256, "shift:" with a fraction of the side from 0 to 1, '
          f'or "frozen", not {text!r}.')
    return cls(kind, amount)

  def apply(self, clip: tf.Tensor, seed, centre: Sequence[float] = ()) -> tf.Tensor:
    """Corrupts a clip.

    Args:
      clip: clip [T, S, S, C], whole numbers of 0..255.
      seed: stateless seed, the only source of randomness.
      centre: colour of missing pixels. Speckle multiplies the distance from this
        colour, as in the authors' code for objects, which adds noise after the
        mean is subtracted (docs/fidelity.md, B 3). Empty: black, and speckle
        produces whole numbers of 0..255, as in their code for video
        (docs/fidelity.md, B 1.3).

    Returns:
      [T, S, S, C] float32.
    """
    return _MODELS[self.kind](tf.cast(clip, tf.float32), self.amount, seed, tuple(centre))


def _speckle(clip, variance, seed, centre):
  """Multiplies every element, or its distance from `centre`, by its own draw of N(1, variance) (section 3.3.4).

  A variance of 0 does not change the clip.
  """
  factors = tf.random.stateless_normal(tf.shape(clip), seed, 1.0, variance**0.5)
  if not centre:
    return tf.cast(tf.saturate_cast(clip * factors, tf.uint8), tf.float32)  # Clips and truncates.
  # Not centre + (clip - centre) * factors, which rounds even where the factor is 1.
  return clip + (clip - centre) * (factors - 1)


def random_speckle(clip: tf.Tensor, seed, centre: Sequence[float] = ()) -> tf.Tensor:
  """Corrupts a clip by speckle of random variance, log-uniform over the range of table 4.6.

  Arguments and result as in `Noise.apply`.
  """
  magnitude, factors = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  variance = 10**tf.random.stateless_uniform([], magnitude, *_MAGNITUDES)
  return _speckle(tf.cast(clip, tf.float32), variance, factors, tuple(centre))


def _void(clip, amount, seed, centre):
  """All pixels are missing."""
  del amount, seed
  return tf.zeros_like(clip) + _missing(centre)


def _holes(clip, fraction, seed, centre):
  """Removes connected patches: the lowest `fraction` of the pixels of a smooth random field, for every frame.

  The holes of successive frames are independent: frames of a clip are far apart
  in time, and the surfaces that reflect or shadow the infrared light move.
  """
  frames, height, width, _ = clip.shape
  field = tf.image.resize(
      tf.random.stateless_normal([frames, HOLE_CELLS, HOLE_CELLS, 1], seed), [height, width], 'bicubic')
  ranks = tf.argsort(tf.argsort(tf.reshape(field, [frames, -1])))
  holes = tf.reshape(ranks < round(fraction * height * width), [frames, height, width, 1])
  return tf.where(holes, _missing(centre), clip)


def _levels(clip, levels, seed, centre):
  """Quantises to `levels` evenly spaced values from 0 to 255, rounded to whole numbers; 256 has no effect."""
  del seed, centre
  step = 255 / (levels - 1)
  return tf.round(tf.round(clip / step) * step)


def _shift(clip, fraction, seed, centre):
  """Shifts all frames by `fraction` of their side in one random direction; uncovered pixels are missing."""
  _, height, width, _ = clip.shape
  angle = tf.random.stateless_uniform([], seed, 0.0, 2 * math.pi)
  down = tf.cast(tf.round(fraction * height * tf.sin(angle)), tf.int32)
  right = tf.cast(tf.round(fraction * width * tf.cos(angle)), tf.int32)
  rows, columns = tf.range(height) - down, tf.range(width) - right  # Source of every row and column.
  inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
  return tf.where(inside[..., None], tf.roll(clip, [down, right], [1, 2]), _missing(centre))


def _frozen(clip, amount, seed, centre):
  """Replaces all frames by the first one."""
  del amount, seed, centre
  return tf.broadcast_to(clip[:1], tf.shape(clip))


def _missing(centre):
  """The colour of missing pixels, [C] or [1] float32."""
  return tf.constant(centre or (0.0,), tf.float32)


_MODELS = {'speckle': _speckle, 'void': _void, 'holes': _holes, 'levels': _levels, 'shift': _shift, 'frozen': _frozen}
# Kinds with an amount. Comparisons with nan are false.
_ALLOWED_AMOUNTS = {
    'speckle': lambda variance: 0 <= variance < math.inf,
    'holes': lambda fraction: 0 <= fraction <= 1,
    'levels': lambda levels: levels in range(2, 257),
    'shift': lambda fraction: 0 <= fraction <= 1,
}
