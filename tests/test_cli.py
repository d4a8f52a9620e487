"""What the mains do not depend on: the encoding of standard output, settings of libraries, the kind of terminal."""

import ast
import io
import os
import pathlib
import random
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line, tiny_stream
from tf_privinfo import recipes
from tf_privinfo.recipes import settings
from tf_privinfo.runs import restore
from tf_privinfo.training import callbacks
from tf_privinfo.utils import cli, progress_bars

SOURCES = [path for folder in ('.', 'tf_privinfo', 'datasets', 'benchmarks')
           for path in (command_line.ROOT / folder).glob('*.py' if folder == '.' else '**/*.py')]


@pytest.fixture(autouse=True)
def same_environment(monkeypatch):
  monkeypatch.setattr(os, 'environ', dict(os.environ))
  monkeypatch.setattr(cli.app, 'run', lambda main: main(['main']))


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-8'])
def test_every_encoding_of_standard_output(encoding, monkeypatch):
  written = io.BytesIO()
  monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written, encoding))
  cli.run(lambda: print('Σ \udce9', flush=True))
  assert written.getvalue().decode(encoding).strip() == ('Σ ?' if encoding == 'utf-8' else '? ?')


def _reads_text_as_the_locale_says(call: ast.Call) -> bool:
  name = getattr(call.func, 'attr', getattr(call.func, 'id', ''))
  if name == 'open' and isinstance(call.func, ast.Name):
    modes = [node.value for node in [*call.args[1:2], *(k.value for k in call.keywords if k.arg == 'mode')]
             if isinstance(node, ast.Constant)]
    if any('b' in mode for mode in modes):
      return False
  elif name not in ('read_text', 'write_text'):
    return False
  positions = {'read_text': 1, 'write_text': 2}
  return not (any(k.arg == 'encoding' for k in call.keywords) or len(call.args) >= positions.get(name, 4))


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(command_line.ROOT)))
def test_every_text_file_has_an_encoding(path):
  found = [node.lineno for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
           if isinstance(node, ast.Call) and _reads_text_as_the_locale_says(node)]
  assert not found, f'{path}: lines {found}'


def test_settings_for_other_programs_are_not_read(monkeypatch):
  os.environ.update({'MPLBACKEND': 'module://matplotlib_inline.backend_inline', 'KERAS_HOME': '/home/keras'})
  cli.run(lambda: None)
  assert os.environ['MPLBACKEND'] == 'agg'
  assert not os.path.exists(os.path.join(os.environ['KERAS_HOME'], 'keras.json'))
  assert pathlib.Path(os.environ['MATPLOTLIBRC']).read_bytes() == b''


def test_networks_work_channels_last_in_float32_whatever_keras_is_set_to():
  backend = tf.keras.backend
  try:
    backend.set_image_data_format('channels_first'), backend.set_floatx('float64'), backend.set_epsilon(0.1)
    method = restore.build_method(recipes.recipe('single_stream', 'synthetic', 'cross_view_1', 'tiny'), 'stream', 3)
  finally:
    after = backend.image_data_format(), backend.floatx(), backend.epsilon()
    backend.set_image_data_format('channels_last'), backend.set_floatx('float32'), backend.set_epsilon(1e-7)
  assert after == ('channels_last', 'float32', 1e-7)
  assert {variable.dtype for variable in method.variables} == {tf.float32}


def _stage(monkeypatch, terminal, name='xterm'):
  """What two epochs of two steps write to standard error, and the evaluation after them."""
  stream = io.StringIO()
  stream.isatty = lambda: terminal
  monkeypatch.setattr(sys, 'stderr', stream)
  os.environ['TERM'] = name
  with progress_bars.bar(total=4, desc='Stage joint', unit='step') as bar:
    progress = callbacks.Progress(bar, 'joint')
    progress.set_params({'epochs': 2})
    for epoch in range(2):
      progress.on_epoch_begin(epoch)
      for batch in range(2):
        progress.on_train_batch_end(batch, {'loss': 2.5, 'accuracy/rgb': 0.5})
      progress.on_epoch_end(epoch)
  for _ in progress_bars.bar(range(1000), desc='Reading', unit='video'):
    pass
  return stream.getvalue()


@pytest.mark.parametrize('terminal, name', [(False, 'xterm'), (True, 'dumb')])
def test_a_log_has_a_line_for_every_epoch(terminal, name, monkeypatch):
  lines = _stage(monkeypatch, terminal, name).splitlines(keepends=True)
  assert len(lines) == 3 and all(line.endswith('\n') and '\r' not in line for line in lines)
  assert lines[0].startswith('Stage joint, epoch 1/2:  50%| 2/4 step [') and lines[0].endswith('loss 2.500 rgb 50%]\n')
  assert lines[1].startswith('Stage joint, epoch 2/2: 100%| 4/4 step [')
  assert lines[2].startswith('Reading: 100%| 1000/1000 video [')


def test_a_log_has_a_line_a_minute(monkeypatch):
  seconds = iter(range(0, 10000, 20))
  stream = io.StringIO()
  monkeypatch.setattr(sys, 'stderr', stream)
  with progress_bars.bar(total=100, desc='Rendering') as bar:
    bar._time, bar.start_t, bar.last_print_t = lambda: next(seconds), 0, 0  # pylint: disable=protected-access
    for _ in range(100):
      bar.update()
  assert 100 * 20 / 60 / 2 <= len(stream.getvalue().splitlines()) <= 100 * 2 * 20 / 60  # updates ask for the time, too


def test_a_terminal_has_a_line_that_moves(monkeypatch):
  written = _stage(monkeypatch, True)
  assert written.count('\r') > 2 and written.count('\n') == 2


def test_bars_are_made_in_one_place():
  found = [path for path in SOURCES if 'import tqdm' in path.read_text(encoding='utf-8')]
  assert [path.name for path in found] == ['progress_bars.py']


@pytest.mark.usefixtures('bfloat16')
def test_restoring_a_model_leaves_precision_and_seeds_of_the_process(tmp_path):
  """A user's own script goes on with its policy and its random numbers."""
  recipe = settings.override(
      recipes.recipe('single_stream', 'synthetic', 'cross_view_1', 'tiny'), {'mixed_precision': True})
  with tiny_stream.in_place_of_resnet50():
    tf.keras.utils.set_random_seed(4)
    expected = np.random.random(), random.random()
    tf.keras.utils.set_random_seed(4)
    restore.build_method(recipe, 'stream', 3)
    assert tf.keras.mixed_precision.global_policy().name == 'float32'
    assert (np.random.random(), random.random()) == expected
