"""Recipes: every method on every dataset, with every hyperparameter, as data."""

import dataclasses
import typing
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import yaml

from tf_privinfo import configs
from tf_privinfo import errors

# Method -> what `--help` says of it.
METHODS = {
    'dmcl': 'distillation multiple choice learning (chapter 5)',
    'smcl': 'stochastic multiple choice learning: only the winner learns',
    'cmcl': 'confident multiple choice learning: losers learn to be unsure',
    'independent': 'every network alone, with cross entropy',
    'random_teacher': 'DMCL with a random teacher for each sample (table 5.2)',
    'modality_distillation': 'four steps to a hallucination stream that stands in for depth (chapter 3)',
    'hoffman': 'hallucination learned end to end, without a staged teacher',
    'two_stream': 'late fusion of RGB and depth, fine-tuned jointly',
    'single_stream': 'one modality alone',
    'ensemble': 'two RGB networks from different seeds',
}
_MULTIPLE_CHOICE = ('dmcl', 'smcl', 'cmcl', 'independent', 'random_teacher')
DATASETS = {
    'synthetic': 'rendered on first use, needs no download',
    'nwucla': 'Northwestern-UCLA Multiview Action3D',
}
PRESETS = {
    'paper': "the thesis' sizes",
    'small': 'a CPU trains it in minutes',
    'tiny': 'seconds, for tests',
}
VARIANTS = {
    'code': "what the authors' code computes",
    'thesis': 'what the text says',
}
# Streams that are not named after the modality they read.
_READS = {'hall': 'rgb', 'rgb_2': 'rgb'}


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A method on a dataset with every hyperparameter: enough to run it again.

  Attributes:
    method, dataset, protocol, preset, variant: names, as in the flags.
    seed: of weights, data order, frame sampling, augmentation and teachers.
    modalities: what is read, in the order that breaks ties.
    mixed_precision: compute in bfloat16, keep weights in float32.
    init_from: run whose streams the first stages start from; empty: none.
    new_classifier: leave the classifiers of `init_from` out.
    data, clips, network, loser, connections, hallucination: the sections in
      `configs`; None for those that the method has no use for.
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
  init_from: str = ''
  new_classifier: bool = False
  data: configs.DataConfig = configs.DataConfig()
  clips: configs.ClipConfig = configs.ClipConfig()
  network: Union[configs.R2Plus1DConfig, configs.ResNet50Config] = configs.R2Plus1DConfig()
  loser: Optional[configs.LoserConfig] = None
  connections: Optional[configs.ConnectionConfig] = None
  hallucination: Optional[configs.HallucinationConfig] = None
  stages: Mapping[str, configs.StageConfig] = dataclasses.field(
      default_factory=lambda: {'ensemble': configs.StageConfig()})

  def streams(self, stage: str) -> Dict[str, str]:
    """The streams of a stage, each with the modality that it reads."""
    return {stream: _READS.get(stream, stream) for stream in self.stages[stage].streams or self.modalities}


# The common form of all training steps of chapter 3 (METHODS 3).
_STEP = configs.StageConfig(
    loss='cross_entropy', epochs=40, batch_size=5, optimizer='adam', learning_rate=1e-3, warmup_epochs=0.0,
    decay_epochs=(), weight_decay=0.0, validate_every=1, criterion='sum')


def _step(*streams: str, **fields) -> configs.StageConfig:
  return dataclasses.replace(_STEP, streams=streams, **fields)


_STEP_1 = {'rgb': _step('rgb'), 'depth': _step('depth')}
_AFTER_STEP_1 = ('rgb=rgb/rgb', 'depth=depth/depth')
_STAGES = {
    **{method: {'ensemble': configs.StageConfig()} for method in _MULTIPLE_CHOICE},
    'single_stream': {'stream': _step()},
    'two_stream': {**_STEP_1, 'joint': _step('rgb', 'depth', init=_AFTER_STEP_1)},
    'ensemble': {'rgb': _step('rgb'), 'rgb_2': _step('rgb_2'),
                 'joint': _step('rgb', 'rgb_2', init=('rgb=rgb/rgb', 'rgb_2=rgb_2/rgb_2'), epochs=0)},
    'hoffman': {
        **_STEP_1,
        'hallucination': _step('rgb', 'depth', 'hall', init=(*_AFTER_STEP_1, 'hall=depth/depth'), frozen=('depth',),
                               loss='hallucination')},
    'modality_distillation': {
        **_STEP_1,
        'joint': _step('rgb', 'depth', init=_AFTER_STEP_1),
        'hallucination': _step('rgb', 'depth', 'hall', init=('rgb=joint/rgb', 'depth=joint/depth', 'hall=joint/depth'),
                               frozen=('rgb', 'depth'), loss='hallucination'),
        'finetune': _step('rgb', 'hall', init=('rgb=joint/rgb', 'hall=hallucination/hall'))},
}
_MODALITIES = {'single_stream': ('rgb',), 'ensemble': ('rgb',)}
_SECTIONS = {
    'dmcl': {'loser': configs.LoserConfig()},
    'random_teacher': {'loser': configs.LoserConfig()},
    'modality_distillation': {
        'connections': configs.ConnectionConfig(), 'hallucination': configs.HallucinationConfig()},
    'hoffman': {
        'connections': configs.ConnectionConfig('none'), 'hallucination': configs.HallucinationConfig(map_share=1.0)},
    'two_stream': {'connections': configs.ConnectionConfig('none')},
}
_CHAPTER_3_CLIPS = configs.ClipConfig(
    frames=5, sampling='mixed', frame_size=224, crop_size=224, crop_shift=0.0, colour=False, test_clips=1)

# Preset -> overrides of the thesis' sizes; `stages.*` is every stage that trains.
_MULTIPLE_CHOICE_PRESETS = {
    'paper': {},
    'small': {
        # Crops stay 7/8 of the frame, as 224 of 256.
        'clips.frame_size': 64, 'clips.crop_size': 56, 'network.width': 16, 'network.norm_momentum': 0.98,
        'stages.*.epochs': 46, 'stages.*.learning_rate': 0.0025, 'stages.*.decay_epochs': (30.0, 40.0),
        # 5 % of the synthetic training set are 20 videos: too few to choose an epoch by.
        'stages.*.selection': 'last'},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 28, 'data.rendering': 'tiny',
        'network.width': 4, 'network.units': (1, 1), 'network.norm_momentum': 0.9,
        'stages.*.epochs': 2, 'stages.*.batch_size': 4, 'stages.*.learning_rate': 0.01,
        'stages.*.warmup_epochs': 0.5, 'stages.*.decay_epochs': (), 'stages.*.validate_every': 1},
}
_CHAPTER_3_PRESETS = {
    'paper': {},
    'small': {
        'clips.frame_size': 64, 'clips.crop_size': 64, 'network.width': 16, 'network.units': (2, 2, 2, 2),
        'network.norm_momentum': 0.98, 'stages.*.batch_size': 8, 'stages.*.epochs': 40,
        'stages.*.decay_epochs': (27.0,), 'stages.*.selection': 'last'},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 32, 'data.rendering': 'tiny',
        'network.width': 4, 'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.9,
        'stages.*.epochs': 1, 'stages.*.batch_size': 4},
}
# FIDELITY rows 3, 8, 20, 22, 24 and 28; a path is set where the method has it.
_THESIS_VARIANT = {
    'loser.hard_weight': 0.5, 'loser.soft_weight': 0.5, 'loser.squared_temperature': False,
    'loser.student_at_temperature': False, 'connections.form': 'multiplicative',
    'hallucination.student_at_temperature': False}
_THESIS_LEARNING_RATE = 1e-3 / 1.28e-3


def recipe(method: str, dataset: str, protocol: str, preset: str = 'paper', variant: str = 'code',
           seed: int = 0) -> Recipe:
  """The recipe of a method on a dataset; raises `UserError` for unknown names."""
  for flag, value, known in (('method', method, METHODS), ('dataset', dataset, DATASETS),
                             ('preset', preset, PRESETS), ('variant', variant, VARIANTS)):
    if value not in known:
      raise errors.UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')
  result = Recipe(method, dataset, protocol, preset, variant, seed, stages=_STAGES[method], **_SECTIONS.get(method, {}))
  if method in _MULTIPLE_CHOICE:
    result = _apply(result, _MULTIPLE_CHOICE_PRESETS[preset])
    rate = result.stages['ensemble'].learning_rate * _THESIS_LEARNING_RATE
    return _thesis_variant(result, {'clips.crop_shift': 0.5, 'stages.ensemble.learning_rate': rate})
  # The code validates on NTU alone (FIDELITY B 6).
  hold_out = 0.0 if dataset == 'nwucla' else result.data.hold_out
  result = dataclasses.replace(
      result, modalities=_MODALITIES.get(method, ('rgb', 'depth')), clips=_CHAPTER_3_CLIPS,
      # Depth is coded with the jet colour map (section 3.2.3).
      network=configs.ResNet50Config(), data=configs.DataConfig('depth', aligned=True, hold_out=hold_out))
  return _thesis_variant(_apply(result, _CHAPTER_3_PRESETS[preset]), {'clips.sampling': 'uniform'})


def default_protocol(method: str, dataset: str) -> Optional[str]:
  """The protocol of the authors' code where a method has another one than its dataset; otherwise None."""
  return 'cross_view_3' if dataset == 'nwucla' and method not in _MULTIPLE_CHOICE else None


def _thesis_variant(result: Recipe, more: Mapping[str, Any]) -> Recipe:
  if result.variant == 'code':
    return result
  known = flatten(result)
  return override(result, {path: value for path, value in {**_THESIS_VARIANT, **more}.items() if path in known})


def training_stages(result: Recipe, field: str, value) -> Dict[str, Any]:
  """Overrides that set a field of every stage that trains."""
  return {f'stages.{name}.{field}': value for name, stage in result.stages.items() if stage.epochs}


def _apply(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  for path, value in values.items():
    many = path.startswith('stages.*.')
    result = override(result, training_stages(result, path.removeprefix('stages.*.'), value) if many else {path: value})
  return result


def override(base, values: Mapping[str, Any]):
  """Replaces fields by their dotted paths.

  Args:
    base: a recipe or one of its sections.
    values: path such as 'loser.temperature' -> value, or text to be parsed.

  Returns:
    A new recipe.

  Raises:
    UserError: for an unknown path, naming the known ones, and for a value of
      another type than the field's.
  """
  for path, value in values.items():
    base = _override(base, path.split('.'), value, path)
  return base


def _override(node, keys: List[str], value, path: str):
  fields = _fields(node)
  if keys[0] not in fields:
    raise errors.UserError(f'Unknown key {path!r} in --set: {keys[0]!r} is none of {", ".join(fields)}.')
  child, expected = fields[keys[0]]
  if len(keys) > 1:
    if not _fields(child):
      raise errors.UserError(f'Unknown key {path!r} in --set: {keys[0]!r} has no parts.')
    new = _override(child, keys[1:], value, path)
  else:
    if _fields(child):
      raise errors.UserError(f'{path!r} in --set is a section: name one of its fields: {", ".join(_fields(child))}.')
    new = _convert(value, expected, path)
  if isinstance(node, Mapping):
    return {**node, keys[0]: new}
  return dataclasses.replace(node, **{keys[0]: new})


def _fields(node) -> Dict[str, Tuple[Any, Any]]:
  """Key -> (value, type) of a section; empty for a plain value."""
  if isinstance(node, Mapping):
    return {key: (value, type(value)) for key, value in node.items()}
  if dataclasses.is_dataclass(node):
    hints = typing.get_type_hints(type(node))
    values = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return {name: (value, hints[name]) for name, value in values.items() if value is not None}
  return {}


def _convert(value, expected, path: str):
  """Converts text or a value from YAML to the type of its field."""
  try:
    if typing.get_origin(expected) is tuple:
      item = typing.get_args(expected)[0]
      parts = [part for part in value.split(',') if part] if isinstance(value, str) else value
      return tuple(_convert(part, item, path) for part in parts)
    if expected is bool:
      return {'true': True, 'false': False}[str(value).lower()]
    if expected is int and isinstance(value, float):
      raise ValueError
    return expected(value)
  except (KeyError, TypeError, ValueError):
    name = getattr(expected, '__name__', str(expected))
    raise errors.UserError(f'{path}={value!r} in --set is not of type {name}.') from None


def parse_settings(settings: List[str]) -> Dict[str, str]:
  """Parses `key=value` texts of --set; raises `UserError` for anything else."""
  parsed = {}
  for setting in settings:
    key, equals, value = setting.partition('=')
    if not equals:
      raise errors.UserError(f'--set {setting!r} is not of the form key=value, as in --set loser.temperature=5.')
    parsed[key] = value
  return parsed


def check(result: Recipe) -> Recipe:
  """Returns the recipe if its numbers make sense together; raises `UserError` otherwise."""
  problems = [*_data_problems(result), *_network_problems(result)]
  for name, stage in result.stages.items():
    problems += [f'stages.{name}.{problem}' for problem in _stage_problems(stage)]
  if problems:
    raise errors.UserError(f'The recipe cannot run: {"; ".join(problems)}.')
  return result


def _data_problems(result: Recipe):
  clips = result.clips
  if clips.crop_size > clips.frame_size:
    yield 'clips.crop_size is larger than clips.frame_size'
  if not result.modalities or len(set(result.modalities)) < len(result.modalities):
    yield 'modalities must name at least one modality, each once'
  if not 0 <= clips.crop_shift <= 0.5:
    yield 'clips.crop_shift must be between 0 and 0.5'
  if not 0 <= result.data.hold_out < 1:
    yield 'data.hold_out must be at least 0 and less than 1'
  if clips.sampling not in ('segments', 'uniform', 'mixed'):
    yield 'clips.sampling must be segments, uniform or mixed'
  if min(clips.frames, clips.crop_size, clips.test_clips) < 1:
    yield 'clips.frames, clips.crop_size and clips.test_clips must be positive'


def _network_problems(result: Recipe):
  units = result.network.units
  if isinstance(result.network, configs.ResNet50Config):
    if len(units) != 4 or min(units) < 2:
      yield 'network.units must be four numbers of at least 2'
  elif not units or min(units) < 1:
    yield 'network.units must be positive'
  if result.network.width < 1:
    yield 'network.width must be positive'
  if result.loser and result.loser.temperature <= 0:
    yield 'loser.temperature must be positive'
  if result.connections and result.connections.direction not in ('depth_to_rgb', 'rgb_to_depth', 'none'):
    yield 'connections.direction must be depth_to_rgb, rgb_to_depth or none'
  if result.connections and result.connections.form not in ('additive', 'multiplicative'):
    yield 'connections.form must be additive or multiplicative'
  if result.hallucination:
    if result.hallucination.layer not in ('block1', 'block2', 'block3', 'block4'):
      yield 'hallucination.layer must be one of block1, block2, block3, block4'
    if result.hallucination.temperature <= 0:
      yield 'hallucination.temperature must be positive'
    if not (0 <= result.hallucination.map_share <= 1 and 0 <= result.hallucination.soft_share <= 1):
      yield 'hallucination.map_share and hallucination.soft_share must be between 0 and 1'


def _stage_problems(stage: configs.StageConfig):
  if stage.epochs < 0 or min(stage.batch_size, stage.validate_every) < 1:
    yield 'batch_size and validate_every must be positive, epochs at least 0'
  if stage.optimizer not in ('momentum', 'adam'):
    yield 'optimizer must be momentum or adam'
  if stage.criterion not in ('oracle', 'sum'):
    yield 'criterion must be oracle or sum'
  if stage.selection not in ('best_validation', 'last'):
    yield 'selection must be best_validation or last'
  if list(stage.decay_epochs) != sorted(stage.decay_epochs):
    yield 'decay_epochs must increase'


def flatten(node, prefix: str = '') -> Dict[str, Any]:
  """All fields of a recipe by their dotted paths, tuples as comma-separated text."""
  flat = {}
  for key, (value, _) in _fields(node).items():
    if _fields(value):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = ','.join(map(str, value)) if isinstance(value, tuple) else value
  return flat


def to_yaml(result: Recipe) -> str:
  """The recipe as YAML text, in the order of its fields."""
  return yaml.safe_dump(_plain(dataclasses.asdict(result)), sort_keys=False)


def from_yaml(text: str) -> Recipe:
  """The inverse of `to_yaml`; raises `UserError` for a recipe with unknown or ill-typed fields."""
  try:
    plain = yaml.safe_load(text)
    head = {key: plain[key] for key in ('method', 'dataset', 'protocol', 'preset', 'variant')}
    return override(recipe(**head), flatten(plain))
  except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
    raise errors.UserError(f'The saved recipe cannot be read ({error}).') from None


def _plain(value):
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items() if item is not None}
  return list(value) if isinstance(value, tuple) else value
