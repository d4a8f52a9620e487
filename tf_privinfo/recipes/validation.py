"""Validation of recipes, before anything is run."""

import math
from typing import List, Tuple

from tf_privinfo import recipes
from tf_privinfo.datasets.config import SAMPLINGS
from tf_privinfo.methods import config as methods
from tf_privinfo.networks import config as networks
from tf_privinfo.recipes import settings
from tf_privinfo.recipes import stage as stages
from tf_privinfo.utils import errors

# Legal seeds. Random teachers and dropped modalities use int32 seeds. NumPy accepts 32 bits, enough for the seeds of
# later stages (see `runs.restore.stage_seed`).
SEEDS = range(2**31)
_IMAGENET_WEIGHTS = 'http://download.tensorflow.org/models/resnet_v1_50_2016_08_28.tar.gz'


def check(result: recipes.Recipe) -> recipes.Recipe:
  """Returns the recipe if all values are legal and consistent; otherwise raises `UserError` with all problems."""
  problems = [*_data_problems(result), *_network_problems(result)]
  for name, stage in result.stages.items():
    problems += [f'stages.{name}.{problem}' for problem in _stage_problems(result, name, stage)]
  if problems:
    raise errors.UserError(f'The recipe cannot run: {"; ".join(problems)}.')
  return result


def advice(result: recipes.Recipe) -> List[str]:
  """Lines about a legal recipe that differs from the thesis in what a user has to download: ImageNet weights."""
  starts_randomly = getattr(result.network, 'pretrained', None) == '' and not result.init_from
  return ['Random initial weights. The thesis starts these networks from ImageNet weights: unpack '
          f'{_IMAGENET_WEIGHTS} and pass --set network.pretrained=resnet_v1_50.ckpt.'] if (
              result.preset == 'paper' and starts_randomly) else []


def _one_of(node, path: str, field: str, known: Tuple[str, ...]):
  """Yields a problem if the value of a field is unknown."""
  if getattr(node, field) not in known:
    yield f'{path}{field} must be one of {", ".join(known)}'


def _data_problems(result: recipes.Recipe):
  if result.seed not in SEEDS:
    yield f'seed must be from 0 to {SEEDS[-1]}'
  for key, value in settings.flatten(result).items():
    if isinstance(value, float) and not math.isfinite(value):
      yield f'{key} must be finite'
  yield from _one_of(result, '', 'mixed_dtype', recipes.MIXED_DTYPES)
  if result.new_classifier and not result.init_from:
    yield 'new_classifier needs init_from, whose classifiers it leaves out'
  clips = result.clips
  if clips.crop_size > clips.frame_size:
    yield 'clips.crop_size is larger than clips.frame_size'
  if not result.modalities or len(set(result.modalities)) < len(result.modalities):
    yield 'modalities must name at least one modality, each once'
  if not 0 <= clips.crop_shift <= 0.5:
    yield 'clips.crop_shift must be between 0 and 0.5'
  if not 0 <= result.data.hold_out < 1:
    yield 'data.hold_out must be at least 0 and less than 1'
  if result.data.samples_per_class < 0:
    yield 'data.samples_per_class must be at least 0'
  hold_outs = recipes.DATASETS[result.dataset].hold_outs
  if hold_outs and result.data.hold_out not in hold_outs:
    yield (f'data.hold_out must be one of {", ".join(map(str, hold_outs))}, since {result.dataset} has a published '
           'validation set')
  yield from _one_of(clips, 'clips.', 'sampling', SAMPLINGS)
  if len(clips.noise_centre) not in (0, 3):
    yield 'clips.noise_centre must be three numbers, or empty'
  if min(clips.frames, clips.crop_size, clips.test_clips) < 1:
    yield 'clips.frames, clips.crop_size and clips.test_clips must be positive'


def _network_problems(result: recipes.Recipe):
  network = result.network
  if isinstance(network, networks.ResNet50Config):
    if len(network.units) != 4 or min(network.units) < 2:
      yield 'network.units must be four numbers of at least 2'
    yield from _one_of(network, 'network.', 'bottleneck', networks.BOTTLENECKS)
    if network.bottleneck_width < 1:
      yield 'network.bottleneck_width must be positive'
  if isinstance(network, networks.R2Plus1DConfig) and (not network.units or min(network.units) < 1):
    yield 'network.units must be positive'
  if getattr(network, 'width', 1) < 1:
    yield 'network.width must be positive'
  if result.loser and result.loser.temperature <= 0:
    yield 'loser.temperature must be positive'
  if result.connections:
    directions = (result.roles.to_main, result.roles.to_privileged, 'none')
    yield from _one_of(result.connections, 'connections.', 'direction', directions)
    yield from _one_of(result.connections, 'connections.', 'form', methods.CONNECTION_FORMS)
  if result.hallucination:
    yield from _hallucination_problems(result.hallucination)
  if result.has_switch and result.stages[recipes.SWITCH.hallucinated].epochs:
    yield (f'stages.{recipes.SWITCH.hallucinated}.epochs must be 0, since the switch has one {result.roles.main} '
           f'stream for {result.roles.privileged} and for hall')
  if result.discriminator:
    yield from _discriminator_problems(result.discriminator)
  if result.moddrop and not (0 < result.moddrop.keep_pixel <= 1 and 0 < result.moddrop.keep_modality <= 1):
    yield 'moddrop.keep_pixel and moddrop.keep_modality must be above 0 and at most 1'


def _hallucination_problems(config: methods.HallucinationConfig):
  yield from _one_of(config, 'hallucination.', 'form', methods.HALLUCINATION_FORMS)
  yield from _one_of(config, 'hallucination.', 'layer', methods.HALLUCINATION_LAYERS)
  if config.temperature <= 0:
    yield 'hallucination.temperature must be positive'
  if not (0 <= config.map_share <= 1 and 0 <= config.soft_share <= 1):
    yield 'hallucination.map_share and hallucination.soft_share must be between 0 and 1'


def _discriminator_problems(config: networks.DiscriminatorConfig):
  yield from _one_of(config, 'discriminator.', 'form', networks.DISCRIMINATOR_FORMS)
  yield from _one_of(config, 'discriminator.', 'task', networks.DISCRIMINATOR_TASKS)
  if not config.hidden or min(config.hidden) < 1:
    yield 'discriminator.hidden must be positive numbers'
  elif config.form == 'residual' and (len(config.hidden) < 3 or len(set(config.hidden[:3])) > 1):
    yield 'discriminator.hidden must start with three equal numbers in the residual form'
  if min(config.loss_weight, config.rate) <= 0:
    yield 'discriminator.loss_weight and discriminator.rate must be positive'


def _stage_problems(result: recipes.Recipe, name: str, stage: stages.StageConfig):
  if stage.epochs < 0 or min(stage.batch_size, stage.validate_every) < 1:
    yield 'batch_size and validate_every must be positive, epochs at least 0'
  yield from _one_of(stage, '', 'loss', tuple(stages.LOSSES))
  yield from _one_of(stage, '', 'optimizer', stages.OPTIMIZERS)
  yield from _one_of(stage, '', 'criterion', stages.CRITERIA)
  yield from _one_of(stage, '', 'selection', stages.SELECTIONS)
  if list(stage.decay_epochs) != sorted(stage.decay_epochs):
    yield 'decay_epochs must increase'
  streams = result.streams(name)
  if set(stage.frozen) - set(streams):
    yield f'frozen must be of its streams {", ".join(streams)}'
  earlier = list(result.stages)[:list(result.stages).index(name)]
  for item in stage.init:
    start = stages.Start.parse(item)
    if not (start and start.stream in result.networks(name) and start.stage in earlier
            and start.source in result.networks(start.stage)):
      yield f'init has {item!r}, which must be STREAM=STAGE/STREAM with a stage before this one'
