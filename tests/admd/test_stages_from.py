"""Stages that methods of chapter 4 take over from other runs."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests import in_process, native_files
from tests.admd.tiny_recipes import make_recipe, READS
from tests.in_process import same, stream, train
from tf_privinfo import runs
from tf_privinfo.runs import restore
from tf_privinfo.utils import errors


def assert_taken_over(run, donor, printed, stages):
  """They were copied, file by file, and not trained again."""
  assert f'Taken over from {donor.directory}: stage {", ".join(stages)}\n' in printed
  for stage in stages:
    files = [path.relative_to(donor.directory) for path in donor.stage_directory(stage).rglob('*') if path.is_file()]
    assert len(files) > 4
    for file in files:
      assert (run.directory / file).read_bytes() == (donor.directory / file).read_bytes(), file
    assert not (run.directory / 'tensorboard' / stage).exists()


@pytest.fixture
def train_beside(nyud_run, nyud_dir, capsys):
  """Trains another method in the same --output_dir, with --stages_from=auto; returns the run and what was printed."""
  def train_method(method, **values):
    run = train(make_recipe(method, **values), nyud_dir, nyud_run.directory.parents[2], stages_from='auto')
    return run, capsys.readouterr().out
  return train_method


def test_moddrop_on_the_two_streams_of_another_run(nyud_run, train_beside):
  """It is also tested without depth: then the depth stream always answers the same."""
  run, printed = train_beside('moddrop')
  assert_taken_over(run, nyud_run, printed, ['rgb', 'depth', 'joint'])
  stages = run.read('results.json')['stages']
  assert list(stages) == ['rgb', 'depth', 'joint', 'moddrop']
  assert stages['joint'] == nyud_run.read('results.json')['stages']['joint']
  seeing, blind = stages['moddrop']['accuracy'], stages['moddrop']['accuracy_with_void_depth']
  assert list(blind) == list(seeing) == ['rgb', 'depth', 'sum', 'oracle']
  assert blind['rgb'] == seeing['rgb'] and blind['depth'] == pytest.approx(1 / 3)
  assert not any(same(stream(run, 'moddrop', 'rgb'), stream(run, 'joint', 'rgb')))
  assert not [stage for stage in stages if stage != 'moddrop' and 'accuracy_with_void_depth' in stages[stage]]


def test_autoencoder_on_the_two_streams_of_another_run(nyud_run, train_beside):
  """Its last stage reads RGB alone, and its depth stream what the autoencoder makes of it."""
  run, printed = train_beside('autoencoder')
  assert_taken_over(run, nyud_run, printed, ['rgb', 'depth', 'joint'])
  stages = run.read('results.json')['stages']
  assert list(stages) == ['rgb', 'depth', 'joint', 'fused']
  assert stages['fused']['reads'] == ['rgb'] and list(stages['fused']['accuracy']) == ['rgb', 'depth', 'sum', 'oracle']
  [history] = run.read('autoencoder/history.json')
  assert 0 < history['loss'] < 255**2 and not any('accuracy' in name for name in history)
  fused, joint = restore.restore_method(run, 'fused'), restore.restore_method(run, 'joint')
  rgb = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32, 3)), tf.float32)
  estimated = restore.restore_method(run, 'autoencoder').streams['autoencoder'](rgb)
  expected = joint({'rgb': rgb, 'depth': estimated})
  for name, logits in fused({'rgb': rgb}).items():
    np.testing.assert_allclose(logits, expected[name], atol=1e-5)


@pytest.mark.slow
def test_naive_game_on_the_two_streams_of_another_run(nyud_run, train_beside):
  """The stages before the game are taken over, the game is played anew against one output; there is no switch."""
  run, printed = train_beside('naive_adversarial')
  assert_taken_over(run, nyud_run, printed, ['rgb', 'depth', 'joint'])
  results = run.read('results.json')
  assert list(results['stages']) == list(READS) and list(results['accuracy']) == ['rgb', 'hall', 'sum', 'oracle']
  head = stream(run, 'game', 'discriminator')['head/kernel/.ATTRIBUTES/VARIABLE_VALUE']
  assert head.shape == (24, 1)
  assert not all(same(stream(run, 'game', 'hall'), stream(nyud_run, 'game', 'hall')))
  assert not (run.directory / 'switch.json').exists()


@pytest.mark.slow
def test_modality_distillation_on_the_two_streams_of_another_run(nyud_run, train_beside):
  run, printed = train_beside('modality_distillation')
  assert_taken_over(run, nyud_run, printed, ['rgb', 'depth', 'joint'])
  stages = run.read('results.json')['stages']
  assert list(stages) == ['rgb', 'depth', 'joint', 'hallucination', 'fused']
  assert stages['hallucination']['reads'] == stages['fused']['reads'] == ['rgb']
  assert all(same(stream(run, 'hallucination', 'depth'), stream(nyud_run, 'joint', 'depth')))
  assert all(same(stream(run, 'fused', 'hall'), stream(run, 'hallucination', 'hall')))


@pytest.mark.slow
def test_ensemble_on_the_rgb_stream_of_another_run(nyud_run, train_beside):
  """Only the first network is shared; the second one is another."""
  run, printed = train_beside('ensemble')
  assert_taken_over(run, nyud_run, printed, ['rgb'])
  assert (run.directory / 'tensorboard' / 'rgb_2').exists()
  assert not any(same(stream(run, 'joint', 'rgb_2'), stream(nyud_run, 'rgb', 'rgb')))
  assert all(same(stream(run, 'joint', 'rgb'), stream(nyud_run, 'rgb', 'rgb')))
  assert list(run.read('results.json')['accuracy']) == ['rgb', 'rgb_2', 'sum', 'oracle']


def test_single_stream_has_no_stage_in_common(train_beside):
  """With nothing to take over `auto` trains, and says nothing."""
  run, printed = train_beside('single_stream', modalities='depth')
  assert 'Taken over' not in printed
  results = run.read('results.json')
  assert results['stages']['stream']['reads'] == ['depth']
  assert list(results['accuracy']) == ['depth', 'sum', 'oracle']


def test_stages_taken_over_are_what_training_gives(nyud_run, nyud_dir, tmp_path, capsys):
  """Stage depth of `two_stream`, trained from nothing, is bit-identical: weights and what the optimizer remembers."""
  run = train(make_recipe('two_stream'), nyud_dir, tmp_path, stage='depth')
  assert 'Taken over' not in capsys.readouterr().out and (run.directory / 'tensorboard' / 'depth').exists()
  in_process.assert_same_checkpoints(*(r.stage_directory('depth') / 'last' / 'epoch-1' for r in (run, nyud_run)))
  assert all(same(stream(run, 'depth', 'depth'), stream(nyud_run, 'depth', 'depth')))


@pytest.mark.parametrize('values', [{'seed': 1}, {'clips.flip': True}, {'stages.rgb.epochs': 2}])
def test_run_of_another_recipe_gives_no_stages(values, nyud_run, nyud_dir, tmp_path):
  """With another seed, other clips or another schedule; nothing was trained when it is refused."""
  with pytest.raises(errors.UserError, match='shares no finished stage with this recipe') as error:
    train(make_recipe(**values), nyud_dir, tmp_path, stages_from=str(nyud_run.directory))
  assert str(nyud_run.directory) in str(error.value) and not list(tmp_path.glob('*/*/*/*/'))


def test_run_on_other_data_gives_no_stages(nyud_run, tmp_path):
  """The same recipe on files of which there are more."""
  data_dir = native_files.write_nyud(tmp_path / 'data', train=5)
  with pytest.raises(errors.UserError, match='shares no finished stage.*manifest.json'):
    train(make_recipe(), data_dir, tmp_path / 'runs', stages_from=str(nyud_run.directory))
  assert not list((tmp_path / 'runs').glob('*/*/*/*/'))
  with pytest.raises(errors.UserError, match='/nowhere is not a run directory'):
    train(make_recipe(), data_dir, tmp_path / 'runs', stages_from='/nowhere')


def test_auto_passes_over_runs_that_it_cannot_read(nyud_run, nyud_dir, tmp_path, capsys):
  """A run of another version of the recipes in the same --output_dir is nobody's mistake: others give their stages."""
  donor = tmp_path / 'nyud' / 'admd' / 'tiny'
  shutil.copytree(nyud_run.directory, donor, ignore=shutil.ignore_patterns('tensorboard', 'saved_model'))
  old = tmp_path / 'nyud' / 'admd' / 'old'
  old.mkdir()
  recipe = yaml.safe_load((donor / 'recipe.yaml').read_text())
  (old / 'recipe.yaml').write_text(yaml.safe_dump({**recipe, 'forgotten': 3}))
  run = train(make_recipe('moddrop'), nyud_dir, tmp_path, stage='joint', stages_from='auto')
  assert_taken_over(run, runs.Run.open(str(donor)), capsys.readouterr().out, ['rgb', 'depth', 'joint'])
