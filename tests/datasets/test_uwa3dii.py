"""UWA3D Multiview II from native files to a training step, through the catalog."""

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
from tf_privinfo.datasets.preparation import depth
from tf_privinfo.datasets.uwa3dii import native
from tf_privinfo.runs import restore
from tf_privinfo.utils import errors

FRAME_SIZE = 32
NAMES = [f'a{action:02d}_s{subject:02d}_v{view:02d}_e00'
         for action in (1, 30) for subject in (1, 2) for view in (1, 2, 3, 4)]
BROKEN = NAMES[5]
RGB, DEPTH = 'UWA3D-RGB', 'UWA3D-Depth/WholeFrames'


def _open(data_dir, depth_variant='depth', **config):
  return catalog.open_dataset('uwa3dii', str(data_dir), DataConfig(depth_variant, **config), FRAME_SIZE)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Native files of 16 videos of nine frames."""
  return native_files.write_uwa3dii(tmp_path_factory.mktemp('uwa3dii'), actions=(1, 30))


@pytest.fixture(scope='module')
def source(data_dir):
  return _open(data_dir)


@pytest.fixture
def own_files(data_dir, tmp_path):
  """A copy of the native files, for a test to break: the folder, and those of RGB and depth of one video."""
  for folder in (RGB, DEPTH):
    shutil.copytree(data_dir / folder, tmp_path / folder)
  return tmp_path, tmp_path / RGB / BROKEN.replace('e00', 'e01'), tmp_path / DEPTH / BROKEN


def _problems(directory):
  return native.scan(native.find_root(str(directory)))[1]


def test_names_labels_and_metadata(source):
  """Videos have the names of their depth folders; ids 1..30 are labels 0..29."""
  assert source.names == NAMES and len(source.label_names) == 30
  assert (source.label_names[0], source.label_names[29]) == ('one_hand_waving', 'coughing')
  assert dict(zip(*source.index(NAMES))) == {name: 0 if name.startswith('a01') else 29 for name in NAMES}
  metadata = source.manifest()
  assert metadata['samples'] == {name: 9 for name in NAMES}
  assert not metadata['skipped'] and not metadata['cut'] and 'unlike_sizes' not in metadata
  text = source.describe()
  assert text.startswith('16 videos, 144 frames, depth from depth, flow by opencv_dis_medium')
  assert 'per view: 1: 4, 2: 4, 3: 4, 4: 4' in text


def test_frames_and_depth_are_those_of_the_files(source, data_dir):
  video, _ = prepared.read_video(source, NAMES[-1])
  assert {m: frames.shape for m, frames in video.items()} == dict.fromkeys(
      ('rgb', 'depth', 'flow'), (9, FRAME_SIZE, FRAME_SIZE, 3))
  path = data_dir / RGB / NAMES[-1].replace('e00', 'e01') / '006,.jpg'
  native_frame = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
  expected = cv2.resize(native_frame, (FRAME_SIZE, FRAME_SIZE)).astype(int)
  differences = [abs(frame - expected).mean() for frame in video['rgb']]
  assert np.argmin(differences) == 5 and differences[5] < 8
  background = depth.jet(np.array([[3000]], np.uint16))[0, 0]
  np.testing.assert_allclose(np.median(video['depth'], axis=(0, 1, 2)), background, atol=6)
  assert video['depth'][5, :, 0].max() < 60  # nothing was measured there: black


def test_depth_of_8_bits_is_a_variant_of_its_own(own_files):
  directory, _, _ = own_files
  for path in (directory / DEPTH).glob('*/*.png'):
    cv2.imwrite(str(path), (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 16).astype(np.uint8))
  with pytest.raises(errors.UserError, match='001.png: not a 16-bit PNG'):
    _open(directory)
  video, _ = prepared.read_video(_open(directory, 'depth_vis'), NAMES[0])
  np.testing.assert_allclose(np.median(video['depth'], axis=(0, 1, 2)), 3000 // 16, atol=3)


@pytest.mark.parametrize('rename', [
    lambda name: name.replace(',', ''), lambda name: f'frame_{int(name[:3])}{name[3:]}',
    lambda name: f'a01_s02_{int(name[:3])}_{name[3:]}'])
def test_numbers_anywhere_in_the_frames_names(rename, own_files):
  """Frame 10 would follow frame 9, and come before frame 2 as text."""
  directory, rgb, whole_frames = own_files
  for folder in (rgb, whole_frames):
    paths = sorted(folder.iterdir(), reverse=True)
    for path in paths:  # numbers 4 to 12
      path.rename(path.with_name(rename(f'{int(path.name[:3]) + 3:03d}{path.name[3:]}')))
  videos, problems = native.scan(directory)
  video, = (v for v in videos if v.name == BROKEN)
  assert not problems and video.dropped == 0
  expected = [rename(f'{number:03d},.jpg') for number in range(4, 13)]
  assert [pathlib.Path(path).name for path in video.rgb] == expected
  assert [pathlib.Path(path).name for path in video.depth] == [rename(f'{n:03d}.png') for n in range(4, 13)]


def test_the_folder_whole_frames_may_be_missing(own_files):
  directory, _, _ = own_files
  whole_frames = directory / DEPTH
  whole_frames.rename(directory / 'frames')
  whole_frames.parent.rmdir()
  (directory / 'frames').rename(whole_frames.parent)
  videos, problems = native.scan(native.find_root(str(directory)))
  assert [video.name for video in videos] == NAMES and not problems


def test_episodes_pair_in_their_order(own_files):
  directory, rgb, whole_frames = own_files
  again = [folder.with_name(folder.name[:-1] + '7') for folder in (rgb, whole_frames)]
  for folder, copy in zip((rgb, whole_frames), again):
    shutil.copytree(folder, copy)
  videos, problems = native.scan(directory)
  pairs = {video.name: pathlib.Path(video.rgb[0]).parent.name for video in videos}
  assert not problems and pairs[BROKEN] == rgb.name and pairs[again[1].name] == again[0].name
  shutil.rmtree(again[0])
  assert _problems(directory) == [f'{rgb.name}, {BROKEN}, {again[1].name}: 1 folders of RGB, 2 of depth']


def test_frames_of_one_modality_are_left_out_and_told(own_files):
  directory, rgb, whole_frames = own_files
  (rgb / '003,.jpg').unlink()
  (whole_frames / '009.png').unlink()
  source = _open(directory)
  assert source.metadata['samples'][BROKEN] == 7 and source.metadata['cut'] == {BROKEN: 2}
  assert BROKEN in source.describe()


# What cannot be read.


def test_no_data(tmp_path):
  (tmp_path / RGB).mkdir()
  with pytest.raises(errors.UserError, match='looked for UWA3D-Depth') as error:
    _open(tmp_path)
  assert 'Download' in str(error.value) and '--dataset=synthetic' in str(error.value)


def test_alignment_is_refused_before_anything_is_read(tmp_path):
  with pytest.raises(errors.UserError, match='cannot be aligned.*data.aligned'):
    _open(tmp_path, aligned=True)
  with pytest.raises(errors.UserError, match='choose one of depth, depth_vis'):
    _open(tmp_path, 'hha')


def _truncate(rgb, whole_frames):
  (rgb / '004,.jpg').write_bytes((rgb / '004,.jpg').read_bytes()[:200])


def _shrink(rgb, whole_frames):
  cv2.imwrite(str(whole_frames / '002.png'), np.ones((9, 9), np.uint16))


def _remove_rgb(rgb, whole_frames):
  shutil.rmtree(rgb)


def _empty_depth(rgb, whole_frames):
  for path in whole_frames.iterdir():
    path.unlink()


def _renumber(rgb, whole_frames):
  for path in whole_frames.iterdir():
    path.rename(path.with_name(f'9{path.name}'))


def _repeat(rgb, whole_frames):
  shutil.copy(rgb / '004,.jpg', rgb / '4.jpg')


def _name(rgb, whole_frames):
  (rgb / '004,.jpg').rename(rgb / 'cover.jpg')


@pytest.mark.parametrize('damage, words', [
    (_truncate, '004,.jpg: truncated'),
    (_shrink, '002.png: 9x9, unlike the first frame'),
    (_remove_rgb, '0 folders of RGB, 1 of depth'),
    (_empty_depth, 'no .png frame in'),
    (_renumber, 'no frame number has both'),
    (_repeat, '4.jpg has the number of 004,.jpg'),
    (_name, 'cover.jpg has no number in its name'),
])
def test_a_broken_video_is_one_sentence_with_its_name(damage, words, own_files):
  directory, rgb, whole_frames = own_files
  damage(rgb, whole_frames)
  with pytest.raises(errors.UserError) as error:
    _open(directory)
  first, problem = str(error.value).splitlines()
  assert first.startswith('1 videos cannot be used') and '--skip_broken' in first
  assert problem.strip().startswith(f'{BROKEN}: ') and words in problem
  if damage is _truncate:
    kept = _open(directory, skip_broken=True)
    assert kept.names == [name for name in NAMES if name != BROKEN]
    assert words in kept.describe()


@pytest.mark.parametrize('name, words', [
    ('a31_s01_v01_e00', 'a31_s01_v01_e00: there is no action 31'),
    ('a01_s03_v01', "UWA3D-RGB: 'a01_s03_v01' is not of the form a01_s04_v02_e00"),
    ('notes', "UWA3D-RGB: 'notes' is not of the form")])
def test_folders_of_other_names(name, words, own_files):
  directory, _, _ = own_files
  (directory / RGB / name).mkdir()
  problem, = _problems(directory)
  assert words in problem


# What is trained on it.


def test_recipes_do_without_what_the_dataset_has_not():
  for method in ('dmcl', 'modality_distillation', 'admd'):
    recipe = recipes.recipe(method, 'uwa3dii', 'cross_view_4')
    assert recipe.data.depth_variant == 'depth' and not recipe.data.aligned
  assert recipes.recipe('two_stream', 'uwa3dii', 'cross_view_4').data.hold_out == 0


@pytest.mark.parametrize('method, stage', [('modality_distillation', 'hallucination'), ('admd', 'game')])
def test_a_training_step_from_native_files(method, stage, source):
  """Of the stage that makes each of them, not traced; test_every_dataset.py has whole runs."""
  recipe = recipes.recipe(method, 'uwa3dii', 'cross_view_12_34', 'tiny')
  split = registry.split('uwa3dii', recipe.protocol, source.names, recipe.data.hold_out)
  assert {name[10] for name in split.train} == {'1', '2'} and {name[10] for name in split.test} == {'3', '4'}
  trained = restore.build_method(recipe, stage, len(source.label_names))
  trained.compile_with(lambda factor: tf.keras.optimizers.Adam(factor * 1e-3))
  before = [variable.numpy() for variable in trained.learned_variables]
  clip, labels, _ = next(iter(clips.training_clips(
      source.videos(split.train, trained.training_modalities), recipe.clips, seed=0, epochs=[0],
      batch_size=recipe.stages[stage].batch_size)))
  logs = trained.train_step((clip, labels))
  assert set(labels.numpy()) <= {0, 29} and np.isfinite(logs['loss'])
  assert any((after.numpy() != old).any() for after, old in zip(trained.learned_variables, before))
