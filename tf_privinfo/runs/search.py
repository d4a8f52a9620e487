"""Finds runs under a root of run directories by their recipes. Only files are read."""

import dataclasses
import pathlib
from typing import Dict, List

from tf_privinfo import recipes
from tf_privinfo.runs import run as runs
from tf_privinfo.utils import errors


def find(output_dir: pathlib.Path, dataset: str) -> List[runs.Run]:
  """The runs on a dataset, by path; runs of other versions, whose recipes cannot be read, are left out."""
  found = []
  for path in sorted(output_dir.glob(f'{dataset}/*/*/{runs.RECIPE}')):
    try:
      found.append(runs.Run(path.parent, recipes.read(path)))
    except errors.UserError:
      continue
  return found


class RunIndex:
  """The runs under a root, by their recipes: where a run lies and what its folder is called does not matter."""

  def __init__(self, output_dir: pathlib.Path):
    self._output_dir = output_dir
    self._of_dataset: Dict[str, List[runs.Run]] = {}

  def matching(self, recipe: recipes.Recipe) -> List[pathlib.Path]:
    """The directories of the runs of a recipe."""
    dataset = recipe.dataset
    if dataset not in self._of_dataset:
      self._of_dataset[dataset] = find(self._output_dir, dataset)
    wanted = _with_absolute_start(recipe)
    return [run.directory for run in self._of_dataset[dataset] if _with_absolute_start(run.recipe) == wanted]

  def directory(self, recipe: recipes.Recipe) -> pathlib.Path:
    """The directory of the run of a recipe; where train_main.py would put it, if there is none."""
    found = self.matching(recipe)
    if len(found) == 1:
      return found[0]
    usual = recipes.run_directory(recipe, self._output_dir)
    return usual if usual in found or not found else found[0]


def _with_absolute_start(recipe):
  return dataclasses.replace(
      recipe, init_from=str(pathlib.Path(recipe.init_from).resolve()) if recipe.init_from else '')
