"""Reports that compare runs with the tables and figures of the thesis."""

from typing import Dict, List, Sequence

import numpy as np

from tf_privinfo import recipes
from tf_privinfo.reports import cells, commands, methods_report, pages, plots, pooling, ranking, results, thesis_tables
from tf_privinfo.utils import errors

# Maximum number of listed pairs of rows whose order differs from the thesis.
_REVERSED = 10


def write(name: str, selection: results.RunSelection, run_missing: bool) -> None:
  """Prints a report and writes it to a separate folder in `reports/<dataset>` under the root of the runs.

  Args:
    name: key of `thesis_tables.TITLES`, 'all' of these, or 'methods'.
    selection: runs of the report.
    run_missing: whether the commands for missing results are run first.

  Raises:
    UserError: for an unknown report, dataset, method, preset or variant, if
      there are no runs, and, after writing, if a command failed.
  """
  names = [*thesis_tables.TITLES, name] if name == 'all' else [name]
  for flag, value, known in (('report', name, (*thesis_tables.TITLES, 'methods', 'all')),
                             ('dataset', selection.dataset, recipes.DATASETS),
                             ('preset', selection.preset, recipes.PRESETS),
                             ('variant', selection.variant, recipes.VARIANTS),
                             *(('methods', method, recipes.METHODS) for method in selection.methods)):
    if value:
      errors.refuse_unknown(flag, value, known)
  if name == 'methods' and not (selection.methods and selection.dataset):
    raise errors.UserError('--report=methods needs --methods and --dataset.')
  for flag in ('methods', 'protocols'):
    if getattr(selection, flag) and name != 'methods':
      raise errors.UserError(f'--report={name} does not read --{flag}, only --report=methods does.')
  if not (run_missing or selection.output_dir.is_dir()):
    raise errors.UserError(f'There are no runs: {selection.output_dir} is not a folder. Pass the --output_dir of '
                           'train_main.py, or --run_missing to run the missing commands.')
  failed = []
  if run_missing:
    failed = commands.run(_missing(_values(name, selection, results.ResultFiles(selection.output_dir))))
  result_files = results.ResultFiles(selection.output_dir)
  root = selection.output_dir / 'reports' / (selection.dataset or 'thesis')
  for one in names:
    page, directory = build(one, selection, result_files), root / _directory_name(one, selection)
    pages.write(page, directory)
    print(f'{pages.text(page)}\n')
  commands.refuse_failed(failed, root)
  print(f'Everything is in {directory}: report.html, report.md, report.csv'
        + (', which link to all others' if name == 'all' else ', plots'))


def _directory_name(name: str, selection: results.RunSelection) -> str:
  """A folder name that is unique among the reports on a dataset, with all choices that differ from the defaults."""
  plain = results.RunSelection(selection.output_dir)
  return recipes.directory_name(filter(None, [
      name, *selection.methods, *selection.protocols, selection.preset,
      selection.variant if selection.variant != plain.variant else '',
      f'seeds{",".join(map(str, selection.seeds))}' if selection.seeds != plain.seeds else '',
      *(f'{key}={value}' for key, value in selection.values.items())]))


def build(name: str, selection: results.RunSelection, result_files: results.ResultFiles) -> pages.Page:
  """The page of a report from existing result files; the page of 'all' links to the others. Arguments as in `write`."""
  if name == 'all':
    return _overview(selection, result_files)
  measured_values = _values(name, selection, result_files)
  if name == 'methods':
    title, (tables, records, page_plots) = f'Methods on {selection.dataset}', methods_report.content(measured_values)
  else:
    title, (kind, number) = f'{_heading(name)}: {thesis_tables.TITLES[name]}', _parse(name)
    tables, records, page_plots = _figure(number, measured_values) if kind == 'figure' else _table(measured_values)
  notes = [*_notes(measured_values, selection), *([pooling.NOTE] if 'differences' in page_plots else [])]
  return pages.Page(
      title, notes, tables, records, [*map(commands.shell, _missing(measured_values))],
      page_plots)


def _overview(selection: results.RunSelection, result_files: results.ResultFiles) -> pages.Page:
  """The page that links to all reports, with measured rows and the order of rows for each."""
  rows, records, links, of_all = [], [], [], []
  for name, title in thesis_tables.TITLES.items():
    measured_values = [measured for measured in _values(name, selection, result_files) if not measured.refusal]
    complete = sum(len(measured.values) == measured.expected_runs for measured in measured_values)
    order = ranking.count([] if name.startswith('figure') else ranking.pairs(measured_values))
    rows.append((_heading(name), title, f'{complete} of {len(measured_values)}' if measured_values else 'no recipe',
                 str(order) if order.pairs else '-'))
    records.append({'report': name, 'rows': len(measured_values), 'measured_rows': complete, **order._asdict()})
    links.append(f'../{_directory_name(name, selection)}/report')
    of_all += measured_values
  header = ('report', 'content', 'measured with all seeds', 'pairs of rows in the thesis\' order')
  return pages.Page(
      f'Tables and figures of the thesis{f", measured on {selection.dataset}" if selection.dataset else ""}',
      [f'Variant {selection.variant}, seeds {", ".join(map(str, selection.seeds))}. The counts include '
       'rows and curves with a recipe, and pairs of rows with different figures in the thesis.'],
      [pages.Table('The reports', header, rows, links)], records,
      [*map(commands.shell, _missing(of_all))])


def _heading(name):
  kind, number = _parse(name)
  return f'{kind.capitalize()} {number}'


def _parse(name):
  kind, _, number = name.partition('_')
  return kind, number.replace('_', '.')


def _values(name: str, selection: results.RunSelection, result_files: results.ResultFiles
            ) -> List[results.MeasuredValue]:
  if name == 'all':
    return [measured for one in thesis_tables.TITLES for measured in _values(one, selection, result_files)]
  kind, number = _parse(name)
  if name == 'methods':
    wanted_values = [results.of_method(method, selection.dataset, protocol)
                     for method in selection.methods for protocol in selection.protocols or (None,)]
  elif kind == 'figure':
    wanted_values = [results.of_curve(label, curve) for label, curve in thesis_tables.FIGURES[number].items()]
  elif number == '5.3':
    wanted_values = results.of_random_features()
  else:
    rows = thesis_tables.TABLES[number].items()
    wanted_values = [wanted for label, row in rows for wanted in results.of_row(label, row)]
  return [results.find(wanted, selection, result_files)
          for wanted in results.move_to_dataset(wanted_values, selection.dataset)]


def _missing(measured_values) -> List[commands.Command]:
  """The commands for missing values, each once, in order."""
  return list(dict.fromkeys(command for measured in measured_values for command in measured.commands))


def _notes(measured_values: Sequence[results.MeasuredValue], selection: results.RunSelection) -> List[str]:
  """Notes on the measurement, for readers of a report."""
  notes = [f'Accuracies in percent on test samples. Measured: variant {selection.variant}, seeds '
           f'{", ".join(map(str, selection.seeds))}; mean ± standard deviation of the existing runs.']
  if any(not place.startswith(f'{measured.wanted.dataset}, ')
         for measured in measured_values for place, _ in measured.wanted.paper):
    notes.append(f'The thesis has no figures on {selection.dataset}: its figures are listed with their own datasets '
                 'and protocols. The measured runs do not start from weights of other datasets.')
  if selection.values:
    notes.append(f'With {", ".join(f"{key}={value}" for key, value in selection.values.items())}.')
  refusals: Dict[str, List[str]] = {}
  for measured in measured_values:
    if measured.refusal:
      refusals.setdefault(measured.refusal.removesuffix('.'), []).append(measured.wanted.name)
  return notes + [f'Without a recipe: {reason} ({", ".join(dict.fromkeys(names))}).'
                  for reason, names in refusals.items()]


def _table(measured_values: Sequence[results.MeasuredValue]):
  """Tables, records and plots of a table of the thesis."""
  header = ('row', 'method', 'after stage, stream', 'reads', 'thesis', 'measured', 'measured on', 'runs', 'samples')
  rows = [(cells.name(measured), cells.method(measured.wanted),
           f'{measured.wanted.stage}, {measured.wanted.stream}', measured.reads,
           cells.papers(measured.wanted), cells.mean(measured), *cells.where(measured)) for measured in measured_values]
  records = [{**cells.origin(measured), 'condition': measured.wanted.condition, 'thesis': figure, 'thesis_on': place,
              'mean': measured.mean() if measured.values else None,
              'standard_deviation': measured.deviation() if measured.values else None}
             for measured in measured_values for place, figure in measured.wanted.paper]
  own = all(place == cells.place(measured) for measured in measured_values for place, _ in measured.wanted.paper)
  places = dict.fromkeys(place for measured in measured_values for place, _ in measured.wanted.paper)
  papers = {f'thesis, {place}': [dict(measured.wanted.paper).get(place) for measured in measured_values]
            for place in places}
  if own:
    papers = {'thesis': [measured.wanted.paper[0][1] for measured in measured_values]}
  plot = plots.paper_beside_measured(
      [f'{cells.name(measured)} ({cells.place(measured)})' if own else cells.name(measured)
       for measured in measured_values], papers,
      [measured.mean() if measured.values else None for measured in measured_values],
      [measured.deviation() if measured.values else None for measured in measured_values])
  return ([pages.Table('Comparison of the thesis with the runs', header, rows), *_order(measured_values)], records,
          {'accuracies': pages.Plot('Accuracies of the thesis and of the runs, row by row', plot)})


def _order(measured_values) -> List[pages.Table]:
  """Tables of the order of rows: counts of pairs, and pairs with a different order for all seeds."""
  found = ranking.pairs(measured_values)
  if not found:
    return []
  of_places = {place: [pair for pair in found if pair.place == place] for place in dict.fromkeys(
      pair.place for pair in found)}
  tables = [pages.Table(
      'Order: pairs of rows with different figures in the thesis',
      ('thesis on', 'in the thesis\' order'), [(place, str(ranking.count(of))) for place, of in of_places.items()])]
  reversed_ = sorted((pair for pair in found if pair.decided and not pair.holds), key=lambda pair: -pair.thesis)
  if reversed_:
    which = (f'the {_REVERSED} of {len(reversed_)} furthest apart in the thesis' if len(reversed_) > _REVERSED
             else f'all {len(reversed_)}')
    tables.append(pages.Table(
        f'Pairs with the opposite order for all seeds: {which}',
        ('above in the thesis', 'below in the thesis', 'points in the thesis', 'points measured'),
        [(cells.name(pair.above), cells.name(pair.below), f'{pair.thesis:+.2f} ({pair.place})', f'{pair.mean:+.2f}')
         for pair in reversed_[:_REVERSED]]))
  return tables


def _figure(number: str, measured_values: Sequence[results.MeasuredValue]):
  """Tables, records and plots of a figure of the thesis."""
  panels: Dict[str, List[plots.Curve]] = {}
  rows, records = [], []
  for measured in measured_values:
    curve = thesis_tables.FIGURES[number][measured.wanted.name]
    percent = 100 if curve.axis.startswith('accuracy') else 1
    axis = f'{curve.axis}, %' if percent == 100 else curve.axis
    label = measured.wanted.name.removesuffix(f', {curve.axis}')
    lines = panels.setdefault(axis, [])
    first = last = 'not run' if measured.commands else '-'
    if measured.values:
      of_seeds = list(measured.values.values())
      x = [key for key in of_seeds[0] if all(key in of_seed for of_seed in of_seeds)]
      y = percent * np.array([[of_seed[key] for key in x] for of_seed in of_seeds])
      mean, deviation = y.mean(axis=0), y.std(axis=0, ddof=1) if len(y) > 1 else None
      lines.append(plots.Curve(label, x, mean, deviation))
      first, last = f'{mean[0]:.4g}', f'{mean[-1]:.4g}'
      records += [{**cells.origin(measured), 'quantity': axis, 'x': key, 'mean': mean[i],
                   'standard_deviation': None if deviation is None else deviation[i], 'thesis': curve.paper.get(key)}
                  for i, key in enumerate(x)]
    if curve.paper:
      place = f'{curve.dataset}, {curve.protocol}'
      paper = {x: y for x, y in curve.paper.items() if y is not None}
      lines.append(plots.Curve(f'thesis, {label} on {place}', [*paper], [*paper.values()], dashed=True))
    rows.append((measured.wanted.name, cells.method(measured.wanted), axis, first, last, *cells.where(measured)))
  records = records or [{
      **cells.origin(measured), 'quantity': None, 'x': None, 'mean': None, 'standard_deviation': None, 'thesis': None}
                        for measured in measured_values]
  over = 'noise on depth; numbers: variance of speckle' if number == '4.5' else 'epochs'
  header = ('curve', 'method', 'quantity', 'first', 'last', 'measured on', 'runs', 'samples')
  text = f'{", ".join(panels)} over {over}'
  return ([pages.Table('The curves', header, rows)], records,
          {'curves': pages.Plot(text, plots.curves(panels, over))})
