"""Cells shared by the tables of reports."""

from typing import Any, Dict, Tuple

from tf_privinfo.reports import statistics
from tf_privinfo.reports.results import MeasuredValue, ThesisValue


def name(measured: MeasuredValue) -> str:
  """The name of the row, with the condition of the test."""
  condition = measured.wanted.condition
  return f'{measured.wanted.name}, {condition}' if condition else measured.wanted.name


def method(wanted: ThesisValue) -> str:
  """The method, with its overrides and the dataset of its initial weights."""
  values = [f'{key}={value}' for key, value in wanted.settings.items()]
  return ', '.join([wanted.method, *values, *([f'from {wanted.init_from}'] if wanted.init_from else [])])


def place(measured: MeasuredValue) -> str:
  """The dataset and the protocol of the measurement."""
  return f'{measured.wanted.dataset}, {measured.wanted.protocol}'


def papers(wanted: ThesisValue) -> str:
  """The figures of the thesis in percent, each with its dataset and protocol."""
  return '; '.join(f'{figure:.2f} ({place})' for place, figure in wanted.paper)


def mean(measured: MeasuredValue) -> str:
  """Mean and standard deviation over the runs, in percent."""
  if not measured.values:
    return 'not run' if measured.commands else '-'
  return statistics.spread(list(measured.values.values()))


def where(measured: MeasuredValue) -> Tuple[str, str, str]:
  """Dataset, protocol and preset; the number of runs; the number of test samples."""
  if measured.refusal:
    return place(measured), '-', '-'
  return (f'{place(measured)}, {measured.preset}', f'{len(measured.values)} of {measured.expected_runs}',
          ', '.join(map(str, measured.samples)) or '-')


def origin(measured: MeasuredValue) -> Dict[str, Any]:
  """The origin of a value, {column: value}, for the CSV file."""
  wanted = measured.wanted
  return {
      'row': wanted.name, 'method': wanted.method,
      'settings': ' '.join(f'{key}={value}' for key, value in wanted.settings.items()),
      'init_from': wanted.init_from, 'dataset': wanted.dataset, 'protocol': wanted.protocol,
      'preset': measured.preset, 'stage': wanted.stage, 'stream': wanted.stream, 'reads': measured.reads,
      'seeds': ' '.join(map(str, measured.values)), 'samples': ' '.join(map(str, measured.samples))}
