"""Chapters 3 and 4 with other modalities than RGB and depth, from training to serving."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import in_process, native_files, tiny_stream
from tf_privinfo import recipes, runs, workflow
from tf_privinfo.evaluation import predictor, switch_threshold
from tf_privinfo.runs import restore
from tf_privinfo.serving import export
from tf_privinfo.utils import errors


@pytest.fixture(scope='module', autouse=True)
def tiny_streams():
  with tiny_stream.in_place_of_resnet50():
    yield


@pytest.fixture(scope='module')
def admd(data_dir, tmp_path_factory):
  """ADMD whose privileged modality is optical flow; its first stage by itself, and then the rest."""
  output_dir = tmp_path_factory.mktemp('runs')
  flags = ['--method=admd', '--dataset=nwucla', f'--data_dir={data_dir}', f'--output_dir={output_dir}', '--preset=tiny',
           '--epochs=1', '--set=privileged=flow', '--set=data.hold_out=0.25']
  with in_process.one_device(), in_process.quick(), pytest.MonkeyPatch.context() as patch:
    patch.setattr(switch_threshold, 'LEVELS', ('0', 'void'))
    in_process.train_main_with(*flags, '--stage=rgb')
    in_process.train_main_with(*flags)
  directory, = output_dir.glob('nwucla/admd/*')
  assert directory.name == 'tiny-cross_view_3-code-seed0-modalities=rgb,flow-data.hold_out=0.25'
  return runs.Run.open(str(directory))


def test_results_name_the_privileged_modality(admd):
  stages = admd.read('results.json')['stages']
  assert {stage: result['reads'] for stage, result in stages.items()} == {
      'rgb': ['rgb'], 'flow': ['flow'], 'joint': ['rgb', 'flow'], 'game': ['rgb'], 'fused': ['rgb']}
  assert set(stages['joint']['accuracy']) == {'rgb', 'flow', 'sum', 'oracle'}
  game, watch = (admd.read(f'{stage}/history.json')[-1] for stage in ('game', 'watch'))
  assert {'discriminator/fake_probability_flow', 'discriminator/fake_probability_hall'} <= game.keys()
  assert {'discriminator/accuracy_flow', 'discriminator/accuracy_noise'} <= watch.keys()
  kinds = {line.split('\t')[1] for line in (
      admd.directory / 'tensorboard/features/labels.tsv').read_text().splitlines()[1:]}
  assert kinds == {'flow', 'hall'}


def test_noise_and_switch_are_those_of_the_privileged_modality(admd, data_dir, capsys):
  with in_process.quick():
    workflow.sweep_noise(str(admd.directory), str(data_dir), '0,void')
  noise, clean = admd.read('noise.json'), admd.read('results.json')['stages']
  assert noise['modality'] == 'flow' and noise['stages']['flow']['0'] == clean['flow']['accuracy']['sum']
  assert noise['switch']['levels']['void']['fake_probability'] == 1 > noise['switch']['levels']['0']['fake_probability']
  for stage in ('rgb', 'game', 'fused'):
    assert len(set(noise['stages'][stage].values())) == 1
  printed = capsys.readouterr().out
  assert 'noise on flow' in printed and 'flow trusted' in printed and 'noise on depth' not in printed


def test_signatures_and_predictions_have_its_name(admd, data_dir, tmp_path):
  """`auto` decides as the predictor does; RGB alone is enough, since flow is computed from it."""
  workflow.export(str(admd.directory), tmp_path / 'model')
  signatures = tf.saved_model.load(str(tmp_path / 'model/1')).signatures
  assert set(signatures) == {'serving_default', 'rgb', 'rgb_jpeg', 'rgb_flow', 'auto'}
  model = predictor.Predictor(admd)
  frames = str(data_dir / 'multiview_action/view_1/a01_s01_e00/frame_*_rgb.jpg')
  predicted = model.predict({'rgb': frames})
  rgb, flow = (tf.constant(predicted.clip[name])[tf.newaxis] for name in ('rgb', 'flow'))
  answer = signatures['auto'](rgb=rgb, flow=tf.cast(flow, tf.float32))
  assert float(answer['fake_probability'][0]) == pytest.approx(predicted.fake_probability, abs=1e-4)
  expected = list(predicted.probabilities.values())
  np.testing.assert_allclose(answer['probabilities'][0], expected, atol=1e-4)
  trusted = list(predicted.streams['trusted'].values())
  np.testing.assert_allclose(signatures['rgb_flow'](rgb=rgb, flow=flow)['probabilities'][0], trusted, atol=1e-4)
  with pytest.raises(errors.UserError, match='predicts from rgb, flow: leave out depth'):
    model.predict({'rgb': frames, 'depth': frames})


@pytest.fixture(scope='module')
def table(tmp_path_factory):
  """Recordings of RGB and of a 16-bit sensor of the same size."""
  directory = tmp_path_factory.mktemp('recordings') / 'data'
  return native_files.write_recordings(directory, sessions=(0,), modality='infrared')


def make_recipe(method='modality_distillation', **values):
  recipe = recipes.recipe(method, 'recordings', 'split', 'tiny')
  return recipes.override(recipe, {'data.hold_out': 0.0, **values})


@pytest.fixture(scope='module')
def infrared_run(table, tmp_path_factory):
  """Modality distillation where infrared stays and RGB is privileged."""
  recipe = make_recipe(modalities='infrared,rgb')
  return in_process.train(recipe, table.parent, tmp_path_factory.mktemp('runs'))


def test_hallucination_reads_the_main_modality(infrared_run):
  stages = infrared_run.read('results.json')['stages']
  assert list(stages) == ['infrared', 'rgb', 'joint', 'hallucination', 'finetune']
  assert stages['finetune']['reads'] == stages['hallucination']['reads'] == ['infrared']
  assert 'accuracy_with_true_rgb' in stages['hallucination']
  assert set(infrared_run.read('results.json')['accuracy']) == {'infrared', 'hall', 'sum', 'oracle'}
  sources = restore.build_method(infrared_run.recipe, 'finetune', 2).connection_sources
  assert sources == {'infrared': 'hall'}


def test_model_of_the_main_modality(infrared_run, table, tmp_path):
  workflow.export(str(infrared_run.directory), tmp_path / 'model')
  signatures = tf.saved_model.load(str(tmp_path / 'model/1')).signatures
  assert set(signatures) == {'serving_default', 'infrared'}
  assert (tmp_path / 'model/preprocessing.txt').read_text().startswith('infrared: 5 frames')
  predicted = predictor.Predictor(infrared_run).predict(str(table.parent / 'push_2_0'))
  clip = tf.constant(predicted.clip['infrared'])[tf.newaxis]
  np.testing.assert_allclose(
      signatures['infrared'](infrared=clip)['probabilities'][0], list(predicted.probabilities.values()), atol=1e-4)


def test_missing_modality(table, tmp_path):
  with pytest.raises(errors.UserError, match='recordings has no thermal: modalities can be any of rgb, infrared'):
    in_process.train(make_recipe(privileged='thermal'), table.parent, tmp_path)


def test_connections_need_modalities_of_one_size(tmp_path):
  """RGB and its own flow have it; another sensor of another size has not."""
  table = native_files.write_recordings(tmp_path / 'data', sessions=(0,), modality='infrared')
  for path in table.parent.rglob('infrared*.png'):
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), (24, 36)))
  refused = 'rgb and infrared differ in size.*rgb 48x36, infrared 24x36.*: disable the connections'
  with pytest.raises(errors.UserError, match=refused):
    in_process.train(make_recipe(privileged='infrared'), table.parent, tmp_path)
  [path] = tmp_path.rglob('metadata.json')
  assert len(json.loads(path.read_text())['unlike_sizes']) == 1
  for values in ({'privileged': 'infrared', 'connections.direction': 'none'}, {'privileged': 'flow'}):
    workflow._open(make_recipe(**values), str(table.parent), None)


def test_default_modality_is_the_main_one():
  main_depth = recipes.override(recipes.recipe('two_stream', 'nwucla', 'any'), {'modalities': 'depth,rgb'})
  assert export.default_modality(main_depth, ('depth', 'rgb')) == 'depth'
  assert export.default_modality(recipes.recipe('dmcl', 'nwucla', 'any'), ('depth', 'rgb')) == 'rgb'
