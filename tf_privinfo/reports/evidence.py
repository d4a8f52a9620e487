"""The report `evidence`: the plan of docs/evidence.md as data, and the page of its results.

Runs lie in `<output_dir>/<study>`. Only files are read, without TensorFlow.
"""

import dataclasses
import json
import pathlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tf_privinfo import recipes
from tf_privinfo.reports import commands, pages, plots, pooling, results
from tf_privinfo.reports.statistics import Estimate
from tf_privinfo.reports.tested import Tested
from tf_privinfo.runs.run import RECIPE, RESULTS
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
  """A comparison of two arms.

  Attributes:
    text: the question.
    arm, baseline: arms; the difference is arm minus baseline.
    seeds: seeds of the runs.
    studies: data; empty: all of `STUDIES`.
  """
  text: str
  arm: Arm
  baseline: Arm
  seeds: Tuple[int, ...] = (0, 1, 2, 3, 4)
  studies: Tuple[str, ...] = ()


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
        'independent', {'stages.ensemble.learning_rate': 0.0075})),
    'Q2c': Question('RGB of DMCL with depth against DMCL with the depth of other samples', Arm('dmcl', stream='rgb'),
                    _SHUFFLED, studies=('asl_clips',)),
    'Q2d': Question('RGB of DMCL with the depth of other samples against a network trained alone', _SHUFFLED,
                    Arm('independent', stream='rgb'), studies=('asl_clips',)),
    'Q3': Question('Modality distillation against two RGB networks, trained for as many steps',
                   Arm('modality_distillation', stream='sum'), Arm('ensemble', _AS_LONG, 'sum'), _TWO_STREAM_SEEDS),
    'Q4a': Question('ADMD against two RGB networks', Arm('admd', _HELD_OUT, 'sum'), Arm(
        'ensemble', {**_HELD_OUT, 'network.bottleneck': 'pool_then_conv'}, 'sum'), _TWO_STREAM_SEEDS),
    'Q4b': Question('ADMD against modality distillation', Arm('admd', _HELD_OUT, 'sum'), Arm(
        'modality_distillation', _HELD_OUT, 'sum'), _TWO_STREAM_SEEDS),
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
    """The results of an arm, one for each protocol."""
    study = STUDIES[self.study]
    read = len(recipes.recipe(arm.method, study.dataset, study.protocols[0]).modalities)
    values: Dict[str, Any] = {'modalities': ','.join(study.modalities[:read]), 'data.hold_out': 0.0, **study.settings}
    if self.per_class:
      values['data.samples_per_class'] = self.per_class
    return [dataclasses.replace(results.of_method(arm.method, study.dataset, protocol), settings={
        **values, **arm.settings}) for protocol in study.protocols]


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
    kept_dir: folder for copies of recipes and results; None: no copies.

  Raises:
    UserError: if there are no runs, and, after writing, if a command failed.
  """
  failed = commands.run(missing(selection)) if run_missing else []
  page, directory = build(selection), selection.output_dir / 'reports' / 'evidence'
  pages.write(page, directory)
  print(pages.text(page))
  if kept_dir:
    keep(selection.output_dir, pathlib.Path(kept_dir))
  commands.refuse_failed(failed, directory)
  print(f'\nEverything is in {directory}: report.html, report.md, report.csv, plots')


def missing(selection: results.RunSelection) -> List[commands.Command]:
  """The commands for missing results, seed by seed, so that the runs of a pair follow each other."""
  found: Dict[commands.Command, None] = {}
  of_studies = _result_files(selection)
  for cell in cells():
    question, of_cell, files = QUESTIONS[cell.question], cell.selection(selection), of_studies[cell.study]
    arms = [cell.wanted(arm) for arm in (question.baseline, question.arm)]
    for seed in question.seeds:
      for pair in zip(*arms):
        for wanted in pair:
          measured = results.find(wanted, dataclasses.replace(of_cell, seeds=(seed,)), files)
          if measured.refusal:
            raise errors.UserError(measured.refusal)
          found.update(dict.fromkeys(measured.commands))
  return list(found)


def build(selection: results.RunSelection) -> pages.Page:
  """The page of all questions from existing results; raises `UserError` if there are none."""
  tables, records, page_plots = [], [], {}
  of_studies = _result_files(selection)
  for name, question in QUESTIONS.items():
    found = [(cell, compared) for cell in cells() if cell.question == name
             for compared in _compared(question, *_pairs(cell, question, selection, of_studies[cell.study]))]
    if found:
      header = ('data', 'samples per class', 'stream', question.baseline.method, question.arm.method, 'difference',
                '95 % interval', 'answer', 'runs', 'runs needed')
      tables.append(pages.Table(f'{name}: {question.text}', header, [_row(*pair) for pair in found]))
      page_plots[name] = pages.Plot(f'{name}: {question.text}, difference in points', _plot(found))
      records += [_record(*pair) for pair in found]
  if not records:
    raise errors.UserError(f'There are no results of the plan under {selection.output_dir}: pass the --output_dir of '
                           'its runs, or --run_missing.')
  notes = [pooling.NOTE, 'Answer: yes, if the interval is above zero; no, if it is below '
           f'{100 * WORTHWHILE:g} points; otherwise, and with fewer than three runs, open.']
  return pages.Page('Evidence', notes, tables, records, plots=page_plots)


class Compared(NamedTuple):
  """One stream of both arms: accuracies, and the difference of the arm from the baseline."""
  stream: str
  baseline: Estimate
  arm: Estimate
  difference: Estimate


def _size(cell: Cell) -> str:
  return str(cell.per_class or 'all')


def _row(cell: Cell, compared: Compared) -> Tuple[str, ...]:
  difference, interval, runs, needed = pooling.cells(compared.difference)
  return (cell.study, _size(cell), compared.stream, f'{100 * compared.baseline.mean:.1f}',
          f'{100 * compared.arm.mean:.1f}', difference, interval, pooling.answer(compared.difference, WORTHWHILE), runs,
          needed)


def _record(cell: Cell, compared: Compared) -> Dict[str, Any]:
  difference = compared.difference
  return {**cell._asdict(), 'stream': compared.stream, 'baseline': 100 * compared.baseline.mean,
          'arm': 100 * compared.arm.mean, 'difference': 100 * difference.mean, 'low': 100 * difference.low,
          'high': 100 * difference.high, 'runs': difference.runs, 'needed': difference.needed}


def _plot(found: Sequence[Tuple[Cell, Compared]]) -> Dict[str, bytes]:
  panels: Dict[str, Dict[str, Dict[str, Estimate]]] = {}
  for cell, compared in found:
    panels.setdefault(cell.study, {}).setdefault(compared.stream, {})[_size(cell)] = compared.difference
  return plots.intervals(panels, 'training samples per class', 'difference, points')


def _result_files(selection: results.RunSelection) -> Dict[str, results.ResultFiles]:
  """Study -> its results; each folder is searched once."""
  return {study: results.ResultFiles(selection.output_dir / study) for study in STUDIES}


def _compared(question: Question, arm: Sequence[pooling.OfSeeds], baseline: Sequence[pooling.OfSeeds]
              ) -> Iterator[Compared]:
  """Yields the streams of both arms, from `_pairs`."""
  streams = next((run.predicted for group in arm for run in group.values()), ())
  for stream in [question.arm.stream] if question.arm.stream and streams else streams:
    of_baseline = question.baseline.stream or stream
    difference = pooling.difference(arm, baseline, stream, of_baseline)
    accuracies = pooling.accuracy(baseline, of_baseline), pooling.accuracy(arm, stream)
    if difference and accuracies[0] and accuracies[1]:
      yield Compared(stream, accuracies[0], accuracies[1], difference)


def _pairs(cell: Cell, question: Question, selection: results.RunSelection, files: results.ResultFiles
           ) -> Tuple[Sequence[pooling.OfSeeds], Sequence[pooling.OfSeeds]]:
  """The predictions of both arms, one group for each protocol, with the seeds that both have."""
  of_cell = cell.selection(selection)
  arms = [[{seed: content for seed in of_cell.seeds if (content := files.read(results.recipe_of(
      of_cell, wanted.method, wanted.dataset, wanted.protocol, seed, wanted.settings), RESULTS))}
           for wanted in cell.wanted(arm)] for arm in (question.arm, question.baseline)]
  both = [set(one) & set(other) for one, other in zip(*arms)]
  arm, baseline = ([{seed: Tested.from_results(group[seed]) for seed in sorted(seeds)}
                    for group, seeds in zip(groups, both)] for groups in arms)
  return arm, baseline


def keep(output_dir: pathlib.Path, destination: pathlib.Path) -> None:
  """Copies the recipe and the results of all runs of the plan, without what follows from the predictions."""
  for path in sorted(output_dir.glob(f'*/*/*/*/{RESULTS}')):
    content = {key: value for key, value in atomic.read_json(path).items() if key not in _DERIVED}
    directory = destination / path.parent.relative_to(output_dir)
    atomic.write(directory / RESULTS, json.dumps(content) + '\n')
    atomic.write(directory / RECIPE, path.with_name(RECIPE).read_text(encoding='utf-8'))
