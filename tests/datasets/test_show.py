"""Contact sheets: which samples, which clips, where each frame is drawn."""

import collections
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, prepared
from tf_privinfo.datasets import catalog, clips, colour, contact_sheets
from tf_privinfo.datasets.config import ClipConfig, DataConfig

CONFIG = ClipConfig(frames=3, frame_size=32, crop_size=24)
MODALITIES = ('rgb', 'depth', 'flow')
CHANGES = 'shifted crop, mirroring, colours of RGB'


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return native_files.write_uwa3dii(tmp_path_factory.mktemp('uwa3dii'))


@pytest.fixture(scope='module')
def source(data_dir):
  return catalog.open_dataset('uwa3dii', str(data_dir), DataConfig('depth'), CONFIG.frame_size)


@pytest.fixture(scope='module')
def samples(source):
  return list(contact_sheets.read(source, source.names, CONFIG, seed=3))


def _run(*flags):
  """Runs the command as a user does; returns (exit status, standard output, standard error)."""
  done = subprocess.run([sys.executable, '-m', 'tf_privinfo.datasets.show', *map(str, flags)],
                        capture_output=True, text=True)
  return done.returncode, done.stdout, done.stderr


def _decode(png):
  assert png.startswith(b'\x89PNG')
  return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _places(sheet, frame, zoom):
  """Where an enlarged frame is in a sheet, to the bit: the (x, y) of its upper left corners."""
  enlarged = np.kron(frame, np.ones((zoom, zoom, 1), np.uint8))
  windows = np.lib.stride_tricks.sliding_window_view(sheet, enlarged.shape)[:, :, 0]
  candidates = np.argwhere((sheet[:windows.shape[0], :windows.shape[1]] == enlarged[0, 0]).all(axis=-1))
  return [(x, y) for y, x in candidates if (windows[y, x] == enlarged).all()]


def _noise_clip(seed, size, frames=3):
  return np.random.default_rng(seed).integers(0, 255, (frames, size, size, 3), np.uint8)


def test_samples_are_spread_over_the_classes():
  names = [f'{label}/{index}' for label in 'abc' for index in range(10)]
  label_of = lambda name: name[0]
  assert collections.Counter(map(label_of, contact_sheets.spread(names, label_of, 7))) == {'a': 3, 'b': 2, 'c': 2}
  three = contact_sheets.spread(names[::-1], label_of, 3)
  assert sorted(map(label_of, three)) == ['a', 'b', 'c'] and len({name[2] for name in three}) == 3
  assert len(set(contact_sheets.spread(names, label_of, 15))) == 15
  assert sorted(contact_sheets.spread(names, label_of, 99)) == names
  assert contact_sheets.spread(['a/0', 'b/0', 'b/1'], label_of, 2) == ['a/0', 'b/1']


def test_augmented_clips_are_those_of_training(source, samples):
  expected = clips.training_clips(source.videos(source.names, MODALITIES), CONFIG, seed=3, epochs=[0], batch_size=4)
  expected = [(name.numpy().decode(), {m: clip[m][i] for m in MODALITIES})
              for batch, _, names in expected for clip in [colour.distort(batch)] for i, name in enumerate(names)]
  assert [sample.name for sample in samples] == [name for name, _ in expected]
  for sample, (_, clip) in zip(samples, expected):
    for m in MODALITIES:
      assert sample.augmented[m].dtype == np.uint8 and sample.augmented[m].shape == (3, 24, 24, 3)
      np.testing.assert_allclose(sample.augmented[m], clip[m], atol=.5)


def test_stored_frames_are_whole_and_those_of_the_augmented_clip(source, samples):
  augmented_as_stored = 0
  for sample in samples[:6]:
    encoded = prepared.encoded_frames(source, sample.name, MODALITIES)
    drawn = {}
    for m in MODALITIES:
      frames = [tf.io.decode_jpeg(f, channels=3, dct_method='INTEGER_ACCURATE').numpy() for f in encoded[m]]
      drawn[m] = [{i for i, frame in enumerate(frames) if (frame == shown).all()} for shown in sample.stored[m]]
    for of_modalities in zip(*drawn.values()):
      assert set.intersection(*of_modalities)
    # Depth is cut out and perhaps mirrored, nothing else.
    whole = sample.stored['depth'][0]
    augmented_as_stored += bool(_places(whole, sample.augmented['depth'][0], 1)
                                or _places(whole[:, ::-1], sample.augmented['depth'][0], 1))
  assert augmented_as_stored == 6


def test_a_sheet_has_every_frame_in_its_place():
  shown = {'one': {m: _noise_clip(i, 20) for i, m in enumerate(MODALITIES)},
           'two': {m: _noise_clip(9 + i, 16) for i, m in enumerate(MODALITIES)}}
  sheet = _decode(contact_sheets.contact_sheet('a title', shown))
  places = {}
  for caption, block in shown.items():
    for row, clip in block.items():
      found = [_places(sheet, frame, 12) for frame in clip]
      assert [len(place) for place in found] == [1, 1, 1], (caption, row)
      places[caption, row] = [place for place, in found]
  for line in places.values():  # one line, from left to right
    assert len({y for _, y in line}) == 1 and sorted(line) == line
  tops = [line[0][1] for line in places.values()]
  assert tops == sorted(tops) and min(np.diff(tops)) > 16 * 12
  assert [x for x, _ in places['two', 'rgb']] == [x + 24 for x, _ in places['one', 'rgb']]  # in the middle of its cell
  # Title, captions and the names of the rows are in the rest.
  for y, x in ((slice(0, 36), slice(0, 70)), (slice(36, 66), slice(70, 300)), (slice(66, 300), slice(0, 60))):
    assert sheet[y, x].min() < 100
  other = _decode(contact_sheets.contact_sheet('another title', shown))
  assert other.shape == sheet.shape and (other != sheet).any()


def test_what_a_sheet_shows():
  stored, augmented = ({m: _noise_clip(seed, 32) for m in MODALITIES} for seed in (0, 1))
  sample = contact_sheets.Sample('name', stored, augmented)
  assert list(contact_sheets.blocks(sample, CONFIG, False).values()) == [stored, augmented]
  captions = list(contact_sheets.blocks(sample, CONFIG, True))
  assert CHANGES in captions[1] and 'alignment' in captions[2]
  as_it_is = ClipConfig(frames=1, frame_size=32, crop_size=32, flip=False, colour=False)
  assert list(contact_sheets.blocks(sample, as_it_is, False).values()) == [augmented]


def test_edges_of_depth_lie_where_depth_has_them():
  rgb = np.full((2, 32, 32, 3), (200, 100, 0), np.uint8)
  depth = np.zeros_like(rgb)
  depth[1, 10:20, 12:24] = 255
  overlaid = contact_sheets.overlay_edges(rgb, depth)
  edges = (overlaid == contact_sheets._EDGES).all(axis=-1)
  assert not edges[0].any()
  rows, columns = np.nonzero(edges[1])
  np.testing.assert_allclose([rows.min(), rows.max(), columns.min(), columns.max()], [9.5, 19.5, 11.5, 23.5], atol=.5)
  assert not edges[1, 12:18, 14:22].any() and len(set(overlaid[~edges].reshape(-1))) == 1


def test_the_command_draws_a_sheet_for_each_sample(data_dir, tmp_path):
  status, out, err = _run('--dataset=uwa3dii', f'--data_dir={data_dir}', f'--out={tmp_path / "out"}', '--preset=tiny',
                          '--count=3', '--protocol=cross_view_12_34')
  assert status == 0, err
  assert out.endswith(f'Everything is in {tmp_path / "out"}: 3 contact sheets, one PNG for each sample\n')
  names = sorted(path.name for path in (tmp_path / 'out').iterdir())
  assert [name[:3] for name in names] == ['a01', 'a01', 'a02'] and all(name[10] in '12' for name in names)
  sheet = _decode((tmp_path / 'out' / names[0]).read_bytes())
  assert sheet.shape[1] > 8 * 4 * 32 and sheet.shape[0] > 2 * 3 * 4 * 32  # eight frames, two blocks of three modalities


def test_objects_have_one_frame(tmp_path):
  native_files.write_nyud(tmp_path)
  source = catalog.open_dataset('nyud', str(tmp_path), DataConfig('depth'), 32)
  assert {source.label_of(name) for name in source.names} == {'chair', 'lamp', 'table'}
  config = ClipConfig(frames=1, sampling='uniform', frame_size=32, crop_size=32, flip=False, colour=False)
  for sample in contact_sheets.read(source, source.names[:2], config, seed=0):
    sheet = _decode(contact_sheets.contact_sheet(sample.name, contact_sheets.blocks(sample, config, False)))
    for m in ('rgb', 'depth'):
      assert len(_places(sheet, sample.augmented[m][0], 8)) == 1


@pytest.mark.parametrize('flag, words', [
    ('--dataset=ucla', ['--dataset=ucla', 'nwucla']),
    ('--protocol=given', ['--protocol=given', 'cross_view_4']),
    ('--out=/dev/null/out', ['/dev/null/out', '--out'])])
def test_mistakes_end_in_one_sentence(flag, words, data_dir, tmp_path):
  status, _, err = _run('--dataset=uwa3dii', f'--data_dir={data_dir}', f'--out={tmp_path}', '--preset=tiny', flag)
  assert status == 1 and 'Traceback' not in err
  assert all(word in err for word in words), err
