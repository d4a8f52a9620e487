"""NTU RGB+D from native files: what is prepared, mistakes of a user, alignment, a step of each system."""

import collections
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, prepared
from tf_privinfo import recipes
from tf_privinfo.datasets import catalog, clips, registry
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.ntu_rgbd import builder, native
from tf_privinfo.datasets.ntu_rgbd import protocols as ntu_protocols
from tf_privinfo.datasets.preparation import depth
from tf_privinfo.recipes import validation
from tf_privinfo.runs import restore
from tf_privinfo.utils import errors

FRAME_SIZE = 32
# Performer 1 validates, 2 trains, 3 tests; cameras 2 and 3 train, 1 tests.
NAMES = sorted(f'S001C00{camera}P00{performer}R001A0{action:02d}'
               for camera in (1, 2, 3) for performer in (1, 2, 3) for action in (2, 9))
BROKEN = NAMES[4]


# What is prepared.


def _open(data_dir, dataset='ntu60', **config):
  return catalog.open_dataset(dataset, str(data_dir), DataConfig(**{'depth_variant': 'depth', **config}), FRAME_SIZE)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return native_files.write_ntu(tmp_path_factory.mktemp('ntu'), NAMES)


@pytest.fixture
def own_files(data_dir, tmp_path):
  """A copy of the native files, for a test to break."""
  for folder in data_dir.glob('nturgb*'):
    shutil.copytree(folder, tmp_path / folder.name)
  return tmp_path


def test_actions():
  assert len(native.ACTIONS) == len(set(native.ACTIONS.values())) == 120 and len(builder.Ntu60.ACTIONS) == 60
  assert [native.ACTIONS[number] for number in (1, 26, 60, 61, 99, 120)] == [
      'drink_water', 'hop', 'walk_apart', 'put_on_headphone', 'run_on_the_spot', 'rock_paper_scissors']


def test_names_labels_and_metadata(data_dir):
  source = _open(data_dir)
  assert source.names == NAMES and len(source.label_names) == 60
  ids, labels = source.index(NAMES)
  assert dict(zip(ids, labels)) == {name: int(name[-3:]) - 1 for name in NAMES}
  assert source.metadata['samples'] == {name: 9 for name in NAMES}
  assert source.metadata['depth_variant'] == 'depth' and not source.metadata['cut']
  text = source.describe()
  assert text.startswith('18 videos, 162 frames, depth from depth, flow by')
  assert 'per camera: 1: 6, 2: 6, 3: 6' in text and 'per performer: 1: 6, 2: 6, 3: 6' in text
  assert 'pick_up' not in text and 'eat_meal 9, stand_up 9' in text and 'skipped' not in text and 'left out' not in text


@pytest.mark.parametrize('variant, background', [('depth', 0), ('depth_full', 4000)])
def test_depth_is_coloured_and_masked_or_not(data_dir, variant, background):
  pictures, _ = prepared.read_video(_open(data_dir, depth_variant=variant), NAMES[0])
  colours = depth.jet(np.array([[background, 2000 + 10 * 2]], np.uint16))[0]
  np.testing.assert_allclose(np.median(pictures['depth'], axis=(0, 1, 2)), colours[0], atol=6)
  distances = np.abs(pictures['depth'] - colours[1].astype(int)).max(axis=-1)
  assert (distances < 40).any(axis=(1, 2)).all()  # the square is in every frame


def test_minis_share_what_is_prepared(data_dir):
  whole, mini = _open(data_dir), _open(data_dir, 'ntu60_mini')
  assert mini.names == whole.names and mini.label_names == whole.label_names
  assert (data_dir / 'prepared' / 'ntu60').is_dir() and not list((data_dir / 'prepared').glob('*mini*'))
  assert catalog.default_data_dir('ntu60_mini', DataConfig()) == catalog.default_data_dir('ntu60', DataConfig())


def test_a_small_class_keeps_one_video_to_train_on():
  split = registry.split('ntu60', 'cross_view', NAMES)
  assert collections.Counter(name[-3:] for name in split.train) == {'002': 1, '009': 1}


def test_parts_of_the_dataset(tmp_path):
  """A folder with all of it: the smaller one takes its actions and setups, and both leave out those of the list."""
  listed = min(native.MISSING_SKELETONS)
  assert ntu_protocols.parse_ntu_name(listed).action <= 60
  native_files.write_ntu(tmp_path, [NAMES[0], listed, 'S018C001P001R001A061', 'S018C001P001R001A001'], frames=2)
  (tmp_path / 'nturgb+d_skeletons' / f'{listed}.skeleton').unlink()
  assert _open(tmp_path).names == [NAMES[0]]
  source = _open(tmp_path, 'ntu120', aligned=True)
  assert source.names == [NAMES[0], 'S018C001P001R001A001', 'S018C001P001R001A061']
  assert source.metadata['without_skeleton'] == [listed] and not source.metadata['skipped']
  assert f'1 videos are on the published list of samples without usable skeleton and were left out: {listed}' in (
      source.describe())


def test_folders_as_they_are_unpacked(data_dir, tmp_path):
  """One zip file per setup and modality, each with the same folder inside."""
  for folder, zip_file in (('nturgb+d_rgb', 'nturgbd_rgb_s001'), ('nturgb+d_skeletons', 'nturgbd_skeletons_s001'),
                           ('nturgb+d_depth_masked', 'depth/nturgbd_depth_masked_s001')):
    shutil.copytree(data_dir / folder, tmp_path / zip_file / folder)
  videos, problems, _ = native.scan(tmp_path, 'depth', True, range(1, 61), range(1, 18))
  assert [found.name for found in videos] == NAMES and not problems
  assert pathlib.Path(videos[0].depth) == (
      tmp_path / 'depth/nturgbd_depth_masked_s001/nturgb+d_depth_masked' / NAMES[0])
  _, problems, _ = native.scan(tmp_path, 'depth_full', False, range(1, 61), range(1, 18))
  assert problems == [f'{name}: no depth_full (nturgb+d_depth)' for name in NAMES]


# What a user can get wrong.


def test_missing_data_tell_what_to_download(tmp_path):
  with pytest.raises(errors.UserError) as error:
    _open(tmp_path / 'nowhere')
  for part in ('nowhere', 'nturgb+d_rgb', 'nturgb+d_depth_masked', '--data_dir', '--dataset=synthetic'):
    assert part in str(error.value)
  with pytest.raises(errors.UserError, match='choose one of depth, depth_full'):
    _open(tmp_path, depth_variant='depth_vis')


def test_all_unusable_samples_are_told(own_files):
  rgb, skeleton, masked = (own_files / f'nturgb+d_{kind}' for kind in ('rgb', 'skeletons', 'depth_masked'))
  (rgb / f'{NAMES[0]}_rgb.avi').unlink()
  shutil.rmtree(masked / NAMES[1])
  (skeleton / f'{NAMES[2]}.skeleton').unlink()
  (own_files / 'copy').mkdir()
  shutil.copy(rgb / f'{NAMES[3]}_rgb.avi', own_files / 'copy')
  shutil.copy(rgb / f'{NAMES[3]}_rgb.avi', rgb / 'S001C001_rgb.avi')
  for name in ('S001C001P001R001A121', 'S033C001P001R001A001', 'S001C004P001R001A001'):
    shutil.copy(rgb / f'{NAMES[3]}_rgb.avi', rgb / f'{name}_rgb.avi')
  with pytest.raises(errors.UserError) as error:
    _open(own_files, aligned=True)
  problems = str(error.value).splitlines()
  assert problems[0].startswith('8 videos cannot be used; fix them, or pass --skip_broken')
  for expected in (
      f'{NAMES[0]}: no rgb (*_rgb.avi)', f'{NAMES[1]}: no depth (nturgb+d_depth_masked)',
      f'{NAMES[2]}: no skeleton (*.skeleton)', f'{NAMES[3]}: rgb exists 2 times: ', "'S001C001' is not of the form",
      *(f'{name}: NTU RGB+D has no such setup, camera or action' for name in (
          'S001C001P001R001A121', 'S033C001P001R001A001', 'S001C004P001R001A001'))):
    assert any(expected in line for line in problems[1:]), expected
  assert len(_open(own_files, aligned=True, skip_broken=True).names) == len(NAMES) - 4


def _avi_cut(root):
  path = root / 'nturgb+d_rgb' / f'{BROKEN}_rgb.avi'
  path.write_bytes(path.read_bytes()[:-4000])


def _png_of_8_bits(root):
  cv2.imwrite(str(root / 'nturgb+d_depth_masked' / BROKEN / 'MDepth-00000004.png'), np.ones((53, 64), np.uint8))


def _png_of_another_size(root):
  cv2.imwrite(str(root / 'nturgb+d_depth_masked' / BROKEN / 'MDepth-00000004.png'), np.ones((50, 64), np.uint16))


def _png_missing(root):
  (root / 'nturgb+d_depth_masked' / BROKEN / 'MDepth-00000004.png').unlink()


def _png_all_missing(root):
  for path in (root / 'nturgb+d_depth_masked' / BROKEN).iterdir():
    path.unlink()


def _nobody(root):
  (root / 'nturgb+d_skeletons' / f'{BROKEN}.skeleton').write_text(native_files.ntu_skeleton([{}] * 9))


def _guessed(root):
  (root / 'nturgb+d_skeletons' / f'{BROKEN}.skeleton').write_text(
      native_files.ntu_skeleton([{'1': joints} for joints in native_files.kinect2_person(state=1)]))


@pytest.mark.parametrize('spoil, message', [
    (_avi_cut, 'of 9 frames can be decoded'), (_png_of_8_bits, 'MDepth-00000004.png: not a 16-bit PNG'),
    (_png_of_another_size, 'MDepth-00000004.png: 64x50, unlike the first'),
    (_png_missing, 'MDepth-00000004.png is missing'), (_png_all_missing, r'no MDepth-\*.png in the folder'),
    (_nobody, 'no person in any of the 9 frames'), (_guessed, 'no joint is tracked')])
def test_broken_samples_are_named(tmp_path, spoil, message):
  native_files.write_ntu(tmp_path, [BROKEN])
  spoil(tmp_path)
  with pytest.raises(errors.UserError, match=message) as error:
    _open(tmp_path, aligned=True)
  assert str(error.value).splitlines()[1].startswith(f'  {BROKEN}: ')


@pytest.mark.parametrize('depths, left', [(7, 7), (11, 9)])
def test_modalities_of_different_length_are_cut(tmp_path, depths, left):
  """More or fewer frames of depth than the nine of RGB: told of by --check, too."""
  native_files.write_ntu(tmp_path, [BROKEN])
  whole, _ = prepared.read_video(_open(tmp_path, skip_broken=True), BROKEN)
  *_, last = paths = sorted((tmp_path / 'nturgb+d_depth_masked' / BROKEN).iterdir())
  for path in paths[depths:]:
    path.unlink()
  for number in range(len(paths) + 1, depths + 1):
    shutil.copy(last, last.with_name(f'MDepth-{number:08d}.png'))
  checked, problems = catalog.check_dataset('ntu60', str(tmp_path), DataConfig('depth'), FRAME_SIZE)
  source = _open(tmp_path)
  for told in (checked, source):
    assert told.metadata['samples'] == {BROKEN: left} and told.metadata['cut'] == {BROKEN: 2}
    assert f'1 videos have modalities of different length and are cut to the shortest: {BROKEN}' in told.describe()
  assert not problems
  cut, _ = prepared.read_video(source, BROKEN)
  for modality in ('rgb', 'depth'):
    np.testing.assert_array_equal(cut[modality], whole[modality][:left])
  assert len(cut['flow']) == left


# Alignment of native frames of the full size.


def _ball(shape, pixel, radius):
  """A filled circle [H, W] bool, drawn to a fraction of a pixel."""
  rows, columns = np.mgrid[:shape[0], :shape[1]]
  return np.hypot(columns - pixel[0], rows - pixel[1]) < radius


def _centroid(mask):
  return np.argwhere(mask)[:, ::-1].mean(axis=0)


def test_aligned_videos_of_a_known_scene(tmp_path):
  """A ball of 12 cm that somebody holds is in the same place of stored RGB and of stored depth."""
  name, count, stored = NAMES[0], 4, 224
  person = np.random.default_rng(0).uniform([-.4, -.9, 3], [.4, .7, 3.3], (25, 3))
  # Where the person's joints are, from top left to bottom right.
  balls = np.linspace([-.4, .6, 3.2], [.4, -.6, 3.1], count)
  pixels = native_files.kinect2_joints(balls)
  pictures, depths = [], []
  for (_, _, z), pixel in zip(balls, pixels):
    inside = _ball((1080, 1920), pixel[5:7], 1060 * .12 / z)
    pictures.append(np.where(inside[..., None], np.uint8(255), np.uint8(30)).repeat(3, axis=-1))
    depths.append(np.where(_ball((424, 512), pixel[3:5], 366 * .12 / z), 1000 * z, 0).astype(np.uint16))
  joints = native_files.kinect2_joints(person)
  native_files.write_ntu_video(tmp_path, name, pictures, depths, native_files.ntu_skeleton([{'1': joints}] * count))
  distances = {}
  for aligned in (True, False):
    source = catalog.open_dataset('ntu60', str(tmp_path), DataConfig('depth', aligned=aligned), stored)
    found, _ = prepared.read_video(source, name)
    distances[aligned] = [
        np.linalg.norm(_centroid(rgb[..., 0] > 140) - _centroid(coloured.max(axis=-1) > 100))
        for rgb, coloured in zip(found['rgb'], found['depth'])]
  print({aligned: np.round(values, 2) for aligned, values in distances.items()})
  assert max(distances[True]) < .5 and min(distances[False]) > 3


# The three systems.


@pytest.mark.parametrize('dataset', ['ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini'])
@pytest.mark.parametrize('method, aligned', [('dmcl', False), ('modality_distillation', True), ('admd', True)])
def test_recipes_validate_and_read_coloured_depth(method, aligned, dataset):
  protocol = registry.resolve_protocol(dataset, recipes.default_protocol(method, dataset))
  recipe = validation.check(recipes.recipe(method, dataset, protocol))
  assert protocol == 'cross_subject' and recipe.data == DataConfig('depth', aligned=aligned)
  assert recipe.data.hold_out > 0


@pytest.mark.parametrize('method, stage', [('modality_distillation', 'hallucination'), ('admd', 'game')])
def test_a_training_step_from_native_files(method, stage, data_dir):
  """Of the stage that makes each of them, not traced; test_every_dataset.py has whole runs."""
  recipe = recipes.recipe(method, 'ntu60', 'cross_subject', 'tiny')
  source = catalog.open_dataset('ntu60', str(data_dir), recipe.data, recipe.clips.frame_size)
  split = registry.split('ntu60', recipe.protocol, source.names, recipe.data.hold_out)
  assert [{name[8:12] for name in part} for part in split] == [{'P002'}, {'P001'}, {'P003'}]
  learner = restore.build_method(recipe, stage, len(source.label_names))
  learner.compile_with(lambda factor: tf.keras.optimizers.SGD(factor * 1e-2))
  batches = clips.training_clips(
      source.videos(split.train, learner.training_modalities), recipe.clips, seed=0, epochs=[0], batch_size=4)
  batch, labels, _ = next(iter(batches))
  before = [variable.numpy() for variable in learner.learned_variables]
  logs = learner.train_step((batch, labels))
  assert all(np.isfinite(value) for value in tf.nest.flatten(logs))
  moved = [not np.array_equal(old, new.numpy()) for old, new in zip(before, learner.learned_variables)]
  assert np.mean(moved) > .5
  assert source.metadata['aligned']
