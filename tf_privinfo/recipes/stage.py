"""The stages of recipes. Nothing here imports TensorFlow."""

import dataclasses
import re
from typing import NamedTuple, Optional, Tuple

OPTIMIZERS = ('momentum', 'adam')
CRITERIA = ('oracle', 'sum')
SELECTIONS = ('best_validation', 'last')


class Loss(NamedTuple):
  """A loss, and the method that implements it.

  Attributes:
    method: 'module:Class' of the `methods.base.Method`; imported only when it is built. Empty for the methods of
      chapter 5, which name their classes in `registry.METHODS`.
    has_discriminator: whether the stage has a discriminator beside its streams.
    reads_main_only: whether a prediction reads only the main modality, whatever the streams read.
  """
  method: str
  has_discriminator: bool = False
  reads_main_only: bool = False


# Value of `StageConfig.loss` -> loss.
LOSSES = {
    'multiple_choice': Loss(''),
    'cross_entropy': Loss('tf_privinfo.methods.two_stream:FusedStreams'),
    'hallucination': Loss('tf_privinfo.methods.two_stream:Hallucination'),
    'adversarial': Loss('tf_privinfo.methods.adversarial:AdversarialDistillation', has_discriminator=True),
    'noise': Loss('tf_privinfo.methods.adversarial:NoiseDetector', has_discriminator=True),
    'moddrop': Loss('tf_privinfo.methods.two_stream:ModDrop'),
    'reconstruction': Loss('tf_privinfo.methods.cross_modal:Reconstruction'),
    'estimated_depth': Loss('tf_privinfo.methods.cross_modal:EstimatedModality', reads_main_only=True),
}


class Start(NamedTuple):
  """The source of the initial weights of a stream: an item of `StageConfig.init`, such as 'hall=joint/depth'.

  Attributes:
    stream: stream that is initialised.
    stage: earlier stage with the weights.
    source: stream of the earlier stage.
  """
  stream: str
  stage: str
  source: str

  @classmethod
  def parse(cls, text: str) -> 'Optional[Start]':
    """Parses STREAM=STAGE/STREAM; None for anything else."""
    match = re.fullmatch(r'(\w+)=(\w+)/(\w+)', text)
    return match and cls(*match.groups())


@dataclasses.dataclass(frozen=True)
class StageConfig:
  """One `fit` of one method with one optimizer and one schedule; the defaults are the values of chapter 5.

  Attributes:
    streams: names of the streams; empty: one for each modality of the recipe.
    frozen: streams that are not trained, including their batch statistics.
    init: sources of initial weights, as in 'hall=joint/depth': the stream hall
      starts as the stream depth of the stage joint. Other streams start from
      scratch.
    loss: key of `LOSSES`: 'multiple_choice' (chapter 5), 'cross_entropy' of the mean of the
      streams' logits, 'hallucination' (eq. 3.7), 'adversarial' (eqs. 4.1, 4.2),
      'noise' (eq. 4.1 with noisy clips, see `methods.adversarial.NoiseDetector`),
      'moddrop', 'reconstruction' of the privileged modality from the main one, or
      'estimated_depth', cross entropy with the estimate of an autoencoder.
    epochs: number of epochs; 0 keeps the initial weights.
    batch_size: videos per step, over all devices.
    optimizer: name of the optimizer, 'momentum' or 'adam'.
    learning_rate: learning rate after the warm-up.
    warmup_epochs: length of the linear warm-up from 0.
    decay_epochs: epochs after which the learning rate falls to a tenth.
    momentum: momentum of SGD.
    weight_average: decay of the exponential moving average of the weights, which become the final ones; 0: the weights
      of the last step.
    weight_decay: rate of the L2 penalty on kernels.
    validate_every: epochs between validations.
    criterion: validation accuracy that selects the best weights, 'oracle'
      (docs/fidelity.md, row 23) or 'sum'.
    selection: final weights of the stage: 'best_validation' or, if the validation
      set is too small, 'last'.
    early_stopping_patience: number of validations without improvement before
      training stops; 0: never.
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
  weight_average: float = 0.0
  weight_decay: float = 1e-4
  validate_every: int = 5
  criterion: str = 'oracle'
  selection: str = 'best_validation'
  early_stopping_patience: int = 0
