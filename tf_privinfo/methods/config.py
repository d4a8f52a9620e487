"""The hyperparameters of losses and connections, as sections of a recipe. Nothing here imports TensorFlow."""

import dataclasses

# Values of `ConnectionConfig.form`, `HallucinationConfig.form` and `HallucinationConfig.layer`.
CONNECTION_FORMS = ('additive', 'multiplicative')
HALLUCINATION_FORMS = ('shares', 'sum')
HALLUCINATION_LAYERS = ('block1', 'block2', 'block3', 'block4', 'features')


@dataclasses.dataclass(frozen=True)
class Roles:
  """The roles of the modalities in chapters 3 and 4; the defaults are the modalities of the thesis.

  Attributes:
    main: modality that is available at training and test time; the hallucination stream reads it.
    privileged: modality that may be available in training only; '' if a method has none.
  """
  main: str = 'rgb'
  privileged: str = 'depth'

  @property
  def to_main(self) -> str:
    """Value of `ConnectionConfig.direction`: the privileged modality feeds the main one."""
    return f'{self.privileged}_to_{self.main}'

  @property
  def to_privileged(self) -> str:
    """Value of `ConnectionConfig.direction`: the main modality feeds the privileged one (table 3.4)."""
    return f'{self.main}_to_{self.privileged}'


@dataclasses.dataclass(frozen=True)
class ModDropConfig:
  """Dropout of pixels and modalities in ModDrop (Neverova et al.; docs/fidelity.md, row 18).

  Attributes:
    keep_pixel: probability that a value of an image is kept; kept values are
      divided by it.
    keep_modality: probability that a sample keeps a modality.
  """
  keep_pixel: float = 0.8
  keep_modality: float = 0.9


@dataclasses.dataclass(frozen=True)
class ConnectionConfig:
  """Multiplicative connections between streams (eq. 3.2).

  Attributes:
    direction: `Roles.to_main`, `Roles.to_privileged` (table 3.4) or 'none'. The
      hallucination stream takes the place of the privileged one.
    form: input of the residual branch in the receiving stream. 'additive':
      r + p ⊙ d, as in the authors' code; 'multiplicative': r ⊙ d, as eq. 3.2
      (docs/fidelity.md, row 3).
  """
  direction: str = Roles().to_main
  form: str = 'additive'


@dataclasses.dataclass(frozen=True)
class HallucinationConfig:
  """The loss that trains the hallucination stream to imitate the privileged stream, depth in eqs. 3.3 - 3.7.

  The loss is (1 - α) · [(1 - λ) · CE(y, σ(f)) + λ · CE(σ(f_depth/τ), σ(f/τ))]
  + α · L_hall; on objects, as in the authors' code, it is
  CE(y, σ(f)) + τ² · CE(σ(f_depth/τ), σ(f/τ)) + L_hall (docs/fidelity.md, row 17).

  Attributes:
    form: form of the loss, 'shares' for the first or 'sum' for the second, which
      has neither α nor λ.
    map_share: α, the share of L_hall: 1 is eq. 3.3 alone, 0 eq. 3.5 alone.
    soft_share: λ, the share of imitation in the generalized distillation loss.
    temperature: τ, temperature of the teacher's prediction.
    student_at_temperature: whether τ applies to the student's prediction as well,
      unlike in eq. 3.5 (docs/fidelity.md, row 8).
    map_weight: weight λ_l of eq. 3.3 (docs/fidelity.md, row 9).
    layer: l, the end point whose maps are compared: a block, or 'features',
      the input of the classifier.
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
  """The loss of a network on a sample that another network wins (thesis eq. 5.3).

  The loss is `hard_weight · CE(y, σ(f)) + soft_weight · CE(σ(f_winner/τ), σ(f/τ))`.
  The defaults follow the authors' code (docs/fidelity.md, row 20).

  Attributes:
    hard_weight: weight of the cross entropy with the label (1 - λ in eq. 5.3).
    soft_weight: weight of the imitation of the winner (λ in eq. 5.3).
    temperature: τ, temperature of the winner's prediction.
    squared_temperature: whether the imitation is multiplied by τ².
    student_at_temperature: whether τ applies to the loser's prediction as well, unlike in eq. 5.3.
  """
  hard_weight: float = 1.0
  soft_weight: float = 1.0
  temperature: float = 2.0
  squared_temperature: bool = True
  student_at_temperature: bool = True
