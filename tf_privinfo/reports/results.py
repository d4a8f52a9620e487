"""Measured values: entries of the result files of runs, found by the recipes of the runs.

Only files are read, without TensorFlow. A run measures a value if its
`recipe.yaml` equals the recipe of the value, field by field; the name and
place of its folder do not matter.
"""

import dataclasses
import pathlib
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from tf_privinfo import recipes
from tf_privinfo.datasets import registry
from tf_privinfo.recipes import settings, validation
from tf_privinfo.recipes.stage import LOSSES
from tf_privinfo.reports import commands, statistics, thesis_tables
from tf_privinfo.reports.commands import Command
from tf_privinfo.reports.thesis_rows import Row, ThesisCurve
from tf_privinfo.runs import search
from tf_privinfo.runs.run import FINISHED, HISTORY, NOISE, ORIGIN, RANDOM_FEATURES, RESULTS
from tf_privinfo.utils import atomic, errors

# Prefix of keys in a result file for accuracies with an injected true modality; the name of the modality follows.
_INJECTED = 'accuracy_with_true_'


@dataclasses.dataclass(frozen=True)
class RunSelection:
  """The runs of a report.

  Attributes:
    output_dir: root of the run directories.
    dataset: dataset instead of the datasets of the thesis; empty: the latter.
    preset: preset of the recipes; empty: the dataset's default.
    variant: variant of the recipes.
    seeds: seeds of the runs, one value each.
    values: overrides of all recipes.
    data_dir: folder of the native files, for the commands; empty: the default.
    methods: methods to compare, for reports without rows of the thesis.
    protocols: protocols whose runs are pooled, for the same reports; empty: the default one.
    prepared_dir: folder of the prepared data, for the commands; empty: the default.
  """
  output_dir: pathlib.Path
  dataset: str = ''
  preset: str = ''
  variant: str = 'code'
  seeds: Tuple[int, ...] = (0,)
  values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  data_dir: str = ''
  methods: Tuple[str, ...] = ()
  protocols: Tuple[str, ...] = ()
  prepared_dir: str = ''


@dataclasses.dataclass(frozen=True)
class ThesisValue:
  """A value in a file of a run, and the corresponding figures of the thesis.

  Attributes:
    name: name of the row or curve in the thesis.
    method, settings, dataset, protocol, init_from: fields of the run, as in `thesis_rows.Row`.
    stage, stream: stage and stream of the value; the stage 'switch' is the switch of ADMD.
    file: path of a JSON file in the run directory.
    keys: path to the value in the file; '*' stands for all entries of a curve.
    condition: special condition of the test, or ''.
    paper: (dataset and protocol, figure in percent) pairs.
  """
  name: str
  method: str
  settings: Mapping[str, Any]
  dataset: str
  protocol: str
  init_from: str
  stage: str
  stream: str
  file: str
  keys: Tuple[str, ...]
  condition: str = ''
  paper: Tuple[Tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class MeasuredValue:
  """The measured values for a value of the thesis.

  Attributes:
    wanted: value of the thesis, on the selected dataset.
    preset: preset of the runs.
    reads: modalities at test time.
    values: seed -> value, or {x: y} for a curve; only of existing results.
    expected_runs: expected number of runs, one for each seed.
    samples: distinct numbers of test samples of these runs, usually one.
    commands: commands for missing values, in order.
    refusal: reason why there is no recipe, or ''.
  """
  wanted: ThesisValue
  preset: str = ''
  reads: str = ''
  values: Mapping[int, Any] = dataclasses.field(default_factory=dict)
  expected_runs: int = 0
  samples: Tuple[int, ...] = ()
  commands: Tuple[Command, ...] = ()
  refusal: str = ''

  def mean(self) -> float:
    """The mean over the seeds, in percent; there must be values."""
    return 100 * statistics.mean(self.values.values())

  def deviation(self) -> Optional[float]:
    """The sample standard deviation over the seeds, in points; None with fewer than two."""
    deviation = statistics.deviation(self.values.values())
    return None if deviation is None else 100 * deviation


class ResultFiles:
  """The result files of the runs under a root, found by the recipes of the runs.

  Args:
    output_dir: root of the run directories.
  """

  def __init__(self, output_dir: pathlib.Path):
    self._index = search.RunIndex(output_dir)

  def directory(self, recipe: recipes.Recipe) -> pathlib.Path:
    """The directory of the run of a recipe; the default directory, if there is none."""
    return self._index.directory(recipe)

  def read(self, recipe: recipes.Recipe, file: str) -> Any:
    """The content of a JSON file of the run of a recipe; None if it is missing, unfinished or of a different origin."""
    path = self.directory(recipe) / file if self._index.matching(recipe) else None
    if not (path and path.is_file()):
      return None
    if path.name == HISTORY:
      content = atomic.read_json(path, kind=list)
      return content if path.with_name(FINISHED).is_file() else None
    content = atomic.read_json(path)
    origin = {'split': 'test', **{field: getattr(recipe, field) for field in ORIGIN}}
    return content if origin.items() <= content.items() else None


def of_row(name: str, row: Row) -> List[ThesisValue]:
  """The values of a row of a table, one for each figure in the thesis."""
  folder = f'depth_{row.depth_variant}/' if row.depth_variant else ''
  condition = ''.join([row.accuracies.removeprefix('accuracy').removeprefix('_with_').replace('_', ' '),
                       f'depth of {row.depth_variant}' if row.depth_variant else ''])
  asked = []
  for protocol, figure in row.reported.items():
    place = f'{row.dataset}, {protocol}'
    clean = ThesisValue(
        name, row.method, row.settings, row.dataset, protocol, row.init_from, row.stage, row.stream,
        f'{folder}{RESULTS}', ('stages', row.stage, row.accuracies, row.stream), condition)
    if figure is not None:
      asked.append(dataclasses.replace(clean, paper=((place, figure),)))
    asked += [
        dataclasses.replace(clean, file=NOISE, keys=('stages', row.stage, level), condition=f'noise {level}',
                            paper=((place, noisy),))
        for level, noisy in row.noise.items()]
  return asked


def of_curve(name: str, curve: ThesisCurve) -> ThesisValue:
  """The value of a curve of a figure."""
  file, keys, stream = (
      (NOISE, ('switch', 'levels', '*', curve.quantity), 'sum') if curve.stage == 'switch' else
      (f'{curve.stage}/{HISTORY}', ('*', curve.quantity), curve.quantity.partition('/')[2]))
  return ThesisValue(
      name, curve.method, curve.settings, curve.dataset, curve.protocol, '', curve.stage, stream, file, keys)


def of_random_features() -> List[ThesisValue]:
  """The values of table 5.3."""
  protocol = registry.resolve_protocol('nwucla', None)
  return [
      ThesisValue(modality, 'independent', {}, 'nwucla', protocol, '', 'ensemble', modality, RANDOM_FEATURES,
               ('accuracy', modality, str(neighbours)), f'k = {neighbours}', ((f'nwucla, {protocol}', figure),))
      for modality, figures in thesis_tables.TABLE_5_3.items() for neighbours, figure in figures.items()]


def of_method(method: str, dataset: str, protocol: Optional[str] = None) -> ThesisValue:
  """All results of a method on a dataset, with the default protocol for None."""
  protocol = registry.resolve_protocol(dataset, protocol or recipes.default_protocol(method, dataset))
  *_, last = recipes.recipe(method, dataset, protocol).stages
  return ThesisValue(method, method, {}, dataset, protocol, '', last, 'sum', RESULTS, ())


def move_to_dataset(wanted_values: Sequence[ThesisValue], dataset: str) -> List[ThesisValue]:
  """Transfers values to one dataset.

  If the thesis has values on this dataset, these are returned. Otherwise all
  values are transferred, with the default protocol of the dataset and without
  weights of other datasets. Values that become equal are merged; the result
  keeps all figures of the thesis, with their datasets. Two kinds of values are
  omitted: weights of other datasets that a stage without epochs keeps, and
  estimated depth, which belongs to its own dataset.
  """
  own = [wanted for wanted in wanted_values if wanted.dataset == dataset]
  if own or not dataset:
    return own or list(wanted_values)
  same: Dict[Any, List[ThesisValue]] = {}
  for wanted in wanted_values:
    values = {key: value for key, value in wanted.settings.items() if key != 'new_classifier'}
    if wanted.init_from and any(key.endswith('.epochs') for key in values) or wanted.file.startswith('depth_'):
      continue
    name = wanted.name.removeprefix(f'{wanted.dataset}, ').removesuffix(f' {wanted.dataset}')
    protocol = registry.resolve_protocol(dataset, recipes.default_protocol(wanted.method, dataset))
    moved = dataclasses.replace(
        wanted, name=name, settings=values, dataset=dataset, protocol=protocol, init_from='')
    identity = (tuple(sorted(values.items())), *(
        getattr(moved, field) for field in ('method', 'stage', 'file', 'keys', 'condition')))
    same.setdefault(identity, []).append(moved)
  return [
      dataclasses.replace(first, name='; '.join(dict.fromkeys(wanted.name for wanted in (first, *others))),
                          paper=tuple(dict.fromkeys(pair for wanted in (first, *others) for pair in wanted.paper)))
      for first, *others in same.values()]


def find(wanted: ThesisValue, selection: RunSelection, result_files: ResultFiles) -> MeasuredValue:
  """Finds a value in the result files of the runs with the selected seeds; raises `UserError` for damaged files."""
  values, samples, missing = {}, set(), []
  for seed in selection.seeds:
    try:
      chain = _chain(wanted, seed, selection, result_files)
    except errors.UserError as error:
      return MeasuredValue(wanted, refusal=str(error))
    recipe = chain[-1]
    content = result_files.read(recipe, wanted.file)
    value = _at(content, wanted.keys)
    if value is None:
      missing += commands.missing(wanted, chain, selection, result_files)
    else:
      _check(value, wanted, result_files.directory(recipe) / wanted.file)
      values[seed] = value
      samples |= {content['samples']} if 'samples' in content else set()
  return MeasuredValue(wanted, recipe.preset, ' + '.join(_reads(recipe, wanted)), values, len(selection.seeds),
                tuple(sorted(samples)), tuple(dict.fromkeys(missing)))


def _chain(wanted, seed, selection, result_files) -> List[recipes.Recipe]:
  """The recipe of a value with a seed, preceded by the recipe of its initial weights. Raises `UserError`."""
  if not wanted.init_from:
    return [_recipe(wanted, seed, selection, wanted.dataset, wanted.protocol, wanted.settings)]
  protocol = wanted.protocol if wanted.protocol in _protocols(wanted.init_from) else None
  start = _recipe(wanted, seed, selection, wanted.init_from, protocol, {
      key: value for key, value in wanted.settings.items()
      if key != 'new_classifier' and not key.endswith('.epochs')})
  return [start, _recipe(wanted, seed, selection, wanted.dataset, wanted.protocol, {
      **wanted.settings, 'init_from': str(result_files.directory(start))})]


def _protocols(dataset):
  return recipes.DATASETS[dataset].protocols if dataset in recipes.DATASETS else ()


def _recipe(wanted, seed, selection, dataset, protocol, values) -> recipes.Recipe:
  recipe = recipe_of(selection, wanted.method, dataset, protocol, seed, values)
  if wanted.stage == 'switch':
    if not recipe.has_switch:
      raise errors.UserError(f'{wanted.method} has no switch')
  elif wanted.stage not in recipe.stages:
    raise errors.UserError(f'{wanted.method} has no stage {wanted.stage} on {dataset}')
  elif wanted.stream not in (*recipe.streams(wanted.stage), 'sum', 'oracle'):
    raise errors.UserError(f'stage {wanted.stage} has no stream {wanted.stream} on {dataset}')
  return recipe


def recipe_of(selection: RunSelection, method: str, dataset: str, protocol: Optional[str], seed: int,
              values: Mapping[str, Any]) -> recipes.Recipe:
  """The recipe of a method with overrides, for the selected preset and variant; raises `UserError` if there is none."""
  if dataset not in recipes.DATASETS:
    raise errors.UserError(f'{dataset} is none of the datasets {", ".join(recipes.DATASETS)}')
  plain = recipes.recipe(method, dataset, registry.resolve_protocol(dataset, protocol),
                         selection.preset or recipes.default_preset(dataset), selection.variant, seed)
  unknown = sorted(set(values) - set(settings.flatten(plain)))
  if unknown:
    raise errors.UserError(f'{method} has no {", ".join(unknown)} on {dataset}')
  return validation.check(recipes.override(plain, {**values, **selection.values}))


def _reads(recipe, wanted) -> List[str]:
  """The modalities of a value at test time."""
  if wanted.stage == 'switch':
    return list(recipe.modalities)
  streams, stage = recipe.streams(wanted.stage), recipe.stages[wanted.stage]
  if LOSSES[stage.loss].reads_main_only:
    return [recipe.roles.main]
  if wanted.stream in streams:
    return [streams[wanted.stream], *(
        key.removeprefix(_INJECTED) for key in wanted.keys if key.startswith(_INJECTED))]
  return list(dict.fromkeys(modality for stream, modality in streams.items() if stream not in stage.frozen))


def _at(content, keys) -> Any:
  """The value at a path in a JSON tree, or None; '*' returns {entry: value}, with lists counted from 1."""
  for position, key in enumerate(keys):
    if key == '*' and content:
      entries = content.items() if isinstance(content, dict) else enumerate(content, 1)
      values = {str(name): _at(entry, keys[position + 1:]) for name, entry in entries}
      return None if None in values.values() else values
    if not isinstance(content, dict) or key not in content:
      return None
    content = content[key]
  return content


def _check(value, wanted: ThesisValue, path: pathlib.Path) -> None:
  """Raises `UserError` unless a value of a file is a number, a curve, or results with the accuracies of stages."""
  parts = [value]
  if not wanted.keys:
    stages = value.get('stages')
    accuracies = [_at(stages, (stage, 'accuracy')) for stage in stages] if isinstance(stages, dict) else []
    parts = accuracies if wanted.stage in (stages or ()) else [None]
  numbers = [number for part in parts for number in (part.values() if isinstance(part, dict) else [part])]
  if not all(isinstance(number, (int, float)) for number in numbers):
    raise errors.UserError(f'{path} is damaged or of another version (its accuracies after stage {wanted.stage} '
                           'cannot be read): remove it and evaluate the run again with eval_main.py --run_dir.')
