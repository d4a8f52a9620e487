"""Run directories that are made up, with results and without weights."""

import json

from tf_privinfo import recipes
from tf_privinfo.recipes import settings
from tf_privinfo.utils import atomic

ACCURACY = {'rgb': 0.5, 'depth': 0.25, 'flow': 0.75, 'sum': 0.625, 'oracle': 0.875}


def recipe_of(method='dmcl', seed=0, values=(), *, dataset='synthetic', protocol='cross_view_1', preset='tiny',
              variant='code'):
  return settings.override(recipes.recipe(method, dataset, protocol, preset, variant, seed), dict(values))


def origin(recipe):
  return {**{field: getattr(recipe, field) for field in (
      'method', 'dataset', 'protocol', 'preset', 'variant', 'seed')}, 'split': 'test', 'samples': 40}


def write_run(root, recipe, accuracy=ACCURACY, folder=None, **changed):
  """A run directory with results for every stage, and a noise sweep."""
  directory = root / recipe.dataset / recipe.method / (folder or recipes.run_name(recipe))
  streams = {'rgb': 0.5, 'depth': 0.25, 'hall': 0.375, **accuracy}
  atomic.write(directory / 'recipe.yaml', recipes.to_yaml(recipe))
  atomic.write(directory / 'results.json', json.dumps({
      **origin(recipe), 'stages': {stage: {'accuracy': streams} for stage in recipe.stages}, **changed}))
  return directory
