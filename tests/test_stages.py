"""Recipes of several stages: order, what each starts from, one by one, other runs, noise, results."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line, in_process, native_files, tiny_stream
from tests.in_process import same, stream, train
from tf_privinfo import recipes, workflow
from tf_privinfo.networks import registry, slim_checkpoint
from tf_privinfo.recipes import settings
from tf_privinfo.runs import provenance, restore
from tf_privinfo.utils import errors

RESNET50 = registry.NETWORKS['resnet50']
STAGES = ['rgb', 'depth', 'joint', 'hallucination', 'finetune']


@pytest.fixture(scope='module', autouse=True)
def tiny_streams():
  """The stages are tested, not the network: that of every method is in tests/test_every_dataset.py."""
  with tiny_stream.in_place_of_resnet50():
    yield


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Two actions: eight training videos of the ten classes, two batches."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2))
  return directory


def make_recipe(method='modality_distillation', **values):
  return settings.override(recipes.recipe(method, 'nwucla', 'cross_view_3', 'tiny'), values)


@pytest.fixture(scope='module')
def run(data_dir, tmp_path_factory):
  """Modality distillation, its step 1 by itself, RGB as a user trains it, and then the rest."""
  output_dir = tmp_path_factory.mktemp('runs')
  for stage in ('rgb', 'depth'):
    unfinished = train(make_recipe(), data_dir, output_dir, stage=stage, slowly=stage == 'rgb')
    assert unfinished.read('results.json') is None
  return train(make_recipe(), data_dir, output_dir, stage='joint:')


@pytest.fixture(scope='module')
def ensemble(data_dir, tmp_path_factory):
  return train(make_recipe('ensemble'), data_dir, tmp_path_factory.mktemp('ensemble'))


def test_results_have_every_step(run):
  results = run.read('results.json')
  assert list(results['stages']) == STAGES and results['clips_per_video'] == 1
  reads = {stage: result['reads'] for stage, result in results['stages'].items()}
  assert reads == {'rgb': ['rgb'], 'depth': ['depth'], 'joint': ['rgb', 'depth'], 'hallucination': ['rgb'],
                   'finetune': ['rgb']}
  assert set(results['stages']['hallucination']['accuracy_with_true_depth']) == {'hall', 'sum', 'oracle'}
  assert results['accuracy'] == results['stages']['finetune']['accuracy']
  assert set(results['accuracy']) == {'rgb', 'hall', 'sum', 'oracle'}


@pytest.mark.parametrize('direction', ['none', 'rgb_to_depth'])
def test_connections_change_nothing_of_step_1(direction, run, data_dir, tmp_path):
  """Bit-identical, so that runs with other connections can take it over."""
  recipe = make_recipe(**{'connections.direction': direction})
  assert recipes.shared_stages(recipe, run.recipe) == ['rgb', 'depth']
  other = train(recipe, data_dir, tmp_path, stage='depth')
  in_process.assert_same_checkpoints(*(r.stage_directory('depth') / 'last' / 'epoch-1' for r in (run, other)))


def test_frozen_streams_come_out_of_step_3_as_they_went_in(run):
  for name in ('rgb', 'depth'):
    assert all(same(stream(run, 'hallucination', name), stream(run, 'joint', name)))
  assert not any(same(stream(run, 'hallucination', 'hall'), stream(run, 'joint', 'depth')))


def test_deployed_model_reads_rgb_alone(run, tmp_path):
  workflow.export(str(run.directory), tmp_path / 'served')
  served = tf.saved_model.load(str(tmp_path / 'served' / '1'))
  assert set(served.signatures) == {'serving_default', 'rgb', 'rgb_jpeg'}
  clip = np.random.default_rng(0).integers(0, 256, (2, 5, 32, 32, 3)).astype(np.uint8)
  expected = restore.restore_method(run)({'rgb': tf.constant(clip, tf.float32)})
  logits = served.signatures['serving_default'](rgb=tf.constant(clip))['logits']
  np.testing.assert_allclose(logits, (expected['rgb'] + expected['hall']) / 2, rtol=1e-4, atol=1e-5)


def test_tensorboard_of_step_3(run):
  tags = set()
  for path in (run.directory / 'tensorboard' / 'hallucination').glob('events*'):
    for record in tf.data.TFRecordDataset(str(path)):
      tags.update(value.tag for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value)
  assert {'loss_maps/hall', 'loss_soft/hall', 'loss_hard/hall', 'train/loss', 'accuracy/hall',
          'maps/block4_true_above_hallucinated', 'clips/depth'} <= tags


def test_noise_sweep(run, data_dir, capsys):
  """Depth's own line and the two streams' move, those that read RGB alone are flat; variance 0 is the clean result."""
  with in_process.quick():
    workflow.sweep_noise(str(run.directory), str(data_dir), '0,10,void')
  stages = run.read('noise.json')['stages']
  clean = run.read('results.json')['stages']
  for stage in STAGES:
    assert list(stages[stage]) == ['0', '10', 'void']
    assert stages[stage]['0'] == clean[stage]['accuracy']['sum']
  for stage in ('rgb', 'hallucination', 'finetune'):
    assert len(set(stages[stage].values())) == 1
  assert (run.directory / 'noise.png').read_bytes().startswith(b'\x89PNG')
  printed = ' '.join(capsys.readouterr().out.split())
  assert '| noise on depth | 0 | 10 | void |' in printed and 'noise.png' in printed


def test_noise_needs_depth(ensemble, data_dir):
  with pytest.raises(errors.UserError, match='reads rgb'):
    workflow.sweep_noise(str(ensemble.directory), str(data_dir), '0')
  with pytest.raises(errors.UserError, match='loud'):
    workflow.sweep_noise(str(ensemble.directory), str(data_dir), '0,loud')


def test_imagenet_weights_start_step_1(data_dir, tmp_path, capsys, monkeypatch):
  """Given by the path of a TensorFlow 1 checkpoint; step 1 says what it took."""
  monkeypatch.setitem(registry.NETWORKS, 'resnet50', RESNET50)
  recipe = make_recipe(**{'stages.rgb.learning_rate': 0.0})
  network = restore.initial_method(settings.override(recipe, {'seed': 5}), 'rgb', 10).streams['rgb']
  path = str(tmp_path / 'resnet_v1_50.ckpt')
  tf.compat.v1.train.Saver(slim_checkpoint.slim_variables(network)).save(None, path)
  run = train(settings.override(recipe, {'network.pretrained': path}), data_dir, tmp_path, stage='rgb')
  assert f'from {path}' in capsys.readouterr().out and provenance.describe(run)['initial_weights'] == path
  loaded = restore.restore_method(run, 'rgb').streams['rgb']
  np.testing.assert_array_equal(loaded.stem.conv.kernel, network.stem.conv.kernel)
  assert not np.array_equal(loaded.classifier.kernel, network.classifier.kernel)


def test_another_run_gives_its_streams(run, data_dir, tmp_path):
  recipe = make_recipe(init_from=str(run.directory), **{'stages.rgb.learning_rate': 0.0})
  again = train(recipe, data_dir, tmp_path, stage='rgb')
  kernels = [{name: value for name, value in stream(r, 'rgb', 'rgb').items() if 'kernel' in name}
             for r in (again, run)]  # batch statistics move
  assert all(same(*kernels))


def test_another_run_with_other_classes(run, data_dir, tmp_path):
  """Refused in words; with a new classifier the rest is taken."""
  other = tmp_path / 'other'
  other.mkdir()
  (other / 'recipe.yaml').write_text((run.directory / 'recipe.yaml').read_text())
  manifest = {**run.read('manifest.json'), 'label_names': ['a', 'b', 'c']}
  (other / 'manifest.json').write_text(json.dumps(manifest))
  with pytest.raises(errors.UserError, match='3 classes.*10.*--new_classifier'):
    train(make_recipe(init_from=str(other)), data_dir, tmp_path, stage='rgb')
  with pytest.raises(errors.UserError, match='no stage stream to start from, only rgb, depth, joint'):
    train(make_recipe('single_stream', init_from=str(run.directory)), data_dir, tmp_path)


def test_stage_without_its_predecessor(data_dir, tmp_path):
  with pytest.raises(errors.UserError, match='joint starts from stage rgb, which has not finished.*--stage=rgb'):
    train(make_recipe(), data_dir, tmp_path, stage='joint')
  with pytest.raises(errors.UserError, match='Unknown --stage=fusion.*rgb, depth, joint'):
    train(make_recipe(), data_dir, tmp_path, stage='fusion')


def test_unaligned_modalities_of_different_sizes(data_dir, tmp_path):
  root = native_files.write_nwucla(tmp_path / 'data', actions=(1, 2))
  for path in root.rglob('*_depth.png'):
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), (64, 40)))
  with pytest.raises(errors.UserError, match='rgb 48x36, depth 64x40.*data.aligned=true'):
    train(make_recipe(**{'data.aligned': False}), tmp_path / 'data', tmp_path)
  [path] = tmp_path.rglob('metadata.json')
  assert len(json.loads(path.read_text())['unlike_sizes']) == 1 < len(list(root.glob('view_*/*')))


def test_names_of_runs_stay_short_and_differ():
  recipe = make_recipe()
  values = {**recipes.training_stages(recipe, 'epochs', 3), **recipes.training_stages(recipe, 'batch_size', 2)}
  names = {recipes.run_name(settings.override(recipe, {**values, 'init_from': path})) for path in ('a/b', 'a/c')}
  assert len(names) == 2 and all(len(name) < 200 and '/' not in name for name in names)
  assert recipes.run_name(recipe) == 'tiny-cross_view_3-code-seed0'


def test_seeds_of_stages_differ_and_are_functions_of_the_recipe():
  recipe = make_recipe('ensemble')
  first, again, second = (restore.initial_method(recipe, stage, 3) for stage in ('rgb', 'rgb', 'rgb_2'))
  kernel = lambda method: next(iter(method.streams.values())).classifier.kernel.numpy()
  np.testing.assert_array_equal(kernel(first), kernel(again))
  assert not np.array_equal(kernel(first), kernel(second))


def test_ensemble_end_to_end(ensemble):
  """Its last stage takes the two networks as they are."""
  assert set(ensemble.read('results.json')['accuracy']) == {'rgb', 'rgb_2', 'sum', 'oracle'}
  assert ensemble.read('joint/finished.json') == {'weights': 'last/epoch-0', 'epochs': 0}
  assert all(same(stream(ensemble, 'joint', 'rgb_2'), stream(ensemble, 'rgb_2', 'rgb_2')))


@pytest.mark.slow  # their stages are of the kinds that modality_distillation has
@pytest.mark.parametrize('method, streams', [('two_stream', {'rgb', 'depth'}), ('hoffman', {'rgb', 'hall'})])
def test_baselines_end_to_end(method, streams, data_dir, tmp_path):
  run = train(make_recipe(method), data_dir, tmp_path, slowly=True)
  assert set(run.read('results.json')['accuracy']) == {*streams, 'sum', 'oracle'}


@pytest.mark.slow
def test_killed_inside_every_stage_equals_uninterrupted(tmp_path):
  """SIGKILL inside each of the stages: weights, optimizer, history and results are bit-identical."""
  data_dir = native_files.write_nwucla(tmp_path / 'data').parent
  flags = ['--method=modality_distillation', '--dataset=nwucla', f'--data_dir={data_dir}', '--preset=tiny',
           '--epochs=6']
  command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "whole"}')
  whole, killed = (tmp_path / name / 'nwucla/modality_distillation' for name in ('whole', 'killed'))
  rng = np.random.default_rng()
  for stage in STAGES:
    process = command_line.start('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
    command_line.wait_for_epoch(tmp_path / 'killed', f'{stage}/history.json', rng.integers(1, 5), process)
    process.kill()
    process.communicate()
    assert not list(killed.glob(f'*/{stage}/finished.json'))
  command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
  [whole], [killed] = whole.iterdir(), killed.iterdir()
  for stage in STAGES:
    in_process.assert_same_checkpoints(whole / stage / 'last/epoch-6', killed / stage / 'last/epoch-6')
    for name in ('history.json', 'finished.json'):
      assert (whole / stage / name).read_text() == (killed / stage / name).read_text(), name
  assert (whole / 'results.json').read_text() == (killed / 'results.json').read_text()
