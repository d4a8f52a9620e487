"""What a method is, before a dataset and sizes are chosen."""

from typing import Any, Callable, Mapping, NamedTuple, Optional, Tuple

from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.recipes.recipe import apply, Recipe
from tf_privinfo.recipes.stage import StageConfig

# docs/fidelity.md, rows 3, 8, 12, 14, 15, 17, 20, 22, 24 and 28: what the text says where the code differs.
_THESIS_VARIANT = {
    'loser.hard_weight': 0.5, 'loser.soft_weight': 0.5, 'loser.squared_temperature': False,
    'loser.student_at_temperature': False, 'connections.form': 'multiplicative',
    'hallucination.form': 'shares', 'hallucination.student_at_temperature': False,
    'stages.watch.epochs': 0}  # the text uses the discriminator as the game left it


class Form(NamedTuple):
  """A method on one kind of samples.

  Attributes:
    stages: name -> stage, in the order in which they run.
    complete: gives the recipe of these stages and sections its clips, network, data and the sizes of its preset.
    modalities: that it reads, in the order that breaks ties.
    sections: of its own hyperparameters, by the fields of `Recipe`.
    method: 'module:Class' of a method of chapter 5; the others are named by the losses of their stages.
  """
  stages: Mapping[str, StageConfig]
  complete: Callable[[Recipe, DatasetSpec], Recipe]
  modalities: Tuple[str, ...] = ('rgb', 'depth')
  sections: Mapping[str, Any] = {}
  method: str = ''


class MethodSpec(NamedTuple):
  """A method. Each is one entry of `registry.METHODS`.

  Attributes:
    help: its description, for --help.
    videos: its form for videos of actions; None: it has none.
    objects: its form for single frames of objects; None: it has none.
  """
  help: str
  videos: Optional[Form] = None
  objects: Optional[Form] = None


def apply_variant(result: Recipe, values: Mapping[str, Any]) -> Recipe:
  """The recipe with what --variant=thesis changes: `values`, and what it changes of every method that has it."""
  return apply(result, {**_THESIS_VARIANT, **values}) if result.variant == 'thesis' else result
