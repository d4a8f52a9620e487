"""Two processes at once: nothing fails but the second of two identical runs, and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import command_line
from tests.command_line import flags
from tf_privinfo import runs


def _prepare(data_dir):
  return subprocess.Popen(
      [sys.executable, '-m', 'tf_privinfo.datasets.prepare', '--dataset=nwucla', '--preset=tiny',
       f'--data_dir={data_dir}'], cwd=command_line.ROOT, env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''}, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _train(data_dir, output_dir, *more):
  return command_line.start('train_main', *flags(data_dir, output_dir, *more))


def _evaluate(run):
  return command_line.start('eval_main', f'--run_dir={run}')


def _end(process):
  """Exit status and all that a process has printed."""
  out, err = process.communicate(timeout=600)
  return process.returncode, out + (err or '')


def _both(first, second, offset):
  """Starts two processes, `offset` seconds apart; ends of both."""
  one = first()
  time.sleep(offset)
  two = second()
  return _end(one), _end(two)


def _native(data_dir, directory):
  shutil.copytree(data_dir / 'multiview_action', directory / 'multiview_action')
  return directory


def _predictions(output_dir):
  [path] = output_dir.glob('nwucla/dmcl/*/predictions.npz')
  with np.load(path) as content:
    return {name: content[name] for name in content}


def _assert_same_predictions(one, other):
  assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope='module')
def alone(data_dir, tmp_path_factory):
  """The output directory of a process that has the machine's files for itself."""
  output_dir = tmp_path_factory.mktemp('alone')
  command_line.succeed('train_main', *flags(data_dir, output_dir))
  return output_dir


def _assert_sound(data_dir, alone_dir):
  """The prepared data are those of one process alone, and nothing is left beside them."""
  one, other = (
      {path.relative_to(root / 'prepared'): path.read_bytes() for path in (root / 'prepared').rglob('*.tfrecord*')}
      for root in (data_dir, alone_dir))
  assert one and one == other
  assert not [*data_dir.rglob('*.samples'), *data_dir.rglob('incomplete*'), *data_dir.rglob('*.tmp')]


@pytest.mark.slow
def test_preparation_and_training_at_once(finished_run, data_dir, tmp_path):
  """Both want the same data, and a second identical training is refused: the quickest of these tests."""
  native = _native(data_dir, tmp_path / 'native')
  preparation, trainings = _prepare(native), [_train(native, tmp_path / 'out') for _ in range(2)]
  status, printed = _end(preparation)
  assert status == 0, printed
  (lost, refusal), (won, printed) = sorted(map(_end, trainings), reverse=True)
  assert (won, lost) == (0, 1), printed + refusal
  assert 'Traceback' not in refusal and 'is in progress (process' in refusal
  _assert_sound(native, data_dir)
  [run] = (tmp_path / 'out').glob('nwucla/dmcl/*')
  for file in ('results.json', 'manifest.json'):
    assert json.loads((run / file).read_text()).keys() == json.loads((finished_run / file).read_text()).keys()
  assert runs.Run.open(str(run)).read('ensemble/finished.json')['epochs'] == 1


@pytest.mark.slow
@pytest.mark.parametrize('offset', [0, 1, 2, 3, 4, 5])
def test_the_same_preparation_twice(offset, alone, data_dir, tmp_path):
  native = _native(data_dir, tmp_path / 'native')
  for status, printed in _both(lambda: _prepare(native), lambda: _prepare(native), offset):
    assert status == 0, printed
  _assert_sound(native, data_dir)


@pytest.mark.slow
@pytest.mark.parametrize('offset', [0, 1, 3, 5, 7, 10])
def test_the_same_run_twice(offset, alone, data_dir, tmp_path):
  ends = _both(*[lambda: _train(data_dir, tmp_path)] * 2, offset)
  assert 0 in (ends[0][0], ends[1][0])
  for status, printed in ends:  # where the first had ended, the second has nothing to do
    assert status == 0 or status == 1 and 'Traceback' not in printed and 'is in progress (process' in printed, printed
  _assert_same_predictions(_predictions(tmp_path), _predictions(alone))


@pytest.mark.slow
@pytest.mark.parametrize('offset', [0, 2, 4, 6])
@pytest.mark.parametrize('training_first', [False, True])
def test_preparation_and_training(training_first, offset, alone, data_dir, tmp_path):
  native = _native(data_dir, tmp_path / 'native')
  both = [lambda: _prepare(native), lambda: _train(native, tmp_path / 'out')]
  for status, printed in _both(*(both[::-1] if training_first else both), offset):
    assert status == 0, printed
  _assert_sound(native, data_dir)
  _assert_same_predictions(_predictions(tmp_path / 'out'), _predictions(alone))


@pytest.mark.slow
@pytest.mark.parametrize('offset', [0, 2, 4, 6])
def test_training_and_evaluations(offset, alone, data_dir, tmp_path):
  """Another run trains and takes over stages while the finished run is evaluated twice."""
  [run] = (alone / 'nwucla' / 'dmcl').iterdir()
  before = (run / 'results.json').read_bytes()
  training = _train(data_dir, tmp_path, f'--stages_from={run}')
  time.sleep(offset)
  for status, printed in (*_both(*[lambda: _evaluate(run)] * 2, 1), _end(training)):
    assert status == 0, printed
  assert (run / 'results.json').read_bytes() == before
  _assert_same_predictions(_predictions(tmp_path), _predictions(alone))
