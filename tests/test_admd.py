"""ADMD (chapter 4) and what it is compared with, from native files to results: stages, switch, stages of other runs."""

import csv
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests import command_line, in_process, native_files, test_readme, tiny_stream
from tests.in_process import same, stream, train
from tf_privinfo import recipes, runs, workflow
from tf_privinfo.datasets import catalog, clips, depth_noise, registry
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.networks import discriminator
from tf_privinfo.recipes import settings
from tf_privinfo.runs import checkpoints, restore
from tf_privinfo.utils import errors

# Of the stages that classify; `watch`, which trains the discriminator, does not.
READS = {'rgb': ['rgb'], 'depth': ['depth'], 'joint': ['rgb', 'depth'], 'game': ['rgb'], 'fused': ['rgb']}
STREAMS = {'rgb': ['rgb'], 'depth': ['depth'], 'joint': ['rgb', 'depth'], 'game': ['hall'], 'fused': ['rgb', 'hall']}
TABLE_4_6 = ['0', '1e-3', '1e-2', '1e-1', '1', '10', 'void']


def make_recipe(method='admd', seed=0, **values):
  """On the objects, with rates at which two steps make a difference."""
  recipe = recipes.recipe(method, 'nyud', 'given', 'tiny', seed=seed)
  rates = {'stages.rgb.learning_rate': 0.01, 'stages.depth.learning_rate': 0.01, 'stages.game.learning_rate': 0.01}
  known = settings.flatten(recipe)
  return settings.override(recipe, {**{path: rate for path, rate in rates.items() if path in known}, **values})


@pytest.fixture(scope='module', autouse=True)
def tiny_streams():
  """Stages, switch and exports are tested, not the network: see tests/test_every_dataset.py."""
  with tiny_stream.in_place_of_resnet50():
    yield


@pytest.fixture(scope='module')
def nyud_dir(tmp_path_factory):
  """Objects, with a second folder of depth images, `estimated`, all of one grey."""
  directory = native_files.write_nyud(tmp_path_factory.mktemp('nyud'))
  native_files.write_nyud(directory, depth='estimated')
  for path in directory.glob('*/estimated/*/*.png'):
    cv2.imwrite(str(path), np.full_like(cv2.imread(str(path)), 90))
  return directory


@pytest.fixture(scope='module')
def output_dir(tmp_path_factory):
  return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def nyud_run(nyud_dir, output_dir):
  """On objects."""
  return train(make_recipe(), nyud_dir, output_dir)


@pytest.fixture(scope='module')
def nwucla_run(tmp_path_factory):
  """On videos of two actions, of whose four training videos one validates."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2), frames=6)
  recipe = recipes.recipe('admd', 'nwucla', 'cross_view_3', 'tiny')
  return train(settings.override(recipe, {'data.hold_out': 0.25}), directory, tmp_path_factory.mktemp('videos'))


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
  assert set(switch['levels']) >= set(TABLE_4_6)
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


# Stages of other runs.


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


# The switch under noise, and as a server has it.


@pytest.fixture(scope='module')
def networks(nyud_run):
  """The methods that the switch stands for, each from the checkpoint of its own stage."""
  return {stage: restore.restore_method(nyud_run, stage) for stage in ('joint', 'watch', 'fused')}


@pytest.fixture(scope='module')
def clips_of_test(nyud_run, nyud_dir):
  """A function that gives all test samples in one batch under a noise on depth: (clips, labels)."""
  recipe = nyud_run.recipe
  source = catalog.open_dataset('nyud', str(nyud_dir), recipe.data, recipe.clips.frame_size)
  names = registry.split('nyud', 'given', source.names).test

  def batch(level):
    videos = source.videos(names, ('rgb', 'depth'))
    noise = depth_noise.DepthNoise.parse(level)
    [(result, labels, _)] = clips.evaluation_clips(videos, recipe.clips, depth_noise=noise)
    return result, labels.numpy()

  return batch


def branches(networks, batch):
  """What the switch chooses from, by the methods of its stages: logits of both branches, and scores by hand."""
  trusted, hallucinated = networks['joint'](batch), networks['fused']({'rgb': batch['rgb']})
  watch = networks['watch']
  features = watch.streams['depth'].end_points(batch['depth'])['features']
  outputs = watch.discriminator(features).numpy().astype(np.float64)
  scores = np.exp(outputs[:, -1]) / np.exp(outputs).sum(axis=1)
  pixels = batch['depth'].numpy().reshape(len(scores), -1, 3)
  scores[np.ptp(pixels, axis=1).max(axis=1) == 0] = 1
  return {'trusted': (trusted['rgb'] + trusted['depth']).numpy() / 2,
          'hallucinated': (hallucinated['rgb'] + hallucinated['hall']).numpy() / 2}, scores


@pytest.fixture(scope='module')
def torn_run(nyud_run, networks, clips_of_test, tmp_path_factory):
  """A copy of the run with a threshold between the scores of the clean test samples: some are switched, some not."""
  scores = np.sort(branches(networks, clips_of_test('0')[0])[1])
  gap = 1 + np.argmax(np.diff(scores)[1:-1])
  assert scores[gap + 1] - scores[gap] > 1e-5, scores
  directory = tmp_path_factory.mktemp('torn') / 'run'
  shutil.copytree(nyud_run.directory, directory, ignore=shutil.ignore_patterns('tensorboard', 'saved_model'))
  run = runs.Run.open(str(directory))
  run.write('switch.json', {**run.read('switch.json'), 'threshold': float(scores[gap:gap + 2].mean())})
  return run


def test_noise_sweep_has_both_branches_and_the_switch(torn_run, nyud_dir, networks, clips_of_test, capsys):
  """All figures are those of the stages' own methods, the switch's own those of the branch that the score chooses."""
  levels = ['0', 'void', 'holes:0.3']
  with in_process.quick():
    workflow.sweep_noise(str(torn_run.directory), str(nyud_dir), ','.join(levels))
  result, clean = torn_run.read('noise.json'), torn_run.read('results.json')['stages']
  stages, switch = result['stages'], result['switch']
  assert list(stages) == list(READS) and list(switch['levels']) == levels and list(switch['roc']) == levels[1:]
  for stage, accuracy in stages.items():
    assert list(accuracy) == levels and accuracy['0'] == clean[stage]['accuracy']['sum']
  for stage in ('rgb', 'game', 'fused'):
    assert len(set(stages[stage].values())) == 1
  assert stages['depth']['void'] == pytest.approx(1 / 3)

  threshold, all_scores = torn_run.read('switch.json')['threshold'], {}
  assert switch['threshold'] == threshold
  for level in levels:
    batch, labels = clips_of_test(level)
    logits, all_scores[level] = branches(networks, batch)
    right = {branch: z.argmax(axis=1) == labels for branch, z in logits.items()}
    switched = all_scores[level] > threshold
    right['switched'] = np.where(switched, right['hallucinated'], right['trusted'])
    found = switch['levels'][level]
    for name, hits in right.items():
      assert found[name] == pytest.approx(hits.mean()), (level, name)
    assert (found['trusted'], found['hallucinated']) == (stages['joint'][level], stages['fused'][level])
    assert found['hallucinated_share'] == pytest.approx(switched.mean())
    assert found['fake_probability'] == pytest.approx(all_scores[level].mean(), rel=1e-3)
  assert 0 < switch['levels']['0']['hallucinated_share'] < 1
  assert switch['levels']['void']['hallucinated_share'] == switch['levels']['void']['fake_probability'] == 1
  assert switch['levels']['void']['switched'] == switch['levels']['void']['hallucinated']

  for level in levels[1:]:  # the area is how often a noisy sample has a higher score than a clean one
    noisy, quiet = all_scores[level][:, np.newaxis], all_scores['0']
    assert switch['roc'][level]['auc'] == pytest.approx(np.mean(noisy > quiet) + np.mean(noisy == quiet) / 2, abs=0.03)
  assert switch['roc']['void']['auc'] == 1
  printed = ' '.join(capsys.readouterr().out.split())
  for name in ('noise.png', 'switch.png', 'switch_roc.png'):
    assert (torn_run.directory / name).read_bytes().startswith(b'\x89PNG')
    assert name in printed
  assert '| area under the ROC | - | ' in printed


# What a server does: no import of this project. `auto` is asked for all samples at once and for each alone.
CLIENT = '''
import sys
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2], allow_pickle=True)
rgb, depth, pictures = tf.constant(inputs["rgb"]), tf.constant(inputs["depth"]), tf.constant(inputs["jpeg"].tolist())
finite = tf.cast(tf.where(tf.math.is_finite(depth), depth, 0.0), tf.uint8)
signatures = model.signatures
answers = {"rgb": signatures["rgb"](rgb=rgb), "serving_default": signatures["serving_default"](rgb=rgb),
           "rgb_jpeg": signatures["rgb_jpeg"](rgb_jpeg=pictures),
           "rgb_depth": signatures["rgb_depth"](rgb=rgb, depth=finite),
           "auto": signatures["auto"](rgb=rgb, depth=depth)}
assert set(answers) == set(signatures), set(signatures)
alone = [signatures["auto"](rgb=rgb[i:i + 1], depth=depth[i:i + 1]) for i in range(len(rgb))]
answers["alone"] = {key: tf.concat([answer[key] for answer in alone], axis=0) for key in alone[0]}
for shapes in ((rgb, depth[:, :, :-1]), (tf.concat([rgb, rgb], 1), tf.concat([depth, depth], 1)), (rgb, depth[:1])):
  try:
    signatures["auto"](rgb=shapes[0], depth=shapes[1])
  except tf.errors.InvalidArgumentError as error:
    assert "is not compatible with expected shape [?,1," in error.message or "same number of samples" in error.message
  else:
    raise AssertionError("was answered")
assert not any(name.startswith("tf_privinfo") for name in sys.modules)
np.savez(sys.argv[3], **{f"{name}/{key}": value.numpy().astype("S") if key == "label" else value.numpy()
                         for name, answer in answers.items() for key, value in answer.items()})
'''
# The rows after the six clean test samples.
BLACK, ONE_PIXEL, ALL_NAN, INFINITE = 6, 7, 8, 9


@pytest.fixture(scope='module')
def served(torn_run, networks, clips_of_test, tmp_path_factory):
  """What another process answers with the exported switch: (answers, what the stages' own methods answer, folder)."""
  directory = tmp_path_factory.mktemp('served')
  workflow.export(str(torn_run.directory), directory / 'admd')
  batch = {modality: clip.numpy() for modality, clip in clips_of_test('0')[0].items()}
  rgb = np.concatenate([batch['rgb'], batch['rgb'][:4]]).astype(np.uint8)
  depth = np.concatenate([batch['depth'], batch['depth'][:4]])
  depth[BLACK], depth[ONE_PIXEL, 0, 5, 7, 1], depth[ALL_NAN], depth[INFINITE, 0, 3, 4, 2] = 0, np.nan, np.nan, -np.inf
  jpeg = np.array([[tf.io.encode_jpeg(frame).numpy() for frame in clip] for clip in rgb], dtype=object)
  np.savez(directory / 'inputs.npz', rgb=rgb, depth=depth, jpeg=jpeg)
  subprocess.run([sys.executable, '-c', CLIENT, str(directory / 'admd' / '1'), str(directory / 'inputs.npz'),
                  str(directory / 'answers.npz')], check=True, cwd=directory)
  decoded = np.stack([[frames.as_stored(tf.io.decode_jpeg(data), rgb.shape[2], 'lanczos').numpy() for data in clip]
                      for clip in jpeg])
  clean = {'rgb': tf.constant(rgb, tf.float32), 'depth': tf.constant(np.nan_to_num(depth, nan=0.0, neginf=0.0))}
  expected, scores = branches(networks, clean)
  scores[ONE_PIXEL:] = 1
  expected['from_jpeg'] = sum(networks['fused']({'rgb': tf.constant(decoded)}).values()).numpy() / 2
  return np.load(directory / 'answers.npz'), {**expected, 'scores': scores}, directory / 'admd'


def test_served_signatures_are_the_stages(served):
  """`rgb` and `rgb_jpeg` are RGB with hallucinated depth, stage fused; `rgb_depth` trusts depth, stage joint."""
  answers, expected, _ = served
  for signature, branch in (('rgb', 'hallucinated'), ('rgb_jpeg', 'from_jpeg'), ('rgb_depth', 'trusted')):
    logits = answers[f'{signature}/logits']
    np.testing.assert_allclose(logits, expected[branch], atol=1e-4, err_msg=signature)
    np.testing.assert_allclose(answers[f'{signature}/probabilities'].sum(axis=1), 1, rtol=1e-5)
    assert answers[f'{signature}/label'].tolist() == [
        (b'chair', b'lamp', b'table')[k] for k in logits.argmax(axis=1)]
  np.testing.assert_array_equal(answers['serving_default/logits'], answers['rgb/logits'])
  assert np.abs(expected['hallucinated'] - expected['trusted']).max() > 1e-2


def test_served_switch_decides_for_each_sample(served, torn_run):
  """By its score; where depth is missing, or has a value that is no number or infinite, it is not used."""
  answers, expected, _ = served
  threshold = torn_run.read('switch.json')['threshold']
  switched = answers['auto/hallucinated']
  assert switched.dtype == bool and switched.shape == (10,)
  np.testing.assert_array_equal(switched, expected['scores'] > threshold)
  assert switched[BLACK:].all() and 0 < switched[:BLACK].sum() < BLACK
  np.testing.assert_allclose(answers['auto/fake_probability'], expected['scores'], rtol=1e-3, atol=1e-6)
  assert (answers['auto/fake_probability'][BLACK:] == 1).all()
  logits = np.where(switched[:, np.newaxis], answers['rgb/logits'], answers['rgb_depth/logits'])
  np.testing.assert_allclose(answers['auto/logits'], logits, atol=1e-5)
  for key in ('logits', 'probabilities', 'fake_probability'):
    assert np.isfinite(answers[f'auto/{key}']).all() and np.isfinite(answers[f'alone/{key}']).all()


def test_served_decision_does_not_depend_on_the_neighbours(served):
  """Samples answered one by one; four of ten in the batch have no depth."""
  answers = served[0]
  np.testing.assert_array_equal(answers['alone/hallucinated'], answers['auto/hallucinated'])
  np.testing.assert_array_equal(answers['alone/label'], answers['auto/label'])
  for key in ('logits', 'fake_probability'):
    np.testing.assert_allclose(answers[f'alone/{key}'], answers[f'auto/{key}'], rtol=1e-4, atol=1e-6)


def test_threshold_and_labels_lie_beside_the_model(served, torn_run):
  directory = served[2]
  assert json.loads((directory / 'switch.json').read_text()) == torn_run.read('switch.json')
  assert (directory / 'labels.txt').read_text().split() == ['chair', 'lamp', 'table']
  assert (directory / '1' / 'saved_model.pb').exists()


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
