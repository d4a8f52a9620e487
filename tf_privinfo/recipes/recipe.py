"""The recipe: a method on a dataset with all hyperparameters, as data."""

import dataclasses
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.methods.config import ConnectionConfig, HallucinationConfig, LoserConfig, ModDropConfig
from tf_privinfo.networks.config import DiscriminatorConfig, R2Plus1DConfig, ResNet50Config
from tf_privinfo.networks.registry import config_class, NETWORKS
from tf_privinfo.recipes import settings
from tf_privinfo.recipes.stage import LOSSES, StageConfig
from tf_privinfo.utils import errors

# Stream -> modality, for streams that are not named after their modality.
_READS = {'hall': 'rgb', 'rgb_2': 'rgb', 'autoencoder': 'rgb'}
# Fields with the origin of a recipe, which do not affect results, and fields that `shared_stages` compares by stage.
_NAMES, _BY_STAGE = ('preset', 'variant'), ('method', 'modalities', 'connections', 'stages')
# Sections that do not affect stages trained by cross entropy. A section that is not listed affects all stages.
_OF_OTHER_LOSSES = ('loser', 'hallucination', 'discriminator', 'moddrop')

# The section of a network in `registry.NETWORKS`.
NetworkConfig = Union[R2Plus1DConfig, ResNet50Config]


class SwitchStages(NamedTuple):
  """The stages with the parts of a switch (section 4.3.5).

  Attributes:
    with_depth: stage of RGB and depth.
    hallucinated: stage of RGB and `hall`.
    detector: stage of the discriminator that scores depth.
  """
  with_depth: str = 'joint'
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
    modalities: input modalities, in the order that breaks ties.
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
    return {stream: _READS.get(stream, stream) for stream in self.stages[stage].streams or self.modalities}

  def networks(self, stage: str) -> List[str]:
    """The names of all networks of a stage: its streams and, if its loss has one, the discriminator."""
    return [*self.streams(stage), *(['discriminator'] if _has_discriminator(self.stages[stage]) else [])]

  @property
  def deployed_stage(self) -> str:
    """The stage whose streams are evaluated and exported: the last one."""
    return list(self.stages)[-1]

  @property
  def has_switch(self) -> bool:
    """Whether a finished run switches between depth and hallucinated depth (section 4.3.5)."""
    return SWITCH.detector in self.stages


def override(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """Replaces fields by their dotted paths, as `settings.override` does.

  `network.architecture` is replaced first; the section `network` then has the defaults of the new architecture.

  Args:
    result: recipe, which stays unchanged.
    values: dotted path -> value, or text to be parsed.

  Raises:
    UserError: for an unknown path or architecture, and for a value of a different type.
  """
  architecture = values.get('network.architecture', result.network.architecture)
  if architecture not in NETWORKS:
    raise errors.UserError(f'Unknown network.architecture={architecture}: choose one of {", ".join(NETWORKS)}.')
  if architecture != result.network.architecture:
    result = dataclasses.replace(result, network=config_class(architecture)())
  return settings.override(result, values)


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
