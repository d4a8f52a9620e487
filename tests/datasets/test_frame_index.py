"""Single frames are read from prepared data, with and without a stored index, and never wrong ones."""

import json
import os
import pathlib
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, prepared
from tf_privinfo.datasets import catalog, clips, frame_index
from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.utils import cli, errors

STORED = pathlib.Path(__file__).parents[1] / 'stored_runs' / 'prepared'
MODALITIES = ('rgb', 'depth', 'flow')


@pytest.fixture
def data_dir(tmp_path):
  """Data of an earlier version, without an index."""
  shutil.copytree(STORED / 'nwucla_dmcl', tmp_path / 'prepared')
  return tmp_path


def _open(data_dir):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(), 32)


def _records(data_dir):
  return sorted((data_dir / 'prepared').rglob('*.tfrecord*'))


def _index_files(data_dir):
  return {path: path.read_bytes() for path in data_dir.rglob('frame_index/*')}


def _scans(monkeypatch):
  """Names of the files that are scanned from now on."""
  scanned, scan = [], frame_index._scan
  monkeypatch.setattr(frame_index, '_scan', lambda path, *rest: (scanned.append(path.name), scan(path, *rest))[1])
  return scanned


def _content(source):
  return {name: prepared.encoded_frames(source, name) for name in source.names}


def _expected(data_dir, modalities=MODALITIES):
  """All frames as TensorFlow reads them."""
  result = {}
  for record in tf.data.TFRecordDataset([str(path) for path in _records(data_dir)]):
    features = tf.train.Example.FromString(record.numpy()).features.feature
    name = features['sample_id'].bytes_list.value[0].decode()
    result[name] = {m: list(features[m].bytes_list.value) for m in modalities}
  return result


def _assert_same(content, expected):
  assert content.keys() == expected.keys()
  for name, video in expected.items():
    for modality, frames in video.items():
      assert list(content[name][modality]) == frames


def test_data_without_an_index_are_scanned_once(data_dir, monkeypatch):
  scanned = _scans(monkeypatch)
  _assert_same(_content(_open(data_dir)), _expected(data_dir))
  assert sorted(scanned) == [path.name for path in _records(data_dir)]
  _assert_same(_content(_open(data_dir)), _expected(data_dir))
  assert len(scanned) == 6 and not list(data_dir.rglob('*.tmp'))


def test_preparation_writes_the_index(tmp_path, monkeypatch):
  native_files.write_nwucla(tmp_path, views=(1,), actions=(1,), subjects=2)
  _open(tmp_path)
  assert len(_index_files(tmp_path)) == 2
  scanned = _scans(monkeypatch)
  _assert_same(_content(_open(tmp_path)), _expected(tmp_path))
  assert not scanned


def test_labels_and_names_need_no_file(data_dir):
  source = _open(data_dir)
  expected = source.videos(source.names, ('rgb',)).labels
  for path in _records(data_dir):
    path.write_bytes(b'')
  names, labels = source.index(source.names)
  assert names == source.names and labels.tolist() == expected.tolist() and 0 < labels.sum() < len(labels)


@pytest.mark.parametrize('failing', ['only_process', 'mkdir'])
def test_read_only_folder(data_dir, monkeypatch, failing):
  """The index remains in memory. Errors are simulated: the process of the tests may be allowed to write everywhere."""
  def refuse(*args, **kwargs):
    raise PermissionError(13, 'Permission denied')

  source = _open(data_dir)
  monkeypatch.setattr(pathlib.Path, 'mkdir', refuse)
  if failing == 'only_process':
    monkeypatch.setattr(type(source._builder), 'only_process', refuse)
  _assert_same(_content(source), _expected(data_dir))
  assert not _index_files(data_dir)


def test_index_of_other_data_is_not_trusted(data_dir, tmp_path, monkeypatch):
  """The records of another preparation, without those of one view, in the place of the indexed ones."""
  _content(_open(data_dir))
  before = _index_files(data_dir)
  native_files.write_nwucla(tmp_path / 'other', actions=(1, 2), frames=11)
  _open(tmp_path / 'other')
  [index] = (tmp_path / 'other').rglob('frame_index')
  shutil.rmtree(index)
  for path in index.parent.iterdir():
    shutil.copy(path, _records(data_dir)[0].parent)
  scanned = _scans(monkeypatch)
  _assert_same(_content(_open(data_dir)), _expected(data_dir))
  assert len(scanned) == 6 and _index_files(data_dir) != before


@pytest.mark.parametrize('file', ['samples.npz', 'frames.npy'])
@pytest.mark.parametrize('size', [0, 500])
def test_damaged_index_is_written_again(data_dir, file, size):
  _content(_open(data_dir))
  before = _index_files(data_dir)
  [path] = data_dir.rglob(file)
  path.write_bytes(path.read_bytes()[:size])
  _assert_same(_content(_open(data_dir)), _expected(data_dir))
  assert _index_files(data_dir) == before


@pytest.mark.parametrize('cut', [1, 1000, 40000])
@pytest.mark.parametrize('indexed', [True, False])
def test_truncated_record_file(data_dir, indexed, cut):
  """Of the first data, which did not record sizes; with recorded sizes, opening the data refuses them."""
  [path] = data_dir.rglob('metadata.json')
  metadata = json.loads(path.read_text())
  path.write_text(json.dumps({key: value for key, value in metadata.items() if key != 'files'}))
  if indexed:
    _content(_open(data_dir))
  path = _records(data_dir)[0]
  path.write_bytes(path.read_bytes()[:-cut])
  with pytest.raises(errors.UserError, match=f'{path.name} has no readable record.*remove .* and rerun the command'):
    _content(_open(data_dir))


def test_changed_byte_of_a_frame(data_dir):
  source = _open(data_dir)
  frame = _content(source)[source.names[0]]['depth'][5]
  path = _records(data_dir)[0]
  content = path.read_bytes()
  place = content.index(frame) + len(frame) // 2
  path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])
  with pytest.raises(errors.UserError, match=f'{path.name} has changed.*remove .* and rerun the command'):
    _content(source)
  batches = clips.training_clips(source.videos(source.names, ('depth',)), ClipConfig(
      frames=9, sampling='uniform', frame_size=32, crop_size=28), seed=0, epochs=[0], batch_size=12)
  with pytest.raises(SystemExit, match=f'^Error: The prepared data are damaged .{path.name} has changed[^\n]*$'):
    cli._guarded(lambda: list(batches), ['program'])


def _read_bytes(monkeypatch):
  sizes, pread, lock = [], os.pread, threading.Lock()

  def counting(descriptor, size, offset):
    with lock:
      sizes.append(size)
    return pread(descriptor, size, offset)

  monkeypatch.setattr(os, 'pread', counting)
  return sizes


@pytest.mark.parametrize('frames', [1, 4])
def test_only_the_frames_of_a_clip_are_read(data_dir, monkeypatch, frames):
  source = _open(data_dir)
  largest = max(len(frame) for video in _content(source).values() for frame in video['rgb'])
  sizes = _read_bytes(monkeypatch)
  config = ClipConfig(frames=frames, frame_size=32, crop_size=28, test_clips=3)
  list(clips.training_clips(source.videos(source.names, ('rgb',)), config, seed=0, epochs=[0], batch_size=4))
  assert len(sizes) == 12 * frames and max(sizes) <= largest
  sizes.clear()
  list(clips.evaluation_clips(source.videos(source.names, ('rgb',)), config))
  assert len(source.names) <= len(sizes) <= 12 * min(3 * frames, 9)  # no frame of a video twice


def test_more_files_than_are_kept_open(data_dir, monkeypatch):
  monkeypatch.setattr(frame_index, '_OPEN_FILES', 2)
  before = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0
  source = _open(data_dir)
  for _ in range(3):
    _assert_same(_content(source), _expected(data_dir))
  if before:
    assert len(os.listdir('/proc/self/fd')) <= before + 4


def test_frames_of_any_size():
  """A size is stored in one to five bytes."""
  frames = [bytes(size) for size in (0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21)]
  values = tf.train.BytesList(value=frames).SerializeToString()
  bounds = list(frame_index._fields(values, 0, len(values)))
  assert [end - start for start, end in bounds] == [len(frame) for frame in frames]
  sizes = np.array([len(frame) for frame in frames])
  np.testing.assert_array_equal(np.cumsum(frame_index._prefix(sizes) + sizes) - sizes, [start for start, _ in bounds])
