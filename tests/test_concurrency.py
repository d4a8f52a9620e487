"""Two processes at once: nothing fails but the second of two identical runs, and nothing is lost."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests import command_line, in_process, native_files
from tf_privinfo import runs, workflow
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.reports import pages
from tf_privinfo.utils import atomic, errors

HOLD = """
import pathlib, sys
from tf_privinfo.utils import atomic
with atomic.only_process(pathlib.Path(sys.argv[1]), 'Busy'):
  print('locked', flush=True)
  sys.stdin.read()
"""


@contextlib.contextmanager
def held(path):
  """Another process that holds a lock, until its standard input is closed."""
  process = subprocess.Popen([sys.executable, '-c', HOLD, str(path)], cwd=command_line.ROOT, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
  with process:
    assert process.stdout.readline() == 'locked\n'
    yield process


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2))
  return directory


@pytest.fixture(scope='module')
def finished_run(data_dir, tmp_path_factory):
  output_dir = tmp_path_factory.mktemp('out')
  with in_process.one_device(), in_process.quick():
    in_process.train_main_with(*flags(data_dir, output_dir))
  [path] = output_dir.glob('nwucla/dmcl/*')
  return path


def flags(data_dir, output_dir, *more):
  return ['--method=dmcl', '--dataset=nwucla', '--preset=tiny', '--epochs=1', '--set=modalities=depth',
          f'--data_dir={data_dir}', f'--output_dir={output_dir}', *more]


# The lock.


def test_the_lock_says_who_holds_it_and_ends_with_the_process(tmp_path, capsys):
  path = tmp_path / 'run.lock'
  with held(path) as process:
    with pytest.raises(errors.UserError, match=rf'^Busy \(process {process.pid} on \S+\): wait until it has ended\.$'):
      with atomic.only_process(path, 'Busy', wait=False):
        pass
    process.send_signal(signal.SIGKILL)
    with atomic.only_process(path, 'Busy'):  # waits for no longer than the dead process takes to end
      assert path.read_text().startswith(f'process {os.getpid()} on ')


def test_a_lock_that_is_renamed_while_another_process_waits_is_no_lock(tmp_path, capsys):
  """As --noresume does with the folder of a run."""
  path, entered = tmp_path / 'run' / 'run.lock', threading.Event()

  def enter():
    with atomic.only_process(path, 'Busy'):
      entered.set()

  with atomic.only_process(path, 'Busy'):
    thread = threading.Thread(target=enter)
    thread.start()
    while 'waiting' not in capsys.readouterr().out:
      time.sleep(0.01)
    path.parent.rename(tmp_path / 'kept')
    path.parent.mkdir()
    new = open(path, 'w', encoding='utf-8')
    fcntl.flock(new, fcntl.LOCK_EX)
  time.sleep(0.2)
  assert not entered.is_set()
  new.close()
  thread.join()
  assert entered.is_set()


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks(number, tmp_path, monkeypatch, capsys):
  def flock(file, operation):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(fcntl, 'flock', flock)
  with atomic.only_process(tmp_path / 'run.lock', 'Busy'):
    pass
  printed = capsys.readouterr().out
  assert printed.count('\n') == 1 and f'{tmp_path}/run.lock has no locks' in printed


def test_the_lock_file_of_another_user(tmp_path, monkeypatch):
  """Nobody but its owner can write to it; it locks all the same."""
  path, plain = tmp_path / 'x.lock', open
  path.write_text('process 1 on elsewhere')

  def refuse(file, mode='r', **options):
    if mode != 'r':
      raise PermissionError(errno.EACCES, 'Permission denied', str(file))
    return plain(file, mode, **options)

  monkeypatch.setattr('builtins.open', refuse)
  with atomic.only_process(path, 'Busy'):
    with pytest.raises(errors.UserError, match='Busy'):
      with atomic.only_process(path, 'Busy', wait=False):
        pass
  assert path.read_text() == 'process 1 on elsewhere'


def test_two_writers_of_one_file(tmp_path):
  """Each renames what it has written itself."""
  path, failures = tmp_path / 'page.md', []

  def write(number):
    try:
      atomic.write(path, str(number) * 50_000)
    except OSError as error:
      failures.append(error)

  def other(number):
    return subprocess.Popen([sys.executable, '-c', (
        'import pathlib, sys\nfrom tf_privinfo.utils import atomic\n'
        'for _ in range(100): atomic.write(pathlib.Path(sys.argv[1]), sys.argv[2] * 50_000)'), str(path), str(number)],
                            cwd=command_line.ROOT)

  with other(1) as process:
    while process.poll() is None:
      write(2)
  assert process.returncode == 0 and not failures
  assert len(set(path.read_text())) == 1 and len(path.read_text()) == 50_000 and list(tmp_path.iterdir()) == [path]


def test_two_reports_at_once(tmp_path):
  table = pages.Table('Caption', ('a',), [('1',)])
  page, failures = pages.Page('Title', [], [table], [{'a': 1}]), []

  def write():
    try:
      for _ in range(20):
        pages.write(page, tmp_path / 'table')
    except OSError as error:
      failures.append(error)

  threads = [threading.Thread(target=write) for _ in range(2)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert not failures
  assert {path.name for path in tmp_path.rglob('*')} == {'.lock', 'table', 'report.csv', 'report.md', 'report.html'}


# Runs.


def test_a_run_in_progress_is_refused_and_not_set_aside(finished_run, data_dir):
  before = sorted(finished_run.parent.iterdir())
  with held(finished_run / 'run.lock') as process, in_process.one_device():
    for more in ([], ['--noresume']):
      with pytest.raises(errors.UserError, match=rf'The run in {finished_run} is in progress \(process {process.pid} '):
        in_process.train_main_with(*flags(data_dir, finished_run.parents[2], *more))
  assert sorted(finished_run.parent.iterdir()) == before


def test_a_run_in_progress_is_found_by_way_of_a_link(finished_run, data_dir, tmp_path):
  (tmp_path / 'link').symlink_to(finished_run.parents[2])
  with held(finished_run / 'run.lock'), in_process.one_device(), pytest.raises(errors.UserError, match='in progress'):
    in_process.train_main_with(*flags(data_dir, tmp_path / 'link'))


@pytest.mark.parametrize('evaluate', [
    lambda run: workflow.evaluate(str(run), None, None), lambda run: workflow.sweep_noise(str(run), None, '0')])
def test_evaluation_waits_for_whoever_writes_to_the_run(evaluate, finished_run, capsys):
  failures = []

  def work():
    with in_process.quick():
      try:
        evaluate(finished_run)
      except BaseException as error:  # pylint: disable=broad-except
        failures.append(error)

  before = json.loads((finished_run / 'results.json').read_text())
  with held(finished_run / 'run.lock'):
    thread = threading.Thread(target=work)
    thread.start()
    while f'The run in {finished_run} is in progress' not in capsys.readouterr().out:
      assert thread.is_alive()
      time.sleep(0.02)
  thread.join()
  assert not failures, failures
  assert json.loads((finished_run / 'results.json').read_text()) == before


def test_a_stage_that_is_moved_while_it_is_copied(finished_run, tmp_path, monkeypatch):
  run = runs.Run.create_or_resume(tmp_path / 'run', runs.Run.open(str(finished_run)).recipe)
  monkeypatch.setattr(shutil, 'copytree', lambda *args: (_ for _ in ()).throw(FileNotFoundError(2, 'No such file')))
  with pytest.raises(errors.UserError, match='was moved while its stage ensemble was copied.*again'):
    run.take_stages(runs.Run.open(str(finished_run)), ['ensemble'])


def test_a_damaged_file_of_a_run_is_named(finished_run, tmp_path):
  shutil.copytree(finished_run, tmp_path / 'run')
  (tmp_path / 'run' / 'manifest.json').write_text('{"label_')
  with pytest.raises(errors.UserError, match='run/manifest.json is damaged'):
    workflow.evaluate(str(tmp_path / 'run'), None, None)


# What runs know of their data.


def test_a_run_remembers_where_its_data_are(data_dir, finished_run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  run = runs.Run.open(str(finished_run))
  assert run.find_data(None, None) == (str(data_dir), None)
  assert run.find_data('other', None) == ('other', None)
  run = runs.Run(tmp_path, run.recipe)
  assert run.find_data(None, None) == (None, None)  # of an earlier version
  run.remember_data(None, None)
  assert run.find_data(None, None) == (None, None)
  run.remember_data('native', 'prepared')
  with pytest.raises(errors.UserError, match=f'{tmp_path}/prepared, which is no longer there: pass --prepared_dir'):
    run.find_data('native', None)
  assert run.find_data(None, 'there') == (str(tmp_path / 'native'), 'there')
  assert run.find_data('other', None) == ('other', None)
  (tmp_path / 'prepared').mkdir()
  assert run.find_data('native', None) == ('native', str(tmp_path / 'prepared'))
  run.remember_data('native', None)
  with pytest.raises(errors.UserError, match=f'{tmp_path}/native, which is no longer there: pass --data_dir'):
    run.find_data(None, None)


# Preparation.


def test_prepared_elsewhere_than_beside_the_native_files(data_dir, tmp_path, monkeypatch):
  native = tmp_path / 'native'
  shutil.copytree(data_dir / 'multiview_action', native / 'multiview_action')
  before = sorted(native.rglob('*'))
  mkdir = os.mkdir

  def refuse(path, *args, **options):
    if str(path).startswith(str(native)):
      raise OSError(errno.EROFS, 'Read-only file system', str(path))
    return mkdir(path, *args, **options)

  monkeypatch.setattr(os, 'mkdir', refuse)
  with pytest.raises(errors.UserError, match=r'Read-only file system\): pass --prepared_dir') as error:
    catalog.open_dataset('nwucla', str(native), DataConfig(), 32)
  assert '\n' not in str(error.value)
  source = catalog.open_dataset('nwucla', str(native), DataConfig(), 32, prepared_dir=str(tmp_path / 'prepared'))
  assert source.directory.startswith(str(tmp_path / 'prepared')) and sorted(native.rglob('*')) == before
  shutil.rmtree(native)  # what is prepared is enough
  again = catalog.open_dataset('nwucla', str(native), DataConfig(), 32, prepared_dir=str(tmp_path / 'prepared'))
  assert again.manifest() == source.manifest()


def test_what_another_process_prepared_meanwhile_is_opened(data_dir, tmp_path, monkeypatch):
  """The first builder has read that there is nothing, and the other one prepares before this one has the lock."""
  native = tmp_path / 'native'
  shutil.copytree(data_dir / 'multiview_action', native / 'multiview_action')
  plain = atomic.only_process

  @contextlib.contextmanager
  def late(*args, **options):
    monkeypatch.setattr(atomic, 'only_process', plain)
    first.append(catalog.open_dataset('nwucla', str(native), DataConfig(), 32))
    with plain(*args, **options):
      yield

  first = []
  monkeypatch.setattr(atomic, 'only_process', late)
  second = catalog.open_dataset('nwucla', str(native), DataConfig(), 32)
  assert first and second.manifest() == first[0].manifest()


# Whole processes.


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


def test_preparation_and_training_at_once(finished_run, data_dir, tmp_path):
  """Both want the same data, and a second identical training is refused: the quick form of the tests below."""
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
