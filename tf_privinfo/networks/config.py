"""The sizes of networks, as sections of a recipe. Nothing here imports TensorFlow."""

import dataclasses
from typing import Any, Dict, Tuple

# Values of `ResNet50Config.bottleneck`, `DiscriminatorConfig.form` and `DiscriminatorConfig.task`.
BOTTLENECKS = ('none', 'conv7x7', 'spatial_then_1d', 'pool_then_conv')
DISCRIMINATOR_FORMS = ('batch_norm', 'plain', 'residual', 'spectral')
DISCRIMINATOR_TASKS = ('classes', 'real_or_fake')


@dataclasses.dataclass(frozen=True)
class R2Plus1DConfig:
  """Sizes of an R(2+1)D network; the defaults are the R(2+1)D-18 of chapter 5.

  Attributes:
    architecture: name in `registry.NETWORKS`.
    width: channels of the stem and of the first stage; each stage doubles them.
    units: residual units in each stage.
    norm_momentum: momentum of the moving averages of batch norm; short trainings
      need a smaller one, or the averages lag behind the weights.
    sync_norm: whether several devices share the moments of batch norm; if not,
      each one has its own, which is faster and needs enough clips on each.
  """
  architecture: str = 'r2plus1d'
  width: int = 64
  units: Tuple[int, ...] = (2, 2, 2, 2)
  norm_momentum: float = 0.997
  sync_norm: bool = True

  @property
  def norm(self) -> Dict[str, Any]:
    """The options of `layers.BatchNormalization`."""
    return {'momentum': self.norm_momentum, 'synchronized': self.sync_norm}


@dataclasses.dataclass(frozen=True)
class ResNet50Config:
  """Sizes of a ResNet stream; the defaults are the ResNet-50 of chapters 3 and 4.

  Attributes:
    architecture: name in `registry.NETWORKS`.
    width: channels of the stem and of the first block's 3x3 convolutions; each
      block doubles them, and has four times as many output channels.
    units: bottleneck units in each block, at least two: the second one has the
      temporal convolution and receives the cross-stream connection.
    norm_momentum: momentum of the moving averages of batch norm.
    sync_norm: as in `R2Plus1DConfig`.
    input_mean: RGB mean, subtracted from pixels of 0..255 (ImageNet; docs/fidelity.md, row 27).
    temporal: whether there are temporal convolutions; not for single frames (section 4.2.2).
    bottleneck: layer between block 4 and the classifier (table 4.2).
      'none': spatial mean; 'conv7x7': a convolution over the whole
      map; 'spatial_then_1d': the same, with as many channels as the map, and a
      1 x 1 convolution; 'pool_then_conv': mean and 1 x 1 convolution, the
      choice of chapter 4.
    bottleneck_width: number of features after the bottleneck.
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
  sync_norm: bool = True

  @property
  def norm(self) -> Dict[str, Any]:
    """The options of `layers.BatchNormalization`."""
    return {'momentum': self.norm_momentum, 'synchronized': self.sync_norm}


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
  """The discriminator, opponent of the hallucination stream (chapter 4); defaults as in the authors' code for video.

  | form       | hidden                       | network                                                 |
  |------------|------------------------------|---------------------------------------------------------|
  | batch_norm | 256, 128                     | video, *code* (docs/fidelity.md, row 12)                |
  | plain      | 2048, 1024                   | video, thesis                                           |
  | residual   | 1024, 1024, 1024, 2048, 3076 | objects, *code*; thesis 3072 (docs/fidelity.md, row 15) |

  Attributes:
    form: architecture. 'batch_norm': batch norm and leaky ReLU in every layer; 'plain': fully
      connected, ReLU; 'residual': the same, and the second and the third layer
      add their input.
    hidden: widths of the hidden layers.
    frame_index: whether the one-hot index of the frame, y_t, is an additional input.
    task: training task. 'classes': C + 1 classes (eq. 4.1); 'real_or_fake':
      one output (table 4.3), with the least-squares loss of the authors' code.
    loss_weight: weight of both the real and the fake term in the loss: 0.5 is
      their mean, 1 their sum (docs/fidelity.md, row 14).
    rate: learning rate, as a multiple of the learning rate of the hallucination stream.
  """
  form: str = 'batch_norm'
  hidden: Tuple[int, ...] = (256, 128)
  frame_index: bool = True
  task: str = 'classes'
  loss_weight: float = 0.5
  rate: float = 1.0
