"""Reports: the tables and figures of the thesis, with what runs have measured beside what the thesis has."""

import dataclasses
from typing import Any, Dict, List, Sequence

import numpy as np

from tf_privinfo import agreement
from tf_privinfo import errors
from tf_privinfo import measurements
from tf_privinfo import plots
from tf_privinfo import recipes
from tf_privinfo import report_pages
from tf_privinfo import thesis

# Pairs of rows that are named, of those that are in another order than in the thesis.
_REVERSED = 10


def write(name: str, choice: measurements.Choice, run_missing: bool) -> None:
  """Prints and writes a report, into a folder of its own in `reports/<dataset>` of the runs' root.

  Args:
    name: a key of `thesis.TITLES`, 'all' of these, or 'methods'.
    choice: which runs it reads.
    run_missing: run what is missing first.

  Raises:
    UserError: for an unknown report, dataset, method, preset or variant, where
      there are no runs, and, when all is written, if something failed to run.
  """
  names = [*thesis.TITLES, name] if name == 'all' else [name]
  for flag, value, known in (('report', name, (*thesis.TITLES, 'methods', 'all')),
                             ('dataset', choice.dataset, recipes.DATASETS), ('preset', choice.preset, recipes.PRESETS),
                             ('variant', choice.variant, recipes.VARIANTS),
                             *(('methods', method, recipes.METHODS) for method in choice.methods)):
    if value and value not in known:
      raise errors.UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')
  if name == 'methods' and not (choice.methods and choice.dataset):
    raise errors.UserError('--report=methods needs --methods and --dataset.')
  if choice.methods and name != 'methods':
    raise errors.UserError(f'--report={name} does not read --methods, only --report=methods does.')
  if not (run_missing or choice.output_dir.is_dir()):
    raise errors.UserError(f'There are no runs: {choice.output_dir} is not a folder. Pass the --output_dir of '
                           'train_main.py, or --run_missing to run what a report needs.')
  failed = []
  if run_missing:
    failed = measurements.run(_commands(_answers(name, choice, measurements.Runs(choice.output_dir))))
  runs, root = measurements.Runs(choice.output_dir), choice.output_dir / 'reports' / (choice.dataset or 'thesis')
  for one in names:
    page, directory = build(one, choice, runs), root / _directory_name(one, choice)
    report_pages.write(page, directory)
    print(f'{report_pages.text(page)}\n')
  if failed:
    raise errors.UserError(f'The report is in {root}, but these commands failed, see above: '
                           f'{"; ".join(map(measurements.shell, failed))}')
  print(f'Everything is in {directory}: report.html, report.md, report.csv'
        + (', which lead to all others' if name == 'all' else ', pictures'))


def _directory_name(name: str, choice: measurements.Choice) -> str:
  """Tells reports on a dataset apart, by what was chosen and is not the default."""
  plain = measurements.Choice(choice.output_dir)
  return recipes.directory_name(filter(None, [
      name, *choice.methods, choice.preset, choice.variant if choice.variant != plain.variant else '',
      f'seeds{",".join(map(str, choice.seeds))}' if choice.seeds != plain.seeds else '',
      *(f'{key}={value}' for key, value in choice.values.items())]))


def build(name: str, choice: measurements.Choice, runs: measurements.Runs) -> report_pages.Page:
  """The page of a report, from the result files as they are; that of 'all' leads to the others."""
  if name == 'all':
    return _overview(choice, runs)
  answers = _answers(name, choice, runs)
  if name == 'methods':
    title, (tables, records, pictures) = f'Methods on {choice.dataset}', _methods(answers)
  else:
    title, (kind, number) = f'{_heading(name)}: {thesis.TITLES[name]}', _parse(name)
    tables, records, pictures = _figure(number, answers) if kind == 'figure' else _table(answers)
  return report_pages.Page(
      title, _notes(answers, choice), tables, records, [*map(measurements.shell, _commands(answers))], pictures)


def _overview(choice: measurements.Choice, runs: measurements.Runs) -> report_pages.Page:
  """The page that leads to all reports: what of each was measured, and whether it has the thesis' order."""
  rows, records, links, of_all = [], [], [], []
  for name, title in thesis.TITLES.items():
    answers = [answer for answer in _answers(name, choice, runs) if not answer.refusal]
    complete = sum(len(answer.values) == answer.wanted for answer in answers)
    order = agreement.count([] if name.startswith('figure') else agreement.pairs(answers))
    rows.append((_heading(name), title, f'{complete} of {len(answers)}' if answers else 'no recipe',
                 str(order) if order.pairs else '-'))
    records.append({'report': name, 'rows': len(answers), 'measured_rows': complete, **order._asdict()})
    links.append(f'../{_directory_name(name, choice)}/report')
    of_all += answers
  header = ('report', 'content', 'measured with all seeds', 'pairs of rows in the thesis\' order')
  return report_pages.Page(
      f'Tables and figures of the thesis{f", asked of {choice.dataset}" if choice.dataset else ""}',
      [f'Variant {choice.variant}, seeds {", ".join(map(str, choice.seeds))}. Counted are rows and curves that have '
       'a recipe, and pairs of rows of which the thesis has one above the other.'],
      [report_pages.Table('The reports', header, rows, links)], records,
      [*map(measurements.shell, _commands(of_all))])


def _heading(name):
  kind, number = _parse(name)
  return f'{kind.capitalize()} {number}'


def _parse(name):
  kind, _, number = name.partition('_')
  return kind, number.replace('_', '.')


def _answers(name: str, choice: measurements.Choice, runs: measurements.Runs) -> List[measurements.Answer]:
  if name == 'all':
    return [answer for one in thesis.TITLES for answer in _answers(one, choice, runs)]
  kind, number = _parse(name)
  if name == 'methods':
    questions = [measurements.of_method(method, choice.dataset) for method in choice.methods]
  elif kind == 'figure':
    questions = [measurements.of_curve(label, curve) for label, curve in thesis.FIGURES[number].items()]
  elif number == '5.3':
    questions = measurements.of_random_features()
  else:
    rows = thesis.TABLES[number].items()
    questions = [question for label, row in rows for question in measurements.of_row(label, row)]
  return [measurements.answer(question, choice, runs)
          for question in measurements.choose_dataset(questions, choice.dataset)]


def _commands(answers) -> List[measurements.Command]:
  """What gives the values that are missing, each once, in order."""
  return list(dict.fromkeys(command for answer in answers for command in answer.commands))


def _notes(answers: Sequence[measurements.Answer], choice: measurements.Choice) -> List[str]:
  """What must be known to read a report."""
  notes = [f'Accuracies in percent on test samples. Measured: variant {choice.variant}, seeds '
           f'{", ".join(map(str, choice.seeds))}; mean ± standard deviation of the runs there are.']
  if any(not place.startswith(f'{answer.question.dataset}, ')
         for answer in answers for place, _ in answer.question.paper):
    notes.append(f'The thesis\' figures are not of {choice.dataset}: each stands with the dataset and the protocol '
                 'that it was measured on. The measured ones start from no other dataset\'s weights.')
  if choice.values:
    notes.append(f'With {", ".join(f"{key}={value}" for key, value in choice.values.items())}.')
  refusals: Dict[str, List[str]] = {}
  for answer in answers:
    if answer.refusal:
      refusals.setdefault(answer.refusal.removesuffix('.'), []).append(answer.question.name)
  return notes + [f'Without a recipe: {reason} ({", ".join(dict.fromkeys(names))}).'
                  for reason, names in refusals.items()]


def _table(answers: Sequence[measurements.Answer]):
  """The table of a table, its records, and a picture of it."""
  header = ('row', 'method', 'after stage, stream', 'reads', 'thesis', 'measured', 'measured on', 'runs', 'samples')
  rows = [(_name(answer), _method(answer.question), f'{answer.question.stage}, {answer.question.stream}', answer.reads,
           _papers(answer.question), _measured(answer), *_where(answer)) for answer in answers]
  records = [{**_origin(answer), 'condition': answer.question.condition, 'thesis': figure, 'thesis_on': place,
              'mean': answer.mean() if answer.values else None,
              'standard_deviation': answer.deviation() if answer.values else None}
             for answer in answers for place, figure in answer.question.paper]
  own = all(place == _place(answer) for answer in answers for place, _ in answer.question.paper)
  places = dict.fromkeys(place for answer in answers for place, _ in answer.question.paper)
  papers = {f'thesis, {place}': [dict(answer.question.paper).get(place) for answer in answers] for place in places}
  if own:
    papers = {'thesis': [answer.question.paper[0][1] for answer in answers]}
  picture = plots.paper_beside_measured(
      [f'{_name(answer)} ({_place(answer)})' if own else _name(answer) for answer in answers], papers,
      [answer.mean() if answer.values else None for answer in answers],
      [answer.deviation() if answer.values else None for answer in answers])
  return ([report_pages.Table('The thesis beside the runs', header, rows), *_order(answers)], records,
          {'accuracies': report_pages.Picture('Accuracies of the thesis and of the runs, row by row', picture)})


def _order(answers) -> List[report_pages.Table]:
  """How many pairs of rows have the thesis' order, and which have another one with all seeds."""
  found = agreement.pairs(answers)
  if not found:
    return []
  of_places = {place: [pair for pair in found if pair.place == place] for place in dict.fromkeys(
      pair.place for pair in found)}
  tables = [report_pages.Table(
      'The order: pairs of rows of which the thesis has one above the other',
      ('thesis on', 'in the thesis\' order'), [(place, str(agreement.count(of))) for place, of in of_places.items()])]
  reversed_ = sorted((pair for pair in found if pair.decided and not pair.holds), key=lambda pair: -pair.thesis)
  if reversed_:
    which = (f'the {_REVERSED} of {len(reversed_)} furthest apart in the thesis' if len(reversed_) > _REVERSED
             else f'all {len(reversed_)}')
    tables.append(report_pages.Table(
        f'Above the other one in the thesis, below it with all seeds: {which}',
        ('above in the thesis', 'below in the thesis', 'points in the thesis', 'points measured'),
        [(_name(pair.above), _name(pair.below), f'{pair.thesis:+.2f} ({pair.place})', f'{pair.mean:+.2f}')
         for pair in reversed_[:_REVERSED]]))
  return tables


def _figure(number: str, answers: Sequence[measurements.Answer]):
  """The table of a figure, the points of its curves, and its picture."""
  panels: Dict[str, List[plots.Curve]] = {}
  rows, records = [], []
  for answer in answers:
    curve = thesis.FIGURES[number][answer.question.name]
    percent = 100 if curve.axis.startswith('accuracy') else 1
    axis = f'{curve.axis}, %' if percent == 100 else curve.axis
    label = answer.question.name.removesuffix(f', {curve.axis}')
    lines = panels.setdefault(axis, [])
    first = last = 'not run' if answer.commands else '-'
    if answer.values:
      of_seeds = list(answer.values.values())
      x = [key for key in of_seeds[0] if all(key in of_seed for of_seed in of_seeds)]
      y = percent * np.array([[of_seed[key] for key in x] for of_seed in of_seeds])
      mean, deviation = y.mean(axis=0), y.std(axis=0, ddof=1) if len(y) > 1 else None
      lines.append(plots.Curve(label, x, mean, deviation))
      first, last = f'{mean[0]:.4g}', f'{mean[-1]:.4g}'
      records += [{**_origin(answer), 'quantity': axis, 'x': key, 'mean': mean[i],
                   'standard_deviation': None if deviation is None else deviation[i], 'thesis': curve.paper.get(key)}
                  for i, key in enumerate(x)]
    if curve.paper:
      place = f'{curve.dataset}, {curve.protocol}'
      lines.append(plots.Curve(f'thesis, {label} on {place}', [*curve.paper], [*curve.paper.values()], dashed=True))
    rows.append((answer.question.name, _method(answer.question), axis, first, last, *_where(answer)))
  records = records or [{**_origin(answer), 'quantity': None, 'x': None, 'mean': None, 'standard_deviation': None,
                         'thesis': None} for answer in answers]
  over = 'noise on depth; numbers: variance of speckle' if number == '4.5' else 'epochs'
  header = ('curve', 'method', 'quantity', 'first', 'last', 'measured on', 'runs', 'samples')
  text = f'{", ".join(panels)} over {over}'
  return ([report_pages.Table('The curves', header, rows)], records,
          {'curves': report_pages.Picture(text, plots.curves(panels, over))})


def _methods(answers: Sequence[measurements.Answer]):
  """Methods beside each other, their paired differences from the first one, and each one stage by stage."""
  # Of every method: seed -> accuracies after its last stage.
  final = [{seed: stages[answer.question.stage]['accuracy'] for seed, stages in answer.values.items()}
           for answer in answers]
  streams = list(dict.fromkeys(stream for of_seeds in final for accuracy in of_seeds.values() for stream in accuracy))
  rows, records = [], []
  for answer, of_seeds in zip(answers, final):
    shown = {stream: _of_stream(of_seeds, stream) for stream in streams}
    missing = '-' if of_seeds else 'not run'
    rows.append((answer.question.name, answer.reads, *_where(answer),
                 *(_spread(values) if values else missing for values in shown.values())))
    records += [{**_origin(answer), 'stream': stream, 'mean': 100 * np.mean(values),
                 'standard_deviation': 100 * np.std(values, ddof=1) if len(values) > 1 else None}
                for stream, values in shown.items() if values]
  picture = plots.paper_beside_measured(
      [f'{record["row"]}, {record["stream"]}' for record in records], {}, [record['mean'] for record in records],
      [record['standard_deviation'] for record in records])
  header = ('method', 'reads', 'measured on', 'runs', 'samples', *streams)
  tables = [report_pages.Table('After the last stage', header, rows), *_differences(answers, final, streams)]
  for answer in answers:
    stages = list(answer.values.values())
    if stages and len(stages[0]) > 1:
      table = report_pages.stages_table(stages, _spread)
      tables.append(dataclasses.replace(table, caption=f'{answer.question.name}: {table.caption}'))
  records = records or [{**_origin(answer), 'mean': None, 'standard_deviation': None} for answer in answers]
  return tables, records, {'accuracies': report_pages.Picture('Accuracies after the last stage', picture)}


def _of_stream(of_seeds, stream) -> List[float]:
  return [accuracy[stream] for accuracy in of_seeds.values() if stream in accuracy]


def _differences(answers, final, streams) -> List[report_pages.Table]:
  """What methods have more than the first one, seed by seed."""
  first, rows = final[0], []
  for answer, of_seeds in zip(answers[1:], final[1:]):
    paired = [[of_seeds[seed][stream] - first[seed][stream] for seed in of_seeds
               if stream in of_seeds[seed] and stream in first.get(seed, ())] for stream in streams]
    rows.append((f'{answer.question.name} - {answers[0].question.name}',
                 *(_spread(values, '+') if values else '-' for values in paired)))
  caption = 'Paired differences: same seed, so same weights at the start, order of the data and clips'
  return [report_pages.Table(caption, ('methods', *streams), rows)] if rows else []


def _spread(shares: Sequence[float], sign: str = '') -> str:
  """Mean and, of several, sample standard deviation, in percent."""
  deviation = f' ± {100 * np.std(shares, ddof=1):.2f}' if len(shares) > 1 else ''
  return f'{100 * np.mean(shares):{sign}.2f}{deviation}'


def _name(answer):
  condition = answer.question.condition
  return f'{answer.question.name}, {condition}' if condition else answer.question.name


def _method(question) -> str:
  values = [f'{key}={value}' for key, value in question.settings.items()]
  return ', '.join([question.method, *values, *([f'from {question.init_from}'] if question.init_from else [])])


def _place(answer) -> str:
  return f'{answer.question.dataset}, {answer.question.protocol}'


def _papers(question) -> str:
  return '; '.join(f'{figure:.2f} ({place})' for place, figure in question.paper)


def _measured(answer) -> str:
  if not answer.values:
    return 'not run' if answer.commands else '-'
  return _spread(list(answer.values.values()))


def _where(answer):
  """What was measured: dataset, protocol and preset; how many of the runs; how many samples."""
  if answer.refusal:
    return _place(answer), '-', '-'
  return (f'{_place(answer)}, {answer.preset}', f'{len(answer.values)} of {answer.wanted}',
          ', '.join(map(str, answer.samples)) or '-')


def _origin(answer) -> Dict[str, Any]:
  """Of what run a figure is, for the CSV file."""
  question = answer.question
  return {
      'row': question.name, 'method': question.method,
      'settings': ' '.join(f'{key}={value}' for key, value in question.settings.items()),
      'init_from': question.init_from, 'dataset': question.dataset, 'protocol': question.protocol,
      'preset': answer.preset, 'stage': question.stage, 'stream': question.stream, 'reads': answer.reads,
      'seeds': ' '.join(map(str, answer.values)), 'samples': ' '.join(map(str, answer.samples))}
