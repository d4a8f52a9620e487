"""Runs and exports of earlier versions and of the other TensorFlow are read, evaluated, served and resumed."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import in_process, native_files
from tf_privinfo import recipes, runs, workflow
from tf_privinfo.recipes import settings
from tf_privinfo.runs import restore

STORED = pathlib.Path(__file__).parent / 'stored_runs'
STACKS, FAMILIES = ('tf2.15', 'tf2.20'), ('nwucla_dmcl', 'nyud_single_stream')
OTHER_STACK = STACKS[tf.__version__.startswith('2.15')]


@pytest.fixture(scope='module')
def data_dirs(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  native_files.write_nwucla(folder / 'nwucla_dmcl', actions=(1, 2))
  native_files.write_nyud(folder / 'nyud_single_stream', train=8, test=3)
  return folder


@pytest.fixture(params=[f'{stack}/{family}' for stack in STACKS for family in FAMILIES])
def stored(request, tmp_path):
  """A copy of a stored run."""
  return pathlib.Path(shutil.copytree(STORED / request.param, tmp_path / request.param))


def by_name(results):
  """Sample -> label and predicted classes; earlier versions stored the samples in another order."""
  names, labels, predicted = (results['predictions'][key] for key in ('names', 'labels', 'predicted'))
  return dict(zip(names, zip(labels, *predicted.values())))


def logits_by_name(path):
  """Stream -> logits of the samples, sorted by name."""
  with np.load(path) as file:
    return {key: file[key][np.argsort(file['names'])] for key in file if key.startswith('logits/')}


def test_evaluation_gives_the_stored_results(stored, data_dirs):
  before = json.loads((stored / 'results.json').read_text(encoding='utf-8'))
  logits = logits_by_name(stored / 'predictions.npz')
  with in_process.one_device(), in_process.quick():
    workflow.evaluate(str(stored), str(data_dirs / stored.name), None)
  after = json.loads((stored / 'results.json').read_text(encoding='utf-8'))
  assert by_name(after) == by_name(before) and after['accuracy'] == before['accuracy']
  for key, values in logits_by_name(stored / 'predictions.npz').items():
    np.testing.assert_allclose(logits[key], values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('stored', [f'tf2.15/{family}' for family in FAMILIES], indirect=True)
def test_data_prepared_by_an_earlier_version_are_read(stored, tmp_path, capsys):
  """Made by the same commit as the runs, without what later versions note; the native files are gone."""
  data_dir = tmp_path / 'data'
  shutil.copytree(STORED / 'prepared' / stored.name, data_dir / 'prepared')
  before = json.loads((stored / 'results.json').read_text(encoding='utf-8'))
  with in_process.one_device(), in_process.quick():
    workflow.evaluate(str(stored), str(data_dir), None)
  after = json.loads((stored / 'results.json').read_text(encoding='utf-8'))
  assert by_name(after) == by_name(before) and 'Preparing' not in capsys.readouterr().err


@pytest.mark.parametrize('stored', [f'tf2.15/{family}' for family in FAMILIES], indirect=True)
def test_a_run_of_an_earlier_version_is_exported(stored, tmp_path):
  workflow.export(str(stored), tmp_path / 'model')
  served, earlier = (tf.saved_model.load(str(path / '1')).signatures['rgb']
                     for path in (tmp_path / 'model', stored / 'saved_model'))
  shape = served.structured_input_signature[1]['rgb'].shape[1:]
  clips = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
  np.testing.assert_allclose(
      served(rgb=tf.constant(clips))['logits'], earlier(rgb=tf.constant(clips))['logits'], rtol=1e-3, atol=1e-4)


def test_the_export_answers_as_the_run(stored):
  method = restore.restore_method(runs.Run.open(str(stored)))
  serve = tf.saved_model.load(str(stored / 'saved_model' / '1')).signatures['rgb']
  clips = np.random.default_rng(0).integers(0, 256, serve.structured_input_signature[1]['rgb'].shape[1:], np.uint8)
  [expected] = method({'rgb': tf.constant(clips[np.newaxis])}).values()
  np.testing.assert_allclose(serve(rgb=tf.constant(clips[np.newaxis]))['logits'], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('stored', [f'{OTHER_STACK}/nyud_single_stream', 'tf2.15/nwucla_dmcl'], indirect=True)
def test_training_goes_on(stored, data_dirs, tmp_path, capsys):
  """For another epoch, from weights and optimizer of the last one."""
  run = runs.Run.open(str(stored))
  [stage] = run.recipe.stages
  recipe = settings.override(run.recipe, {f'stages.{stage}.epochs': 2})
  longer = runs.Run(recipes.run_directory(recipe, tmp_path), recipe)
  shutil.copytree(stored, longer.directory)
  (longer.directory / 'recipe.yaml').write_text(recipes.to_yaml(recipe), encoding='utf-8')
  for name in ('manifest.json', 'results.json', f'{stage}/finished.json'):
    (longer.directory / name).unlink()
  before = run.read(f'{stage}/history.json')
  in_process.train(recipe, data_dirs / stored.name, tmp_path)
  after = longer.read(f'{stage}/history.json')
  assert f'Stage {stage}: resuming after epoch 1' in capsys.readouterr().out
  assert len(after) == 2 and after[:1] == before and np.isfinite(after[1]['loss'])
  [checkpoint] = [tf.train.load_checkpoint(str(path.with_suffix(''))) for path in
                  longer.directory.glob(f'{stage}/last/epoch-2.index')]
  iterations = checkpoint.get_tensor('optimizer/_iterations/.ATTRIBUTES/VARIABLE_VALUE')
  one_epoch = tf.train.load_checkpoint(str(stored / stage / 'last' / 'epoch-1')).get_tensor(
      'optimizer/_iterations/.ATTRIBUTES/VARIABLE_VALUE')
  assert iterations == 2 * one_epoch > 0
