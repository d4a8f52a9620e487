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
from tf_privinfo.datasets import noise
from tf_privinfo.datasets import protocols


def train(recipe: recipes.Recipe, *, data_dir: Optional[str], output_dir: pathlib.Path, resume: bool,
          num_gpus: int, stage: Optional[str] = None) -> runs.Run:
  """Trains, evaluates and exports a recipe, doing only what an earlier process has not finished.

  Evaluation and export wait until the last stage has finished.

  Args:
    recipe: what to run.
    data_dir: of the native files; None for the default.
    output_dir: root of run directories.
    resume: continue an interrupted run.
    num_gpus: -1 for all, 0 for none.
    stage: which stages to run, as in `training.select_stages`.

  Returns:
    The run.
  """
  stages = training.select_stages(recipe, stage)
  print(f'Recipe:\n{recipes.to_yaml(recipe)}', flush=True)
  strategy = training.make_strategy(num_gpus)
  run = runs.Run.create_or_resume(
      output_dir / recipe.dataset / recipe.method / runs.run_name(recipe), recipe, resume)
  source, split = _open(recipe, data_dir)
  run.record_dataset(source.manifest())
  print(f'{recipe.protocol}: {len(split.train)} videos train, {len(split.validation)} validate, '
        f'{len(split.test)} test', flush=True)
  training.train(run, source, split, strategy, stages)
  waiting = [name for name in recipe.stages if run.read(f'{name}/finished.json') is None]
  if waiting:
    print(f'Stage {stages[-1]} has finished in {run.directory}; still to run: {", ".join(waiting)}')
    return run
  results = run.read('results.json') or evaluation.evaluate(run, source, split.test)
  model = run.directory / 'saved_model'
  if not model.exists():
    exporting.export(run, run.restore_method(), model)
  print(f'\n{evaluation.table(results)}\n')
  print(f'Everything is in {run.directory}: results.json, confusion_*.png, tensorboard/, saved_model/')
  return run


def evaluate(run_dir: str, data_dir: Optional[str]) -> None:
  """Evaluates a finished run on its test set and prints the table."""
  run = runs.Run.open(run_dir)
  run.weights(list(run.recipe.stages)[-1])  # refuses an unfinished run before the dataset is opened
  source, split = _open(run.recipe, data_dir)
  results = evaluation.evaluate(run, source, split.test)
  print(f'\n{evaluation.table(results)}\n\nWritten to {run.directory / "results.json"}')


def sweep_noise(run_dir: str, data_dir: Optional[str], levels: str) -> None:
  """Evaluates a finished run under noisy depth, as in table 3.3, and prints the table."""
  by_level = {level: noise.DepthNoise.parse(level) for level in levels.split(',')}
  run = runs.Run.open(run_dir)
  source, split = _open(run.recipe, data_dir)
  result = evaluation.sweep_noise(run, source, split.test, by_level)
  print(f'\n{evaluation.noise_table(result)}\n\nWritten to {run.directory / "noise.json"} and noise.png')


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
  unlike = source.metadata.get('unlike_sizes')
  if unlike and recipe.connections and recipe.connections.direction != 'none':
    name, sizes = next(iter(sorted(unlike.items())))
    raise errors.UserError(
        f'RGB and depth of {len(unlike)} videos differ in size (as {name}: {sizes}), but cross-stream connections '
        'multiply their maps pixel by pixel: align them with --set data.aligned=true, or switch the connections off '
        'with --set connections.direction=none.')
  return source, protocols.split(recipe.dataset, recipe.protocol, source.names, recipe.data.hold_out)
