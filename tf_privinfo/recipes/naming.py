"""The names of run directories."""

import os
import pathlib
from typing import Any, Dict, Iterable, Optional
import zlib

from tf_privinfo.recipes import settings
from tf_privinfo.recipes.recipe import override, Recipe
from tf_privinfo.recipes.registry import METHODS, recipe

# Maximum number of characters of a directory name before its checksum.
_LONGEST_NAME = 160


def overrides(result: Recipe) -> Dict[str, Any]:
  """The overrides of a recipe, {dotted path: value}: differences from the recipe with the same names and seed.

  Names of modalities in stages are no differences: they follow from `modalities`.
  """
  default = recipe(result.method, result.dataset, result.protocol, result.preset, result.variant, result.seed)
  same = {**settings.flatten(override(default, {'modalities': result.modalities})),
          'modalities': ','.join(default.modalities)}
  return {key: value for key, value in settings.flatten(result).items() if same.get(key) != value}


def run_name(result: Recipe) -> str:
  """A directory name unique to the recipe: preset, protocol, variant, seed and overrides."""
  changed = [f'{key}={value}' for key, value in overrides(result).items()]
  return directory_name([result.preset, result.protocol, result.variant, f'seed{result.seed}', *changed])


def directory_name(parts: Iterable[str]) -> str:
  """Joins parts to a directory name; long names end in a checksum, since file systems allow 255 bytes."""
  name = '-'.join(parts).replace(os.sep, '_').replace(':', '_')
  return name if len(name) <= _LONGEST_NAME else f'{name[:_LONGEST_NAME]}-{zlib.crc32(name.encode()):08x}'


def run_directory(result: Recipe, output_dir: pathlib.Path) -> pathlib.Path:
  """The default run directory of a recipe under the root of run directories."""
  return output_dir / result.dataset / result.method / run_name(result)


def expected_minutes(result: Recipe) -> Optional[int]:
  """Minutes that a recipe without overrides takes on two cores without a GPU; None where that was not measured."""
  minutes = METHODS[result.method].minutes.get((result.dataset, result.preset))
  return minutes if minutes and not overrides(result) else None
