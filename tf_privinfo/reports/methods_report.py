"""The report that compares methods on one dataset."""

from typing import List, Sequence

from tf_privinfo.evaluation.tables import stages_table
from tf_privinfo.reports import cells, pages, plots, statistics
from tf_privinfo.reports.results import MeasuredValue


def content(measured_values: Sequence[MeasuredValue]):
  """Tables, records and plots of a comparison of methods.

  The tables contain accuracies after the last stage, paired differences from the first method, and accuracies after
  each stage.
  """
  # For each method: seed -> accuracies after its last stage.
  final = [{seed: stages[measured.wanted.stage]['accuracy'] for seed, stages in measured.values.items()}
           for measured in measured_values]
  streams = list(dict.fromkeys(stream for of_seeds in final for accuracy in of_seeds.values() for stream in accuracy))
  rows, records = [], []
  for measured, of_seeds in zip(measured_values, final):
    shown = {stream: _of_stream(of_seeds, stream) for stream in streams}
    missing = '-' if of_seeds else 'not run'
    rows.append((measured.wanted.name, measured.reads, *cells.where(measured),
                 *(statistics.spread(values) if values else missing for values in shown.values())))
    records += [{**cells.origin(measured), 'stream': stream, 'mean': 100 * statistics.mean(values),
                 'standard_deviation': statistics.deviation([100 * value for value in values])}
                for stream, values in shown.items() if values]
  plot = plots.paper_beside_measured(
      [f'{record["row"]}, {record["stream"]}' for record in records], {}, [record['mean'] for record in records],
      [record['standard_deviation'] for record in records])
  header = ('method', 'reads', 'measured on', 'runs', 'samples', *streams)
  tables = [pages.Table('After the last stage', header, rows), *_differences(measured_values, final, streams)]
  for measured in measured_values:
    stages = list(measured.values.values())
    if stages and len(stages[0]) > 1:
      tables.append(pages.Table(f'{measured.wanted.name}: accuracy after each stage',
                                *stages_table(stages, statistics.spread)))
  records = records or [
      {**cells.origin(measured), 'mean': None, 'standard_deviation': None} for measured in measured_values]
  return tables, records, {'accuracies': pages.Plot('Accuracies after the last stage', plot)}


def _of_stream(of_seeds, stream) -> List[float]:
  return [accuracy[stream] for accuracy in of_seeds.values() if stream in accuracy]


def _differences(measured_values, final, streams) -> List[pages.Table]:
  """Paired differences of methods from the first one, seed by seed."""
  first, rows = final[0], []
  for measured, of_seeds in zip(measured_values[1:], final[1:]):
    paired = [[of_seeds[seed][stream] - first[seed][stream] for seed in of_seeds
               if stream in of_seeds[seed] and stream in first.get(seed, ())] for stream in streams]
    rows.append((f'{measured.wanted.name} - {measured_values[0].wanted.name}',
                 *(statistics.spread(values, '+') if values else '-' for values in paired)))
  caption = 'Paired differences: the same seed, and so the same initial weights, order of the data and clips'
  return [pages.Table(caption, ('methods', *streams), rows)] if rows else []
