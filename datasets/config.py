"""The sections of a recipe that say which data are read; nothing heavy is imported here."""

import dataclasses
from typing import Tuple

# Values of `ClipConfig.sampling`.
SAMPLINGS = ('segments', 'uniform', 'mixed')


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which prepared form of a dataset is read.

  Attributes:
    depth_variant: 'depth_vis', the 8-bit depth pictures that the authors used,
      or 'depth', 16-bit millimetres with the jet colour map.
    rendering: size of the synthetic dataset, 'default' or 'tiny'; other
      datasets ignore it.
    skip_broken: prepare without the videos that cannot be read.
    aligned: RGB and depth are laid over each other from the skeleton's joints
      (section 3.3.6), as cross-stream connections need it.
    hold_out: the part of the training set that validates.
  """
  depth_variant: str = 'depth_vis'
  rendering: str = 'default'
  skip_broken: bool = False
  aligned: bool = False
  hold_out: float = 0.05


@dataclasses.dataclass(frozen=True)
class ClipConfig:
  """What a clip is; the defaults are those of chapter 5 and the authors' code.

  Attributes:
    frames: T.
    sampling: how the frames of a clip are drawn. 'segments': a video is cut in
      T equal segments and gives one frame of each. 'uniform': evenly spaced
      frames. 'mixed': in training every other clip has a random ordered subset
      of the frames instead (FIDELITY row 28).
    frame_size: side of the stored frames in pixels.
    crop_size: side of the crop in pixels.
    crop_shift: how far from the centre a shifted crop may start, as a fraction
      of the margin frame_size - crop_size: 1/4 is the code's ±8 of 32 pixels,
      1/2 the text's ±16 (FIDELITY row 24).
    flip: mirror half of the training clips.
    colour: distort the colours of half of the RGB training clips.
    test_clips: clips of a video whose logits are averaged in evaluation.
    noise_centre: the colour around which depth noise multiplies, as the authors'
      code does for objects; empty: pixels are multiplied as they are.
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
