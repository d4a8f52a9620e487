"""What the two mains do: recipe or run directory in, trained, evaluated and exported run out."""

import pathlib
from typing import Optional

from tf_privinfo import errors
from tf_privinfo import evaluation
from tf_privinfo import export as exporting
from tf_privinfo import recipes
from tf_privinfo import runs
from tf_privinfo import training
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import protocols


def train(recipe: recipes.Recipe, *, data_dir: Optional[str], output_dir: pathlib.Path, resume: bool,
          num_gpus: int) -> runs.Run:
  """Trains, evaluates and exports a recipe, doing only what an earlier process has not finished.

  Args:
    recipe: what to run.
    data_dir: of the native files; None for the default.
    output_dir: root of run directories.
    resume: continue an interrupted run.
    num_gpus: -1 for all, 0 for none.

  Returns:
    The finished run.
  """
  print(f'Recipe:\n{recipes.to_yaml(recipe)}', flush=True)
  strategy = training.make_strategy(num_gpus)
  run = runs.Run.create_or_resume(
      output_dir / recipe.dataset / recipe.method / runs.run_name(recipe), recipe, resume)
  source, split = _open(recipe, data_dir)
  run.record_dataset(source.manifest())
  print(f'{recipe.protocol}: {len(split.train)} videos train, {len(split.validation)} validate, '
        f'{len(split.test)} test', flush=True)
  training.train(run, source, split, strategy)
  results = run.read('results.json')
  method = run.restore_method()
  if results is None:
    results = evaluation.evaluate(run, method, source, split.test)
  model = run.directory / 'saved_model'
  if not model.exists():
    exporting.export(run, method, model)
  print(f'\n{evaluation.table(results)}\n')
  print(f'Everything is in {run.directory}: results.json, confusion_*.png, tensorboard/, saved_model/')
  return run


def evaluate(run_dir: str, data_dir: Optional[str]) -> None:
  """Evaluates a finished run on its test set and prints the table."""
  run = runs.Run.open(run_dir)
  method = run.restore_method()
  source, split = _open(run.recipe, data_dir)
  results = evaluation.evaluate(run, method, source, split.test)
  print(f'\n{evaluation.table(results)}\n\nWritten to {run.directory / "results.json"}')


def export(run_dir: str, directory: pathlib.Path) -> None:
  """Exports a finished run as a SavedModel."""
  run = runs.Run.open(run_dir)
  saved = exporting.export(run, run.restore_method(), directory)
  print(f'SavedModel written to {saved}')


def _open(recipe: recipes.Recipe, data_dir: Optional[str]):
  source = catalog.open_dataset(
      recipe.dataset, data_dir or catalog.default_data_dir(recipe.dataset, recipe.data), recipe.data,
      recipe.clips.frame_size)
  unknown = set(recipe.modalities) - set(source.modalities)
  if unknown:
    raise errors.UserError(f'{recipe.dataset} has no {", ".join(sorted(unknown))}: modalities can be any of '
                           f'{", ".join(source.modalities)}.')
  return source, protocols.split(recipe.dataset, recipe.protocol, source.names)
