"""Recipes: every method on every dataset, with every hyperparameter, as data."""

import dataclasses
import os
import pathlib
import zlib
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

import yaml

from tf_privinfo import configs
from tf_privinfo import errors
from tf_privinfo import settings

# Method -> what `--help` says of it.
METHODS = {
    'dmcl': 'distillation multiple choice learning (chapter 5)',
    'smcl': 'stochastic multiple choice learning: only the winner learns',
    'cmcl': 'confident multiple choice learning: losers learn to be unsure',
    'independent': 'every network alone, with cross entropy',
    'random_teacher': 'DMCL with a random teacher for each sample (table 5.2)',
    'modality_distillation': 'four steps to a hallucination stream that stands in for depth (chapter 3)',
    'hoffman': 'hallucination learned end to end, without a staged teacher',
    'admd': 'hallucination learned in a game with a discriminator of C + 1 classes (chapter 4)',
    'naive_adversarial': 'the same game with a discriminator that tells real from fake alone (table 4.3)',
    'two_stream': 'late fusion of RGB and depth, fine-tuned jointly',
    'single_stream': 'one modality alone',
    'ensemble': 'two RGB networks from different seeds',
    'moddrop': 'two streams fine-tuned with dropped modalities (objects, table 4.5)',
    'autoencoder': 'depth images estimated from RGB (objects, table 4.5)',
}
_MULTIPLE_CHOICE = ('dmcl', 'smcl', 'cmcl', 'independent', 'random_teacher')
DATASETS = {
    'synthetic': 'rendered on first use, needs no download',
    'nwucla': 'Northwestern-UCLA Multiview Action3D',
    'ntu60': 'NTU RGB+D',
    'ntu60_mini': 'a third of its training set',
    'ntu120': 'NTU RGB+D 120',
    'ntu120_mini': 'half of its training set',
    'uwa3dii': 'UWA3D Multiview Activity II',
    'synthetic_objects': 'objects, rendered on first use',
    'nyud': 'NYU Depth v2 objects, or other RGB and depth crops in their folders',
}
# Single frames of objects; the others are videos of actions.
OBJECTS = ('synthetic_objects', 'nyud')
_NTU = ('ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini')
# Videos without 8-bit pictures of depth, and without joints to align RGB and depth by.
_RAW_DEPTH, _NO_JOINTS = (*_NTU, 'uwa3dii'), ('uwa3dii',)
# Where the authors' code of chapters 3 and 4 validates on nothing (FIDELITY B 6).
_NO_VALIDATION = ('nwucla', 'uwa3dii')
PRESETS = {
    'paper': "the thesis' sizes",
    'small': 'a CPU trains it in minutes',
    'tiny': 'seconds, for tests',
}
VARIANTS = {
    'code': "what the authors' code computes",
    'thesis': 'what the text says',
}
# Characters of a directory's name before its checksum.
_LONGEST_NAME = 160
# Streams that are not named after the modality they read.
_READS = {'hall': 'rgb', 'rgb_2': 'rgb', 'autoencoder': 'rgb'}


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
    data, clips, network, loser, connections, hallucination, discriminator,
      moddrop: the sections in `configs`; None for those that the method has no
      use for.
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
  discriminator: Optional[configs.DiscriminatorConfig] = None
  moddrop: Optional[configs.ModDropConfig] = None
  stages: Mapping[str, configs.StageConfig] = dataclasses.field(
      default_factory=lambda: {'ensemble': configs.StageConfig()})

  def streams(self, stage: str) -> Dict[str, str]:
    """The streams of a stage, each with the modality that it reads."""
    return {stream: _READS.get(stream, stream) for stream in self.stages[stage].streams or self.modalities}

  def networks(self, stage: str) -> List[str]:
    """All networks that a stage has: its streams, and the discriminator if it plays or learns."""
    return [*self.streams(stage), *(['discriminator'] if self.stages[stage].loss in ('adversarial', 'noise') else [])]

  @property
  def has_switch(self) -> bool:
    """Whether a finished run can tell depth from hallucinated depth (section 4.3.5)."""
    return 'watch' in self.stages


# The common form of all training steps of chapter 3 (METHODS 3).
_STEP = configs.StageConfig(
    loss='cross_entropy', epochs=40, batch_size=5, optimizer='adam', learning_rate=1e-3, warmup_epochs=0.0,
    decay_epochs=(), weight_decay=0.0, validate_every=1, criterion='sum')


def _step(*streams: str, **fields) -> configs.StageConfig:
  return dataclasses.replace(_STEP, streams=streams, **fields)


_STEP_1 = {'rgb': _step('rgb'), 'depth': _step('depth')}
_AFTER_STEP_1 = ('rgb=rgb/rgb', 'depth=depth/depth')
_JOINT = {**_STEP_1, 'joint': _step('rgb', 'depth', init=_AFTER_STEP_1)}
_ENSEMBLE = {
    'rgb': _step('rgb'), 'rgb_2': _step('rgb_2'),
    'joint': _step('rgb', 'rgb_2', init=('rgb=rgb/rgb', 'rgb_2=rgb_2/rgb_2'), epochs=0)}


def _imitation(stage: str, loss: str) -> Dict[str, configs.StageConfig]:
  """Stages in which `hall` learns from the depth stream of `joint`, and is fused with its RGB stream."""
  return {
      stage: _step('depth', 'hall', init=('depth=joint/depth', 'hall=joint/depth'), frozen=('depth',), loss=loss),
      'fused': _step('rgb', 'hall', init=('rgb=joint/rgb', f'hall={stage}/hall'), epochs=0)}


# Two streams that are not fine-tuned together, and the game (METHODS 3).
_GAME = {**_STEP_1, 'joint': _step('rgb', 'depth', init=_AFTER_STEP_1, epochs=0), **_imitation('game', 'adversarial')}


def _with_watch(stages: Mapping[str, configs.StageConfig]) -> Dict[str, configs.StageConfig]:
  """ADMD's stages with that of the discriminator for the switch, before the last one."""
  *names, last = stages
  watch = _step('depth', init=('depth=joint/depth', 'discriminator=game/discriminator'), frozen=('depth',),
                loss='noise', selection='last', epochs=10)
  return {**{name: stages[name] for name in names}, 'watch': watch, last: stages[last]}


_VIDEO_STAGES = {
    **{method: {'ensemble': configs.StageConfig()} for method in _MULTIPLE_CHOICE},
    'single_stream': {'stream': _step()},
    'two_stream': _JOINT,
    'ensemble': _ENSEMBLE,
    'hoffman': {
        **_STEP_1,
        'hallucination': _step('rgb', 'depth', 'hall', init=(*_AFTER_STEP_1, 'hall=depth/depth'), frozen=('depth',),
                               loss='hallucination')},
    'modality_distillation': {
        **_JOINT,
        'hallucination': _step('rgb', 'depth', 'hall', init=('rgb=joint/rgb', 'depth=joint/depth', 'hall=joint/depth'),
                               frozen=('rgb', 'depth'), loss='hallucination'),
        'finetune': _step('rgb', 'hall', init=('rgb=joint/rgb', 'hall=hallucination/hall'))},
    'admd': _with_watch(_GAME),
    'naive_adversarial': _GAME,
}
_OBJECT_STAGES = {
    'single_stream': {'stream': _step()},
    'two_stream': _JOINT,
    'ensemble': _ENSEMBLE,
    'modality_distillation': {**_JOINT, **_imitation('hallucination', 'hallucination')},
    'moddrop': {
        **_JOINT, 'moddrop': _step('rgb', 'depth', init=('rgb=joint/rgb', 'depth=joint/depth'), loss='moddrop')},
    'autoencoder': {
        **_JOINT,
        'autoencoder': _step('autoencoder', loss='reconstruction', selection='last'),
        'fused': _step('rgb', 'depth', 'autoencoder', init=(
            'rgb=joint/rgb', 'depth=joint/depth', 'autoencoder=autoencoder/autoencoder'), frozen=('autoencoder',),
            loss='estimated_depth', epochs=0)},
    'admd': _with_watch({**_JOINT, **_imitation('game', 'adversarial')}),
    'naive_adversarial': {**_JOINT, **_imitation('game', 'adversarial')},
}
_MODALITIES = {'single_stream': ('rgb',), 'ensemble': ('rgb',)}
_VIDEO_SECTIONS = {
    'dmcl': {'loser': configs.LoserConfig()},
    'random_teacher': {'loser': configs.LoserConfig()},
    'modality_distillation': {
        'connections': configs.ConnectionConfig(), 'hallucination': configs.HallucinationConfig()},
    'hoffman': {
        'connections': configs.ConnectionConfig('none'), 'hallucination': configs.HallucinationConfig(map_share=1.0)},
    'two_stream': {'connections': configs.ConnectionConfig('none')},
    'admd': {'discriminator': configs.DiscriminatorConfig()},
    'naive_adversarial': {'discriminator': configs.DiscriminatorConfig(task='real_or_fake', frame_index=False)},
}
_OBJECT_DISCRIMINATOR = configs.DiscriminatorConfig(
    'residual', (1024, 1024, 1024, 2048, 3076), frame_index=False, loss_weight=1.0)
_OBJECT_SECTIONS = {
    'modality_distillation': {'hallucination': configs.HallucinationConfig('sum', layer='features')},
    'moddrop': {'moddrop': configs.ModDropConfig()},
    'admd': {'discriminator': _OBJECT_DISCRIMINATOR},
    'naive_adversarial': {'discriminator': dataclasses.replace(_OBJECT_DISCRIMINATOR, task='real_or_fake')},
}
_TWO_STREAM_CLIPS = configs.ClipConfig(
    frames=5, sampling='mixed', frame_size=224, crop_size=224, crop_shift=0.0, colour=False, test_clips=1)
_OBJECT_CLIPS = configs.ClipConfig(
    frames=1, sampling='uniform', frame_size=224, crop_size=224, crop_shift=0.0, flip=False, colour=False, test_clips=1,
    noise_centre=configs.ResNet50Config().input_mean)

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
_VIDEO_PRESETS = {
    'paper': {},
    'small': {
        'clips.frame_size': 64, 'clips.crop_size': 64, 'network.width': 16, 'network.units': (2, 2, 2, 2),
        'network.norm_momentum': 0.98, 'stages.*.batch_size': 8, 'stages.*.epochs': 40,
        'stages.*.decay_epochs': (27.0,), 'stages.*.selection': 'last',
        'stages.game.epochs': 80, 'stages.game.decay_epochs': (54.0,),
        'stages.watch.epochs': 10, 'stages.watch.decay_epochs': (7.0,)},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 32, 'data.rendering': 'tiny',
        'network.width': 4, 'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.9,
        'stages.*.epochs': 1, 'stages.*.batch_size': 4},
}


def _iterations(steps: int, batch_size: int) -> int:
  """The authors' iterations as epochs of the 2091 images that are left of NYUD's training set."""
  return round(steps / (2091 // batch_size))


# The iterations and rates of the authors' run.sh (METHODS 3), by stage.
_OBJECT_SCHEDULES = {
    **{stage: {'batch_size': 64, 'learning_rate': 1e-4, 'epochs': _iterations(2000, 64)}
       for stage in ('stream', 'rgb', 'depth', 'rgb_2')},
    'joint': {'batch_size': 32, 'learning_rate': 1e-6, 'epochs': _iterations(1000, 32)},
    'hallucination': {'batch_size': 32, 'learning_rate': 1e-4, 'epochs': _iterations(2000, 32)},
    'game': {'batch_size': 64, 'learning_rate': 1e-6, 'epochs': _iterations(5000, 64)},
    'watch': {'batch_size': 64, 'learning_rate': 1e-4, 'epochs': _iterations(1000, 64)},
    'moddrop': {'batch_size': 32, 'learning_rate': 1e-5, 'epochs': _iterations(1000, 32)},
    'autoencoder': {'batch_size': 32, 'learning_rate': 1e-4, 'epochs': _iterations(10000, 32)},
}
_NAIVE_OBJECT_GAME = {'epochs': _iterations(10000, 64)}
_OBJECT_PRESETS = {
    'paper': {},
    'small': {
        'clips.frame_size': 64, 'clips.crop_size': 64, 'data.hold_out': 0.1, 'network.width': 16,
        'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.98,
        # From random initial weights the residual discriminator wins at once, and then it teaches nothing; without
        # batch norm in the bottleneck the smaller one's game is unstable. The thesis' text has this bottleneck, too.
        'discriminator.form': 'plain', 'discriminator.hidden': (64,), 'discriminator.rate': 0.1,
        'network.bottleneck': 'pool_then_conv',
        'stages.*.batch_size': 16, 'stages.*.epochs': 30, 'stages.*.learning_rate': 1e-3,
        'stages.*.decay_epochs': (20.0,), 'stages.*.selection': 'last',
        # Fine-tuned with a hundredth and a tenth of the single streams' rate, as theirs.
        'stages.joint.learning_rate': 1e-5, 'stages.joint.epochs': 10, 'stages.joint.decay_epochs': (),
        'stages.moddrop.learning_rate': 1e-4, 'stages.moddrop.epochs': 10, 'stages.moddrop.decay_epochs': (),
        'stages.watch.epochs': 10, 'stages.watch.decay_epochs': (7.0,)},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 32, 'data.rendering': 'tiny', 'data.hold_out': 0.2,
        'network.width': 4, 'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.9,
        'network.bottleneck_width': 16, 'discriminator.hidden': (16, 16, 16, 24, 24),
        'stages.*.epochs': 1, 'stages.*.batch_size': 4},
}
# FIDELITY rows 3, 8, 12, 14, 15, 17, 20, 22, 24 and 28; a path is set where the method has it.
_THESIS_VARIANT = {
    'loser.hard_weight': 0.5, 'loser.soft_weight': 0.5, 'loser.squared_temperature': False,
    'loser.student_at_temperature': False, 'connections.form': 'multiplicative',
    'hallucination.form': 'shares', 'hallucination.student_at_temperature': False,
    'stages.watch.epochs': 0}  # the text uses the discriminator as the game left it
_THESIS_LEARNING_RATE = 1e-3 / 1.28e-3


def methods(dataset: str) -> List[str]:
  """The methods that a dataset has recipes of."""
  return list(_OBJECT_STAGES if dataset in OBJECTS else _VIDEO_STAGES)


def default_preset(dataset: str) -> str:
  """What a laptop trains, where data are rendered; otherwise the thesis' sizes."""
  return 'small' if dataset.startswith('synthetic') else 'paper'


def recipe(method: str, dataset: str, protocol: str, preset: str = 'paper', variant: str = 'code',
           seed: int = 0) -> Recipe:
  """The recipe of a method on a dataset; raises `UserError` for unknown names."""
  for flag, value, known in (('method', method, METHODS), ('dataset', dataset, DATASETS),
                             ('preset', preset, PRESETS), ('variant', variant, VARIANTS)):
    if value not in known:
      raise errors.UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')
  stages, sections = (
      (_OBJECT_STAGES, _OBJECT_SECTIONS) if dataset in OBJECTS else (_VIDEO_STAGES, _VIDEO_SECTIONS))
  if method not in stages:
    raise errors.UserError(f'--method={method} is not one for {dataset}: choose one of {", ".join(stages)}.')
  result = Recipe(method, dataset, protocol, preset, variant, seed, stages=stages[method], **sections.get(method, {}))
  if method in _MULTIPLE_CHOICE:
    return _multiple_choice_recipe(result)
  result = dataclasses.replace(result, modalities=_MODALITIES.get(method, ('rgb', 'depth')))
  return _object_recipe(result) if dataset in OBJECTS else _two_stream_recipe(result)


def _multiple_choice_recipe(result: Recipe) -> Recipe:
  data = configs.DataConfig('depth' if result.dataset in _RAW_DEPTH else 'depth_vis')
  result = _apply(dataclasses.replace(result, data=data), _MULTIPLE_CHOICE_PRESETS[result.preset])
  rate = result.stages['ensemble'].learning_rate * _THESIS_LEARNING_RATE
  return _thesis_variant(result, {'clips.crop_shift': 0.5, 'stages.ensemble.learning_rate': rate})


def _two_stream_recipe(result: Recipe) -> Recipe:
  """Videos of chapters 3 and 4."""
  # The switch is chosen on validation samples, of which smaller datasets need a larger part.
  hold_out = 0.0 if result.dataset in _NO_VALIDATION else result.data.hold_out
  if result.discriminator and result.dataset not in _NTU:
    hold_out = 0.2 if result.preset == 'tiny' else 0.1
  bottleneck = 'pool_then_conv' if result.discriminator else 'none'
  result = dataclasses.replace(
      result, clips=_TWO_STREAM_CLIPS, network=configs.ResNet50Config(bottleneck=bottleneck),
      # Depth is coded with the jet colour map (section 3.2.3).
      data=configs.DataConfig('depth', aligned=result.dataset not in _NO_JOINTS, hold_out=hold_out))
  return _thesis_variant(_apply(result, _VIDEO_PRESETS[result.preset]), {
      'clips.sampling': 'uniform', 'discriminator.form': 'plain', 'discriminator.hidden': (2048, 1024),
      'discriminator.loss_weight': 1.0})


def _object_recipe(result: Recipe) -> Recipe:
  """Single frames of chapter 4."""
  result = dataclasses.replace(
      result, clips=_OBJECT_CLIPS, data=configs.DataConfig('depth'),
      network=configs.ResNet50Config(temporal=False, bottleneck='conv7x7'))
  for name, stage in result.stages.items():
    if stage.epochs:
      naive = _NAIVE_OBJECT_GAME if (result.method, name) == ('naive_adversarial', 'game') else {}
      result = settings.override(result, {
          f'stages.{name}.{field}': value for field, value in (_OBJECT_SCHEDULES[name] | naive).items()})
  thesis = {'discriminator.hidden': (1024, 1024, 1024, 2048, 3072)} if result.preset == 'paper' else {}
  return _thesis_variant(_apply(result, _OBJECT_PRESETS[result.preset]), thesis)


def default_protocol(method: str, dataset: str) -> Optional[str]:
  """The protocol of the authors' code where a method has another one than its dataset; otherwise None."""
  return 'cross_view_3' if dataset == 'nwucla' and method not in _MULTIPLE_CHOICE else None


def _thesis_variant(result: Recipe, more: Mapping[str, Any]) -> Recipe:
  return _apply(result, {**_THESIS_VARIANT, **more}) if result.variant == 'thesis' else result


def shared_stages(one: Recipe, other: Recipe) -> List[str]:
  """The first stages that end with the same weights under two recipes, whatever the recipes do afterwards.

  They have all that they depend on in common; a stream alone has no
  connections. Of two methods only stages that learn by cross entropy are
  compared, which is what every method of chapters 3 and 4 begins with.
  """
  common = ('dataset', 'protocol', 'seed', 'mixed_precision', 'init_from', 'new_classifier', 'data', 'clips', 'network')
  separate = configs.ConnectionConfig('none')
  if any(getattr(one, name) != getattr(other, name) for name in common):
    return []
  same_connections = (one.connections or separate) == (other.connections or separate)
  same_method = all(getattr(one, name) == getattr(other, name) for name in (
      'method', 'loser', 'hallucination', 'discriminator', 'moddrop'))
  shared = []
  for name, name_there in zip(one.stages, other.stages):
    stage, there = one.stages[name], other.stages[name_there]
    streams = one.streams(name)
    if not (name == name_there and stage == there and streams == other.streams(name)
            and (same_method or stage.loss == 'cross_entropy') and (same_connections or len(streams) == 1)):
      break
    shared.append(name)
  return shared


def training_stages(result: Recipe, field: str, value) -> Dict[str, Any]:
  """Overrides that set a field of every stage that trains."""
  return {f'stages.{name}.{field}': value for name, stage in result.stages.items() if stage.epochs}


def _apply(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """Overrides those of the fields that the recipe has, of stages that train; `stages.*` is every one of these."""
  known = {path for path in settings.flatten(result)
           if not path.startswith('stages.') or result.stages[path.split('.')[1]].epochs}
  found = {}
  for path, value in values.items():
    if path.startswith('stages.*.'):
      found.update(training_stages(result, path.removeprefix('stages.*.'), value))
    elif path in known:
      found[path] = value
  return settings.override(result, found)


def overrides(result: Recipe) -> Dict[str, Any]:
  """The fields, by their paths, in which a recipe differs from the one that its names alone give."""
  default = settings.flatten(
      recipe(result.method, result.dataset, result.protocol, result.preset, result.variant, result.seed))
  return {key: value for key, value in settings.flatten(result).items() if default.get(key) != value}


def run_name(result: Recipe) -> str:
  """A directory name that tells recipes apart: preset, protocol, variant, seed and what was overridden."""
  changed = [f'{key}={value}' for key, value in overrides(result).items()]
  return directory_name([result.preset, result.protocol, result.variant, f'seed{result.seed}', *changed])


def directory_name(parts: Iterable[str]) -> str:
  """The parts as one name of a directory; long ones end in a checksum, since file systems allow 255 bytes."""
  name = '-'.join(parts).replace(os.sep, '_')
  return name if len(name) <= _LONGEST_NAME else f'{name[:_LONGEST_NAME]}-{zlib.crc32(name.encode()):08x}'


def run_directory(result: Recipe, output_dir: pathlib.Path) -> pathlib.Path:
  """Where the run of a recipe lies under the root of run directories."""
  return output_dir / result.dataset / result.method / run_name(result)


def to_yaml(result: Recipe) -> str:
  """The recipe as YAML text, in the order of its fields."""
  return yaml.safe_dump(_plain(dataclasses.asdict(result)), sort_keys=False)


def read(path: pathlib.Path) -> Recipe:
  """The recipe of a run, from its recipe.yaml; raises `UserError`, which names the file, as `from_yaml` does."""
  try:
    return from_yaml(path.read_text(encoding='utf-8'))
  except (UnicodeDecodeError, errors.UserError) as error:
    raise errors.UserError(f'{path} is damaged or of another version: {str(error).removesuffix(".")}; restore it, or '
                           'train again into another --output_dir.') from None


def from_yaml(text: str) -> Recipe:
  """The inverse of `to_yaml`; raises `UserError` for a recipe with unknown or ill-typed fields."""
  try:
    plain = yaml.safe_load(text)
    head = {key: plain[key] for key in ('method', 'dataset', 'protocol', 'preset', 'variant')}
    return settings.override(recipe(**head), settings.flatten(plain))
  except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
    raise errors.UserError(f'The saved recipe cannot be read ({error}).') from None


def _plain(value):
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items() if item is not None}
  return list(value) if isinstance(value, tuple) else value
