"""Noise on depth: what sensors do wrong, for evaluation under stress (sections 3.3.4 and 4.3.5).

The thesis studies multiplicative speckle and missing depth; the other models
are not in it. All of them act on the 8-bit pictures that encode depth, as the
authors' speckle does, and not on millimetres. With the same seed more noise
does more damage to the same places, which keeps sweeps smooth.
"""

import math
from typing import NamedTuple, Sequence

import tensorflow as tf

from tf_privinfo.utils import errors

# Cells along the side of a crop of the random field whose valleys are the holes: the size of a typical hole.
HOLE_CELLS = 8
# Powers of ten between which table 4.6 has variances.
_MAGNITUDES = (-3.0, 1.0)


class DepthNoise(NamedTuple):
  """One way to spoil depth.

  | text        | kind      | what happens                                          |
  |-------------|-----------|-------------------------------------------------------|
  | `0`         | `speckle` | nothing                                               |
  | `1e-2`      | `speckle` | every element times N(1, 1e-2) (tables 3.3 and 4.6)   |
  | `void`      | `void`    | all depth is missing                                  |
  | `holes:0.3` | `holes`   | connected patches, 0.3 of every frame, are missing    |
  | `levels:8`  | `levels`  | 8 different values are left of 0..255                 |
  | `shift:0.1` | `shift`   | displaced against RGB by 0.1 of the crop's side       |
  | `frozen`    | `frozen`  | the first frame stays: single frames are not affected |

  Attributes:
    kind: of noise.
    amount: variance, fraction or number of levels; void and frozen have none.
  """
  kind: str
  amount: float = 0.0

  @classmethod
  def parse(cls, text: str) -> 'DepthNoise':
    """Noise from one of the texts in the table; raises `UserError` for anything else."""
    name, colon, number = text.strip().partition(':')
    if not colon and name in _MODELS and name not in _ALLOWED_AMOUNTS:
      return cls(name)
    kind, number = (name, number) if colon else ('speckle', name)
    try:
      amount = float(number)
    except ValueError:
      amount = math.nan  # Allowed by no kind.
    if kind not in _ALLOWED_AMOUNTS or not _ALLOWED_AMOUNTS[kind](amount):
      raise errors.UserError(
          'Depth noise must be a variance of zero or more, such as 0.1, "void", "holes:" with a fraction of the pixels '
          'from 0 to 1, "levels:" with a whole number from 2 to 256, "shift:" with a fraction of the side from 0 to 1, '
          f'or "frozen", not {text!r}.')
    return cls(kind, amount)

  def apply(self, clip: tf.Tensor, seed, centre: Sequence[float] = ()) -> tf.Tensor:
    """Spoils a depth clip.

    Args:
      clip: [T, S, S, C], whole numbers of 0..255.
      seed: a stateless seed, which alone decides what is drawn.
      centre: the colour of missing depth and the one that speckle scales
        distances from, as in the authors' code for objects, which adds noise
        after the mean is subtracted (FIDELITY B 3). Empty: black, and speckle
        leaves whole numbers of 0..255, as in their code for video (B 1.3).

    Returns:
      [T, S, S, C] float32.
    """
    return _MODELS[self.kind](tf.cast(clip, tf.float32), self.amount, seed, tuple(centre))


def _speckle(clip, variance, seed, centre):
  """Multiplies every element, or its distance from `centre`, by its own draw of N(1, variance) (section 3.3.4).

  A variance of 0 leaves the clip exactly as it is.
  """
  factors = tf.random.stateless_normal(tf.shape(clip), seed, 1.0, variance**0.5)
  if not centre:
    return tf.cast(tf.saturate_cast(clip * factors, tf.uint8), tf.float32)  # Clips and truncates.
  # Not centre + (clip - centre) * factors, which rounds even where the factor is 1.
  return clip + (clip - centre) * (factors - 1)


def random_speckle(clip: tf.Tensor, seed, centre: Sequence[float] = ()) -> tf.Tensor:
  """Spoils a depth clip by speckle of a random variance, any order of magnitude of table 4.6 as likely as another.

  Arguments and result are those of `DepthNoise.apply`.
  """
  magnitude, factors = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
  variance = 10**tf.random.stateless_uniform([], magnitude, *_MAGNITUDES)
  return _speckle(tf.cast(clip, tf.float32), variance, factors, tuple(centre))


def _void(clip, amount, seed, centre):
  """All pixels are missing."""
  del amount, seed
  return tf.zeros_like(clip) + _missing(centre)


def _holes(clip, fraction, seed, centre):
  """Connected patches are missing: the valleys of a smooth random field, flooded up to `fraction` of every frame.

  The holes of a frame say nothing about those of the next: frames of a clip
  are far apart in time, and what reflects or shadows the infrared light moves.
  """
  frames, height, width, _ = clip.shape
  field = tf.image.resize(
      tf.random.stateless_normal([frames, HOLE_CELLS, HOLE_CELLS, 1], seed), [height, width], 'bicubic')
  ranks = tf.argsort(tf.argsort(tf.reshape(field, [frames, -1])))
  holes = tf.reshape(ranks < round(fraction * height * width), [frames, height, width, 1])
  return tf.where(holes, _missing(centre), clip)


def _levels(clip, levels, seed, centre):
  """Leaves `levels` evenly spaced values of 0..255, the ends included, rounded to whole numbers; 256 are all."""
  del seed, centre
  step = 255 / (levels - 1)
  return tf.round(tf.round(clip / step) * step)


def _shift(clip, fraction, seed, centre):
  """Displaces all frames by `fraction` of their side in one random direction; what is uncovered is missing."""
  _, height, width, _ = clip.shape
  angle = tf.random.stateless_uniform([], seed, 0.0, 2 * math.pi)
  down = tf.cast(tf.round(fraction * height * tf.sin(angle)), tf.int32)
  right = tf.cast(tf.round(fraction * width * tf.cos(angle)), tf.int32)
  rows, columns = tf.range(height) - down, tf.range(width) - right  # Where the pixels come from.
  inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
  return tf.where(inside[..., None], tf.roll(clip, [down, right], [1, 2]), _missing(centre))


def _frozen(clip, amount, seed, centre):
  """All frames show the first one."""
  del amount, seed, centre
  return tf.broadcast_to(clip[:1], tf.shape(clip))


def _missing(centre):
  """The colour of pixels without depth, [C] or [1] float32."""
  return tf.constant(centre or (0.0,), tf.float32)


_MODELS = {'speckle': _speckle, 'void': _void, 'holes': _holes, 'levels': _levels, 'shift': _shift, 'frozen': _frozen}
# Of the kinds that have an amount. Comparisons with nan are false.
_ALLOWED_AMOUNTS = {
    'speckle': lambda variance: 0 <= variance < math.inf,
    'holes': lambda fraction: 0 <= fraction <= 1,
    'levels': lambda levels: levels in range(2, 257),
    'shift': lambda fraction: 0 <= fraction <= 1,
}
