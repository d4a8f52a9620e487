"""NYUD objects from native files to clips, through the catalog."""

import collections
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, prepared
from tf_privinfo.datasets import catalog, clips, prepared_samples, registry
from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.nyud import builder, native
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.utils import errors

FRAME_SIZE = 32
CLASSES = ['chair', 'lamp', 'table']


def _open(data_dir, depth_variant='depth', **config):
  return catalog.open_dataset('nyud', str(data_dir), DataConfig(depth_variant, **config), FRAME_SIZE)


def _decode(encoded):
  return tf.io.decode_jpeg(encoded[0]).numpy().astype(int)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return native_files.write_nyud(tmp_path_factory.mktemp('nyud'))


@pytest.fixture(scope='module')
def source(data_dir):
  return _open(data_dir)


@pytest.fixture
def own_files(data_dir, tmp_path):
  """A copy of the native files, for a test to break."""
  for part in native.PARTS:
    shutil.copytree(data_dir / part, tmp_path / part)
  return tmp_path


def _refused(data_dir, **config) -> str:
  """The message with which the files are refused; nothing may be kept of them."""
  with pytest.raises(errors.UserError) as error:
    _open(data_dir, **config)
  assert not [path for path in (data_dir / 'prepared').rglob('1.0.0*/*') if path.is_file()]
  return str(error.value)


# What is prepared.


def test_names_labels_and_metadata(source):
  assert source.label_names == CLASSES and source.modalities == ('rgb', 'depth')
  ids, labels = source.index(source.names)
  assert len(ids) == 18 and sorted(ids) == source.names
  assert dict(zip(ids, labels)) == {name: CLASSES.index(name.split('/')[1]) for name in source.names}
  manifest = source.manifest()
  assert set(manifest.pop('files')) == {f'nyud-{part}.tfrecord-00000-of-00001' for part in native.PARTS}
  assert manifest == {
      'label_names': CLASSES, 'samples': dict.fromkeys(source.names, 1), 'skipped': [], 'depth_variant': 'depth',
      'frame_size': FRAME_SIZE, 'preparation_version': prepared_samples.PREPARATION_VERSION}


def test_pairs_hold_the_images_of_their_names(source, data_dir):
  name = 'test/lamp/0001'
  encoded, [label] = prepared.encoded_frames(source, name, ('rgb', 'depth')), source.videos([name], ('rgb',)).labels
  assert label == 1 and {m: len(kind) for m, kind in encoded.items()} == {'rgb': 1, 'depth': 1}
  for modality, path in (('rgb', 'test/images/lamp/0001.jpg'), ('depth', 'test/depth/lamp/0001.png')):
    whole = cv2.cvtColor(cv2.imread(str(data_dir / path)), cv2.COLOR_BGR2RGB)
    assert _decode(encoded[modality]).shape == (FRAME_SIZE, FRAME_SIZE, 3)
    np.testing.assert_allclose(_decode(encoded[modality]).mean((0, 1)), whole.mean((0, 1)), atol=4)
  assert np.argmax(_decode(encoded['rgb']).mean((0, 1))) == 0  # red in RGB order
  assert np.argmax(_decode(encoded['depth']).mean((0, 1))) == 2


def test_second_open_needs_no_native_files(source, data_dir):
  (data_dir / 'train').rename(data_dir / 'gone')
  try:
    again = _open(data_dir)
  finally:
    (data_dir / 'gone').rename(data_dir / 'train')
  assert again.manifest() == source.manifest() and again.describe() == source.describe()


def test_clips_of_one_frame(source):
  config = ClipConfig(
      frames=1, sampling='mixed', frame_size=FRAME_SIZE, crop_size=28, test_clips=1, colour=False)
  videos = source.videos(registry.split('nyud', 'given', source.names).train, ('rgb', 'depth'))
  batch, labels, _ = next(iter(clips.training_clips(videos, config, seed=0, epochs=[0], batch_size=4)))
  assert {m: kind.shape for m, kind in batch.items()} == dict.fromkeys(('rgb', 'depth'), (4, 1, 28, 28, 3))
  assert labels.shape == (4,)
  names = registry.split('nyud', 'given', source.names).test
  seen = [sample_id.decode() for _, _, ids in clips.evaluation_clips(source.videos(names, ('depth',)), config)
          for sample_id in ids.numpy()]
  assert sorted(seen) == names


def test_resize_is_the_authors():
  """PIL's antialiasing filter; it rounds between its two passes."""
  image = pytest.importorskip('PIL.Image')
  for shape in ((187, 64), (50, 90), (300, 224)):
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8), (3, 3), 0)
    ours = np.clip(frames.resize_lanczos(picture[None], 224).numpy()[0], 0, 255)
    theirs = np.asarray(image.fromarray(picture).resize((224, 224), image.Resampling.LANCZOS)).astype(int)
    assert np.abs(ours - theirs).max() < 2


def test_jpeg_costs_hha_little():
  """Of a scene like that of a crop at the authors' size: a box on the floor before a wall."""
  row, column = np.mgrid[:224, :224] / 224
  box = (np.abs(column - .5) < .3) & (np.abs(row - .5) < .3)
  floor = (row > .6) & ~box
  channels = (np.where(box, 140, np.where(floor, 180 * row, 100)), 220 * (1 - row), np.where(floor, 38, 128))
  picture = np.rint(np.stack(channels, axis=-1))
  difference = np.abs(_decode(frames.encode_jpeg(picture[None])) - picture)
  assert (difference.mean((0, 1)) < 2).all() and np.quantile(difference, .99) < 10


def test_describe_counts(source):
  lines = source.describe().splitlines()
  assert lines == ['18 image pairs of 3 classes (12 train, 6 test), depth from depth',
                   'per class (train + test): chair 4+2, lamp 4+2, table 4+2']


def test_nineteen_classes_are_counted(tmp_path):
  native_files.write_nyud(tmp_path, classes=[f'class_{i:02d}' for i in range(19)], train=1, test=1)
  lines = _open(tmp_path).describe().splitlines()
  assert lines[-1].startswith('Warning: the complete NYUD has 2186 training and 2401 test pairs')


def test_depth_of_another_origin(own_files):
  native_files.write_nyud(own_files, depth='estimated')
  estimated, measured = _open(own_files, 'estimated'), _open(own_files)
  assert estimated.metadata['depth_variant'] == 'estimated' and 'depth from estimated' in estimated.describe()
  assert estimated.names == measured.names
  assert builder.ObjectConfig().name == '224px_depth'


# The protocol.


def test_the_given_sets_are_kept_and_validation_is_held_out():
  names = [f'{part}/{label}/{i}' for part in native.PARTS for label in 'abc' for i in range(20)]
  split = registry.split('nyud', 'given', names, 0.1)
  assert collections.Counter(name[:7] for name in split.validation) == {f'train/{label}': 2 for label in 'abc'}
  assert sorted(split.train + split.validation) == [name for name in sorted(names) if name.startswith('train')]
  assert split.test == [name for name in sorted(names) if name.startswith('test')]
  assert registry.resolve_protocol('nyud', None) == registry.resolve_protocol('synthetic_objects', None) == 'given'


def test_small_classes_hold_out_one_sample_each_or_none_if_so_asked():
  names = [f'train/{label}/{i}' for label in 'abc' for i in range(7)] + ['train/single/0', 'test/a/0']
  split = registry.split('nyud', 'given', names)
  assert collections.Counter(name[:7] for name in split.validation) == {f'train/{label}': 1 for label in 'abc'}
  assert sorted(split.train + split.validation + split.test) == sorted(names)
  assert registry.split('nyud', 'given', names, 0).validation == []


def test_training_opens_no_file_of_the_test_set(source, data_dir, tmp_path):
  shutil.copytree(data_dir, tmp_path / 'copy')
  opened = _open(tmp_path / 'copy')
  gone = [path for path in (tmp_path / 'copy' / 'prepared').rglob('*-test.tfrecord*')]
  assert gone
  for path in gone:
    path.unlink()
  split = registry.split('nyud', 'given', source.names, .3)
  assert split.validation
  for name in split.train + split.validation:
    prepared.encoded_frames(opened, name, ('rgb',))
  with pytest.raises(FileNotFoundError):
    prepared.encoded_frames(opened, split.test[0], ('rgb',))


# What a user can get wrong.


def test_missing_data_tell_what_to_download(tmp_path):
  message = _refused(tmp_path / 'nowhere')
  for part in ('nowhere', 'train/images', 'NYU Depth v2', '--data_dir', 'nyud.convert', '--dataset=synthetic_objects'):
    assert part in message
  assert not (tmp_path / 'nowhere').exists()


def test_missing_folders(own_files):
  shutil.rmtree(own_files / 'test' / 'depth')
  assert "test has no folder 'depth'" in _refused(own_files)
  assert "train has no folder 'fcrn'" in _refused(own_files, depth_variant='fcrn')
  assert '--set data.depth_variant=depth' in _refused(own_files, depth_variant='depth_vis')
  assert 'must be the name of a folder' in _refused(own_files, depth_variant='../depth')


def test_classes_in_one_modality_or_in_the_test_set_only(own_files):
  (own_files / 'train' / 'images' / 'sofa').mkdir()
  shutil.rmtree(own_files / 'train' / 'images' / 'lamp')
  message = _refused(own_files, skip_broken=True)
  assert 'exist in one modality only (sofa in images, lamp in depth)' in message
  (own_files / 'train' / 'images' / 'sofa').rmdir()
  shutil.rmtree(own_files / 'train' / 'depth' / 'lamp')
  assert 'are not in' in _refused(own_files) and '(lamp)' in _refused(own_files)
  for folder in ('images', 'depth'):
    shutil.rmtree(own_files / 'test' / folder / 'lamp')
  assert _open(own_files).label_names == ['chair', 'table']


def test_images_without_partner_are_listed(own_files):
  (own_files / 'train' / 'depth' / 'chair' / '0002.png').unlink()
  (own_files / 'test' / 'images' / 'table' / '0000.jpg').unlink()
  lamps = own_files / 'train' / 'images' / 'lamp'
  shutil.copy(lamps / '0001.jpg', lamps / '0001.JPG')
  message = _refused(own_files)
  assert message.startswith('3 image pairs cannot be used; fix them, or pass --skip_broken')
  assert 'train/images/chair/0002.jpg: no image of that name in train/depth/chair' in message
  assert 'test/depth/table/0000.png: no image of that name in test/images/table' in message
  assert '0001.jpg: ' in message and 'has the same name' in message
  kept = _open(own_files, skip_broken=True)
  assert len(kept.names) == 16 and '3 image pairs were skipped' in kept.describe()


def test_broken_images_are_listed(own_files):
  train = own_files / 'train'
  truncated = train / 'images' / 'chair' / '0001.jpg'
  truncated.write_bytes(truncated.read_bytes()[:100])
  cv2.imwrite(str(train / 'depth' / 'lamp' / '0001.png'), np.zeros((7, 9, 3), np.uint8))
  cv2.imwrite(str(own_files / 'test' / 'depth' / 'table' / '0001.png'), np.zeros((7, 9), np.uint16))
  message = _refused(own_files)
  assert message.startswith('3 image pairs cannot be used')
  for expected in ('train/chair/0001: ', 'truncated or not an image', 'train/lamp/0001: RGB is ',
                   'depth 9x7: the crops must have equal sizes', 'a 16-bit PNG'):
    assert expected in message
  kept = _open(own_files, skip_broken=True)
  assert len(kept.names) == 15 and '3 image pairs were skipped' in kept.describe()


def test_no_image_at_all(own_files):
  for part in native.PARTS:
    for path in (own_files / part).rglob('*.*'):
      path.unlink()
  assert 'No image pair under' in _refused(own_files)


def test_a_test_set_that_is_empty(own_files):
  for path in (own_files / 'test').rglob('*.*'):
    path.unlink()
  source = _open(own_files)
  with pytest.raises(errors.UserError, match='finds no .* to test on'):
    registry.split('nyud', 'given', source.names)


def test_files_of_other_kinds_are_left_alone(own_files):
  for name in ('Thumbs.db', '.0000.jpg', 'notes.txt'):
    (own_files / 'train' / 'images' / 'chair' / name).write_text('x')
  (own_files / 'train' / 'images' / '.cache').mkdir()
  assert pathlib.Path(native.scan(own_files, 'depth')[0][0].rgb).name == '0000.jpg'
  assert native.scan(own_files, 'depth')[1] == []
