"""One stage of a recipe; nothing heavy is imported here."""

import dataclasses
import re
from typing import NamedTuple, Optional, Tuple

OPTIMIZERS = ('momentum', 'adam')
CRITERIA = ('oracle', 'sum')
SELECTIONS = ('best_validation', 'last')


class Loss(NamedTuple):
  """What trains a stage.

  Attributes:
    method: 'module:Class' of the `methods.base.Method`; imported only when it is built. Empty for the methods of
      chapter 5, each of which names its own class in `registry.METHODS`.
    has_discriminator: whether the stage has a discriminator beside its streams.
    modalities: what a prediction reads, where that is not what its streams read.
  """
  method: str
  has_discriminator: bool = False
  modalities: Tuple[str, ...] = ()


# By the values of `StageConfig.loss`.
LOSSES = {
    'multiple_choice': Loss(''),
    'cross_entropy': Loss('tf_privinfo.methods.two_stream:FusedStreams'),
    'hallucination': Loss('tf_privinfo.methods.two_stream:Hallucination'),
    'adversarial': Loss('tf_privinfo.methods.adversarial:AdversarialDistillation', has_discriminator=True),
    'noise': Loss('tf_privinfo.methods.adversarial:NoisyDepthDetector', has_discriminator=True),
    'moddrop': Loss('tf_privinfo.methods.two_stream:ModDrop'),
    'reconstruction': Loss('tf_privinfo.methods.cross_modal:Reconstruction'),
    'estimated_depth': Loss('tf_privinfo.methods.cross_modal:EstimatedDepth', modalities=('rgb',)),
}


class Start(NamedTuple):
  """Where the weights of a stream come from: an item of `StageConfig.init`, such as 'hall=joint/depth'.

  Attributes:
    stream: that starts.
    stage: an earlier stage.
    source: stream of that stage.
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
  """One `fit` of one method with one optimizer and one schedule; the defaults are those of chapter 5.

  Attributes:
    streams: the networks that it runs; empty: one for each of the recipe's modalities.
    frozen: those of them that do not learn, batch statistics included.
    init: where weights come from, as in 'hall=joint/depth': the stream hall
      starts as the stream depth of the stage joint. Streams that are not named
      start anew.
    loss: 'multiple_choice' (chapter 5), 'cross_entropy' of the mean of the
      streams' logits, 'hallucination' (eq. 3.7), 'adversarial' (eqs. 4.1, 4.2),
      'noise' (eq. 4.1 of noisy depth, see `methods.adversarial.NoisyDepthDetector`),
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
      (docs/fidelity.md, row 23) or 'sum'.
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
