"""Prediction of files: the samples that --predict names; table, CSV file and contact sheets of their predictions."""

import csv
import io
import os
import pathlib
import re
from typing import Dict, Iterator, List, NamedTuple, Sequence

from tf_privinfo.datasets import contact_sheets, tables
from tf_privinfo.evaluation import predictor
from tf_privinfo.utils import atomic, errors, markdown, paths, progress_bars

PREDICTIONS = 'predictions.csv'
# Name of the fused prediction, as in `results.json`.
FUSED = 'sum'
_SHOWN_ROWS = 40


class Sample(NamedTuple):
  """A sample to predict.

  Attributes:
    name: name in the output.
    files: modality -> path.
    sample_id: name from which the frames are drawn; empty for plain paths, whose prediction is independent of the path.
  """
  name: str
  files: Dict[str, str]
  sample_id: str = ''


def samples(values: Sequence[str], modalities: Sequence[str]) -> List[Sample]:
  """The samples that the values of --predict name.

  A value is `rgb=clip.avi,depth=clip_depth/`, the path of a recording of the first modality, a folder with entries
  that are named by their modalities, or a table (.csv) with the column `sample` and one column for each modality, with
  paths relative to the table.

  Args:
    values: values of the flag.
    modalities: names of the modalities that the model reads, the first one for plain paths.

  Raises:
    UserError: if a value names no file, or a table is unusable.
  """
  return [sample for value in values for sample in _of_value(value, modalities)]


def _of_value(value: str, modalities: Sequence[str]) -> List[Sample]:
  try:
    if value.lower().endswith('.csv'):
      return list(_of_table(pathlib.Path(paths.expand(value)), modalities))
    if re.match(r'\w+=', value):
      parts = re.split(r'(?:^|,)(\w+)=', value)[1:]
      return [Sample(value, {name: paths.expand(path) for name, path in zip(parts[::2], parts[1::2])})]
    path = paths.expand(value)
    return [Sample(value, _in_folder(path, modalities) or {modalities[0]: path})]
  except ValueError as error:
    raise errors.UserError(f'--predict={value}: {error}.') from None


def _in_folder(path: str, modalities: Sequence[str]) -> Dict[str, str]:
  """Modality -> entry of a folder that is named by it, with any extension."""
  if not os.path.isdir(path):
    return {}
  return {pathlib.Path(name).stem: os.path.join(path, name) for name in sorted(os.listdir(path))
          if pathlib.Path(name).stem in modalities}


def _of_table(path: pathlib.Path, modalities: Sequence[str]) -> Iterator[Sample]:
  with errors.explaining_os_errors(f'read {path}', 'correct --predict'):
    for line, row in tables.rows(path, ('sample',), 'Add it, with a name for each row.', modalities):
      files = {name: str(path.parent / row[name]) for name in modalities if row.get(name)}
      if not files:
        raise errors.UserError(f'{path}, line {line}: no file of {" or ".join(modalities)}, which this model reads.')
      yield Sample(row['sample'] or f'line {line}', files, row['sample'])


def predict(model: predictor.Predictor, wanted: Sequence[Sample], out: pathlib.Path, with_sheets: bool) -> str:
  """Predicts samples and writes `predictions.csv` and, on request, one contact sheet for each.

  The CSV file has one row for each sample and stream, and one for the fused prediction (`sum`): sample, stream, label,
  probability of the label, and the probability of every class.

  Args:
    model: the model.
    wanted: the samples.
    out: folder of the files.
    with_sheets: whether contact sheets are written.

  Returns:
    The predictions as a table for a terminal.

  Raises:
    UserError: if a sample cannot be read, or `out` is not writable. Nothing is written to `predictions.csv` then.
  """
  for sample in wanted:  # before the first one is read
    _naming(sample, lambda sample=sample: model.check(sample.files))
  rows, shown, streams = [], [], {}
  with errors.explaining_os_errors(f'write to {out}', 'choose another --out'):
    for number, sample in enumerate(progress_bars.bar(wanted, desc='Predicting', unit='sample'), 1):
      result = _naming(sample, lambda sample=sample: model.predict(sample.files, sample.sample_id))
      opinions = {**result.streams, FUSED: result.probabilities}
      rows += [(sample.name, stream, *_best(of), *of.values()) for stream, of in opinions.items()]
      shown.append({stream: _text(of) for stream, of in opinions.items()} | {'sample': sample.name})
      streams.update(dict.fromkeys(result.streams))
      if with_sheets:
        name = re.sub(r'[^\w.=-]+', '_', sample.name)[-80:]
        atomic.write(out / f'{number:04d}_{name}.png', _sheet(sample.name, result, model.recipe.roles.privileged))
    table = io.StringIO(newline='')
    csv.writer(table).writerows([
        ('sample', 'stream', 'label', 'probability', *(f'p_{label}' for label in model.label_names)), *rows])
    atomic.write(out / PREDICTIONS, table.getvalue().encode())
  lines = markdown.table(('sample', *streams, f'Σ ({FUSED})'), [
      tuple(row.get(column, '-') for column in ('sample', *streams, FUSED)) for row in shown[:_SHOWN_ROWS]])
  rest = len(shown) - _SHOWN_ROWS
  return '\n'.join([*lines, *([f'... and {rest} more samples'] if rest > 0 else [])])


def _naming(sample: Sample, action):
  """Runs an action on a sample; its user errors name the sample."""
  try:
    return action()
  except errors.UserError as error:
    raise errors.UserError(f'{sample.name}: {error}') from None


def _best(probabilities: Dict[str, float]):
  return max(probabilities.items(), key=lambda item: item[1])


def _text(probabilities: Dict[str, float]) -> str:
  label, probability = _best(probabilities)
  return f'{label} {probability:.0%}'


def _sheet(name: str, result: predictor.Prediction, privileged: str) -> bytes:
  """A contact sheet: the first clip as the networks read it, with the label and the predictions of the streams."""
  title = f'{name}: {_text(result.probabilities)}'
  score = '' if result.fake_probability is None else f'; fake probability of {privileged} {result.fake_probability:.2f}'
  caption = ', '.join(f'{stream}: {_text(of)}' for stream, of in result.streams.items()) + score
  return contact_sheets.contact_sheet(title, {caption: result.clip})
