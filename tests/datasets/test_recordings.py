"""Tables of recordings: protocols, encodings, pairing, changes, and training and prediction with one command."""

import json

import cv2
import numpy as np
import pytest

from tests import in_process, native_files, prepared
from tf_privinfo import recipes, runs, workflow
from tf_privinfo.datasets import catalog, footage, registry
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.preparation import flow, frames
from tf_privinfo.datasets.recordings import builder, measurements, protocols
from tf_privinfo.evaluation import predictor
from tf_privinfo.utils import errors

# Two classes, five subjects, four sessions of each.
ROWS = {f'{label}_{subject}_{session}': {'label': label, 'subject': f'S{subject}', 'session': str(session)}
        for label in 'ab' for subject in (1, 2, 3, 10, 11) for session in range(4)}


def values(names, column):
  return {ROWS[name][column] for name in names}


def test_hold_out_and_leave_out():
  split = protocols.split('hold_out:subject=S1,S10+leave_out:session=3', ROWS, 0.25)
  assert split.test == sorted(name for name, row in ROWS.items() if row['subject'] in ('S1', 'S10')
                              and row['session'] != '3')
  assert values(split.train + split.validation, 'subject') == {'S2', 'S3', 'S11'}
  assert '3' not in values([name for part in split for name in part], 'session')
  validation = [ROWS[name]['label'] for name in split.validation]
  assert validation.count('a') == validation.count('b') == 2 and not set(split.train) & set(split.validation)
  assert not protocols.split('hold_out:subject=S1', ROWS, 0).validation


def test_every_sample_tests_once_over_the_folds():
  tested = []
  for fold in (1, 2, 3):
    protocol = registry.with_fold('recordings', 'folds:subject=3', fold)
    split = registry.split('recordings', protocol, sorted(ROWS), 0.25, rows=ROWS)
    assert not values(split.test, 'subject') & values(split.train + split.validation, 'subject')
    assert sorted(name for part in split for name in part) == sorted(ROWS)
    tested += split.test
  assert sorted(tested) == sorted(ROWS)
  with_left = registry.with_fold('recordings', 'folds:subject=3+leave_out:session=3', 2)
  assert with_left == 'folds:subject=3+fold=2+leave_out:session=3'
  assert values(protocols.split(with_left, ROWS, 0).test, 'subject') == {'S2', 'S11'}
  for dataset, protocol, fold in (('recordings', 'folds:subject=3', 4), ('recordings', 'split', 1),
                                  ('nwucla', None, 1)):
    with pytest.raises(errors.UserError):
      registry.with_fold(dataset, protocol, fold)


def test_whole_values_of_an_attribute_validate():
  split = protocols.split('hold_out:subject=S1', ROWS, 0.25, 'session')
  assert len(values(split.validation, 'session')) == 1
  assert not values(split.validation, 'session') & values(split.train, 'session')
  assert len(split.validation) == 8 and values(split.validation, 'label') == {'a', 'b'}
  with pytest.raises(errors.UserError, match='no value of label can be held out|no column label'):
    protocols.split('hold_out:subject=S1', ROWS, 0.25, 'label')


def test_split_column_and_random_split():
  rows = {name: {**row, 'split': {'0': 'test', '1': 'validation', '2': 'leave_out'}.get(row['session'], 'train')}
          for name, row in ROWS.items()}
  split = protocols.split('split', rows, 0.05)
  assert [values(part, 'session') for part in split] == [{'3'}, {'1'}, {'0'}]
  split = protocols.split('random', ROWS, 0)
  assert [ROWS[name]['label'] for name in sorted(split.test)] == 4 * ['a'] + 4 * ['b'] and len(split.train) == 32
  lines = registry.counts(ROWS, split, 'random')
  assert 'per class (train + validate + test): a 16+0+4, b 16+0+4' in lines and 'near-duplicates' in lines[-1]
  assert not registry.counts(None, split, 'random')


def test_encodings_of_measurements():
  measured = np.array([[0, 500, 600, 1000, 1500, 9000]], np.uint16)
  grey = measurements.encoding('grey', 500, 1500)(measured)
  assert grey.dtype == np.uint8 and grey.shape == (1, 6, 3)
  assert grey[0].tolist() == [[level] * 3 for level in (0, 1, 26, 128, 255, 255)]  # 1 + round(254 * position)
  jet = measurements.encoding('jet', 500, 1500)(measured)[0]
  assert jet[0].tolist() == [0, 0, 0]  # missing
  assert jet[1].tolist() == [0, 0, 128] and jet[4].tolist() == jet[5].tolist() == [128, 0, 0]  # blue near, red far
  assert jet[3, 1] == 255  # green in the middle


def test_the_default_range_is_that_of_the_middle_of_training_samples(tmp_path):
  for name, low, high in (('near', 1000, 1100), ('far', 1100, 1200)):
    image = np.full((8, 8), 60000, np.uint16)  # the border does not count
    image[2:6, 2:6] = [low, low, high, high]
    image[2, 2] = 0  # neither do missing pixels
    cv2.imwrite(str(tmp_path / f'{name}.png'), image)
  assert measurements.training_range(tmp_path, 'depth', ['near.png']) == (1000, 1100)
  assert measurements.training_range(tmp_path, 'depth', ['near.png', 'far.png']) == (1000, 1200)
  with pytest.raises(errors.UserError, match='data.ranges=depth=LOW-HIGH'):
    measurements.training_range(tmp_path, 'depth', [])


def test_frames_pair_by_time():
  clip = lambda count, seconds=0.: measurements.Clip(np.arange(count), seconds)
  paired = measurements.paired({'rgb': clip(3, 1.), 'depth': clip(5, 1.05)}, 0.1)
  assert {name: images.tolist() for name, images in paired.items()} == {'rgb': [0, 1, 2], 'depth': [0, 2, 4]}
  assert measurements.paired({'rgb': clip(10), 'depth': clip(11)}, 0.1)['depth'].shape == (10,)
  for clips in ({'rgb': clip(3, 1.), 'depth': clip(3, 2.)}, {'rgb': clip(3, 1.), 'depth': clip(5)}):
    with pytest.raises(frames.UnreadableFileError, match='differ by more than data.length_tolerance=0.1'):
      measurements.paired(clips, 0.1)


def test_prepared_frames_are_those_of_prediction_and_changes_are_noticed(tmp_path, capsys):
  """Another modality than depth, in grey; the encoding is in the metadata; a row and a file change."""
  table = native_files.write_recordings(tmp_path / 'data', subjects=2, sessions=(0,), modality='infrared')
  form = DataConfig(encodings=('infrared=grey',), ranges=('infrared=900-3000',), hold_out=0)
  open_it = lambda: catalog.open_dataset('recordings', str(table.parent), form, 32, protocol='split')
  source = open_it()
  assert source.modalities == ('rgb', 'infrared', 'flow') and source.label_names == ['push', 'wave']
  manifest = json.loads(json.dumps(source.manifest()))
  assert manifest['encodings'] == {'infrared': {'name': 'grey', 'range': [900, 3000]}}
  assert manifest['rows']['push_1_0'] == {'label': 'push', 'subject': 'S1', 'session': '0', 'split': 'train'}
  reader = footage.Reader(recipes.DATASETS['recordings'], manifest, 32)
  for name in source.names:
    path = table.parent / name
    read = reader.read({'rgb': f'{path}.avi', 'infrared': str(path)}, source.modalities)
    encoded = prepared.encoded_frames(source, name, source.modalities)
    assert read == {modality: list(encoded[modality]) for modality in source.modalities}
  with pytest.raises(frames.UnreadableFileError, match='infrared of 16 bits is expected'):
    reader.read({'infrared': f'{path}.avi'}, ('infrared',))
  assert 'Warning' not in capsys.readouterr().out
  table.write_text(table.read_text().replace('push,S1', 'push,S9'))
  cv2.imwrite(str(table.parent / 'wave_2_0/infrared-00000001.png'), np.full((36, 48), 1234, np.uint16))
  open_it()
  assert '2 samples differ (2 changed: push_1_0: changed; wave_2_0: changed)' in capsys.readouterr().out


def test_the_name_of_a_form_is_that_of_earlier_versions():
  encodings = (('depth', 'jet', 500, 1500),)
  name = builder.TableConfig(frame_size=32, modalities=('rgb', 'depth'), encodings=encodings, skip_broken=True).name
  assert name == '32px_rgb_depth_depth_jet_500-1500_0.1_skip_broken'


def test_flow_is_computed_where_it_is_needed(tmp_path, monkeypatch):
  """Not for other modalities, whose data stay as they are; data with flow, as of earlier versions, serve for both."""
  table = native_files.write_recordings(tmp_path / 'data', subjects=2, sessions=(0,))
  ranges, find = [], measurements.training_range
  monkeypatch.setattr(measurements, 'training_range', lambda *args: ranges.append(args) or find(*args))

  def opened(place, *modalities):
    ranges.clear()
    source = catalog.open_dataset('recordings', str(table.parent), DataConfig(hold_out=0), 32, protocol='split',
                                  prepared_dir=str(tmp_path / place), modalities=modalities or None)
    assert len(ranges) == 1  # it reads files
    return source

  with monkeypatch.context() as patch:
    patch.setattr(flow, 'frame_by_frame', None)
    without = opened('one', 'rgb', 'depth')
  assert without.modalities == ('rgb', 'depth') and 'flow' not in without.manifest()
  complete = opened('one', 'rgb', 'flow')
  assert complete.modalities == ('rgb', 'depth', 'flow') == opened('one').modalities
  assert complete.manifest()['flow']['algorithm']
  assert without.directory == complete.directory.replace('/1.0.0', '_without_flow/1.0.0')
  name = complete.names[0]
  kept = opened('one', 'depth')
  assert kept.manifest() == without.manifest() and kept.directory == without.directory
  assert [list(file) for file in prepared.encoded_frames(kept, name, ('rgb', 'depth')).values()] == [
      list(file) for file in prepared.encoded_frames(complete, name, ('rgb', 'depth')).values()]
  first = opened('two', 'flow')
  assert opened('two', 'rgb', 'depth').directory == first.directory
  table.write_text(table.read_text().replace(',depth\n', ',flow\n'))  # recorded flow is a column
  assert opened('three', 'rgb').modalities == ('rgb', 'flow')


def test_trains_and_predicts_with_one_command(tmp_path):
  """DMCL of RGB videos and folders of 16-bit files named `infrared`; the table also predicts."""
  table = native_files.write_recordings(tmp_path / 'data', modality='infrared')
  with in_process.one_device(), in_process.quick():
    in_process.train_main_with(
        '--method=dmcl', '--dataset=recordings', f'--data_dir={table.parent}', f'--output_dir={tmp_path / "out"}',
        '--preset=tiny', '--epochs=1', '--batch_size=2', '--protocol=folds:subject=2', '--fold=2',
        '--set=modalities=rgb,infrared', '--set=data.hold_out_by=session', '--set=clips.test_clips=1')
  directory, = (tmp_path / 'out').glob('recordings/dmcl/*')
  run = runs.Run.open(str(directory))
  assert run.recipe.protocol == 'folds:subject=2+fold=2' and run.recipe.modalities == ('rgb', 'infrared')
  predictions = run.read('results.json')['predictions']
  assert sorted(predictions['names']) == [f'{label}_{subject}_{session}' for label in ('push', 'wave')
                                          for subject in (2, 4) for session in (0, 1)]
  assert run.manifest()['encodings']['infrared']['name'] == 'jet'
  workflow.predict(str(directory), [str(table)], str(tmp_path / 'predicted'), False)
  rows = [line.split(',')[:3] for line in (tmp_path / 'predicted/predictions.csv').read_text().splitlines()]
  assert len(rows) == 1 + 3 * 16
  model = predictor.Predictor(run)
  for name in ('push_2_0', 'wave_4_1'):
    alone = model.predict({'infrared': table.parent / name}, name)
    assert [name, 'infrared', alone.label] in rows


def test_single_pictures(tmp_path):
  """Objects, without flow; test_every_dataset trains with them."""
  table = native_files.write_picture_table(tmp_path / 'data')
  open_it = lambda dataset: catalog.open_dataset(dataset, str(table.parent), DataConfig(), 32, protocol='split')
  source = open_it('recordings_objects')
  assert source.modalities == ('rgb', 'depth') and set(source.metadata['samples'].values()) == {1}
  split = registry.split('recordings_objects', 'split', source.names, rows=source.metadata['rows'])
  assert split.test == ['bowl0', 'bowl3', 'cup0', 'cup3']
  low, high = source.metadata['encodings']['depth']['range']
  assert 800 <= low < 850 and 1400 < high < 1500
  with pytest.raises(errors.UserError, match='pass --dataset=recordings_objects'):
    open_it('recordings')
