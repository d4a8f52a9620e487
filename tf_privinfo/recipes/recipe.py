"""The recipe: a method on a dataset with all hyperparameters, as data."""

import dataclasses
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.methods.config import ConnectionConfig, HallucinationConfig, LoserConfig, ModDropConfig, Roles
from tf_privinfo.networks.config import DiscriminatorConfig, R2Plus1DConfig, ResNet50Config
from tf_privinfo.networks.registry import config_class, NETWORKS
from tf_privinfo.recipes import settings
from tf_privinfo.recipes.stage import LOSSES, StageConfig
from tf_privinfo.utils import errors

# Names of streams, metrics and signatures, which a modality with a role cannot have; nor the name of a stage.
_RESERVED = ('hall', 'autoencoder', 'discriminator', 'noise', 'sum', 'oracle', 'switch', 'auto', 'jpeg')
# Fields with the origin of a recipe, which do not affect results, and fields that `shared_stages` compares by stage.
_NAMES, _BY_STAGE = ('preset', 'variant'), ('method', 'modalities', 'connections', 'stages')
# Sections that do not affect stages trained by cross entropy. A section that is not listed affects all stages.
_OF_OTHER_LOSSES = ('loser', 'hallucination', 'discriminator', 'moddrop')

# Paths that `override` handles first: the modalities, and the privileged one alone, which is no field.
MODALITIES = ('modalities', 'privileged')

# The section of a network in `registry.NETWORKS`.
NetworkConfig = Union[R2Plus1DConfig, ResNet50Config]


class SwitchStages(NamedTuple):
  """The stages with the parts of a switch (section 4.3.5).

  Attributes:
    trusted: stage of the main and the privileged stream.
    hallucinated: stage of the main stream and `hall`.
    detector: stage of the discriminator that scores the privileged modality.
  """
  trusted: str = 'joint'
  hallucinated: str = 'fused'
  detector: str = 'watch'


SWITCH = SwitchStages()

# Values of `Recipe.mixed_dtype`.
MIXED_DTYPES = ('bfloat16', 'float16')


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A method on a dataset with all hyperparameters; it determines a run completely.

  Attributes:
    method, dataset, protocol, preset, variant: names, as in the flags.
    seed: seed of weights, data order, frame sampling, augmentation and teachers.
    modalities: input modalities, in the order that breaks ties; in chapters 3 and 4 the main one, and the privileged
      one if the method has it.
    mixed_precision: whether computation is in `mixed_dtype`, with weights in float32.
    mixed_dtype: 16-bit type of mixed precision, one of `MIXED_DTYPES`; float16 scales the loss.
    init_from: run directory with the initial weights of the first stages, or ''.
    new_classifier: whether the classifiers of `init_from` are omitted.
    data, clips, network, loser, connections, hallucination, discriminator,
      moddrop: sections; None if the method does not use them.
    stages: name -> stage, in the order in which they run.
  """
  method: str
  dataset: str
  protocol: str
  preset: str
  variant: str
  seed: int = 0
  modalities: Tuple[str, ...] = ('rgb', 'depth', 'flow')
  mixed_precision: bool = False
  mixed_dtype: str = 'bfloat16'
  init_from: str = ''
  new_classifier: bool = False
  data: DataConfig = DataConfig()
  clips: ClipConfig = ClipConfig()
  network: NetworkConfig = R2Plus1DConfig()
  loser: Optional[LoserConfig] = None
  connections: Optional[ConnectionConfig] = None
  hallucination: Optional[HallucinationConfig] = None
  discriminator: Optional[DiscriminatorConfig] = None
  moddrop: Optional[ModDropConfig] = None
  stages: Mapping[str, StageConfig] = dataclasses.field(
      default_factory=lambda: {'ensemble': StageConfig()})

  def streams(self, stage: str) -> Dict[str, str]:
    """Stream -> modality, for the streams of a stage."""
    main = self.roles.main
    others = {'hall': main, 'autoencoder': main, f'{main}_2': main}  # not named after their modality
    return {stream: others.get(stream, stream) for stream in self.stages[stage].streams or self.modalities}

  def networks(self, stage: str) -> List[str]:
    """The names of all networks of a stage: its streams and, if its loss has one, the discriminator."""
    return [*self.streams(stage), *(['discriminator'] if _has_discriminator(self.stages[stage]) else [])]

  @property
  def has_roles(self) -> bool:
    """Whether modalities have roles, as in chapters 3 and 4; in chapter 5, all are equal."""
    return any(stage.loss != 'multiple_choice' for stage in self.stages.values())

  @property
  def roles(self) -> Roles:
    """The main modality, which is the first one, and the privileged one, '' if there is none."""
    main, *others = self.modalities or ('',)
    return Roles(main, others[0] if self.has_roles and others else '')

  @property
  def noisy_modality(self) -> str:
    """The modality that noise corrupts in evaluations: the privileged one; depth, if there is none."""
    return self.roles.privileged or 'depth'

  @property
  def deployed_stage(self) -> str:
    """The stage whose streams are evaluated and exported: the last one."""
    return list(self.stages)[-1]

  @property
  def has_switch(self) -> bool:
    """Whether a finished run switches between the privileged modality and `hall` (section 4.3.5)."""
    return SWITCH.detector in self.stages


def override(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """Replaces fields by their dotted paths, as `settings.override` does.

  `modalities` and `network.architecture` are replaced first. In chapters 3 and 4, the names of new modalities replace
  the former ones in all stages, also as names of stages; `privileged` stands for the second of `modalities`. After a
  new architecture, the section `network` has its defaults.

  Args:
    result: recipe, which stays unchanged.
    values: dotted path -> value, or text to be parsed.

  Raises:
    UserError: for an unknown path or architecture, for a value of a different type, and for modalities that the method
      cannot have.
  """
  result = _with_modalities(result, values)
  architecture = values.get('network.architecture', result.network.architecture)
  if architecture not in NETWORKS:
    raise errors.UserError(f'Unknown network.architecture={architecture}: choose one of {", ".join(NETWORKS)}.')
  if architecture != result.network.architecture:
    result = dataclasses.replace(result, network=config_class(architecture)())
  return settings.override(result, {path: value for path, value in values.items() if path not in MODALITIES})


def _with_modalities(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """The recipe with the modalities of `values`, renamed in the stages if modalities have roles."""
  old = result.modalities
  new = settings.override(result, {'modalities': values.get('modalities', old)}).modalities
  if 'privileged' in values:
    if not result.roles.privileged:
      raise errors.UserError(f'privileged={values["privileged"]}: {result.method} has no privileged modality; set '
                             'modalities to choose what it reads.')
    new = (*new[:1], values['privileged'])
  if new == old or not result.has_roles:
    return dataclasses.replace(result, modalities=new)
  _check_modalities(result, new)
  names = {**dict(zip(old, new)), f'{old[0]}_2': f'{new[0]}_2'}
  renamed = dataclasses.replace(result, modalities=new, stages={
      names.get(name, name): dataclasses.replace(
          stage, streams=_renamed(stage.streams, names), frozen=_renamed(stage.frozen, names),
          init=_renamed(stage.init, names)) for name, stage in result.stages.items()})
  if set(new) - {'rgb', 'depth'}:  # only these two can be aligned
    renamed = dataclasses.replace(renamed, data=dataclasses.replace(renamed.data, aligned=False))
  if not result.connections:
    return renamed
  directions = {result.roles.to_main: renamed.roles.to_main, result.roles.to_privileged: renamed.roles.to_privileged}
  direction = directions.get(result.connections.direction, result.connections.direction)
  return dataclasses.replace(renamed, connections=dataclasses.replace(result.connections, direction=direction))


def _renamed(texts: Tuple[str, ...], names: Mapping[str, str]) -> Tuple[str, ...]:
  """Texts with all words replaced that are in `names`: 'depth=joint/depth' becomes 'flow=joint/flow'."""
  return tuple(re.sub(r'\w+', lambda word: names.get(word[0], word[0]), text) for text in texts)


def _check_modalities(result: Recipe, new: Tuple[str, ...]) -> None:
  """Raises `UserError` unless a recipe whose modalities have roles can have the modalities `new`."""
  reserved = {*_RESERVED, f'{new[0] if new else ""}_2', *set(result.stages) - {*result.modalities, 'rgb_2'}}
  wrong = [name for name in new if not re.fullmatch(r'[A-Za-z][A-Za-z0-9_]*', name) or name in reserved]
  problem = ''
  if len(new) != len(result.modalities):
    problem = f'{result.method} reads ' + (
        'the main modality and the privileged one: name two' if result.roles.privileged else 'one modality: name it')
  elif len(set(new)) < len(new):
    problem = 'the privileged modality must differ from the main one'
  elif wrong:
    problem = f'{wrong[0]!r} cannot be the name of a modality of {result.method}: use another word'
  if problem:
    raise errors.UserError(f'modalities={",".join(new)}: {problem}.')


def training_stages(result: Recipe, field: str, value) -> Dict[str, Any]:
  """Overrides {dotted path: value} that set a field in all stages that train."""
  return {f'stages.{name}.{field}': value for name, stage in result.stages.items() if stage.epochs}


def apply(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """Overrides the existing ones among the fields in `values`; `stages.*` stands for all stages that train.

  Fields of stages without epochs stay unchanged. Raises `UserError` as `override`.
  """
  known = {path for path in settings.flatten(result)
           if not path.startswith('stages.') or result.stages[path.split('.')[1]].epochs}
  found = {}
  for path, value in values.items():
    if path.startswith('stages.*.'):
      found.update(training_stages(result, path.removeprefix('stages.*.'), value))
    elif path in known:
      found[path] = value
  return override(result, found)


def shared_stages(one: Recipe, other: Recipe) -> List[str]:
  """The first stages that end with the same weights under two recipes.

  All fields that these stages depend on are equal in both recipes. Connections
  do not affect single streams. Between different methods, only stages trained by
  cross entropy are shared, with which all methods of chapters 3 and 4 begin.
  """
  fields = {field.name for field in dataclasses.fields(Recipe)} - {*_NAMES, *_BY_STAGE, *_OF_OTHER_LOSSES}
  if any(getattr(one, name) != getattr(other, name) for name in fields):
    return []
  separate = ConnectionConfig('none')
  same_connections = (one.connections or separate) == (other.connections or separate)
  same_method = all(getattr(one, name) == getattr(other, name) for name in ('method', *_OF_OTHER_LOSSES))
  shared = []
  for name, name_there in zip(one.stages, other.stages):
    stage, there = one.stages[name], other.stages[name_there]
    streams = one.streams(name)
    if not (name == name_there and stage == there and streams == other.streams(name)
            and (same_method or stage.loss == 'cross_entropy') and (same_connections or len(streams) == 1)):
      break
    shared.append(name)
  return shared


def _has_discriminator(stage: StageConfig) -> bool:
  return stage.loss in LOSSES and LOSSES[stage.loss].has_discriminator  # validation reports unknown losses
