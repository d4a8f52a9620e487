"""Prediction of new recordings gives what evaluation gives, for any subset of the modalities and any files."""

import csv
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line, native_files, prepared
import tf_privinfo
from tf_privinfo import recipes, runs, workflow
from tf_privinfo.datasets import catalog, footage
from tf_privinfo.datasets.preparation import flow, frames, video
from tf_privinfo.evaluation import prediction_files, predictor
from tf_privinfo.methods import adversarial
from tf_privinfo.runs import restore
from tf_privinfo.utils import errors

STORED = command_line.ROOT / 'tests' / 'stored_runs' / 'tf2.15'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  native_files.write_nwucla(folder / 'nwucla', actions=(1, 2))
  native_files.write_nyud(folder / 'nyud', train=8, test=3)
  return folder


@pytest.fixture(scope='module')
def model():
  return tf_privinfo.load(str(STORED / 'nwucla_dmcl'))


@pytest.fixture(scope='module')
def stored():
  """Sample name -> stream -> probabilities, as evaluated and stored by an earlier version."""
  with np.load(STORED / 'nwucla_dmcl' / 'predictions.npz') as file:
    return {str(name): {stream: tf.nn.softmax(file[f'logits/{stream}'][row]).numpy() for stream in ('rgb', 'depth')}
            for row, name in enumerate(file['names'])}


def native(data, name):
  """The files of a sample of NW-UCLA."""
  folder = data / 'nwucla' / 'multiview_action' / name
  return {'rgb': f'{folder}/frame_*_rgb.jpg', 'depth': f'{folder}/frame_*_depth_vis.jpg'}


def test_prediction_is_that_of_evaluation(model, data, stored):
  for name, expected in list(stored.items())[:3]:
    result = model.predict(native(data, name), name)
    for stream, probabilities in expected.items():
      np.testing.assert_allclose(list(result.streams[stream].values()), probabilities, rtol=1e-3, atol=1e-5)
    assert list(result.probabilities) == model.label_names
    assert result.label == max(result.probabilities, key=result.probabilities.get)


def test_missing_modalities(model, data, stored):
  """The other stream predicts as before, and is the result."""
  name = next(iter(stored))
  both = model.predict(native(data, name), name)
  for stream in ('rgb', 'depth'):
    one = model.predict({stream: native(data, name)[stream]}, name)
    assert list(one.streams) == [stream] == list(one.clip)
    np.testing.assert_allclose(list(one.streams[stream].values()), list(both.streams[stream].values()), rtol=1e-5)
    assert one.probabilities == one.streams[stream]


def test_objects(data):
  model = tf_privinfo.load(str(STORED / 'nyud_single_stream'))
  with np.load(STORED / 'nyud_single_stream' / 'predictions.npz') as file:
    name, logits = str(file['names'][0]), file['logits/rgb'][0]
  part, label, number = name.split('/')
  result = model.predict(str(data / 'nyud' / part / 'images' / label / f'{number}.jpg'))
  np.testing.assert_allclose(list(result.probabilities.values()), tf.nn.softmax(logits), rtol=1e-3)


@pytest.mark.parametrize('dataset, variant', [('nwucla', 'depth'), ('nwucla', 'depth_vis'), ('ntu60', 'depth')])
def test_frames_are_those_that_preparation_stores(dataset, variant, tmp_path):
  """RGB, depth of 16 bits with its encoding, and computed flow, byte by byte."""
  if dataset == 'nwucla':
    native_files.write_nwucla(tmp_path, actions=(1,), subjects=1, views=(1,))
    folder = next(tmp_path.rglob('a01_*'))
    ending = 'png' if variant == 'depth' else 'jpg'
    recordings = {'rgb': f'{folder}/frame_*_rgb.jpg', 'depth': f'{folder}/frame_*_{variant}.{ending}'}
  else:
    native_files.write_ntu(tmp_path, ['S001C001P001R001A001'], rgb_shape=(576, 1024))
    recordings = {'rgb': str(next(tmp_path.rglob('*.avi'))), 'depth': str(next(tmp_path.glob('*depth_masked/*')))}
  recipe = recipes.override(recipes.recipe('dmcl', dataset, 'any', 'tiny'), {'data.depth_variant': variant})
  source = catalog.open_dataset(dataset, str(tmp_path), recipe.data, recipe.clips.frame_size)
  encoded = prepared.encoded_frames(source, *source.names)
  reader = footage.Reader(recipes.DATASETS[dataset], source.manifest(), recipe.clips.frame_size)
  read = reader.read(recordings, ('rgb', 'depth', 'flow'))
  assert read == {modality: encoded[modality].tolist() for modality in ('rgb', 'depth', 'flow')}
  if dataset == 'nwucla':
    arrays = {'rgb': np.stack([frames.read_jpeg(path) for path in footage.find_pictures(recordings['rgb'])])}
    if variant == 'depth':
      arrays['depth'] = np.stack([frames.read_depth(path) for path in footage.find_pictures(recordings['depth'])])
    assert reader.read(arrays, tuple(arrays)) == {modality: read[modality] for modality in arrays}


def test_flow_of_one_frame_and_of_frames_one_by_one():
  images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
  np.testing.assert_array_equal(np.stack(list(flow.frame_by_frame(iter(images)))), flow.dense_flow(images))
  assert not flow.dense_flow(images[:1]).any()


def test_different_frame_rates_pair_by_time():
  assert footage._at_positions(list('abcde'), 3) == ['a', 'c', 'e']
  assert footage._at_positions(list('ab'), 4) == ['a', 'a', 'b', 'b']
  assert footage._at_positions(list('abc'), 1) == ['a']


def test_command(model, data, stored, tmp_path, capsys):
  """Every form of --predict; the CSV file, the table, the sheets."""
  name = next(iter(stored))
  files = native(data, name)
  clip = tmp_path / 'clip'
  clip.mkdir()
  pictures = [frames.read_jpeg(path) for path in footage.find_pictures(files['rgb'])]
  native_files.write_avi(clip / 'rgb.avi', pictures)
  shutil.copytree(data / 'nwucla' / 'multiview_action' / name, clip / 'all')
  (clip / 'depth').mkdir()
  for number, path in enumerate(footage.find_pictures(files['depth'])):
    shutil.copy(path, clip / 'depth' / f'{number}.jpg')
  (tmp_path / 'samples.csv').write_text(
      f'sample,label,rgb,depth\n{name},unknown,clip/all/frame_*_rgb.jpg,clip/depth\nsecond,,,clip/depth\n')
  out = tmp_path / 'out'
  workflow.predict(str(STORED / 'nwucla_dmcl'), [
      str(clip / 'rgb.avi'), f'rgb={files["rgb"]},depth={files["depth"]}', str(clip), str(tmp_path / 'samples.csv')],
      str(out), True)
  printed = capsys.readouterr().out
  rows = list(csv.DictReader(open(out / 'predictions.csv', encoding='utf-8')))
  assert [row['stream'] for row in rows] == ['rgb', 'sum', *3 * ['rgb', 'depth', 'sum'], 'depth', 'sum']
  for row in rows:
    probabilities = {label: float(row[f'p_{label}']) for label in model.label_names}
    assert sum(probabilities.values()) == pytest.approx(1)
    assert row['label'] == max(probabilities, key=probabilities.get)
    assert float(row['probability']) == max(probabilities.values())
  of_table = [row for row in rows if row['sample'] == name]
  for row in of_table[:2]:
    np.testing.assert_allclose([float(row[f'p_{label}']) for label in model.label_names], stored[name][row['stream']],
                               rtol=1e-3, atol=1e-5)
  assert '| second ' in printed and str(out / 'predictions.csv') in printed
  sheets = sorted(out.glob('*.png'))
  assert len(sheets) == 5 and sheets[4].name == '0005_second.png'
  heights = [cv2.imread(str(sheet)).shape[0] for sheet in sheets]
  assert heights[1] > heights[0] == heights[4]  # a row for each modality


@pytest.mark.parametrize('threshold, chosen', [(-1.0, 'hallucinated'), (1.0, 'trusted')])
def test_switch(threshold, chosen, data, tmp_path, monkeypatch):
  """Both branches are reported, and the score chooses; without depth, it is hallucinated."""
  recipe = recipes.recipe('admd', 'nwucla', 'any', 'tiny')
  hallucinated, detector = (restore.build_method(recipe, stage, 3) for stage in (
      recipes.SWITCH.hallucinated, recipes.SWITCH.detector))
  switch = adversarial.SensorSwitch({**hallucinated.streams, **detector.streams}, detector.discriminator)
  monkeypatch.setattr(restore, 'restore_deployed', lambda run: switch)
  run = runs.Run.create_or_resume(tmp_path / 'run', recipe)
  run.write('manifest.json', {'label_names': list('abc'), 'samples': {}, 'depth_variant': recipe.data.depth_variant})
  run.write('switch.json', {'threshold': threshold, 'levels': {}})
  model = predictor.Predictor(run)
  files = native(data, 'view_1/a01_s01_e00')
  if recipe.data.depth_variant == 'depth':
    files['depth'] = files['depth'].replace('depth_vis.jpg', 'depth.png')
  result, alone = model.predict(files), model.predict({'rgb': files['rgb']})
  assert list(result.streams) == ['trusted', 'hallucinated'] and 0 <= result.fake_probability <= 1
  assert result.probabilities == result.streams[chosen]
  np.testing.assert_allclose(list(alone.probabilities.values()), list(result.streams['hallucinated'].values()),
                             rtol=1e-4)
  assert list(alone.streams) == ['hallucinated'] and alone.fake_probability is None
  with pytest.raises(errors.UserError, match='pass rgb'):
    model.predict({'depth': files['depth']})


@pytest.mark.parametrize('value, message', [
    ('none.avi', 'none.avi: missing'), ('depht=x', 'predicts from rgb, depth: leave out depht'),
    ('rgb=', 'empty'), ('none.csv', 'Cannot read none.csv'), ('rgb=none_*.jpg', 'no JPEG or PNG files'),
    ('MIXED', r'pictures of several kinds .*name one kind'), ('TEXT.avi', 'truncated or not a video'),
    ('rgb=16BIT', 'a 16-bit PNG, where an 8-bit image is expected'), ('EMPTY.csv', 'line 3: no file of rgb or depth')])
def test_mistakes(model, data, tmp_path, value, message, monkeypatch):
  monkeypatch.chdir(tmp_path)
  shutil.copytree(next((data / 'nwucla').rglob('a01*')), 'MIXED')
  (tmp_path / 'TEXT.avi').write_text('text')
  (tmp_path / 'EMPTY.csv').write_text('sample,rgb\na,TEXT.avi\nb,\n')
  value = value.replace('16BIT', 'MIXED/frame_*_depth.png')
  with pytest.raises(errors.UserError, match=message):
    prediction_files.predict(model, prediction_files.samples([value], model.modalities), tmp_path / 'out', False)
  assert not (tmp_path / 'out').exists()


def test_depth_of_8_bits_is_no_depth_in_millimetres(tmp_path):
  cv2.imwrite(str(tmp_path / '1.png'), np.zeros((8, 8), np.uint8))
  reader = footage.Reader(recipes.DATASETS['nwucla'], {'depth_variant': 'depth'}, 32)
  for recording, message in ((str(tmp_path), 'not a 16-bit PNG'), ('depth.avi', 'depth of 16 bits'),
                             (np.zeros((1, 8, 8, 3), np.uint8), 'millimetres is expected')):
    with pytest.raises(frames.UnreadableFileError, match=message):
      reader.read({'depth': recording}, ('depth',))


def test_videos_are_decoded_without_a_limit(tmp_path):
  native_files.write_avi(tmp_path / 'a.avi', np.zeros((3, 32, 48, 3), np.uint8))
  assert video.read_video(str(tmp_path / 'a.avi'), 0).shape == (3, 32, 48, 3)


def test_flags_are_read(tmp_path):
  """Flags that belong to --predict, without it, are refused; a run that is none, too."""
  assert '--run_dir does not read --sheets' in command_line.fail('eval_main', f'--run_dir={tmp_path}', '--sheets')
  assert 'is not a run directory' in command_line.fail('eval_main', f'--run_dir={tmp_path}', '--predict=a.avi')
