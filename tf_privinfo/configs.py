"""The sections of a recipe, as plain frozen dataclasses.

Nothing heavy is imported here, so that flags are parsed and checked at once.
Every field is set from the command line by its path, as in
`--set loser.temperature=5`.
"""

import dataclasses
from typing import Tuple


# What `ResNet50Config.bottleneck`, `DiscriminatorConfig.form` and `DiscriminatorConfig.task` can be.
BOTTLENECKS = ('none', 'conv7x7', 'spatial_then_1d', 'pool_then_conv')
DISCRIMINATOR_FORMS = ('batch_norm', 'plain', 'residual')
DISCRIMINATOR_TASKS = ('classes', 'real_or_fake')


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


@dataclasses.dataclass(frozen=True)
class R2Plus1DConfig:
  """Sizes of an R(2+1)D network; the defaults are the R(2+1)D-18 of chapter 5.

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
class ResNet50Config:
  """Sizes of a ResNet stream; the defaults are the ResNet-50 of chapters 3 and 4.

  Attributes:
    width: channels of the stem and of the first block's 3x3 convolutions; each
      block doubles them, and puts out four times as many.
    units: bottleneck units in each block, at least two: the second one has the
      temporal convolution and receives the cross-stream connection.
    norm_momentum: of batch norm's moving averages.
    input_mean: subtracted from the pixels of 0..255 (ImageNet's; FIDELITY row 27).
    temporal: temporal convolutions; networks of single frames have none (section 4.2.2).
    bottleneck: how block 4 becomes the features that the classifier reads (table
      4.2). 'none': their spatial mean; 'conv7x7': a convolution over the whole
      map; 'spatial_then_1d': the same, with as many channels as the map, and a
      1 x 1 convolution; 'pool_then_conv': mean and 1 x 1 convolution, the
      choice of chapter 4.
    bottleneck_width: how many features a bottleneck leaves.
    pretrained: path of a slim checkpoint `resnet_v1_50.ckpt` with ImageNet
      weights; empty: random weights.
  """
  width: int = 64
  units: Tuple[int, ...] = (3, 4, 6, 3)
  norm_momentum: float = 0.997
  input_mean: Tuple[float, ...] = (123.68, 116.779, 103.939)
  temporal: bool = True
  bottleneck: str = 'none'
  bottleneck_width: int = 128
  pretrained: str = ''


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
  """The opponent of the hallucination stream (chapter 4); the defaults are the authors' code for video.

  | form       | hidden                         | network                                  |
  |------------|--------------------------------|------------------------------------------|
  | batch_norm | 256, 128                       | video, *code* (FIDELITY row 12)          |
  | plain      | 2048, 1024                     | video, thesis                            |
  | residual   | 1024, 1024, 1024, 2048, 3076   | objects, *code*; thesis 3072 (row 15)    |

  Attributes:
    form: 'batch_norm': batch norm and leaky ReLU in every layer; 'plain': fully
      connected, ReLU; 'residual': the same, and the second and the third layer
      add their input.
    hidden: widths of the hidden layers.
    frame_index: the one-hot index of the frame, y_t, is read as well.
    task: what it learns. 'classes': C + 1 classes (eq. 4.1); 'real_or_fake':
      one output (table 4.3), with the least-squares loss of the authors' code.
    loss_weight: of the real and of the fake term in its loss: 0.5 is their mean,
      1 their sum (FIDELITY row 14).
    rate: its learning rate, as a multiple of that of the hallucination stream.
  """
  form: str = 'batch_norm'
  hidden: Tuple[int, ...] = (256, 128)
  frame_index: bool = True
  task: str = 'classes'
  loss_weight: float = 0.5
  rate: float = 1.0


@dataclasses.dataclass(frozen=True)
class ModDropConfig:
  """What training takes away from the streams of ModDrop (Neverova et al.; FIDELITY row 18).

  Attributes:
    keep_pixel: probability that a value of an image is kept; those that are are
      divided by it.
    keep_modality: probability that a sample keeps a modality.
  """
  keep_pixel: float = 0.8
  keep_modality: float = 0.9


@dataclasses.dataclass(frozen=True)
class ConnectionConfig:
  """Multiplicative connections between streams (eq. 3.2).

  Attributes:
    direction: 'depth_to_rgb', 'rgb_to_depth' (table 3.4) or 'none'. The
      hallucination stream stands in depth's place.
    form: what the residual branch of the receiving stream reads. 'additive':
      r + p ⊙ d, as the authors' code; 'multiplicative': r ⊙ d, as eq. 3.2
      (FIDELITY row 3).
  """
  direction: str = 'depth_to_rgb'
  form: str = 'additive'


@dataclasses.dataclass(frozen=True)
class HallucinationConfig:
  """How the hallucination stream learns from the depth stream (eqs. 3.3 - 3.7).

  The loss is (1 - α) · [(1 - λ) · CE(y, σ(f)) + λ · CE(σ(f_depth/τ), σ(f/τ))]
  + α · L_hall; on objects, as the authors' code has it, it is
  CE(y, σ(f)) + τ² · CE(σ(f_depth/τ), σ(f/τ)) + L_hall (FIDELITY row 17).

  Attributes:
    form: 'shares' or 'sum', the first or the second of these losses. The second
      has neither α nor λ.
    map_share: α, the share of L_hall: 1 is eq. 3.3 alone, 0 eq. 3.5 alone.
    soft_share: λ, the share of imitation in the generalized distillation loss.
    temperature: τ, which softens the teacher's prediction.
    student_at_temperature: soften the student's as well; eq. 3.5 does not
      (FIDELITY row 8).
    map_weight: λ_l of eq. 3.3 (FIDELITY row 9).
    layer: l, the end point whose maps are compared: a block, or 'features',
      what the classifier reads.
  """
  form: str = 'shares'
  map_share: float = 0.5
  soft_share: float = 0.5
  temperature: float = 10.0
  student_at_temperature: bool = True
  map_weight: float = 0.01
  layer: str = 'block4'


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
  """One `fit` of one method with one optimizer and one schedule; the defaults are those of chapter 5.

  Attributes:
    streams: the networks that it runs; empty: one for each of the recipe's modalities.
    frozen: those of them that do not learn, batch statistics included.
    init: where weights come from, as in 'hall=joint/depth': the stream hall
      starts as the stream depth of the stage joint. Streams that are not named
      start anew.
    loss: 'multiple_choice' (chapter 5), 'cross_entropy' of the mean of the
      streams' logits, 'hallucination' (eq. 3.7), 'adversarial' (eqs. 4.1, 4.2),
      'noise' (eq. 4.1 of noisy depth, see `methods.adversarial.Watch`),
      'moddrop', 'reconstruction' of depth from RGB, or 'estimated_depth', cross
      entropy where depth is what an autoencoder made of RGB.
    epochs: how many; 0 takes the initial weights as they are.
    batch_size: videos, of all devices together.
    optimizer: 'momentum' or 'adam'.
    learning_rate: after the warm-up.
    warmup_epochs: linear warm-up from 0.
    decay_epochs: epochs after which the rate falls to a tenth.
    momentum: of SGD.
    weight_decay: rate of the L2 penalty on kernels.
    validate_every: epochs between validations.
    criterion: the validation accuracy that chooses the best weights: 'oracle'
      (FIDELITY row 23) or 'sum'.
    selection: which weights a stage ends with: 'best_validation' or, where the
      validation set is too small to choose by, 'last'.
    early_stopping_patience: stop after so many validations without a new best;
      0 trains all epochs.
  """
  streams: Tuple[str, ...] = ()
  frozen: Tuple[str, ...] = ()
  init: Tuple[str, ...] = ()
  loss: str = 'multiple_choice'
  epochs: int = 220
  batch_size: int = 8
  optimizer: str = 'momentum'
  learning_rate: float = 1.28e-3
  warmup_epochs: float = 5.0
  decay_epochs: Tuple[float, ...] = (100.0, 150.0, 180.0, 200.0)
  momentum: float = 0.9
  weight_decay: float = 1e-4
  validate_every: int = 5
  criterion: str = 'oracle'
  selection: str = 'best_validation'
  early_stopping_patience: int = 0
