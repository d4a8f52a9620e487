"""Recipes of chapter 4 at the size of a test, and the streams of their stages."""

from tf_privinfo import recipes
from tf_privinfo.recipes import settings

# Of the stages that classify; `watch`, which trains the discriminator, does not.
READS = {'rgb': ['rgb'], 'depth': ['depth'], 'joint': ['rgb', 'depth'], 'game': ['rgb'], 'fused': ['rgb']}
STREAMS = {'rgb': ['rgb'], 'depth': ['depth'], 'joint': ['rgb', 'depth'], 'game': ['hall'], 'fused': ['rgb', 'hall']}


def make_recipe(method='admd', seed=0, **values):
  """On the objects, with rates at which two steps make a difference."""
  recipe = recipes.recipe(method, 'nyud', 'given', 'tiny', seed=seed)
  rates = {'stages.rgb.learning_rate': 0.01, 'stages.depth.learning_rate': 0.01, 'stages.game.learning_rate': 0.01}
  known = settings.flatten(recipe)
  return settings.override(recipe, {**{path: rate for path, rate in rates.items() if path in known}, **values})
