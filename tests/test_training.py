"""Training end to end: every method, resume after SIGKILL, NaN, tracing."""

import dataclasses
import os
import pathlib
import shutil
import time
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line, in_process, native_files, tiny_stream
from tests.in_process import train
from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog, clips, registry
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.methods import multiple_choice
from tf_privinfo.networks import registry as networks
from tf_privinfo.recipes import settings
from tf_privinfo.runs import restore
from tf_privinfo.serving import export
from tf_privinfo.training import callbacks, devices, loop, optimizers, tensorboard
from tf_privinfo.utils import errors


@pytest.fixture(scope='module')
def source(data_dir):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(), 32)


def make_recipe(method='dmcl', modalities='rgb,depth', **values):
  """Few frames and clips, whose sampling takes long to trace; 6 videos train and 2 validate."""
  recipe = recipes.recipe(method, 'nwucla', 'cross_view_1', 'tiny')
  return settings.override(recipe, {
      'modalities': modalities, 'clips.frames': 4, 'clips.test_clips': 2, 'clips.colour': False,
      'data.hold_out': 0.25, 'stages.ensemble.batch_size': 2, **values})


@pytest.fixture(scope='module')
def dmcl_run(data_dir, tmp_path_factory):
  """Of three modalities, as a user trains it."""
  return train(make_recipe(modalities='rgb,depth,flow'), data_dir, tmp_path_factory.mktemp('runs'), slowly=True)


def test_two_devices_end_to_end(two_devices, tmp_path, monkeypatch):
  """The whole job under MirroredStrategy, validation and evaluation with uneven last batches included."""
  assert isinstance(devices.make_strategy(-1, {'ensemble': 2}), tf.distribute.MirroredStrategy)
  monkeypatch.setitem(networks.NETWORKS, 'r2plus1d', tiny_stream.SPEC)
  native_files.write_nwucla(tmp_path / 'data', actions=(1, 2, 3), subjects=1)
  recipe = make_recipe(**{'stages.ensemble.epochs': 1, 'clips.test_clips': 1, 'data.hold_out': 0.5})
  run = train(recipe, tmp_path / 'data', tmp_path, slowly=True, strategy=two_devices)
  results, [history] = run.read('results.json'), run.read('ensemble/history.json')
  assert results['samples'] == 3 and np.isfinite(history['loss']) and 'validation/sum' in history


def assert_complete(run, modalities):
  results, history = run.read('results.json'), run.read('ensemble/history.json')
  assert results['samples'] == 4 and results['method'] == run.recipe.method
  # What a figure depends on besides the recipe.
  assert results['versions']['tensorflow'] == tf.__version__ and results['devices'][0] == 'CPU'
  assert results['initial_weights'] == 'random'
  assert results['deterministic'] is True and results['tensor_float_32'] is False
  assert results['cpu_cores'] == len(os.sched_getaffinity(0)) >= results['threads_of_an_operation'] == 1
  assert set(results['accuracy']) == {*modalities, 'sum', 'oracle'}
  assert len(results['subset_accuracy']) == 2**len(modalities) - 1
  assert [entry['epoch'] for entry in history] == [1, 2]
  assert all(np.isfinite(value) for entry in history for value in entry.values())


def test_dmcl_end_to_end(dmcl_run, data_dir, capsys):
  """And once more, when nothing is left to do but to show the results."""
  assert_complete(dmcl_run, ['rgb', 'depth', 'flow'])
  assert (dmcl_run.directory / 'saved_model' / '1' / 'saved_model.pb').exists()
  assert (dmcl_run.directory / 'confusion_sum.png').read_bytes().startswith(b'\x89PNG')
  before = {path: path.stat().st_mtime_ns for path in dmcl_run.directory.rglob('*')
            if path.suffix not in ('.json', '.lock')}
  train(dmcl_run.recipe, data_dir, dmcl_run.directory.parents[2])
  assert {path: path.stat().st_mtime_ns for path in before} == before
  printed = capsys.readouterr().out
  assert '| Φ (oracle: any stream right) |' in printed
  assert printed.strip().splitlines()[-1].startswith(f'Everything is in {dmcl_run.directory}')


def test_an_export_without_its_version_is_not_trusted(dmcl_run, data_dir, monkeypatch):
  """The folder of a model is there before its version."""
  exported = []
  monkeypatch.setattr(export, 'export', lambda run, model, directory: exported.append(directory))
  directory = dmcl_run.directory / 'saved_model'
  (directory / '1').rename(directory / '1.old')
  try:
    train(dmcl_run.recipe, data_dir, dmcl_run.directory.parents[2], slowly=True)
  finally:
    (directory / '1.old').rename(directory / '1')
  assert exported == [directory]


@pytest.mark.parametrize('method', ['smcl', 'cmcl', 'independent', 'random_teacher'])
def test_multiple_choice_end_to_end(method, data_dir, tmp_path):
  assert_complete(train(make_recipe(method), data_dir, tmp_path), ['rgb', 'depth'])


def test_noresume_keeps_the_earlier_run_aside(dmcl_run, tmp_path):
  directory = tmp_path / 'run'
  shutil.copytree(dmcl_run.directory, directory)
  runs.set_aside(directory)
  run = runs.Run.create_or_resume(directory, dmcl_run.recipe)
  [kept] = tmp_path.glob('run.*')
  assert (kept / 'results.json').read_text() == (dmcl_run.directory / 'results.json').read_text()
  assert [path.name for path in directory.iterdir()] == ['recipe.yaml'] and run.read('results.json') is None


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path):
  """SIGKILL at three random moments: weights, optimizer, history and results are bit-identical."""
  data_dir = native_files.write_nwucla(tmp_path / 'data').parent
  flags = ['--method=dmcl', '--dataset=nwucla', f'--data_dir={data_dir}', '--preset=tiny', '--epochs=12',
           '--set=modalities=rgb,depth']
  command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "whole"}')
  rng = np.random.default_rng()
  for kill in range(3):
    process = command_line.start('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
    command_line.wait_for_epoch(tmp_path / 'killed', 'ensemble/history.json', 1 + 3 * kill, process)
    time.sleep(rng.uniform(0, 0.5))
    process.kill()
    process.communicate()
  command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
  whole, killed = (run_directory(tmp_path / name) for name in ('whole', 'killed'))
  in_process.assert_same_checkpoints(whole / 'ensemble/last/epoch-12', killed / 'ensemble/last/epoch-12')
  for name in ('ensemble/history.json', 'ensemble/finished.json', 'results.json'):
    assert (whole / name).read_text() == (killed / name).read_text(), name


def run_directory(output_dir) -> pathlib.Path:
  [path] = output_dir.glob('nwucla/dmcl/*')
  return path


def test_nan_stops_with_step_and_term_and_the_last_checkpoint_is_gone_on_from(data_dir, tmp_path, monkeypatch, capsys):
  """Bit-identical to a run that was never stopped: weights, optimizer, history and results."""
  terms = multiple_choice.DMCL.loss_terms

  def poisoned(self, labels, logits, winners):
    result = terms(self, labels, logits, winners)
    nan_from = tf.where(self.optimizer.iterations >= 4, np.nan, 0.0)
    return {**result, 'soft': result['soft'] + tf.cast(nan_from, tf.float32)}

  whole = train(make_recipe(modalities='rgb'), data_dir, tmp_path / 'whole')
  monkeypatch.setattr(multiple_choice.DMCL, 'loss_terms', poisoned)
  with pytest.raises(errors.UserError, match=r'Step 5 gave loss_soft/rgb = nan'):
    train(make_recipe(modalities='rgb'), data_dir, tmp_path)
  assert capsys.readouterr().err.endswith('\n')  # of the progress bar: the message has its own line
  monkeypatch.undo()
  assert [p.name for p in run_directory(tmp_path).glob('ensemble/last/*.index')] == ['epoch-1.index']
  run = train(make_recipe(modalities='rgb'), data_dir, tmp_path)
  in_process.assert_same_checkpoints(*(r.directory / 'ensemble/last/epoch-2' for r in (run, whole)))
  for name in ('ensemble/history.json', 'ensemble/finished.json', 'results.json'):
    assert run.read(name) == whole.read(name), name


def test_steps_per_execution_change_nothing(source, tmp_path, capsys):
  """As graphs, with three steps an epoch: 2 and a rest of 1, or fewer than 8; the bar counts every step."""
  split = registry.split('nwucla', 'cross_view_1', source.names, hold_out=0.25)
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(networks.NETWORKS, 'r2plus1d', tiny_stream.SPEC)
    patch.setattr(tensorboard, 'write_graph', lambda *args: None)
    done = {}
    for count in (1, 2, 8):
      done[count] = runs.Run.create_or_resume(tmp_path / str(count), make_recipe(modalities='rgb'))
      loop.train(done[count], source, split, tf.distribute.get_strategy(), ['ensemble'], steps_per_execution=count)
      assert '6/6 step' in capsys.readouterr().err
  for count in (2, 8):
    in_process.assert_same_checkpoints(*(done[n].directory / 'ensemble/last/epoch-2' for n in (1, count)))
    assert done[count].read('ensemble/history.json') == done[1].read('ensemble/history.json')


def test_nan_names_the_steps_of_an_execution():
  stop = callbacks.StopOnNaN()
  stop.set_model(mock.Mock(optimizer=mock.Mock(iterations=tf.Variable(27))))
  stop.on_epoch_begin(2)
  stop.on_train_batch_end(3, {'loss': 1.0})
  with pytest.raises(errors.UserError, match=r'^A step from 25 to 27 gave loss_soft/rgb = nan'):
    stop.on_train_batch_end(6, {'loss': np.nan, 'loss_soft/rgb': np.nan})


def test_early_stopping_and_best_weights(data_dir, source, tmp_path, monkeypatch):
  """With scripted validation accuracies: the latest best is kept, patience counts from it.

  With the test view's prepared files gone: training never opens one.
  """
  split = registry.split('nwucla', 'cross_view_1', source.names, hold_out=0.25)
  scripted = iter([0.2, 0.5, 0.5, 0.4, 0.3, 0.9])
  monkeypatch.setattr(loop, '_validator', lambda *args: lambda: {'oracle': next(scripted)})
  recipe = make_recipe(modalities='rgb', **{'stages.ensemble.epochs': 9, 'stages.ensemble.early_stopping_patience': 2})
  run = runs.Run.create_or_resume(tmp_path / 'run', recipe)
  files = list((data_dir / 'prepared').rglob('*view_1_*.tfrecord*'))
  assert files
  hidden = [path.rename(path.with_name('hidden-' + path.name)) for path in files]
  try:
    with in_process.quick():
      loop.train(run, source, split, tf.distribute.get_strategy(), ['ensemble'])
  finally:
    for path, original in zip(hidden, files):
      path.rename(original)
  assert run.read('ensemble/finished.json') == {'weights': 'best/epoch-3', 'epochs': 5}
  assert sorted(p.name for p in (tmp_path / 'run/ensemble/best').iterdir()) == [
      'epoch-3.data-00000-of-00001', 'epoch-3.index']

  # Asked again, now for the last weights: nothing is left to train.
  (tmp_path / 'run/ensemble/finished.json').unlink()
  stages = {'ensemble': dataclasses.replace(recipe.stages['ensemble'], selection='last')}
  run = runs.Run(run.directory, dataclasses.replace(recipe, stages=stages))
  loop.train(run, source, split, tf.distribute.get_strategy(), ['ensemble'])
  assert run.read('ensemble/finished.json') == {'weights': 'last/epoch-5', 'epochs': 5}


def test_no_retracing(source):
  """One trace for all batches and epochs of training, and for micro-batches of any size."""
  recipe = make_recipe(modalities='rgb')
  method = restore.build_method(recipe, 'ensemble', 10)
  method.compile(optimizer=optimizers.Momentum(0.0))
  method.optimizer.build(method.trainable_variables)
  batches = clips.training_clips(
      source.videos(source.names[:9], recipe.modalities), recipe.clips, seed=0, epochs=range(3), batch_size=4)
  method.fit(batches.map(lambda clip, label, sample_id: (clip, label)), epochs=3, steps_per_epoch=2, verbose=0)
  assert method.train_tf_function.experimental_get_tracing_count() == 1
  for batch_size in (4, 16):
    videos = source.videos(source.names[:3], recipe.modalities)
    fixed = clips.evaluation_clips(videos, recipe.clips, batch_size=batch_size)
    method.predict(fixed.map(lambda clip, *_: clip), verbose=0)
  assert method.predict_function.experimental_get_tracing_count() == 1


def test_tensorboard_has_everything(dmcl_run):
  tags, plugins = set(), set()
  for path in dmcl_run.directory.glob('tensorboard/*/events*'):
    for record in tf.data.TFRecordDataset(str(path)):
      event = tf.compat.v1.Event.FromString(record.numpy())
      plugins.update(['graph'] if event.graph_def else [])
      for value in event.summary.value:
        tags.add(value.tag)
        plugins.add(value.metadata.plugin_data.plugin_name)
  assert {'train/loss', 'loss_hard/rgb', 'loss_soft/flow', 'accuracy/depth', 'wins/rgb', 'gradient_norm/rgb',
          'train/learning_rate', 'wins_per_class/rgb/carry', 'clips/rgb', 'clips/depth', 'clips/flow',
          'confusion/rgb', 'confusion/sum'} <= tags
  assert {'graph', 'hparams', 'images', 'scalars'} <= plugins
