"""Training end to end: every method, resume after SIGKILL, NaN, tracing."""

import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tests import native_files
from tf_privinfo import errors
from tf_privinfo import optimizers
from tf_privinfo import recipes
from tf_privinfo import runs
from tf_privinfo import settings
from tf_privinfo import training
from tf_privinfo import workflow
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets import clips
from tf_privinfo.datasets import protocols
from tf_privinfo.methods import multiple_choice


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Native files of NW-UCLA: 10 actions, 3 views, 40 training videos."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory)
  return directory


@pytest.fixture(autouse=True)
def one_device(request):
  """The default strategy, although the test process has two logical CPUs (MirroredStrategy takes long to trace)."""
  strategy = tf.distribute.get_strategy()
  if 'two_devices' in request.fixturenames:
    assert isinstance(training.make_strategy(-1), tf.distribute.MirroredStrategy)
    strategy = request.getfixturevalue('two_devices')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(training, 'make_strategy', lambda num_gpus: strategy)
    yield


def make_recipe(method='dmcl', modalities='rgb,depth', **values):
  recipe = recipes.recipe(method, 'nwucla', 'cross_view_1', 'tiny')
  return settings.override(recipe, {'modalities': modalities, **values})


def train(recipe, data_dir, output_dir, **options):
  return workflow.train(recipe, data_dir=str(data_dir), output_dir=output_dir,
                        **{'resume': True, 'num_gpus': -1, **options})


def test_two_devices_end_to_end(two_devices, data_dir, tmp_path):
  """The whole job under MirroredStrategy, validation and evaluation with uneven last batches included."""
  run = train(make_recipe(**{'stages.ensemble.epochs': 1}), data_dir, tmp_path)
  results = run.read('results.json')
  assert results['samples'] == 20 and np.isfinite(run.read('ensemble/history.json')[0]['loss'])


@pytest.mark.parametrize('method', ['dmcl', 'smcl', 'cmcl', 'independent', 'random_teacher'])
def test_multiple_choice_end_to_end(method, data_dir, tmp_path, capsys):
  modalities = 'rgb,depth,flow' if method == 'dmcl' else 'rgb,depth'
  run = train(make_recipe(method, modalities), data_dir, tmp_path)
  results = run.read('results.json')
  assert results['samples'] == 20 and results['method'] == method
  assert set(results['accuracy']) == {*modalities.split(','), 'sum', 'oracle'}
  assert len(results['subset_accuracy']) == (7 if method == 'dmcl' else 3)
  history = run.read('ensemble/history.json')
  assert [entry['epoch'] for entry in history] == [1, 2]
  assert all(np.isfinite(value) for entry in history for value in entry.values())
  printed = capsys.readouterr().out
  assert '| Φ (oracle: any stream right) |' in printed
  assert printed.strip().splitlines()[-1].startswith(f'Everything is in {run.directory}')


def test_finished_run_is_not_trained_again(data_dir, tmp_path, monkeypatch):
  recipe = make_recipe()
  first = train(recipe, data_dir, tmp_path).read('results.json')
  monkeypatch.setattr(tf.keras.Model, 'fit', lambda *args, **kwargs: pytest.fail('trained again'))
  assert train(recipe, data_dir, tmp_path).read('results.json') == first
  monkeypatch.undo()
  again = train(recipe, data_dir, tmp_path, resume=False)
  kept = [path for path in again.directory.parent.iterdir() if path.name.startswith(again.directory.name + '.')]
  assert len(kept) == 1 and (kept[0] / 'results.json').exists()
  assert again.read('results.json')['samples'] == first['samples']


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(data_dir, tmp_path):
  """SIGKILL at three random moments: weights, optimizer, history and results are bit-identical."""
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
  command_line.assert_same_checkpoints(whole / 'ensemble/last/epoch-12', killed / 'ensemble/last/epoch-12')
  for name in ('ensemble/history.json', 'ensemble/finished.json', 'results.json'):
    assert (whole / name).read_text() == (killed / name).read_text(), name


def run_directory(output_dir) -> pathlib.Path:
  [path] = output_dir.glob('nwucla/dmcl/*')
  return path


def test_nan_stops_with_step_and_term_and_keeps_the_last_checkpoint(data_dir, tmp_path, monkeypatch):
  terms = multiple_choice.DMCL.terms

  def poisoned(self, labels, logits, winners):
    result = terms(self, labels, logits, winners)
    nan_from = tf.where(self.optimizer.iterations >= 13, np.nan, 0.0)
    return {**result, 'soft': result['soft'] + tf.cast(nan_from, tf.float32)}

  monkeypatch.setattr(multiple_choice.DMCL, 'terms', poisoned)
  with pytest.raises(errors.UserError, match=r'Step 14 gave loss_soft/rgb = nan'):
    train(make_recipe(), data_dir, tmp_path)
  monkeypatch.undo()
  assert [p.name for p in run_directory(tmp_path).glob('ensemble/last/*.index')] == ['epoch-1.index']
  run = train(make_recipe(), data_dir, tmp_path)  # goes on from the intact checkpoint
  assert [entry['epoch'] for entry in run.read('ensemble/history.json')] == [1, 2]


def test_early_stopping_and_best_weights(data_dir, tmp_path, monkeypatch):
  """With scripted validation accuracies: the latest best is kept, patience counts from it."""
  source = catalog.open_dataset('nwucla', str(data_dir), recipes.configs.DataConfig(), 32)
  names = protocols.split('nwucla', 'cross_view_1', source.names)
  split = names._replace(train=names.train[10:], validation=names.train[:10])
  scripted = iter([0.2, 0.5, 0.5, 0.4, 0.3, 0.9])
  monkeypatch.setattr(training, '_validator', lambda *args: lambda: {'oracle': next(scripted)})
  recipe = make_recipe(**{'stages.ensemble.epochs': 9, 'stages.ensemble.early_stopping_patience': 2})
  run = runs.Run.create_or_resume(tmp_path / 'run', recipe, resume=True)
  training.train(run, source, split, tf.distribute.get_strategy(), ['ensemble'])
  assert run.read('ensemble/finished.json') == {'weights': 'best/epoch-3', 'epochs': 5}
  assert sorted(p.name for p in (tmp_path / 'run/ensemble/best').iterdir()) == [
      'epoch-3.data-00000-of-00001', 'epoch-3.index']


def test_last_weights_where_the_recipe_asks_for_them(data_dir, tmp_path, monkeypatch):
  source = catalog.open_dataset('nwucla', str(data_dir), recipes.configs.DataConfig(), 32)
  names = protocols.split('nwucla', 'cross_view_1', source.names)
  split = names._replace(train=names.train[10:], validation=names.train[:10])
  scripted = iter([0.9, 0.1])
  monkeypatch.setattr(training, '_validator', lambda *args: lambda: {'oracle': next(scripted)})
  run = runs.Run.create_or_resume(
      tmp_path / 'run', make_recipe(**{'stages.ensemble.selection': 'last'}), resume=True)
  training.train(run, source, split, tf.distribute.get_strategy(), ['ensemble'])
  assert run.read('ensemble/finished.json') == {'weights': 'last/epoch-2', 'epochs': 2}


def test_no_retracing(data_dir):
  """One trace for all batches and epochs of training, and for micro-batches of any size."""
  source = catalog.open_dataset('nwucla', str(data_dir), recipes.configs.DataConfig(), 32)
  recipe = make_recipe()
  method = runs.build_method(recipe, 'ensemble', 10)
  method.compile(optimizer=optimizers.Momentum(0.0))
  method.optimizer.build(method.trainable_variables)
  batches = clips.training_clips(
      source.videos(source.names[:9], recipe.modalities), recipe.clips, seed=0, epochs=range(3), batch_size=4)
  method.fit(batches.map(lambda clip, label, sample_id: (clip, label)), epochs=3, steps_per_epoch=2, verbose=0)
  assert method.train_tf_function.experimental_get_tracing_count() == 1
  for batch_size in (7, 16):
    fixed = clips.fixed_clips(source.videos(source.names[:3], recipe.modalities), recipe.clips, batch_size=batch_size)
    method.predict(fixed.map(lambda clip, *_: clip), verbose=0)
  assert method.predict_function.experimental_get_tracing_count() == 1


def test_training_never_opens_a_file_of_the_test_split(data_dir, tmp_path):
  """With the test view's prepared files gone, everything but the final evaluation still runs."""
  source = catalog.open_dataset('nwucla', str(data_dir), recipes.configs.DataConfig(), 32)
  split = protocols.split('nwucla', 'cross_view_1', source.names)
  files = list((data_dir / 'prepared').rglob('*view_1_*.tfrecord*'))
  assert files
  hidden = [path.rename(path.with_name('hidden-' + path.name)) for path in files]
  try:
    run = runs.Run.create_or_resume(tmp_path / 'run', make_recipe(), resume=True)
    training.train(run, source, split, tf.distribute.get_strategy(), ['ensemble'])
    assert run.read('ensemble/finished.json')['epochs'] == 2
  finally:
    for path, original in zip(hidden, files):
      path.rename(original)


def test_tensorboard_has_everything(data_dir, tmp_path):
  run = train(make_recipe(modalities='rgb,depth,flow'), data_dir, tmp_path)
  tags, plugins = set(), set()
  for path in run.directory.glob('tensorboard/*/events*'):
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
