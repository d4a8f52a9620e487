"""The report that compares methods on one dataset, over seeds and protocols."""

from typing import Dict, List, Sequence

from tf_privinfo.evaluation.tables import stages_table
from tf_privinfo.reports import cells, pages, plots, pooling, statistics
from tf_privinfo.reports.results import MeasuredValue
from tf_privinfo.reports.tested import Tested


def content(measured_values: Sequence[MeasuredValue]):
  """Tables, records and plots of a comparison of methods.

  The tables contain accuracies after the last stage, paired differences from the first method, pooled over seeds and
  protocols, and accuracies after each stage.

  Args:
    measured_values: results of each method on each protocol, with the same protocols in the same order.
  """
  # For each method and protocol: seed -> accuracies after its last stage.
  final = [{seed: result['stages'][measured.wanted.stage]['accuracy'] for seed, result in measured.values.items()}
           for measured in measured_values]
  streams = list(dict.fromkeys(stream for of_seeds in final for accuracy in of_seeds.values() for stream in accuracy))
  rows, records = [], []
  for measured, of_seeds in zip(measured_values, final):
    shown = {stream: [accuracy[stream] for accuracy in of_seeds.values() if stream in accuracy] for stream in streams}
    missing = '-' if of_seeds else 'not run'
    rows.append((measured.wanted.name, measured.reads, *cells.where(measured),
                 *(statistics.spread(values) if values else missing for values in shown.values())))
    records += [{**cells.origin(measured), 'stream': stream, 'mean': 100 * statistics.mean(values),
                 'standard_deviation': statistics.deviation([100 * value for value in values])}
                for stream, values in shown.items() if values]
  several = len({measured.wanted.protocol for measured in measured_values}) > 1
  names = [f'{record["row"]}, {record["protocol"]}' if several else record['row'] for record in records]
  plot = plots.paper_beside_measured(
      [f'{name}, {record["stream"]}' for name, record in zip(names, records)], {},
      [record['mean'] for record in records],
      [record['standard_deviation'] for record in records])
  page_plots = {'accuracies': pages.Plot('Accuracies after the last stage', plot)}
  header = ('method', 'reads', 'measured on', 'runs', 'samples', *streams)
  tables = [pages.Table('After the last stage', header, rows)]
  differences = _differences(measured_values, streams)
  if differences:
    tables.append(pages.Table(
        'Paired differences: the same seed, and so the same initial weights, order of the data and clips',
        ('methods', 'stream', 'difference', '95 % interval', 'runs', 'runs needed'),
        pooling.rows(differences)))
    page_plots['differences'] = pages.Plot(
        'Paired differences in points, with 95 % intervals', pooling.plot(differences))
  for measured in measured_values:
    stages = [result['stages'] for result in measured.values.values()]
    if stages and len(stages[0]) > 1:
      name = f'{measured.wanted.name}, {measured.wanted.protocol}' if several else measured.wanted.name
      tables.append(pages.Table(f'{name}: accuracy after each stage', *stages_table(stages, statistics.spread)))
  records = records or [
      {**cells.origin(measured), 'mean': None, 'standard_deviation': None} for measured in measured_values]
  return tables, records, page_plots


def _differences(measured_values, streams) -> Dict[str, Dict[str, statistics.Estimate]]:
  """'method - first method' -> stream -> difference, for the streams that both have."""
  of_methods: Dict[str, List[pooling.OfSeeds]] = {}
  for measured in measured_values:
    # Results of earlier versions have no predictions.
    of_methods.setdefault(measured.wanted.method, []).append({
        seed: Tested.from_results(result) for seed, result in measured.values.items() if 'predictions' in result})
  (first, baseline), *others = of_methods.items()
  found = {f'{method} - {first}': pooling.differences(groups, baseline, streams) for method, groups in others}
  return {name: of_streams for name, of_streams in found.items() if of_streams}
