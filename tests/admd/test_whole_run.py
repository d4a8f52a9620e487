"""ADMD (chapter 4) from native files to results: its stages, other depth, mistakes of a user, the whole job."""

import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests import command_line, in_process, test_readme
from tests.admd.tiny_recipes import make_recipe, READS, STREAMS
from tests.in_process import same, stream, train
from tf_privinfo import workflow
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.networks import discriminator
from tf_privinfo.runs import checkpoints
from tf_privinfo.utils import errors

# A whole run.


@pytest.mark.parametrize('fixture, samples, validation', [
    ('nyud_run', 6, 3), pytest.param('nwucla_run', 4, 2, marks=pytest.mark.slow)])
def test_run_has_all_stages_and_its_switch(fixture, samples, validation, request):
  """All stages finished, those that classify were evaluated; a threshold was chosen, also under table 4.6's noise."""
  run = request.getfixturevalue(fixture)
  results, switch = run.read('results.json'), run.read('switch.json')
  assert results['samples'] == samples and list(results['stages']) == list(READS)
  for stage, result in results['stages'].items():
    assert run.read(f'{stage}/finished.json')
    assert result['reads'] == READS[stage]
    assert list(result['accuracy']) == [*STREAMS[stage], 'sum', 'oracle']
  assert results['accuracy'] == results['stages']['fused']['accuracy']
  assert 0 <= switch['threshold'] < 1 and switch['samples'] == validation
  assert set(switch['levels']) >= set(NOISE_LEVELS)
  for level in switch['levels'].values():
    assert level['hallucinated'] == switch['levels']['0']['hallucinated']
    share = level['hallucinated_share']
    assert share not in (0, 1) or level['switched'] == level['hallucinated' if share else 'trusted']
  void = switch['levels']['void']
  assert void['hallucinated_share'] == void['fake_probability'] == 1 > switch['levels']['0']['fake_probability']


@pytest.mark.parametrize('fixture, validation, width', [
    ('nyud_run', 3, 8), pytest.param('nwucla_run', 2, 8, marks=pytest.mark.slow)])
def test_projector_has_real_and_hallucinated_features(fixture, validation, width, request):
  """One row of features for each validation sample and kind, with the class and the kind beside it."""
  directory = request.getfixturevalue(fixture).directory / 'tensorboard' / 'features'
  features = np.loadtxt(directory / 'features.tsv', delimiter='\t')
  assert features.shape == (2 * validation, width)
  assert not np.allclose(features[:validation], features[validation:])
  with open(directory / 'labels.tsv', newline='') as file:
    header, *rows = csv.reader(file, delimiter='\t')
  assert header == ['class', 'features']
  assert [kind for _, kind in rows] == ['depth'] * validation + ['hall'] * validation
  classes = [label for label, _ in rows]
  assert classes[:validation] == classes[validation:] and len(set(classes)) == validation
  config = (directory / 'projector_config.pbtxt').read_text()
  assert 'features.tsv' in config and 'labels.tsv' in config


def test_only_the_players_of_the_game_learn_in_it(nyud_run):
  """Depth comes out as it went in, hall starts as depth and keeps its classifier, and the last stage fuses the two."""
  depth, hall = stream(nyud_run, 'joint', 'depth'), stream(nyud_run, 'game', 'hall')
  assert all(same(stream(nyud_run, 'game', 'depth'), depth))
  moved = [name for name, equal in zip(hall, same(hall, depth)) if not equal]
  assert moved and not any('classifier' in name for name in moved)
  assert all(same(stream(nyud_run, 'fused', 'hall'), hall))
  assert all(same(stream(nyud_run, 'fused', 'rgb'), stream(nyud_run, 'joint', 'rgb')))


def test_the_discriminator_alone_learns_to_watch(nyud_run):
  """It goes on from where the game ended, and the depth stream stays."""
  assert all(same(stream(nyud_run, 'watch', 'depth'), stream(nyud_run, 'joint', 'depth')))
  assert not any(same(stream(nyud_run, 'watch', 'discriminator'), stream(nyud_run, 'game', 'discriminator')))
  [history] = nyud_run.read('watch/history.json')
  assert 0 <= history['discriminator/fake_probability_noise'] <= 1 and not any('validation' in name for name in history)


@pytest.mark.slow
def test_two_streams_of_videos_are_not_trained_together(nwucla_run):
  assert nwucla_run.read('joint/finished.json') == {'weights': 'last/epoch-0', 'epochs': 0}
  for name in ('rgb', 'depth'):
    assert all(same(stream(nwucla_run, 'joint', name), stream(nwucla_run, name, name)))


@pytest.mark.parametrize('fixture', ['nyud_run', pytest.param('nwucla_run', marks=pytest.mark.slow)])
def test_tensorboard_shows_both_players(fixture, request):
  """The losses of both, and whether the discriminator sees through either kind of features: the history's values."""
  run = request.getfixturevalue(fixture)
  shown = {}
  for path in run.directory.glob('tensorboard/game/events*'):
    for record in tf.data.TFRecordDataset(str(path)):
      for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
        if value.metadata.plugin_data.plugin_name == 'scalars':
          shown[value.tag] = float(tf.make_ndarray(value.tensor))
  [history] = run.read('game/history.json')
  shares = [f'discriminator/{quantity}_{features}' for quantity in ('accuracy', 'fake_probability')
            for features in ('depth', 'hall')]
  assert all(0 <= shown[name] <= 1 for name in shares)
  assert shown['train/d_loss'] > 0 and shown['train/g_loss'] > 0 and shown['gradient_norm/discriminator'] > 0
  for name in ('d_loss', 'g_loss', *shares, 'gradient_norm/discriminator', 'gradient_norm/hall', 'accuracy/hall'):
    assert shown[name if '/' in name else f'train/{name}'] == pytest.approx(history[name], rel=1e-5), name


# Depth of another origin.


def test_evaluation_with_estimated_depth(nyud_run, nyud_dir, capsys):
  """Of images without content the depth stream makes nothing; the run's own results stay as they were."""
  before = {path.name: path.read_bytes() for path in nyud_run.directory.iterdir() if path.is_file()}
  with in_process.quick():
    workflow.evaluate(str(nyud_run.directory), str(nyud_dir), 'estimated')
  assert {path.name: path.read_bytes() for path in nyud_run.directory.iterdir() if path.is_file()} == before
  folder = nyud_run.directory / 'depth_estimated'
  assert str(folder / 'results.json') in capsys.readouterr().out and (folder / 'confusion_sum.png').exists()
  own, other = nyud_run.read('results.json'), json.loads((folder / 'results.json').read_text())
  assert (own['depth_variant'], other['depth_variant']) == ('depth', 'estimated')
  assert other['stages']['depth']['accuracy']['depth'] == pytest.approx(1 / 3)
  for stage in ('rgb', 'game', 'fused'):
    assert other['stages'][stage] == own['stages'][stage]
  with pytest.raises(errors.UserError, match="no folder 'fcrn'"):
    workflow.evaluate(str(nyud_run.directory), str(nyud_dir), 'fcrn')


# What a user can get wrong.


@pytest.mark.parametrize('method, dataset, known', [
    ('dmcl', 'nyud', 'two_stream, single_stream'), ('moddrop', 'nwucla', 'dmcl, smcl'),
    ('hoffman', 'synthetic_objects', 'moddrop, autoencoder'), ('autoencoder', 'synthetic', 'admd, naive_adversarial')])
def test_method_that_the_dataset_does_not_have(method, dataset, known, tmp_path):
  message = command_line.fail('train_main', f'--method={method}', f'--dataset={dataset}', f'--output_dir={tmp_path}')
  assert message.startswith(f'Error: --method={method} is not one for {dataset}: choose one of ')
  assert known in message and message.count('\n') == 1 and not list(tmp_path.iterdir())


def test_switch_without_validation_samples(nyud_dir, tmp_path):
  """Told before any stage is trained."""
  with pytest.raises(errors.UserError, match='validation samples.*raise data.hold_out'):
    train(make_recipe(**{'data.hold_out': 0.0}), nyud_dir, tmp_path)
  assert not list(tmp_path.glob('*/*/*/*/')), 'a stage was begun'


def test_discriminator_of_other_classes(nyud_run):
  """Three classes and 'fake' do not fit four; the discriminator stays as it was."""
  other = discriminator.Discriminator(4, nyud_run.recipe.discriminator)
  other(tf.zeros([1, 16]))
  before = other.get_weights()
  with pytest.raises(errors.UserError, match=r'does not fit this recipe \(discriminator\)') as error:
    checkpoints.load_networks({'discriminator': other}, nyud_run.weights('game'))
  assert 'head.kernel has shape [24, 4] there and [24, 5] here' in str(error.value)
  for now, then in zip(other.get_weights(), before, strict=True):
    np.testing.assert_array_equal(now, then)


def test_discriminator_of_another_form(nyud_run, tmp_path):
  """A run whose recipe was changed afterwards: the message says which of the networks does not fit."""
  shutil.copytree(nyud_run.directory, tmp_path / 'run', ignore=shutil.ignore_patterns('tensorboard', 'saved_model'))
  path = tmp_path / 'run' / 'recipe.yaml'
  recipe = yaml.safe_load(path.read_text())
  recipe['discriminator']['hidden'][-1] = 20
  path.write_text(yaml.safe_dump(recipe))
  with pytest.raises(errors.UserError, match='does not fit this recipe') as error:
    workflow.export(str(tmp_path / 'run'), tmp_path / 'served')
  assert 'discriminator.head.kernel has shape [24, 4] there and [20, 4] here' in str(error.value)
  assert not (tmp_path / 'served').exists()


# The whole job.


@pytest.mark.slow
def test_killed_inside_the_game_equals_uninterrupted(nyud_dir, tmp_path):
  """SIGKILL while they play: both players, both optimizers, history, results and the switch are bit-identical."""
  flags = ['--method=admd', '--dataset=nyud', f'--data_dir={nyud_dir}', '--preset=tiny', '--epochs=6']
  command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "whole"}')
  process = command_line.start('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
  epoch = np.random.default_rng().integers(1, 5)
  command_line.wait_for_epoch(tmp_path / 'killed', 'game/history.json', epoch, process)
  process.kill()
  process.communicate()
  assert not list((tmp_path / 'killed').glob('*/*/*/game/finished.json'))
  printed = command_line.succeed('train_main', *flags, f'--output_dir={tmp_path / "killed"}')
  assert 'Stage game: resuming after epoch' in printed and 'Stage joint' not in printed
  [whole], [killed] = ((tmp_path / name).glob('nyud/admd/*') for name in ('whole', 'killed'))
  for stage in (*READS, 'watch'):
    last = 'last/epoch-0' if stage == 'fused' else 'last/epoch-6'
    in_process.assert_same_checkpoints(whole / stage / last, killed / stage / last)
    names = ['finished.json'] if stage == 'fused' else ['finished.json', 'history.json']
    for name in names:
      assert (whole / stage / name).read_text() == (killed / stage / name).read_text(), f'{stage}/{name}'
  saved = in_process.saved_variables(whole / 'game/last/epoch-6')
  for optimizer in ('optimizer', 'discriminator_optimizer'):
    names = [name for name in saved if name.startswith(f'{optimizer}/')]
    [iterations] = [name for name in names if '/_iterations/' in name]
    assert saved[iterations] == 6 * 2 and len(names) > 10  # two steps an epoch; and the momenta
  for name in ('results.json', 'switch.json'):
    assert (whole / name).read_text() == (killed / name).read_text(), name


@pytest.mark.slow
def test_order_of_the_methods_on_the_synthetic_objects(tmp_path):
  """That of tables 4.3 and 4.5, with one seed: hallucinated depth helps RGB, and needs a discriminator of classes."""
  test_readme.compare_methods(tmp_path, '--dataset=synthetic_objects',
                              '--methods=ensemble,naive_adversarial,admd', '--seeds=0')
  stages = {}
  for method in ('ensemble', 'naive_adversarial', 'admd'):
    [path] = tmp_path.glob(f'synthetic_objects/{method}/*/results.json')
    stages[method] = json.loads(path.read_text())['stages']
  assert stages['ensemble']['rgb'] == stages['admd']['rgb'] == stages['naive_adversarial']['rgb']
  assert stages['admd']['fused']['accuracy']['sum'] > stages['admd']['rgb']['accuracy']['sum']
  hall = {method: stages[method]['game']['accuracy']['hall'] for method in ('naive_adversarial', 'admd')}
  assert hall['naive_adversarial'] < hall['admd'] - 0.1
