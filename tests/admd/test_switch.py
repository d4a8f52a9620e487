"""The switch for unreliable depth: under noise, and as a server has it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import in_process
from tests.admd.tiny_recipes import READS
from tf_privinfo import runs, workflow
from tf_privinfo.datasets import catalog, clips, noise, registry
from tf_privinfo.datasets.nyud.spec import NYUD
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.reports import tested
from tf_privinfo.runs import restore


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
    spoiled = noise.Noise.parse(level)
    [(result, labels, _)] = clips.evaluation_clips(videos, recipe.clips, noise={'depth': spoiled})
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
  classes = tested.Tested.from_results(result)
  order = np.argsort(torn_run.read('results.json')['predictions']['names'])
  for level in levels:
    batch, labels = clips_of_test(level)
    logits, all_scores[level] = branches(networks, batch)
    right = {branch: z.argmax(axis=1) == labels for branch, z in logits.items()}
    switched = all_scores[level] > threshold
    right['switched'] = np.where(switched, right['hallucinated'], right['trusted'])
    found = switch['levels'][level]
    for name, hits in right.items():
      of_samples = classes.right(name if name == 'hallucinated' else f'{name}/{level}')
      assert of_samples.tolist() == hits[order].tolist() and of_samples.mean() == found[name], (level, name)
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
  decoded = np.stack([[frames.as_stored(tf.io.decode_jpeg(data), NYUD, rgb.shape[2]).numpy() for data in clip]
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
