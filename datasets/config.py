"""The sections `data` and `clips` of a recipe. This module imports neither TensorFlow nor NumPy."""

import dataclasses
from typing import Tuple

# Values of `ClipConfig.sampling`.
SAMPLINGS = ('segments', 'uniform', 'mixed')
# Levels of noise on depth in tables 3.3 and 4.6, as for `noise.Noise.parse`.
NOISE_LEVELS = ('0', '1e-3', '1e-2', '1e-1', '1', '10', 'void')


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Form of the prepared data.

  Attributes:
    depth_variant: source of depth: 'depth_vis', the 8-bit depth images that the
      authors used, or 'depth', 16-bit millimetres with the jet colour map.
    rendering: size of the synthetic dataset, 'default' or 'tiny'; other
      datasets ignore it.
    skip_broken: whether unreadable videos are skipped instead of stopping the
      preparation.
    aligned: whether RGB and depth are spatially aligned by the joints of the
      skeleton (thesis section 3.3.6); cross-stream connections need it.
    hold_out: fraction of the training set that is held out for validation.
    hold_out_by: attribute of a table whose values are held out as a whole, such as 'session'; '': none.
    samples_per_class: largest number of training samples of each class, drawn with the recipe's seed; 0: all.
    encodings: encodings of 16-bit columns of a table, such as 'thermal=grey'; the default is jet.
    ranges: ranges of 16-bit columns of a table in their unit, such as 'depth=500-1500'; the default is the range
      of the training samples.
    length_tolerance: largest difference of the lengths of a table's modalities, as a fraction of the longer one.
  """
  depth_variant: str = 'depth_vis'
  rendering: str = 'default'
  skip_broken: bool = False
  aligned: bool = False
  hold_out: float = 0.05
  hold_out_by: str = ''
  samples_per_class: int = 0
  encodings: Tuple[str, ...] = ()
  ranges: Tuple[str, ...] = ()
  length_tolerance: float = 0.1


@dataclasses.dataclass(frozen=True)
class ClipConfig:
  """Sampling and augmentation of clips; the defaults follow chapter 5 and the authors' code.

  Attributes:
    frames: number of frames of a clip, T.
    sampling: method that draws the frames of a clip. 'segments': one frame from
      each of T equal segments of a video. 'uniform': evenly spaced frames.
      'mixed': evenly spaced frames, replaced by a random ordered subset in half
      of the training clips (docs/fidelity.md, row 28).
    frame_size: side of the stored frames in pixels.
    crop_size: side of the crop in pixels.
    crop_shift: largest shift of a crop from the centre, as a fraction of the
      margin frame_size - crop_size: 1/4 is ±8 of 32 pixels, as in the authors'
      code; 1/2 is ±16, as in the thesis (docs/fidelity.md, row 24).
    flip: whether half of the training clips are mirrored.
    colour: whether the colours of half of the RGB training clips are distorted.
    test_clips: number of clips per video; evaluation averages their logits.
    noise_centre: colour around which noise multiplies, as in the authors'
      code for objects; empty: noise multiplies pixel values directly.
  """
  frames: int = 8
  sampling: str = 'segments'
  frame_size: int = 256
  crop_size: int = 224
  crop_shift: float = 0.25
  flip: bool = True
  colour: bool = True
  test_clips: int = 10
  noise_centre: Tuple[float, ...] = ()
