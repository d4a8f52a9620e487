"""The methods of chapters 3 and 4 on videos: streams with connections, and hallucination streams, in stages.

The stages name the modalities of the thesis: RGB, the main one, and depth, the privileged one. `recipe.override`
renames them for other modalities.
"""

import dataclasses
from typing import Dict, Mapping, Tuple

from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.methods.config import ConnectionConfig, HallucinationConfig
from tf_privinfo.networks.config import DiscriminatorConfig, ResNet50Config
from tf_privinfo.recipes.method import apply_variant, Form
from tf_privinfo.recipes.recipe import apply, Recipe
from tf_privinfo.recipes.stage import StageConfig

# The common form of all training steps of chapter 3 (docs/methods.md, section 3).
_STEP = StageConfig(
    loss='cross_entropy', epochs=40, batch_size=5, optimizer='adam', learning_rate=1e-3, warmup_epochs=0.0,
    decay_epochs=(), weight_decay=0.0, validate_every=1, criterion='sum')


def step(*streams: str, **fields) -> StageConfig:
  """A training step of chapter 3 with these streams; `fields` override the common values."""
  return dataclasses.replace(_STEP, streams=streams, **fields)


SINGLE_STREAMS = {'rgb': step('rgb'), 'depth': step('depth')}
_FROM_SINGLE_STREAMS = ('rgb=rgb/rgb', 'depth=depth/depth')
JOINT = {**SINGLE_STREAMS, 'joint': step('rgb', 'depth', init=_FROM_SINGLE_STREAMS)}
ENSEMBLE = {
    'rgb': step('rgb'), 'rgb_2': step('rgb_2'),
    'joint': step('rgb', 'rgb_2', init=('rgb=rgb/rgb', 'rgb_2=rgb_2/rgb_2'), epochs=0)}


def imitation(stage: str, loss: str) -> Dict[str, StageConfig]:
  """Two stages: `hall` imitates the depth stream of `joint`, and is then fused with the RGB stream.

  Args:
    stage: name of the first stage; the second is `fused`.
    loss: loss of the first stage, a key of `LOSSES`.
  """
  return {
      stage: step('depth', 'hall', init=('depth=joint/depth', 'hall=joint/depth'), frozen=('depth',), loss=loss),
      'fused': step('rgb', 'hall', init=('rgb=joint/rgb', f'hall={stage}/hall'), epochs=0)}


# Two streams without joint fine-tuning, and adversarial training, the stage `game` (docs/methods.md, section 3).
_GAME = {
    **SINGLE_STREAMS, 'joint': step('rgb', 'depth', init=_FROM_SINGLE_STREAMS, epochs=0),
    **imitation('game', 'adversarial')}


def with_watch(stages: Mapping[str, StageConfig]) -> Dict[str, StageConfig]:
  """The stages of ADMD with an additional stage `watch`, before the last one: the discriminator for the switch."""
  *names, last = stages
  watch = step('depth', init=('depth=joint/depth', 'discriminator=game/discriminator'), frozen=('depth',),
                loss='noise', selection='last', epochs=10)
  return {**{name: stages[name] for name in names}, 'watch': watch, last: stages[last]}


_CLIPS = ClipConfig(
    frames=5, sampling='mixed', frame_size=224, crop_size=224, crop_shift=0.0, colour=False, test_clips=1)
# Preset -> overrides of the sizes in the thesis; `stages.*` stands for all stages that train.
_PRESETS = {
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


def _complete(result: Recipe, dataset: DatasetSpec) -> Recipe:
  hold_out = dataset.hold_out
  if result.discriminator and dataset.switch_hold_out is not None:
    # The threshold of the switch is chosen on validation samples, so smaller datasets need a larger share.
    hold_out = 0.2 if result.preset == 'tiny' else dataset.switch_hold_out
  bottleneck = 'pool_then_conv' if result.discriminator else 'none'
  result = dataclasses.replace(
      result, clips=_CLIPS, network=ResNet50Config(bottleneck=bottleneck),
      # Depth is encoded with the jet colour map (section 3.2.3).
      data=DataConfig('depth', aligned=dataset.alignable, hold_out=hold_out))
  return apply_variant(apply(result, _PRESETS[result.preset]), {
      'clips.sampling': 'uniform', 'discriminator.form': 'plain', 'discriminator.hidden': (2048, 1024),
      'discriminator.loss_weight': 1.0})


def form(stages: Mapping[str, StageConfig], modalities: Tuple[str, ...] = ('rgb', 'depth'), **sections) -> Form:
  """A method of this family.

  Args:
    stages: name -> stage, in the order in which they run.
    modalities: the main modality, and the privileged one if a stage reads it.
    **sections: hyperparameters, field of `Recipe` -> config.
  """
  return Form(stages, _complete, modalities, sections)


SINGLE_STREAM = form({'stream': step()}, ('rgb',))
TWO_STREAM = form(JOINT, connections=ConnectionConfig('none'))
TWO_RGB_STREAMS = form(ENSEMBLE, ('rgb',))
HOFFMAN = form({
    **SINGLE_STREAMS,
    'hallucination': step('rgb', 'depth', 'hall', init=(*_FROM_SINGLE_STREAMS, 'hall=depth/depth'), frozen=('depth',),
                          loss='hallucination'),
}, connections=ConnectionConfig('none'), hallucination=HallucinationConfig(map_share=1.0))
MODALITY_DISTILLATION = form({
    **JOINT,
    'hallucination': step('rgb', 'depth', 'hall', init=('rgb=joint/rgb', 'depth=joint/depth', 'hall=joint/depth'),
                          frozen=('rgb', 'depth'), loss='hallucination'),
    'finetune': step('rgb', 'hall', init=('rgb=joint/rgb', 'hall=hallucination/hall')),
}, connections=ConnectionConfig(), hallucination=HallucinationConfig())
ADMD = form(with_watch(_GAME), discriminator=DiscriminatorConfig())
NAIVE_ADVERSARIAL = form(_GAME, discriminator=DiscriminatorConfig(task='real_or_fake', frame_index=False))
