"""The methods of chapter 4 on single frames of objects."""

import dataclasses
from typing import Mapping, Tuple

from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.nyud.spec import TRAINING_IMAGES
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.methods.config import HallucinationConfig, ModDropConfig
from tf_privinfo.networks.config import DiscriminatorConfig, ResNet50Config
from tf_privinfo.recipes.method import apply_variant, Form
from tf_privinfo.recipes.recipe import apply, override, Recipe
from tf_privinfo.recipes.stage import StageConfig
from tf_privinfo.recipes.two_stream import ENSEMBLE, imitation, JOINT, step, with_watch

_CLIPS = ClipConfig(
    frames=1, sampling='uniform', frame_size=224, crop_size=224, crop_shift=0.0, flip=False, colour=False, test_clips=1,
    noise_centre=ResNet50Config().input_mean)


def _iterations(steps: int, batch_size: int) -> int:
  """The number of epochs of NYUD's remaining training images that corresponds to the authors' iterations."""
  return round(steps / (TRAINING_IMAGES // batch_size))


# The iterations and rates of the authors' run.sh (docs/methods.md, section 3), by stage.
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
_DISCRIMINATOR = DiscriminatorConfig(
    'residual', (1024, 1024, 1024, 2048, 3076), frame_index=False, loss_weight=1.0)
# Preset -> overrides of the sizes in the thesis; `stages.*` stands for all stages that train.
_PRESETS = {
    'paper': {},
    'small': {
        'clips.frame_size': 64, 'clips.crop_size': 64, 'data.hold_out': 0.1, 'network.width': 16,
        'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.98,
        # From random initial weights, the residual discriminator is perfect at once and its gradients vanish. With the
        # smaller discriminator, training is unstable without batch norm in the bottleneck. The text of the thesis has
        # this bottleneck as well.
        'discriminator.form': 'plain', 'discriminator.hidden': (64,), 'discriminator.rate': 0.1,
        'network.bottleneck': 'pool_then_conv',
        'stages.*.batch_size': 16, 'stages.*.epochs': 30, 'stages.*.learning_rate': 1e-3,
        'stages.*.decay_epochs': (20.0,), 'stages.*.selection': 'last',
        # Fine-tuned with a hundredth and a tenth of the single streams' learning rate, as by the authors.
        'stages.joint.learning_rate': 1e-5, 'stages.joint.epochs': 10, 'stages.joint.decay_epochs': (),
        'stages.moddrop.learning_rate': 1e-4, 'stages.moddrop.epochs': 10, 'stages.moddrop.decay_epochs': (),
        'stages.watch.epochs': 10, 'stages.watch.decay_epochs': (7.0,)},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 32, 'data.rendering': 'tiny', 'data.hold_out': 0.2,
        'network.width': 4, 'network.units': (2, 2, 2, 2), 'network.norm_momentum': 0.9,
        'network.bottleneck_width': 16, 'discriminator.hidden': (16, 16, 16, 24, 24),
        'stages.*.epochs': 1, 'stages.*.batch_size': 4},
}


def _complete(result: Recipe, dataset: DatasetSpec) -> Recipe:
  result = dataclasses.replace(
      result, clips=_CLIPS, data=DataConfig(dataset.depth_variants[0]),
      network=ResNet50Config(temporal=False, bottleneck='conv7x7'))
  for name, stage in result.stages.items():
    if stage.epochs:
      naive = _NAIVE_OBJECT_GAME if (result.method, name) == ('naive_adversarial', 'game') else {}
      result = override(result, {f'stages.{name}.{field}': value
                                 for field, value in (_OBJECT_SCHEDULES.get(name, {}) | naive).items()})
  thesis = {'discriminator.hidden': (1024, 1024, 1024, 2048, 3072)} if result.preset == 'paper' else {}
  return apply_variant(apply(result, _PRESETS[result.preset]), thesis)


def form(stages: Mapping[str, StageConfig], modalities: Tuple[str, ...] = ('rgb', 'depth'), **sections) -> Form:
  """A method of this family; arguments as for `two_stream.form`."""
  return Form(stages, _complete, modalities, sections)


_GAME = {**JOINT, **imitation('game', 'adversarial')}

SINGLE_STREAM = form({'stream': step()}, ('rgb',))
TWO_STREAM = form(JOINT)
TWO_RGB_STREAMS = form(ENSEMBLE, ('rgb',))
MODALITY_DISTILLATION = form({
    **JOINT, **imitation('hallucination', 'hallucination'),
}, hallucination=HallucinationConfig('sum', layer='features'))
MODDROP = form({
    **JOINT, 'moddrop': step('rgb', 'depth', init=('rgb=joint/rgb', 'depth=joint/depth'), loss='moddrop'),
}, moddrop=ModDropConfig())
AUTOENCODER = form({
    **JOINT,
    'autoencoder': step('autoencoder', loss='reconstruction', selection='last'),
    'fused': step('rgb', 'depth', 'autoencoder', init=(
        'rgb=joint/rgb', 'depth=joint/depth', 'autoencoder=autoencoder/autoencoder'), frozen=('autoencoder',),
                  loss='estimated_depth', epochs=0),
})
ADMD = form(with_watch(_GAME), discriminator=_DISCRIMINATOR)
NAIVE_ADVERSARIAL = form(_GAME, discriminator=dataclasses.replace(_DISCRIMINATOR, task='real_or_fake'))
