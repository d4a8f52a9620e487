"""The sections of a recipe, as plain frozen dataclasses.

Nothing heavy is imported here, so that flags are parsed and checked at once.
Every field is set from the command line by its path, as in
`--set loser.temperature=5`.
"""

import dataclasses
from typing import Tuple


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which prepared form of a dataset is read.

  Attributes:
    depth_variant: 'depth_vis', the 8-bit depth pictures that the authors used,
      or 'depth', 16-bit millimetres with the jet colour map.
    rendering: size of the synthetic dataset, 'default' or 'tiny'; other
      datasets ignore it.
    skip_broken: prepare without the videos that cannot be read.
  """
  depth_variant: str = 'depth_vis'
  rendering: str = 'default'
  skip_broken: bool = False


@dataclasses.dataclass(frozen=True)
class ClipConfig:
  """What a clip is; the defaults are those of chapter 5 and the authors' code.

  Attributes:
    frames: T; a video is cut in T equal segments and gives one frame of each.
    frame_size: side of the stored frames in pixels.
    crop_size: side of the crop in pixels.
    crop_shift: how far from the centre a shifted crop may start, as a fraction
      of the margin frame_size - crop_size: 1/4 is the code's ±8 of 32 pixels,
      1/2 the text's ±16 (FIDELITY row 24).
    augment: the random crop, flip and colour distortion of training.
  """
  frames: int = 8
  frame_size: int = 256
  crop_size: int = 224
  crop_shift: float = 0.25
  augment: bool = True


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
  """Sizes of an R(2+1)D network; the defaults are the R(2+1)D-18 of the thesis.

  Attributes:
    width: channels of the stem and of the first stage; each stage doubles them.
    units: residual units in each stage.
    norm_momentum: of batch norm's moving averages; trainings of few steps need
      a smaller one, or their averages lag behind the weights.
  """
  width: int = 64
  units: Tuple[int, ...] = (2, 2, 2, 2)
  norm_momentum: float = 0.997


@dataclasses.dataclass(frozen=True)
class LoserConfig:
  """How a network learns from a sample that another network won (thesis eq. 5.3).

  The loss is `hard_weight · CE(y, σ(f)) + soft_weight · CE(σ(f_winner/τ), σ(f/τ))`.
  The defaults are what the authors' code computes (FIDELITY row 20).

  Attributes:
    hard_weight: weight of the cross entropy with the label (1 - λ in eq. 5.3).
    soft_weight: weight of the imitation of the winner (λ in eq. 5.3).
    temperature: τ, which softens the winner's prediction.
    squared_temperature: multiply the imitation by τ².
    student_at_temperature: soften the loser's prediction as well; eq. 5.3 does not.
  """
  hard_weight: float = 1.0
  soft_weight: float = 1.0
  temperature: float = 2.0
  squared_temperature: bool = True
  student_at_temperature: bool = True


@dataclasses.dataclass(frozen=True)
class StageConfig:
  """One `fit` of one method with one optimizer and one schedule.

  Attributes:
    epochs: how many.
    batch_size: of all devices together.
    learning_rate: after the warm-up.
    warmup_epochs: linear warm-up from 0.
    decay_epochs: epochs after which the rate falls to a tenth.
    momentum: of SGD.
    weight_decay: rate of the L2 penalty on kernels.
    validate_every: epochs between validations; the best is the one with the
      highest oracle accuracy (FIDELITY row 23).
    selection: which weights a stage ends with: 'best_validation' or, where the
      validation set is too small to choose by, 'last'.
    early_stopping_patience: stop after so many validations without a new best;
      0 trains all epochs.
  """
  epochs: int = 220
  batch_size: int = 8
  learning_rate: float = 1.28e-3
  warmup_epochs: float = 5.0
  decay_epochs: Tuple[float, ...] = (100.0, 150.0, 180.0, 200.0)
  momentum: float = 0.9
  weight_decay: float = 1e-4
  validate_every: int = 5
  selection: str = 'best_validation'
  early_stopping_patience: int = 0
