"""Definition of a method, before a dataset and sizes are chosen."""

from typing import Any, Callable, Mapping, NamedTuple, Optional, Tuple

from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.recipes.recipe import apply, Recipe
from tf_privinfo.recipes.stage import StageConfig

# Values from the text of the thesis where the code differs: docs/fidelity.md, rows 3, 8, 12, 14, 15, 17, 20, 22, 24 and
# 28.
_THESIS_VARIANT = {
    'loser.hard_weight': 0.5, 'loser.soft_weight': 0.5, 'loser.squared_temperature': False,
    'loser.student_at_temperature': False, 'connections.form': 'multiplicative',
    'hallucination.form': 'shares', 'hallucination.student_at_temperature': False,
    'stages.watch.epochs': 0}  # the text uses the discriminator directly after adversarial training


class Form(NamedTuple):
  """A method on one kind of samples.

  Attributes:
    stages: name -> stage, in the order in which they run.
    complete: function that adds clips, network, data and the sizes of the preset to the recipe of these stages and
      sections.
    modalities: input modalities, in the order that breaks ties; in chapters 3 and 4 as in `Recipe.modalities`.
    sections: hyperparameters of the method, field of `Recipe` -> config.
    method: 'module:Class' of a method of chapter 5; the losses of the stages name the classes of the other methods.
  """
  stages: Mapping[str, StageConfig]
  complete: Callable[[Recipe, DatasetSpec], Recipe]
  modalities: Tuple[str, ...] = ('rgb', 'depth')
  sections: Mapping[str, Any] = {}
  method: str = ''


class MethodSpec(NamedTuple):
  """A method. Each is one entry of `registry.METHODS`.

  Attributes:
    help: description of the method for --help.
    videos: form for videos of actions, or None.
    objects: form for single frames of objects, or None.
    minutes: (dataset, preset) -> minutes that its recipe takes on two cores without a GPU, where that was measured.
  """
  help: str
  videos: Optional[Form] = None
  objects: Optional[Form] = None
  minutes: Mapping[Tuple[str, str], int] = {}


def apply_variant(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """Applies the overrides of --variant=thesis: `values`, and the overrides that all methods share.

  Args:
    result: recipe of either variant; only the variant 'thesis' is changed.
    values: dotted path -> value; fields that the recipe lacks are ignored.
  """
  return apply(result, {**_THESIS_VARIANT, **values}) if result.variant == 'thesis' else result
