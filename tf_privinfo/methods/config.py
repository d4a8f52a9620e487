"""The hyperparameters of losses and connections, as sections of a recipe; nothing heavy is imported here."""

import dataclasses

# Values of `ConnectionConfig.direction` and `ConnectionConfig.form`, and of `HallucinationConfig.form` and
# `HallucinationConfig.layer`.
DIRECTIONS = ('depth_to_rgb', 'rgb_to_depth', 'none')
CONNECTION_FORMS = ('additive', 'multiplicative')
HALLUCINATION_FORMS = ('shares', 'sum')
HALLUCINATION_LAYERS = ('block1', 'block2', 'block3', 'block4', 'features')


@dataclasses.dataclass(frozen=True)
class ModDropConfig:
  """What training takes away from the streams of ModDrop (Neverova et al.; docs/fidelity.md, row 18).

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
      (docs/fidelity.md, row 3).
  """
  direction: str = 'depth_to_rgb'
  form: str = 'additive'


@dataclasses.dataclass(frozen=True)
class HallucinationConfig:
  """How the hallucination stream learns from the depth stream (eqs. 3.3 - 3.7).

  The loss is (1 - α) · [(1 - λ) · CE(y, σ(f)) + λ · CE(σ(f_depth/τ), σ(f/τ))]
  + α · L_hall; on objects, as the authors' code has it, it is
  CE(y, σ(f)) + τ² · CE(σ(f_depth/τ), σ(f/τ)) + L_hall (docs/fidelity.md, row 17).

  Attributes:
    form: 'shares' or 'sum', the first or the second of these losses. The second
      has neither α nor λ.
    map_share: α, the share of L_hall: 1 is eq. 3.3 alone, 0 eq. 3.5 alone.
    soft_share: λ, the share of imitation in the generalized distillation loss.
    temperature: τ, which softens the teacher's prediction.
    student_at_temperature: soften the student's as well; eq. 3.5 does not
      (docs/fidelity.md, row 8).
    map_weight: λ_l of eq. 3.3 (docs/fidelity.md, row 9).
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
  The defaults are what the authors' code computes (docs/fidelity.md, row 20).

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
