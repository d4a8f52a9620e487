"""Locks: of a run in progress, of a preparation, of a file that two processes write."""

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

import pytest

from tests import command_line, in_process
from tests.command_line import flags
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
