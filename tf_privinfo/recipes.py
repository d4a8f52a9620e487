"""Recipes: every method on every dataset, with every hyperparameter, as data."""

import dataclasses
import typing
from typing import Any, Dict, List, Mapping, Tuple

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
}
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


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A method on a dataset with every hyperparameter: enough to run it again.

  Attributes:
    method, dataset, protocol, preset, variant: names, as in the flags.
    seed: of weights, data order, frame sampling, augmentation and teachers.
    modalities: the streams, in the order that breaks ties.
    mixed_precision: compute in bfloat16, keep weights in float32.
    data, clips, network, loser: the sections in `configs`.
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
  data: configs.DataConfig = configs.DataConfig()
  clips: configs.ClipConfig = configs.ClipConfig()
  network: configs.R2Plus1DConfig = configs.R2Plus1DConfig()
  loser: configs.LoserConfig = configs.LoserConfig()
  stages: Mapping[str, configs.StageConfig] = dataclasses.field(
      default_factory=lambda: {'ensemble': configs.StageConfig()})


# Preset -> overrides of the thesis' sizes. Crops stay 7/8 of the frame, as 224 of 256.
_PRESETS = {
    'paper': {},
    'small': {
        'clips.frame_size': 64, 'clips.crop_size': 56, 'network.width': 16, 'network.norm_momentum': 0.98,
        'stages.ensemble.epochs': 46, 'stages.ensemble.batch_size': 8, 'stages.ensemble.learning_rate': 0.0025,
        'stages.ensemble.warmup_epochs': 5.0, 'stages.ensemble.decay_epochs': (30.0, 40.0),
        # 5 % of the synthetic training set are 20 videos: too few to choose an epoch by.
        'stages.ensemble.selection': 'last'},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 28, 'data.rendering': 'tiny',
        'network.width': 4, 'network.units': (1, 1), 'network.norm_momentum': 0.9,
        'stages.ensemble.epochs': 2, 'stages.ensemble.batch_size': 4, 'stages.ensemble.learning_rate': 0.01,
        'stages.ensemble.warmup_epochs': 0.5, 'stages.ensemble.decay_epochs': (), 'stages.ensemble.validate_every': 1},
}
# FIDELITY rows 20, 22 and 24.
_VARIANTS = {
    'code': {},
    'thesis': {
        'loser.hard_weight': 0.5, 'loser.soft_weight': 0.5, 'loser.squared_temperature': False,
        'loser.student_at_temperature': False, 'clips.crop_shift': 0.5},
}
_THESIS_LEARNING_RATE = 1e-3 / 1.28e-3


def recipe(method: str, dataset: str, protocol: str, preset: str = 'paper', variant: str = 'code',
           seed: int = 0) -> Recipe:
  """The recipe of a method on a dataset; raises `UserError` for unknown names."""
  for flag, value, known in (('method', method, METHODS), ('dataset', dataset, DATASETS),
                             ('preset', preset, PRESETS), ('variant', variant, VARIANTS)):
    if value not in known:
      raise errors.UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')
  result = Recipe(method, dataset, protocol, preset, variant, seed)
  result = override(result, {**_PRESETS[preset], **_VARIANTS[variant]})
  if variant == 'thesis':
    rate = result.stages['ensemble'].learning_rate * _THESIS_LEARNING_RATE
    result = override(result, {'stages.ensemble.learning_rate': rate})
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
    return {field.name: (getattr(node, field.name), hints[field.name]) for field in dataclasses.fields(node)}
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
  problems = []
  if result.clips.crop_size > result.clips.frame_size:
    problems.append('clips.crop_size is larger than clips.frame_size')
  if not result.modalities or len(set(result.modalities)) < len(result.modalities):
    problems.append('modalities must name at least one modality, each once')
  if not 0 <= result.clips.crop_shift <= 0.5:
    problems.append('clips.crop_shift must be between 0 and 0.5')
  if min(result.clips.frames, result.clips.crop_size, result.network.width, *result.network.units) < 1:
    problems.append('clips.frames, clips.crop_size, network.width and network.units must be positive')
  if result.loser.temperature <= 0:
    problems.append('loser.temperature must be positive')
  for name, stage in result.stages.items():
    if min(stage.epochs, stage.batch_size, stage.validate_every) < 1:
      problems.append(f'stages.{name}: epochs, batch_size and validate_every must be positive')
    if stage.selection not in ('best_validation', 'last'):
      problems.append(f'stages.{name}.selection must be best_validation or last')
    if list(stage.decay_epochs) != sorted(stage.decay_epochs):
      problems.append(f'stages.{name}.decay_epochs must increase')
  if problems:
    raise errors.UserError(f'The recipe cannot run: {"; ".join(problems)}.')
  return result


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
    base = dataclasses.replace(
        Recipe(**head), stages={name: configs.StageConfig() for name in plain['stages']})
    return override(base, flatten(plain))
  except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
    raise errors.UserError(f'The saved recipe cannot be read ({error}).') from None


def _plain(value):
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items()}
  return list(value) if isinstance(value, tuple) else value
