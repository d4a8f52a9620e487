"""Recipes as YAML text, as in a run's `recipe.yaml`."""

import dataclasses
import pathlib
from typing import Mapping

import yaml

from tf_privinfo.recipes import settings
from tf_privinfo.recipes.recipe import override, Recipe
from tf_privinfo.recipes.registry import recipe
from tf_privinfo.utils import errors


def to_yaml(result: Recipe) -> str:
  """The recipe as YAML text, in the order of the fields."""
  return yaml.safe_dump(_plain(dataclasses.asdict(result)), sort_keys=False)


def read(path: pathlib.Path) -> Recipe:
  """Reads a recipe.yaml; raises `UserError`, which names the file, if it is damaged or of a different version."""
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
    return override(recipe(**head), settings.flatten(plain))
  except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
    raise errors.UserError(f'The saved recipe cannot be read ({error}).') from None


def _plain(value):
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items() if item is not None}
  return list(value) if isinstance(value, tuple) else value
