"""The methods of chapter 5: networks trained together, one for each modality."""

import dataclasses

from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.recipes.method import apply_variant, Form
from tf_privinfo.recipes.recipe import apply, Recipe
from tf_privinfo.recipes.stage import StageConfig

# Preset -> overrides of the sizes in the thesis; `stages.*` stands for all stages that train.
_PRESETS = {
    'paper': {},
    'small': {
        # Crops are 7/8 of the frame, as 224 of 256.
        'clips.frame_size': 64, 'clips.crop_size': 56, 'network.width': 16, 'network.norm_momentum': 0.98,
        'stages.*.epochs': 46, 'stages.*.learning_rate': 0.0025, 'stages.*.decay_epochs': (30.0, 40.0),
        # 5 % of the synthetic training set are 20 videos, too few to choose an epoch.
        'stages.*.selection': 'last'},
    'tiny': {
        'clips.frame_size': 32, 'clips.crop_size': 28, 'data.rendering': 'tiny',
        'network.width': 4, 'network.units': (1, 1), 'network.norm_momentum': 0.9,
        'stages.*.epochs': 2, 'stages.*.batch_size': 4, 'stages.*.learning_rate': 0.01,
        'stages.*.warmup_epochs': 0.5, 'stages.*.decay_epochs': (), 'stages.*.validate_every': 1},
}
# docs/fidelity.md, row 22.
_THESIS_LEARNING_RATE = 1e-3 / 1.28e-3


def form(method: str, **sections) -> Form:
  """A method of this family.

  Args:
    method: 'module:Class' of a `methods.multiple_choice.MultipleChoice`.
    **sections: hyperparameters, field of `Recipe` -> config.
  """
  return Form({'ensemble': StageConfig()}, _complete, ('rgb', 'depth', 'flow'), sections, method)


def _complete(result: Recipe, dataset: DatasetSpec) -> Recipe:
  data = DataConfig(dataset.depth_variants[0])
  result = apply(dataclasses.replace(result, data=data), _PRESETS[result.preset])
  rate = result.stages['ensemble'].learning_rate * _THESIS_LEARNING_RATE
  return apply_variant(result, {'clips.crop_shift': 0.5, 'stages.ensemble.learning_rate': rate})
