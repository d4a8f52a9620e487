"""The sizes of networks, as sections of a recipe; nothing heavy is imported here."""

import dataclasses
from typing import Tuple

# What `ResNet50Config.bottleneck`, `DiscriminatorConfig.form` and `DiscriminatorConfig.task` can be.
BOTTLENECKS = ('none', 'conv7x7', 'spatial_then_1d', 'pool_then_conv')
DISCRIMINATOR_FORMS = ('batch_norm', 'plain', 'residual')
DISCRIMINATOR_TASKS = ('classes', 'real_or_fake')


@dataclasses.dataclass(frozen=True)
class R2Plus1DConfig:
  """Sizes of an R(2+1)D network; the defaults are the R(2+1)D-18 of chapter 5.

  Attributes:
    architecture: name in `registry.NETWORKS`.
    width: channels of the stem and of the first stage; each stage doubles them.
    units: residual units in each stage.
    norm_momentum: of batch norm's moving averages; trainings of few steps need
      a smaller one, or their averages lag behind the weights.
  """
  architecture: str = 'r2plus1d'
  width: int = 64
  units: Tuple[int, ...] = (2, 2, 2, 2)
  norm_momentum: float = 0.997


@dataclasses.dataclass(frozen=True)
class ResNet50Config:
  """Sizes of a ResNet stream; the defaults are the ResNet-50 of chapters 3 and 4.

  Attributes:
    architecture: name in `registry.NETWORKS`.
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
  architecture: str = 'resnet50'
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
