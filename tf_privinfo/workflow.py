"""The actions of the two programs: training, evaluation and export of runs."""

import contextlib
import pathlib
from typing import Optional, Sequence, Tuple

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog, protocols, registry
from tf_privinfo.evaluation import evaluate as evaluation
from tf_privinfo.evaluation import (
  nearest_neighbours,
  noise_sweep,
  prediction_files,
  predictor,
  switch_threshold,
  tables,
)
from tf_privinfo.recipes import settings, validation
from tf_privinfo.reports import thesis_tables
from tf_privinfo.runs import restore, search
from tf_privinfo.runs.run import NOISE, RANDOM_FEATURES, RESULTS, SAVED_MODEL, SWITCH
from tf_privinfo.serving import export as serving
from tf_privinfo.serving import litert
from tf_privinfo.training import cluster, devices, loop
from tf_privinfo.utils import errors


def train(recipe: recipes.Recipe, *, data_dir: Optional[str], output_dir: pathlib.Path, resume: bool,
          num_gpus: int, stage: Optional[str] = None, stages_from: Optional[str] = None,
          prepared_dir: Optional[str] = None, deterministic: Optional[bool] = None,
          steps_per_execution: Optional[int] = None) -> runs.Run:
  """Trains, evaluates and exports a recipe; finished work of earlier processes is not repeated.

  Evaluation and export follow when the last stage has finished.

  Args:
    recipe: recipe of the run.
    data_dir: folder of the native files; None for the default.
    output_dir: root of run directories.
    resume: whether an interrupted run is resumed; otherwise it is renamed.
    num_gpus: number of GPUs, as in `devices.make_strategy`.
    stage: selection of stages, as in `loop.select_stages`; None: all.
    stages_from: run directory whose finished stages are reused if both recipes
      share them; 'auto': the run under `output_dir` that shares most of them.
    prepared_dir: folder of the prepared data; None for the default.
    deterministic, steps_per_execution: as in `loop.train`.

  Returns:
    The run.

  Raises:
    UserError: if the recipe, the data, the devices or other runs do not fit, or
      if another process writes to the run.
  """
  stages = loop.select_stages(recipe, stage)
  workers = cluster.workers_of_environment()
  if workers > 1 and not getattr(recipe.network, 'sync_norm', True):
    raise errors.UserError('network.sync_norm=false is for one worker: the moving averages of several would differ. '
                           'Leave it out, or train on one machine.')
  devices.divide_cores(recipe)
  strategy = devices.make_strategy(num_gpus, loop.batches(recipe, stages), workers)
  directory = recipes.run_directory(recipe, output_dir)
  options = {'deterministic': deterministic, 'steps_per_execution': steps_per_execution}
  with cluster.member(strategy):
    print(f'Training on {devices.describe_devices(workers)}', flush=True)
    devices.warn_about_precision(recipe)
    print(f'Recipe:\n{recipes.to_yaml(recipe)}', flush=True)
    for line in validation.advice(recipe):
      print(line, flush=True)
    minutes = recipes.expected_minutes(recipe)
    if minutes:
      print(f'Expected time on two cores without a GPU: {minutes} minutes, from rendering to export', flush=True)
    if not cluster.is_chief(strategy):
      return _assist(runs.Run(directory, recipe), data_dir, prepared_dir, strategy, stages, options)
    if not resume:
      runs.set_aside(directory)
    with runs.only_process(directory):
      run = runs.Run.create_or_resume(directory, recipe)
      _train(run, data_dir, prepared_dir, output_dir, strategy, stages, stages_from, options)
  return run


def _assist(run: runs.Run, data_dir, prepared_dir, strategy, stages, options) -> runs.Run:
  """Trains stages of a run together with the chief, which prepares the data before and evaluates afterwards."""
  cluster.wait(strategy)
  source, split = _open(run.recipe, data_dir, prepared_dir)
  loop.train(run, source, split, strategy, stages, **options)
  cluster.wait(strategy)
  return run


def _train(run: runs.Run, data_dir, prepared_dir, output_dir, strategy, stages, stages_from, options) -> None:
  """Trains stages of a run, evaluates and exports it; arguments as in `train`, `options` as in `loop.train`."""
  recipe = run.recipe
  source, split = _open(recipe, data_dir, prepared_dir)
  run.record_dataset(source.manifest())
  run.remember_data(data_dir, prepared_dir)
  print(f'{recipe.protocol}: {len(split.train)} samples train, {len(split.validation)} validate, '
        f'{len(split.test)} test', flush=True)
  for line in registry.counts(source.metadata.get('rows'), split, recipe.protocol):
    print(line, flush=True)
  for line in protocols.missing_classes(recipe.protocol, split, source.label_names, source.label_of):
    print(line, flush=True)
  if recipe.has_switch and not split.validation:
    raise errors.UserError('The threshold of the switch is chosen on validation samples, and there are none: '
                           'raise data.hold_out.')
  if stages_from:
    _take_stages(run, stages_from, output_dir)
  cluster.wait(strategy)
  loop.train(run, source, split, strategy, stages, **options)
  cluster.wait(strategy)
  waiting = run.unfinished_stages()
  if waiting:
    print(f'Stage {stages[-1]} has finished in {run.directory}; still to run: {", ".join(waiting)}')
    return
  with strategy.scope() if cluster.size(strategy) == 1 else contextlib.nullcontext():
    results = run.read(RESULTS) or evaluation.evaluate(run, source, split.test)
    print(f'\n{tables.results_table(results)}\n')
    switch = recipe.has_switch and (run.read(SWITCH) or switch_threshold.choose(run, source, split.validation))
  if switch:
    print('On the validation samples:', *tables.switch_lines(switch, recipe.roles.privileged), '', sep='\n')
  model = run.directory / SAVED_MODEL
  if not serving.is_complete(model):
    serving.export(run, restore.restore_deployed(run), model)
  print(f'Everything is in {run.directory}: results.json, confusion_*.png, tensorboard/, saved_model/')


def _take_stages(run: runs.Run, stages_from: str, output_dir: pathlib.Path) -> None:
  if stages_from == 'auto':
    others = [other for other in search.find(output_dir, run.recipe.dataset) if other.directory != run.directory]
  else:
    others = [runs.Run.open(stages_from)]
  offers = [(other, run.finished_stages_of(other)) for other in others]
  other, stages = max(offers, key=lambda offer: len(offer[1]), default=(None, []))
  if stages:
    taken = run.take_stages(other, stages)
    if taken:
      print(f'Taken over from {other.directory}: stage {", ".join(taken)}', flush=True)
  elif stages_from != 'auto':
    raise errors.UserError(f'{stages_from} shares no finished stage with this recipe: omit --stages_from, or compare '
                           'recipe.yaml and manifest.json of both runs.')


def evaluate(run_dir: str, data_dir: Optional[str], depth_variant: Optional[str],
             prepared_dir: Optional[str] = None, num_gpus: int = -1) -> None:
  """Evaluates a finished run on its test set and prints the table.

  Args:
    run_dir: run directory.
    data_dir: folder of the native files; None for the folder of the training.
    depth_variant: variant of depth to evaluate with; None for the variant of the training.
    prepared_dir: folder of the prepared data; None for the folder of the training.
    num_gpus: number of GPUs; -1: all, 0: none.

  Raises:
    UserError: if there is no finished run, or the data do not fit.
  """
  run, strategy = _open_finished(run_dir, num_gpus)
  folder = f'depth_{depth_variant}' if depth_variant else ''
  with runs.only_process(run.directory, wait=True):
    source, split = reopen(run, data_dir, prepared_dir, depth_variant)
    with strategy.scope():
      results = evaluation.evaluate(run, source, split.test, folder)
  print(f'\n{tables.results_table(results)}\n\nWritten to {run.directory / folder / RESULTS}')


def sweep_noise(run_dir: str, data_dir: Optional[str], levels: str, prepared_dir: Optional[str] = None,
                num_gpus: int = -1) -> None:
  """Evaluates a finished run under noise on the privileged modality, as in tables 3.3 and 4.6, and prints the table.

  Args:
    run_dir: run directory.
    data_dir: folder of the native files; None for the folder of the training.
    levels: noise levels, separated by commas, as in `noise_sweep.parse_levels`.
    prepared_dir: folder of the prepared data; None for the folder of the training.
    num_gpus: number of GPUs; -1: all, 0: none.

  Raises:
    UserError: if there is no finished run that reads the modality, if a level is unknown, or the data do not fit.
  """
  noise = noise_sweep.parse_levels(levels)
  run, strategy = _open_finished(run_dir, num_gpus)
  with runs.only_process(run.directory, wait=True):
    source, split = reopen(run, data_dir, prepared_dir)
    with strategy.scope():
      result = noise_sweep.sweep(run, source, split.test, noise)
  pictures = 'noise.png' + (', switch.png, switch_roc.png' if 'switch' in result else '')
  print(f'\n{tables.noise_table(result)}\n\nWritten to {run.directory / NOISE}; plots: {pictures}')


def classify_random_features(recipe: recipes.Recipe, data_dir: Optional[str], output_dir: pathlib.Path,
                             prepared_dir: Optional[str] = None, num_gpus: int = -1) -> None:
  """Measures table 5.3 for the run of a recipe, which need not be trained, and prints the table.

  Args:
    recipe: recipe of a method of chapter 5.
    data_dir: folder of the native files; None for the default.
    output_dir: root of run directories.
    prepared_dir: folder of the prepared data; None for the default.
    num_gpus: number of GPUs; -1: all, 0: none.

  Raises:
    UserError: if the data do not fit.
  """
  strategy = devices.make_strategy(num_gpus)
  directory = recipes.run_directory(recipe, output_dir)
  with runs.only_process(directory, wait=True):
    run = runs.Run.create_or_resume(directory, recipe)
    source, split = _open(recipe, data_dir, prepared_dir)
    run.record_dataset(source.manifest())
    run.remember_data(data_dir, prepared_dir)
    with strategy.scope():
      result = nearest_neighbours.evaluate(run, source, split, thesis_tables.NEIGHBOURS)
  print(f'\n{tables.neighbours_table(result)}\n\nWritten to {run.directory / RANDOM_FEATURES}')


def predict(run_dir: str, recordings: Sequence[str], out: Optional[str], with_sheets: bool) -> None:
  """Predicts the classes of new recordings by a finished run and prints the table.

  Args:
    run_dir: run directory.
    recordings: values of --predict, as for `prediction_files.samples`.
    out: folder of the results; None for `predictions` in the run directory.
    with_sheets: whether a contact sheet is written for each sample.

  Raises:
    UserError: if there is no finished run, or a recording cannot be read.
  """
  run, _ = _open_finished(run_dir, num_gpus=-1)
  model = predictor.Predictor(run)
  folder = pathlib.Path(out) if out else run.directory / 'predictions'
  table = prediction_files.predict(
      model, prediction_files.samples(recordings, model.modalities), folder, with_sheets)
  print(f'\n{table}\n\nWritten to {folder / prediction_files.PREDICTIONS}')


def export_litert(run_dir: str, directory: pathlib.Path, modalities: Sequence[str], quantize: bool) -> None:
  """Exports a finished run as a LiteRT file into a folder; arguments and errors as for `litert.export`."""
  path = litert.export(runs.Run.open(run_dir), directory, modalities, quantize)
  print(f'LiteRT model of {path.stat().st_size / 1e6:.1f} MB: Written to {path}')


def export(run_dir: str, directory: pathlib.Path) -> None:
  """Exports a finished run as a SavedModel into a folder; raises `UserError` as `serving.export`."""
  run = runs.Run.open(run_dir)
  saved = serving.export(run, restore.restore_deployed(run), directory.resolve())
  print(f'SavedModel written to {saved}')


def reopen(run: runs.Run, data_dir: Optional[str] = None, prepared_dir: Optional[str] = None,
           depth_variant: Optional[str] = None) -> Tuple[catalog.PreparedDataset, protocols.Split]:
  """The data of a finished run and their split; arguments as in `evaluate`.

  Raises:
    UserError: if classes or samples differ from the training.
  """
  changes = {'data.depth_variant': depth_variant} if depth_variant else {}
  source, split = _open(settings.override(run.recipe, changes), *run.find_data(data_dir, prepared_dir))
  manifest = run.manifest()
  if source.label_names != manifest['label_names'] or source.names != sorted(manifest['samples']):
    raise errors.UserError(f'{run.directory} was trained on different classes or samples: pass the original '
                           '--data_dir.')
  return source, split


def _open_finished(run_dir: str, num_gpus: int):
  """Opens a run and the devices to evaluate it on; raises `UserError` if it has not finished, or for too few GPUs."""
  run = runs.Run.open(run_dir)
  run.weights(run.recipe.deployed_stage)
  devices.divide_cores(run.recipe)
  return run, devices.make_strategy(num_gpus)


def _open(recipe: recipes.Recipe, data_dir: Optional[str], prepared_dir: Optional[str]):
  source = catalog.open_dataset(
      recipe.dataset, data_dir or catalog.default_data_dir(recipe.dataset, recipe.data), recipe.data,
      recipe.clips.frame_size, prepared_dir=prepared_dir, protocol=recipe.protocol, modalities=recipe.modalities)
  unknown = set(recipe.modalities) - set(source.modalities)
  if unknown:
    raise errors.UserError(f'{recipe.dataset} has no {", ".join(sorted(unknown))}: modalities can be any of '
                           f'{", ".join(source.modalities)}.')
  if recipe.connections and recipe.connections.direction != 'none':
    _refuse_unlike_sizes(recipe, source)
  split = registry.split(recipe.dataset, recipe.protocol, source.names, recipe.data.hold_out,
                         rows=source.metadata.get('rows'), hold_out_by=recipe.data.hold_out_by)
  if recipe.data.samples_per_class:
    split = split._replace(train=protocols.at_most_per_class(
        split.train, source.label_of, recipe.data.samples_per_class, recipe.seed))
  return source, split


def _refuse_unlike_sizes(recipe: recipes.Recipe, source: catalog.PreparedDataset) -> None:
  """Raises `UserError` if the two modalities of a sample were recorded in different sizes."""
  main, privileged = recipe.modalities
  for name, text in sorted(source.metadata.get('unlike_sizes', {}).items()):
    sizes = dict(item.split() for item in text.replace('RGB ', 'rgb ').split(', '))  # `RGB` in earlier versions
    sizes.setdefault('flow', sizes.get('rgb', ''))  # computed from RGB
    if sizes[main] != sizes[privileged]:
      align = 'align them with --set data.aligned=true, or ' if recipes.DATASETS[recipe.dataset].alignable else ''
      raise errors.UserError(
          f'{main} and {privileged} differ in size (of {name}: {main} {sizes[main]}, {privileged} '
          f'{sizes[privileged]}), but cross-stream connections multiply their maps pixel by pixel: {align}disable the '
          'connections with --set connections.direction=none.')
