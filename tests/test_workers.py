"""Several workers on the loopback address, with a tiny stream: what they read, learn and write, and what ends them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import command_line, in_process, native_files
from tf_privinfo import recipes
from tf_privinfo.datasets import catalog, clips
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.recipes import settings
from tf_privinfo.training import cluster, devices
from tf_privinfo.utils import errors

# What `python train_main.py` does, with a network that is traced in seconds; it keeps the trained weights.
MAIN = """
import os
import tf_privinfo, train_main
from tests import tiny_stream
from tf_privinfo.networks import registry
from tf_privinfo.training import loop
from tf_privinfo.utils import cli
import numpy as np
registry.NETWORKS['r2plus1d'] = tiny_stream.SPEC
wait = loop.cluster.wait
trained = []
initialise = loop._initialise
def keep(run, name, method, *more):
  trained.append(method)
  initialise(run, name, method, *more)
def waiting(strategy):
  if trained and 'WEIGHTS' in os.environ:
    np.savez(os.environ['WEIGHTS'], *[v.numpy() for n in trained[0].networks.values() for v in n.weights])
  wait(strategy)
loop._initialise, loop.cluster.wait = keep, waiting
if 'ACCURACIES' in os.environ:  # the chief's
  scripted = map(float, os.environ['ACCURACIES'].split(','))
  loop._validator = lambda *args: lambda: {'oracle': next(scripted)}
cli.run(train_main.main)
"""


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Eight training videos: two hold out, six train, three steps of two an epoch."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2))
  return directory


def flags(data_dir, output_dir, *more):
  return ['--method=dmcl', '--dataset=nwucla', '--protocol=cross_view_1', '--preset=tiny', '--epochs=1',
          '--set=modalities=rgb,depth', '--set=clips.frames=4', '--set=clips.test_clips=2', '--set=clips.colour=false',
          '--set=data.hold_out=0.25', '--batch_size=2', f'--data_dir={data_dir}', f'--output_dir={output_dir}', *more]


def start(arguments, workers=0, index=0, **environment):
  """Starts one worker of a cluster with the ports `workers`, or a process alone."""
  environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3', **environment}
  if workers:
    environment['TF_CONFIG'] = json.dumps({
        'cluster': {'worker': [f'127.0.0.1:{port}' for port in workers]}, 'task': {'type': 'worker', 'index': index}})
  return subprocess.Popen([sys.executable, '-c', MAIN, *arguments], cwd=command_line.ROOT, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start_both(arguments, tmp_path, **environment):
  ports = free_ports()
  return [start(arguments, ports, index, WEIGHTS=str(tmp_path / f'{index}.npz'), **environment) for index in (0, 1)]


def free_ports():
  with socket.socket() as one, socket.socket() as other:
    for one_socket in (one, other):
      one_socket.bind(('127.0.0.1', 0))
    return [one.getsockname()[1], other.getsockname()[1]]


def end(process, timeout=240):
  """(Exit status, standard output, standard error) of a process."""
  try:
    out, err = process.communicate(timeout=timeout)
  finally:
    process.kill()
  return process.returncode, out, err


def run_of(output_dir):
  [path] = output_dir.glob('nwucla/dmcl/*')
  return path


def test_two_workers_train_what_one_process_trains(data_dir, tmp_path):
  both = start_both(flags(data_dir, tmp_path / 'two'), tmp_path)
  (status, out, err), (other_status, other_out, other_err) = map(end, both)
  assert status == other_status == 0, f'{out[-1500:]}\n{err[-3000:]}\n{other_err[-3000:]}'
  assert 'Training on 2 workers; worker 0 on the CPU' in out and 'step' not in other_err
  assert other_out.count('\n') == 1 and 'Worker 1 of 2' in other_out
  status, out, err = end(start(flags(data_dir, tmp_path / 'one'), WEIGHTS=str(tmp_path / 'alone.npz')))
  assert status == 0, err[-3000:]

  first, second, alone = (np.load(tmp_path / f'{name}.npz') for name in ('0', '1', 'alone'))
  assert len(first.files) > 10 and all(np.array_equal(first[name], second[name]) for name in first.files)
  for name in first.files:
    np.testing.assert_allclose(first[name], alone[name], atol=1e-3, rtol=1e-3)
  two, one = run_of(tmp_path / 'two'), run_of(tmp_path / 'one')
  [entry], [expected] = (json.loads((run / 'ensemble/history.json').read_text()) for run in (two, one))
  assert entry == pytest.approx(expected, abs=1e-3, rel=1e-3)
  files = lambda run: sorted(path.relative_to(run).as_posix().split('events.')[0] for path in run.rglob('*'))
  assert files(two) == files(one)


def test_the_rows_of_two_workers_are_the_batch(data_dir):
  source = catalog.open_dataset('nwucla', str(data_dir), DataConfig(), 32)
  recipe = settings.override(recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'tiny'), {'modalities': 'rgb'})
  read = lambda rows: [sample_id.numpy().tolist() for _, _, sample_id in clips.training_clips(
      source.videos(source.names[:11], ('rgb',)), recipe.clips, seed=0, epochs=range(2), batch_size=4, rows=rows)]
  whole, first, second = read(slice(None)), read(slice(0, 2)), read(slice(2, 4))
  assert len(whole) == 4 and [one + other for one, other in zip(first, second)] == whole


@pytest.mark.parametrize('config, message', [
    ('{', 'is not readable'),
    ({'cluster': {'worker': ['a:1']}}, 'is not readable'),
    ({'cluster': {'worker': ['a:1'], 'ps': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}, 'the task ps, but'),
    ({'cluster': {'worker': ['a:1']}, 'task': {'type': 'evaluator', 'index': 0}}, 'the task evaluator, but'),
    ({'cluster': {'worker': ['a:1']}, 'task': {'type': 'worker', 'index': 1}}, 'none with the index 1')])
def test_clusters_that_are_refused(config, message, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', config if isinstance(config, str) else json.dumps(config))
  with pytest.raises(errors.UserError, match=message):
    cluster.workers_of_environment()


def test_batches_are_divided_among_all_devices_of_all_workers():
  assert devices.divide_batches({'rgb': 16, 'joint': 8}, -1, 8, 2) == 4
  with pytest.raises(errors.UserError, match='^The batch of 5 of stage rgb cannot be divided among 2 workers'):
    devices.divide_batches({'joint': 4, 'rgb': 5}, -1, 8, 2)


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_both_resume(data_dir, tmp_path):
  """Bit for bit; meanwhile a process without TF_CONFIG is refused."""
  more = ['--epochs=8']
  whole = start_both([*flags(data_dir, tmp_path / 'whole'), *more], tmp_path)
  while not list(tmp_path.glob('whole/*/*/*/run.lock')) and whole[0].poll() is None:
    time.sleep(0.1)
  status, _, err = end(start([*flags(data_dir, tmp_path / 'whole'), *more]))
  assert status == 1 and 'is in progress' in err
  assert [end(process)[0] for process in whole] == [0, 0]
  both = start_both([*flags(data_dir, tmp_path / 'killed'), *more], tmp_path)
  command_line.wait_for_epoch(tmp_path / 'killed', 'ensemble/history.json', 2, both[0])
  both[1].send_signal(signal.SIGKILL)
  status, _, err = end(both[0])
  assert status == 1 and 'Run the same command on all nodes again' in err and 'Traceback' not in err, err[-3000:]
  end(both[1])
  resumed = start_both([*flags(data_dir, tmp_path / 'killed'), *more], tmp_path)
  assert [end(process)[0] for process in resumed] == [0, 0]
  one, other = (run_of(tmp_path / name) for name in ('whole', 'killed'))
  in_process.assert_same_checkpoints(one / 'ensemble/last/epoch-8', other / 'ensemble/last/epoch-8')
  for name in ('ensemble/history.json', 'ensemble/finished.json'):
    assert (one / name).read_text() == (other / name).read_text(), name


@pytest.mark.slow
def test_both_stop_early_at_the_same_epoch(data_dir, tmp_path):
  """Both leave the loop after the same epoch: otherwise one would wait for the other, and its weights would differ."""
  both = start_both([*flags(data_dir, tmp_path), '--epochs=9', '--set=stages.ensemble.early_stopping_patience=1'],
                    tmp_path, ACCURACIES='0.5,0.6,0.4')
  ended = list(map(end, both))
  assert [status for status, _, _ in ended] == [0, 0], ended
  finished = json.loads((run_of(tmp_path) / 'ensemble/finished.json').read_text())
  assert finished == {'weights': 'best/epoch-2', 'epochs': 3}
  first, second = (np.load(tmp_path / f'{index}.npz') for index in (0, 1))
  assert all(np.array_equal(first[name], second[name]) for name in first.files)
