"""The report `evidence`: the plan of docs/evidence.md as data, and the page of its results.

Runs lie in `<output_dir>/<study>`. Only files are read, without TensorFlow.
"""

import dataclasses
import json
import pathlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tf_privinfo import recipes
from tf_privinfo.reports import commands, evidence_switch, pages, plots, pooling, results
from tf_privinfo.reports.statistics import Estimate
from tf_privinfo.reports.tested import Tested
from tf_privinfo.runs.run import NOISE, RECIPE, RESULTS
from tf_privinfo.utils import atomic, errors


class Study(NamedTuple):
  """Data of the evidence.

  Attributes:
    dataset: name of the dataset.
    protocols: protocols whose runs are pooled.
    per_class: numbers of training samples of each class; 0: all.
    modalities: input modalities, of which methods with fewer read the first ones.
    settings: further overrides of all recipes.
  """
  dataset: str
  protocols: Tuple[str, ...]
  per_class: Tuple[int, ...]
  modalities: Tuple[str, ...]
  settings: Mapping[str, Any] = {}


class Arm(NamedTuple):
  """One side of a comparison: a method with overrides, and the stream of its last stage; '' for all streams of both."""
  method: str
  settings: Mapping[str, Any] = {}
  stream: str = ''


class Question(NamedTuple):
  """A comparison of two arms, or of the switch of one arm with its better branch.

  Attributes:
    text: the question.
    arm, baseline: arms; the difference is arm minus baseline. Without a baseline, the arm is evaluated under noise.
    seeds: seeds of the runs.
    studies: data; empty: all of `STUDIES`.
  """
  text: str
  arm: Arm
  baseline: Optional[Arm]
  seeds: Tuple[int, ...] = (0, 1, 2, 3, 4)
  studies: Tuple[str, ...] = ()

  @property
  def arms(self) -> List[Arm]:
    """The arms in the order of their training."""
    return [self.baseline, self.arm] if self.baseline else [self.arm]


# Entries of results that follow from the predictions, and are not kept.
_DERIVED = ('confusion', 'class_accuracy', 'subset_accuracy')
# A gain below this share is hardly worth a second sensor.
WORTHWHILE = 0.02
STUDIES = {
    'asl_clips': Study('recordings', ('hold_out:session=7,8,9+leave_out:session=6',
                                      'hold_out:session=0,1,2+leave_out:session=3,6'),
                       (2, 5, 10, 0), ('rgb', 'depth'),
                       {'clips.test_clips': 1}),  # a clip has all frames of a video
    'mouths': Study('recordings', tuple(f'folds:subject=5+fold={fold}' for fold in range(1, 6)), (10, 0),
                    ('rgb', 'flow')),
    'synthetic': Study('synthetic', ('cross_view_1', 'cross_view_2', 'cross_view_3'), (10, 20, 0),
                       ('rgb', 'depth', 'flow')),
}
_TWO_STREAM_SEEDS = (0, 1, 2)
# Depth of other samples: a teacher that knows nothing about the sample.
_SHUFFLED = Arm('dmcl', {'modalities': 'rgb,shuffled'}, 'rgb')
# Three times the learning rate of the preset.
_LONG_STEPS = {'stages.ensemble.learning_rate': 0.0075}
# The switch of ADMD needs validation samples; compared methods have the same training samples.
_HELD_OUT = {'data.hold_out': 0.1}
# Two RGB networks with as many steps as the five stages of chapter 3.
_AS_LONG = {key: value for stage, epochs, decay in (('rgb', 80, '54.0'), ('rgb_2', 80, '54.0'), ('joint', 40, '27.0'))
            for key, value in {f'stages.{stage}.epochs': epochs, f'stages.{stage}.decay_epochs': decay,
                               f'stages.{stage}.batch_size': 8, f'stages.{stage}.selection': 'last'}.items()}
QUESTIONS = {
    'Q1': Question('DMCL against networks trained alone', Arm('dmcl'), Arm('independent')),
    'Q2': Question('DMCL against DMCL with random teachers', Arm('dmcl'), Arm('random_teacher')),
    'Q2b': Question('DMCL against networks trained alone with three times the learning rate', Arm('dmcl'), Arm(
        'independent', _LONG_STEPS)),
    'Q2c': Question('RGB of DMCL with depth against DMCL with the depth of other samples', Arm('dmcl', stream='rgb'),
                    _SHUFFLED, studies=('asl_clips',)),
    'Q2d': Question('RGB of DMCL with the depth of other samples against a network trained alone', _SHUFFLED,
                    Arm('independent', stream='rgb'), studies=('asl_clips',)),
    'Q2e': Question('DMCL against networks trained alone, both with three times the learning rate', Arm(
        'dmcl', _LONG_STEPS), Arm('independent', _LONG_STEPS), studies=('asl_clips',)),
    'Q3': Question('Modality distillation against two RGB networks, trained for as many steps',
                   Arm('modality_distillation', stream='sum'), Arm('ensemble', _AS_LONG, 'sum'), _TWO_STREAM_SEEDS),
    'Q4a': Question('ADMD against two RGB networks', Arm('admd', _HELD_OUT, 'sum'), Arm(
        'ensemble', {**_HELD_OUT, 'network.bottleneck': 'pool_then_conv'}, 'sum'), _TWO_STREAM_SEEDS),
    'Q4b': Question('ADMD against modality distillation', Arm('admd', _HELD_OUT, 'sum'), Arm(
        'modality_distillation', _HELD_OUT, 'sum'), _TWO_STREAM_SEEDS),
    'Q5': Question('The switch of ADMD under noise against its better branch', Arm('admd', _HELD_OUT), None,
                   _TWO_STREAM_SEEDS),
}


class Cell(NamedTuple):
  """A question on the data of a study, with a number of training samples of each class."""
  question: str
  study: str
  per_class: int

  def selection(self, selection: results.RunSelection) -> results.RunSelection:
    """The runs of the cell, under the root and with the data of `selection`."""
    study = STUDIES[self.study]
    data_dir = str(pathlib.Path(selection.data_dir) / self.study) if selection.data_dir and (
        study.dataset == 'recordings') else ''
    return results.RunSelection(
        selection.output_dir / self.study, study.dataset, 'small', seeds=QUESTIONS[self.question].seeds,
        data_dir=data_dir,
        prepared_dir=str(pathlib.Path(selection.prepared_dir) / self.study) if selection.prepared_dir else '')

  def wanted(self, arm: Arm) -> List[results.ThesisValue]:
    """The results of an arm, one for each protocol: of its test, or under noise if the question has one arm."""
    study = STUDIES[self.study]
    read = len(recipes.recipe(arm.method, study.dataset, study.protocols[0]).modalities)
    values: Dict[str, Any] = {'modalities': ','.join(study.modalities[:read]), 'data.hold_out': 0.0, **study.settings}
    if self.per_class:
      values['data.samples_per_class'] = self.per_class
    changed: Dict[str, Any] = {'settings': {**values, **arm.settings}}
    if not QUESTIONS[self.question].baseline:
      changed.update(file=NOISE, keys=evidence_switch.LAST_CLASSES)
    return [dataclasses.replace(results.of_method(arm.method, study.dataset, protocol), **changed)
            for protocol in study.protocols]

  def recipes_of(self, arm: Arm, selection: results.RunSelection) -> List[Dict[int, recipes.Recipe]]:
    """The recipes of the runs of an arm: for each protocol, seed -> recipe."""
    of_cell = self.selection(selection)
    return [{seed: results.recipe_of(of_cell, wanted.method, wanted.dataset, wanted.protocol, seed, wanted.settings)
             for seed in of_cell.seeds} for wanted in self.wanted(arm)]


def cells() -> Iterator[Cell]:
  """All cells in the order of the plan: the fewest samples first."""
  for size in [size for size in sorted({size for study in STUDIES.values() for size in study.per_class}) if size] + [0]:
    for name, question in QUESTIONS.items():
      yield from (Cell(name, study, size) for study in question.studies or STUDIES
                  if size in STUDIES[study].per_class)


def write(selection: results.RunSelection, run_missing: bool, kept_dir: Optional[str] = None) -> None:
  """Prints the page and writes it to `evidence` in `reports` under the root of the runs.

  Args:
    selection: root of the runs; `data_dir` has a folder for each study that is not rendered.
    run_missing: whether the commands for missing results are run first, in the order of the plan.
    kept_dir: folder for the copies of `keep`; None: no copies.

  Raises:
    UserError: if there are no runs, and, after writing, if a command failed.
  """
  failed = commands.run(missing(selection)) if run_missing else []
  page, directory = build(selection), selection.output_dir / 'reports' / 'evidence'
  pages.write(page, directory)
  print(pages.text(page))
  if kept_dir:
    keep(selection, pathlib.Path(kept_dir))
  commands.refuse_failed(failed, directory)
  print(f'\nEverything is in {directory}: report.html, report.md, report.csv, plots')


def missing(selection: results.RunSelection) -> List[commands.Command]:
  """The commands for missing results, seed by seed, so that the runs of a pair follow each other.

  A run is evaluated under noise right after its training.
  """
  found: Dict[commands.Command, Dict[commands.Command, None]] = {}  # first command of a run -> its commands
  of_studies = _result_files(selection)
  for cell in cells():
    question, of_cell, files = QUESTIONS[cell.question], cell.selection(selection), of_studies[cell.study]
    arms = [cell.wanted(arm) for arm in question.arms]
    for seed in question.seeds:
      for pair in zip(*arms):
        for wanted in pair:
          measured = results.find(wanted, dataclasses.replace(of_cell, seeds=(seed,)), files)
          if measured.refusal:
            raise errors.UserError(measured.refusal)
          if measured.commands:
            found.setdefault(measured.commands[0], {}).update(dict.fromkeys(measured.commands))
  return [command for of_run in found.values() for command in of_run]


def build(selection: results.RunSelection) -> pages.Page:
  """The page of all questions from existing results; raises `UserError` if there are none."""
  sections = []
  of_studies = _result_files(selection)
  for name, question in QUESTIONS.items():
    tested = [(cell, _tested(cell, question, selection, of_studies[cell.study]))
              for cell in cells() if cell.question == name]
    section = _of_arms(name, question, tested) if question.baseline else _of_switch(name, question, tested)
    sections += [section] if section.records else []
  if not sections:
    raise errors.UserError(f'There are no results of the plan under {selection.output_dir}: pass the --output_dir of '
                           'its runs, or --run_missing.')
  notes = [pooling.NOTE, f'Answer: yes, if the interval is above zero; no, if it is below {100 * WORTHWHILE:g} points; '
           'otherwise, and of fewer than three runs or of one seed, open.', evidence_switch.NOTE]
  return pages.Page('Evidence', notes, [section.table for section in sections],
                    [record for section in sections for record in section.records],
                    plots={name: plot for section in sections for name, plot in section.plots.items()})


# The cells of a question, each with the predictions of its arms.
_OfCells = Sequence[Tuple[Cell, Sequence[Sequence[pooling.OfSeeds]]]]


class _Section(NamedTuple):
  """The part of the page on one question, without records if there are no results."""
  table: pages.Table
  records: List[Dict[str, Any]]
  plots: Dict[str, pages.Plot]


def _of_arms(name: str, question: Question, tested: _OfCells) -> _Section:
  """The comparison of two arms."""
  found = [(cell, compared) for cell, (baseline, arm) in tested for compared in _compared(question, baseline, arm)]
  header = ('data', 'samples per class', 'stream', *(arm.method for arm in question.arms), 'difference',
            '95 % interval', 'answer', 'runs', 'runs needed')
  panels: Dict[str, Dict[str, Dict[str, Estimate]]] = {}
  for cell, compared in found:
    panels.setdefault(cell.study, {}).setdefault(compared.stream, {})[_size(cell)] = compared.difference
  caption = f'{name}: {question.text}'
  return _Section(
      pages.Table(caption, header, [_row(*pair) for pair in found]), [_record(*pair) for pair in found],
      {name: pages.Plot(f'{caption}, difference in points', plots.intervals(
          panels, 'training samples per class', 'difference, points'))} if found else {})


def _of_switch(name: str, question: Question, tested: _OfCells) -> _Section:
  """The comparison of the switch with its better branch, one plot for each study."""
  found = [(cell, level) for cell, (groups,) in tested for level in evidence_switch.at_levels(groups)]
  panels: Dict[str, Dict[str, List[evidence_switch.AtLevel]]] = {}
  for cell, level in found:
    panels.setdefault(cell.study, {}).setdefault(f'samples per class: {_size(cell)}', []).append(level)
  caption = f'{name}: {question.text}'
  return _Section(
      pages.Table(caption, ('data', 'samples per class', *evidence_switch.HEADER), [
          (cell.study, _size(cell), *evidence_switch.cells(level)) for cell, level in found]),
      [_record(cell, level.compared) for cell, level in found],
      {f'{name}_{study}': pages.Plot(f'{caption}, accuracy on {study}', evidence_switch.plot(of_study))
       for study, of_study in panels.items()})


def _size(cell: Cell) -> str:
  return str(cell.per_class or 'all')


def _row(cell: Cell, compared: pooling.Compared) -> Tuple[str, ...]:
  difference, interval, runs, needed = pooling.cells(compared.difference)
  return (cell.study, _size(cell), compared.stream, f'{100 * compared.baseline.mean:.1f}',
          f'{100 * compared.accuracy.mean:.1f}', difference, interval,
          pooling.answer(compared.difference, WORTHWHILE), runs, needed)


def _record(cell: Cell, compared: pooling.Compared) -> Dict[str, Any]:
  difference = compared.difference
  return {**cell._asdict(), 'stream': compared.stream, 'baseline_stream': compared.of_baseline,
          'baseline': 100 * compared.baseline.mean, 'arm': 100 * compared.accuracy.mean,
          'difference': 100 * difference.mean, 'low': 100 * difference.low, 'high': 100 * difference.high,
          'runs': difference.runs, 'needed': difference.needed}


def _result_files(selection: results.RunSelection) -> Dict[str, results.ResultFiles]:
  """Study -> its results; each folder is searched once."""
  return {study: results.ResultFiles(selection.output_dir / study) for study in STUDIES}


def _compared(question: Question, baseline: Sequence[pooling.OfSeeds], arm: Sequence[pooling.OfSeeds]
              ) -> Iterator[pooling.Compared]:
  """Yields the streams of both arms, from `_tested`."""
  of_baseline, of_arm = question.arms
  streams = next((run.predicted for group in arm for run in group.values()), ())
  for stream in [of_arm.stream] if of_arm.stream and streams else streams:
    compared = pooling.compare(arm, baseline, stream, of_baseline.stream or stream)
    if compared:
      yield compared


def _tested(cell: Cell, question: Question, selection: results.RunSelection, files: results.ResultFiles
            ) -> Sequence[Sequence[pooling.OfSeeds]]:
  """The predictions of the arms, for each one group for each protocol, with the seeds that all arms have."""
  file = RESULTS if question.baseline else NOISE
  arms = [[{seed: content for seed, recipe in of_protocol.items()
            if 'predictions' in (content := files.read(recipe, file) or {})}  # earlier sweeps have none
           for of_protocol in cell.recipes_of(arm, selection)] for arm in question.arms]
  shared = [set.intersection(*map(set, groups)) for groups in zip(*arms)]
  return [[{seed: Tested.from_results(group[seed]) for seed in sorted(seeds)} for group, seeds in zip(groups, shared)]
          for groups in arms]


def keep(selection: results.RunSelection, destination: pathlib.Path) -> None:
  """Copies recipes, results and sweeps of noise of the plan's runs, without long entries that no table needs.

  These entries follow from the predictions, or are the points of ROC curves.
  """
  of_studies = _result_files(selection)
  runs = {of_studies[cell.study].directory(recipe): (recipe, of_studies[cell.study]) for cell in cells()
          for arm in QUESTIONS[cell.question].arms for of_protocol in cell.recipes_of(arm, selection)
          for recipe in of_protocol.values()}
  for directory, (recipe, files) in runs.items():
    copy = destination / directory.relative_to(selection.output_dir)
    result, noise = files.read(recipe, RESULTS), files.read(recipe, NOISE)
    if result:
      short = {key: value for key, value in result.items() if key not in _DERIVED}
      atomic.write(copy / RESULTS, json.dumps(short) + '\n')
      atomic.write(copy / RECIPE, (directory / RECIPE).read_text(encoding='utf-8'))
    if result and noise and 'predictions' in noise:
      areas = {level: {'auc': curve['auc']} for level, curve in noise['switch']['roc'].items()}
      atomic.write(copy / NOISE, json.dumps({**noise, 'switch': {**noise['switch'], 'roc': areas}}) + '\n')
