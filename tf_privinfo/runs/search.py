"""Search for runs by their recipes, under a root of run directories. Only files are read."""

import dataclasses
import pathlib
from typing import Dict, List, Tuple

from tf_privinfo import recipes
from tf_privinfo.runs import run as runs
from tf_privinfo.utils import errors


def find(output_dir: pathlib.Path, dataset: str) -> List[runs.Run]:
  """The runs on a dataset, sorted by path, without runs whose recipes cannot be read, such as of other versions."""
  found = []
  for path in sorted(output_dir.glob(f'{dataset}/*/*/{runs.RECIPE}')):
    try:
      found.append(runs.Run(path.parent, recipes.read(path)))
    except errors.UserError:
      continue
  return found


class RunIndex:
  """Index of the runs under a root by their recipes, independent of the names of their folders.

  Args:
    output_dir: root of the run directories.
  """

  def __init__(self, output_dir: pathlib.Path):
    self._output_dir = output_dir
    self._of_dataset: Dict[str, List[Tuple[recipes.Recipe, pathlib.Path]]] = {}

  def matching(self, recipe: recipes.Recipe) -> List[pathlib.Path]:
    """The directories of all runs of a recipe."""
    dataset = recipe.dataset
    if dataset not in self._of_dataset:
      self._of_dataset[dataset] = [
          (_with_absolute_start(run.recipe), run.directory) for run in find(self._output_dir, dataset)]
    wanted = _with_absolute_start(recipe)
    return [directory for known, directory in self._of_dataset[dataset] if known == wanted]

  def directory(self, recipe: recipes.Recipe) -> pathlib.Path:
    """The directory of the run of a recipe; the default directory, if there is none.

    Of several runs, the one in the default directory is preferred, otherwise the first one by path.
    """
    found = self.matching(recipe)
    if len(found) == 1:
      return found[0]
    usual = recipes.run_directory(recipe, self._output_dir)
    return usual if usual in found or not found else found[0]


def _with_absolute_start(recipe):
  return dataclasses.replace(
      recipe, init_from=str(pathlib.Path(recipe.init_from).resolve()) if recipe.init_from else '')
