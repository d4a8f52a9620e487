"""What has been measured: figures in the result files of runs, found by the runs' recipes.

Only files are read, and TensorFlow is not needed for it. A run answers a
question if its `recipe.yaml` is the recipe that the question asks for, field by
field; where it lies and what its folder is called does not matter.
"""

import dataclasses
import pathlib
import shlex
import statistics
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from tf_privinfo import atomic
from tf_privinfo import checks
from tf_privinfo import errors
from tf_privinfo import recipes
from tf_privinfo import settings
from tf_privinfo import thesis
from tf_privinfo.datasets import protocols

# A command line: a main and its flags.
Command = Tuple[str, ...]

# What a result file says of its origin, and must have in common with its run's recipe.
_ORIGIN = ('method', 'dataset', 'protocol', 'preset', 'variant', 'seed')

# Accuracies in a result file that are of a stream into which a true modality is injected, before the modality's name.
_INJECTED = 'accuracy_with_true_'


@dataclasses.dataclass(frozen=True)
class Choice:
  """Which runs are asked.

  Attributes:
    output_dir: root of their directories.
    dataset: asked instead of the thesis' own ones; empty: these.
    preset: empty: the dataset's default.
    variant: of the recipes.
    seeds: of the runs; each gives one value.
    values: overrides of every recipe.
    data_dir: of the native files, for the commands; empty: the default.
    methods: that are set beside each other, where no row of the thesis says which.
    prepared_dir: of the prepared form, for the commands; empty: the default.
  """
  output_dir: pathlib.Path
  dataset: str = ''
  preset: str = ''
  variant: str = 'code'
  seeds: Tuple[int, ...] = (0,)
  values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  data_dir: str = ''
  methods: Tuple[str, ...] = ()
  prepared_dir: str = ''


@dataclasses.dataclass(frozen=True)
class Question:
  """A figure in a file of a run, and what the thesis has in its place.

  Attributes:
    name: of the row or curve in the thesis.
    method, settings, dataset, protocol, init_from: of the run, as in `thesis.Row`.
    stage, stream: that it is a figure of; the stage 'switch' is ADMD's switch.
    file: JSON file in the run directory.
    keys: path to the figure in it; '*' takes all entries, for a curve.
    condition: of the test, where it is a special one.
    paper: (dataset and protocol, figure) pairs, in percent.
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
class Answer:
  """What the runs say to a question.

  Attributes:
    question: as it was asked: of the chosen dataset, by its protocol.
    preset: of the runs.
    reads: modalities at test time.
    values: seed -> the figure, or {x: y} for a curve; of the runs that have it.
    wanted: how many runs were asked: one for each seed.
    samples: the numbers of test samples of these runs; one number, as a rule.
    commands: what gives the values that are missing, in order.
    refusal: why the question has no recipe; empty if it has.
  """
  question: Question
  preset: str = ''
  reads: str = ''
  values: Mapping[int, Any] = dataclasses.field(default_factory=dict)
  wanted: int = 0
  samples: Tuple[int, ...] = ()
  commands: Tuple[Command, ...] = ()
  refusal: str = ''

  def mean(self) -> float:
    """The mean over the seeds, in percent; of answers that have values."""
    return 100 * statistics.fmean(self.values.values())

  def deviation(self) -> Optional[float]:
    """The sample standard deviation over the seeds, in points; None with fewer than two."""
    return 100 * statistics.stdev(self.values.values()) if len(self.values) > 1 else None


class Runs:
  """The runs under a root, by their recipes."""

  def __init__(self, output_dir: pathlib.Path):
    self._output_dir = output_dir
    self._known: Dict[str, List[Tuple[recipes.Recipe, pathlib.Path]]] = {}

  def place(self, recipe: recipes.Recipe) -> pathlib.Path:
    """The directory of the run of a recipe; where train_main.py would put it, if there is none."""
    found = self._find(recipe)
    if len(found) == 1:
      return found[0]
    usual = recipes.run_directory(recipe, self._output_dir)
    return usual if usual in found or not found else found[0]

  def read(self, recipe: recipes.Recipe, file: str) -> Any:
    """The content of a JSON file of the run of a recipe; None without one, or if it is of another origin."""
    path = self.place(recipe) / file if self._find(recipe) else None
    if not (path and path.is_file()):
      return None
    if path.name == 'history.json':
      content = atomic.read_json(path, kind=list)
      return content if path.with_name('finished.json').is_file() else None
    content = atomic.read_json(path)
    origin = {'split': 'test', **{field: getattr(recipe, field) for field in _ORIGIN}}
    return content if origin.items() <= content.items() else None

  def _find(self, recipe) -> List[pathlib.Path]:
    wanted = _with_absolute_start(recipe)
    return [directory for known, directory in self._of_dataset(recipe.dataset) if known == wanted]

  def _of_dataset(self, dataset):
    if dataset not in self._known:
      self._known[dataset] = []
      for path in sorted(self._output_dir.glob(f'{dataset}/*/*/recipe.yaml')):
        try:
          recipe = recipes.read(path)
        except errors.UserError:  # of another version, whose recipe means nothing here
          continue
        self._known[dataset].append((_with_absolute_start(recipe), path.parent))
    return self._known[dataset]


def _with_absolute_start(recipe):
  return dataclasses.replace(
      recipe, init_from=str(pathlib.Path(recipe.init_from).resolve()) if recipe.init_from else '')


def of_row(name: str, row: thesis.Row) -> List[Question]:
  """The questions of a row of a table: one for each figure that the thesis has."""
  folder = f'depth_{row.depth_variant}/' if row.depth_variant else ''
  condition = ''.join([row.accuracies.removeprefix('accuracy').removeprefix('_with_').replace('_', ' '),
                       f'depth of {row.depth_variant}' if row.depth_variant else ''])
  asked = []
  for protocol, figure in row.reported.items():
    place = f'{row.dataset}, {protocol}'
    clean = Question(
        name, row.method, row.settings, row.dataset, protocol, row.init_from, row.stage, row.stream,
        f'{folder}results.json', ('stages', row.stage, row.accuracies, row.stream), condition)
    if figure is not None:
      asked.append(dataclasses.replace(clean, paper=((place, figure),)))
    asked += [
        dataclasses.replace(clean, file='noise.json', keys=('stages', row.stage, level), condition=f'noise {level}',
                            paper=((place, noisy),))
        for level, noisy in row.noise.items()]
  return asked


def of_curve(name: str, curve: thesis.Curve) -> Question:
  """The question of a curve of a figure."""
  file, keys, stream = (
      ('noise.json', ('switch', 'levels', '*', curve.quantity), 'sum') if curve.stage == 'switch' else
      (f'{curve.stage}/history.json', ('*', curve.quantity), curve.quantity.partition('/')[2]))
  return Question(
      name, curve.method, curve.settings, curve.dataset, curve.protocol, '', curve.stage, stream, file, keys)


def of_random_features() -> List[Question]:
  """The questions of table 5.3."""
  protocol = protocols.resolve('nwucla', None)
  return [
      Question(modality, 'independent', {}, 'nwucla', protocol, '', 'ensemble', modality, 'random_features.json',
               ('accuracy', modality, str(neighbours)), f'k = {neighbours}', ((f'nwucla, {protocol}', figure),))
      for modality, figures in thesis.TABLE_5_3.items() for neighbours, figure in figures.items()]


def of_method(method: str, dataset: str) -> Question:
  """The question of the accuracies after all stages of a method, as its recipe is."""
  protocol = protocols.resolve(dataset, recipes.default_protocol(method, dataset))
  *_, last = recipes.recipe(method, dataset, protocol).stages
  return Question(method, method, {}, dataset, protocol, '', last, 'sum', 'results.json', ('stages',))


def choose_dataset(questions: Sequence[Question], dataset: str) -> List[Question]:
  """The questions as they are asked of one dataset.

  Those that the thesis answers on this dataset itself, where it has such.
  Otherwise all of them, by the dataset's default protocol and without weights
  of other datasets; questions that are then the same become one, which keeps
  all of the thesis' figures, with the datasets that they were measured on.
  Left out are those about weights of another dataset, which a stage of no
  epochs keeps, and about an estimator's depth, which is of its own dataset.
  """
  own = [question for question in questions if question.dataset == dataset]
  if own or not dataset:
    return own or list(questions)
  same: Dict[Any, List[Question]] = {}
  for question in questions:
    values = {key: value for key, value in question.settings.items() if key != 'new_classifier'}
    if question.init_from and any(key.endswith('.epochs') for key in values) or question.file.startswith('depth_'):
      continue
    name = question.name.removeprefix(f'{question.dataset}, ').removesuffix(f' {question.dataset}')
    protocol = protocols.resolve(dataset, recipes.default_protocol(question.method, dataset))
    moved = dataclasses.replace(
        question, name=name, settings=values, dataset=dataset, protocol=protocol, init_from='')
    identity = (tuple(sorted(values.items())), *(
        getattr(moved, field) for field in ('method', 'stage', 'file', 'keys', 'condition')))
    same.setdefault(identity, []).append(moved)
  return [
      dataclasses.replace(first, name='; '.join(dict.fromkeys(question.name for question in (first, *others))),
                          paper=tuple(dict.fromkeys(pair for question in (first, *others) for pair in question.paper)))
      for first, *others in same.values()]


def answer(question: Question, choice: Choice, runs: Runs) -> Answer:
  """Looks a question up in the result files of the runs with the chosen seeds."""
  values, samples, commands = {}, set(), []
  for seed in choice.seeds:
    try:
      chain = _chain(question, seed, choice, runs)
    except errors.UserError as error:
      return Answer(question, refusal=str(error))
    recipe = chain[-1]
    content = runs.read(recipe, question.file)
    value = _at(content, question.keys)
    if value is None:
      commands += _commands(question, chain, choice, runs)
    else:
      _check(value, question, runs.place(recipe) / question.file)
      values[seed] = value
      samples |= {content['samples']} if 'samples' in content else set()
  return Answer(question, recipe.preset, ' + '.join(_reads(recipe, question)), values, len(choice.seeds),
                tuple(sorted(samples)), tuple(dict.fromkeys(commands)))


def _chain(question, seed, choice, runs) -> List[recipes.Recipe]:
  """The recipe of a question with a seed; before it that of the run that it starts from. Raises `UserError`."""
  if not question.init_from:
    return [_recipe(question, seed, choice, question.dataset, question.protocol, question.settings)]
  protocol = question.protocol if question.protocol in protocols.PROTOCOLS.get(question.init_from, ()) else None
  start = _recipe(question, seed, choice, question.init_from, protocol, {
      key: value for key, value in question.settings.items()
      if key != 'new_classifier' and not key.endswith('.epochs')})
  return [start, _recipe(question, seed, choice, question.dataset, question.protocol, {
      **question.settings, 'init_from': str(runs.place(start))})]


def _recipe(question, seed, choice, dataset, protocol, values) -> recipes.Recipe:
  recipe = recipe_of(choice, question.method, dataset, protocol, seed, values)
  if question.stage == 'switch':
    if not recipe.has_switch:
      raise errors.UserError(f'{question.method} has no switch')
  elif question.stage not in recipe.stages:
    raise errors.UserError(f'{question.method} has no stage {question.stage} on {dataset}')
  elif question.stream not in (*recipe.streams(question.stage), 'sum', 'oracle'):
    raise errors.UserError(f'stage {question.stage} has no stream {question.stream} on {dataset}')
  return recipe


def recipe_of(choice: Choice, method: str, dataset: str, protocol: Optional[str], seed: int,
              values: Mapping[str, Any]) -> recipes.Recipe:
  """The recipe of a method with overrides, as chosen; raises `UserError` if there is none."""
  if dataset not in recipes.DATASETS:
    raise errors.UserError(f'{dataset} is none of the datasets {", ".join(recipes.DATASETS)}')
  plain = recipes.recipe(method, dataset, protocols.resolve(dataset, protocol),
                         choice.preset or recipes.default_preset(dataset), choice.variant, seed)
  unknown = sorted(set(values) - set(settings.flatten(plain)))
  if unknown:
    raise errors.UserError(f'{method} has no {", ".join(unknown)} on {dataset}')
  return checks.check(settings.override(plain, {**values, **choice.values}))


def _reads(recipe, question) -> List[str]:
  """The modalities that a figure needs at test time."""
  if question.stage == 'switch':
    return list(recipe.modalities)
  streams, stage = recipe.streams(question.stage), recipe.stages[question.stage]
  if stage.loss == 'estimated_depth':
    return ['rgb']
  if question.stream in streams:
    return [streams[question.stream], *(
        key.removeprefix(_INJECTED) for key in question.keys if key.startswith(_INJECTED))]
  return list(dict.fromkeys(modality for stream, modality in streams.items() if stream not in stage.frozen))


def _at(content, keys) -> Any:
  """The value at a path in a JSON tree, None if it has no such path; '*' gives {entry: value}, lists counted from 1."""
  for position, key in enumerate(keys):
    if key == '*' and content:
      entries = content.items() if isinstance(content, dict) else enumerate(content, 1)
      values = {str(name): _at(entry, keys[position + 1:]) for name, entry in entries}
      return None if None in values.values() else values
    if not isinstance(content, dict) or key not in content:
      return None
    content = content[key]
  return content


def _check(value, question: Question, path: pathlib.Path) -> None:
  """Raises `UserError` unless what a file holds is a figure, a curve, or the accuracies of stages."""
  parts = [value]
  if question.keys == ('stages',):
    accuracies = [_at(value, (stage, 'accuracy')) for stage in value] if isinstance(value, dict) else []
    parts = accuracies if question.stage in value else [None]
  numbers = [number for part in parts for number in (part.values() if isinstance(part, dict) else [part])]
  if not all(isinstance(number, (int, float)) for number in numbers):
    raise errors.UserError(f'{path} is damaged or of another version (its accuracies after stage {question.stage} '
                           'cannot be read): remove it and evaluate the run again with eval_main.py --run_dir.')


def _commands(question, chain, choice, runs) -> List[Command]:
  """What makes a figure that no file has: the run that the run starts from, the run, its evaluation."""
  recipe = chain[-1]
  data = [f'--{flag}={value}' for flag, value in (
      ('data_dir', choice.data_dir), ('prepared_dir', choice.prepared_dir)) if value]
  if question.file == 'random_features.json':
    if runs.read(recipe, question.file):
      return []  # there are fewer training samples than neighbours
    return [('eval_main', '--random_features', f'--dataset={recipe.dataset}', f'--preset={recipe.preset}',
             f'--variant={recipe.variant}', f'--seeds={recipe.seed}', f'--output_dir={choice.output_dir}', *data,
             *_overrides(choice.values))]
  training = [_training(link, choice.output_dir, data) for link in chain if runs.read(link, 'results.json') is None]
  evaluation = ('eval_main', f'--run_dir={runs.place(recipe)}', *data)
  folder, _, file = question.file.rpartition('/')
  if file == 'noise.json':
    return [*training, (*evaluation, f'--noise={",".join(("0", *thesis.NOISE))}')]
  if folder.startswith('depth_'):
    return [*training, (*evaluation, f'--depth_variant={folder.removeprefix("depth_")}')]
  return training or [evaluation]


def _training(recipe, output_dir, data) -> Command:
  changed = recipes.overrides(recipe)
  start = changed.pop('init_from', '')
  return ('train_main', f'--method={recipe.method}', f'--dataset={recipe.dataset}', f'--protocol={recipe.protocol}',
          f'--preset={recipe.preset}', f'--variant={recipe.variant}', f'--seed={recipe.seed}',
          f'--output_dir={output_dir}', *data, *_overrides(changed),
          *([f'--init_from={start}'] if start else []), '--stages_from=auto')


def _overrides(values) -> List[str]:
  return [f'--set={key}={value}' for key, value in values.items()]


def shell(command: Command) -> str:
  """A command as a line for a shell."""
  main, *flags = command
  return shlex.join(['python', f'{main}.py', *flags])


def run(commands: Sequence[Command]) -> List[Command]:
  """Runs commands one after the other, each in a process of its own, and returns those that failed.

  Each does only what is not done yet: when they were killed, the same call goes on.
  """
  failed = []
  for number, command in enumerate(commands, 1):
    print(f'[{number}/{len(commands)}] {shell(command)}', flush=True)
    main, *flags = command
    if subprocess.run([sys.executable, '-m', main, *flags], check=False).returncode:
      failed.append(command)
  return failed
