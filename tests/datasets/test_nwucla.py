"""NW-UCLA from native files to encoded videos, through the catalog."""

import hashlib
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from tests import native_files, prepared
from tf_privinfo.datasets import catalog, prepared_samples
from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.nwucla import native
from tf_privinfo.datasets.preparation import depth, flow
from tf_privinfo.utils import errors

FRAME_SIZE = 32
ACTIONS = (2, 9)  # labels 1 and 7
NAMES = sorted(f'view_{view}/a{action:02d}_s{subject:02d}_e00'
               for view in (1, 2, 3) for action in ACTIONS for subject in (1, 2))
BROKEN = NAMES[3]


def _open(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Native files of twelve videos of nine frames, numbered 4 to 12."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=ACTIONS)
  return directory


@pytest.fixture(scope='module')
def source(data_dir):
  return _open(data_dir)


@pytest.fixture
def own_files(data_dir, tmp_path):
  """A copy of the native files, for a test to break: the folder, and the path of one video in it."""
  shutil.copytree(data_dir / 'multiview_action', tmp_path / 'multiview_action')
  return tmp_path, tmp_path / 'multiview_action' / BROKEN


def _prepared_files(directory):
  """All files of prepared datasets, finished or not; none if nothing was kept."""
  return [path for path in (pathlib.Path(directory) / 'prepared').rglob('1.0.0*/*') if path.is_file()]


# What is prepared.


def test_names_labels_and_metadata(source, data_dir):
  assert source.names == NAMES
  assert source.label_names == list(native.ACTIONS.values()) and len(source.label_names) == 10
  ids, labels = source.index(NAMES)
  assert sorted(ids) == NAMES
  assert dict(zip(ids, labels)) == {name: 1 if '/a02' in name else 7 for name in NAMES}
  metadata = source.manifest()
  assert metadata['samples'] == {name: 9 for name in NAMES}
  assert metadata['flow'] == {
      'algorithm': 'opencv_dis_medium', 'bound': 1 / 32, 'channels': 'horizontal,vertical,magnitude'}
  assert metadata['depth_variant'] == 'depth_vis'
  assert metadata['frame_size'] == FRAME_SIZE
  assert not metadata['skipped'] and not metadata['cut']
  assert metadata['preparation_version'] == prepared_samples.PREPARATION_VERSION
  files = {path.name: path for path in _prepared_files(data_dir) if 'tfrecord' in path.name}
  assert len(files) == 6 and metadata['files'] == {
      name: {'bytes': path.stat().st_size, 'sha256': hashlib.sha256(path.read_bytes()).hexdigest()}
      for name, path in files.items()}


def test_frames_are_in_the_order_of_their_numbers(source, data_dir):
  """Frame 10 follows frame 9, though its name as text comes before that of frame 4."""
  video, label = prepared.read_video(source, 'view_2/a09_s01_e00', ('rgb',))
  paths = [data_dir / 'multiview_action' / 'view_2' / 'a09_s01_e00' / f'frame_{n}_rgb.jpg' for n in range(4, 13)]
  native_frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
  small = np.stack([cv2.resize(frame, (FRAME_SIZE, FRAME_SIZE)) for frame in native_frames]).astype(int)
  differences = abs(video['rgb'][:, None] - small[None]).mean((2, 3, 4))
  # The moving square stands still for a frame or not, so ties are left out.
  distinct = [0] + [i for i in range(1, 9) if abs(small[i] - small[i - 1]).mean() > 1]
  assert len(distinct) >= 8
  np.testing.assert_array_equal(differences[np.ix_(distinct, distinct)].argmin(axis=1), range(len(distinct)))
  assert label == 7


def test_flow_is_of_the_ordered_frames(source):
  """The square of action 9 moves to the right in every frame and never back."""
  video, _ = prepared.read_video(source, 'view_1/a09_s01_e00', ('flow',))
  assert video['flow'].shape == (9, FRAME_SIZE, FRAME_SIZE, 3)
  horizontal = video['flow'][..., 0]
  assert ((horizontal > 200).sum((1, 2)) > 50).all()
  assert not (horizontal < 60).any()
  np.testing.assert_array_equal(video['flow'][8], video['flow'][7])


def test_both_depth_variants(source, data_dir):
  vis, _ = prepared.read_video(source, NAMES[0], ('depth',))
  # `native_files` writes a sixteenth of the millimetres.
  assert np.ptp(vis['depth'], axis=-1).max() <= 6
  np.testing.assert_allclose(np.median(vis['depth']), 3000 // 16, atol=3)
  metric = _open(data_dir, depth_variant='depth')
  assert metric.metadata['depth_variant'] == 'depth'
  coloured, _ = prepared.read_video(metric, NAMES[0], ('depth',))
  background = depth.jet(np.array([[3000]], np.uint16))[0, 0]
  np.testing.assert_allclose(np.median(coloured['depth'], axis=(0, 1, 2)), background, atol=6)
  assert coloured['depth'][:, 20:, 0].max() < 30  # nothing was measured there: black
  assert _open(data_dir).metadata['depth_variant'] == 'depth_vis'  # one does not replace the other


def test_describe_counts(source):
  text = source.describe()
  assert text.startswith('12 videos, 108 frames, depth from depth_vis, flow by opencv_dis_medium')
  assert 'pick_up_with_two_hands 6, doffing 6' in text
  assert 'per view: 1: 4, 2: 4, 3: 4' in text
  assert 'per subject: 1: 6, 2: 6' in text
  assert 'skipped' not in text and 'cut' not in text


def test_frames_of_the_thesis_size(tmp_path):
  """The default configuration, which every other test here departs from."""
  native_files.write_nwucla(tmp_path, views=(1,), actions=(2,), subjects=1)
  source = catalog.open_dataset('nwucla', str(tmp_path), DataConfig(), ClipConfig().frame_size)
  video, _ = prepared.read_video(source, 'view_1/a02_s01_e00')
  assert {m: frames.shape for m, frames in video.items()} == dict.fromkeys(video, (9, 256, 256, 3))


# How it is read.


def test_second_open_does_not_prepare_again(source, data_dir):
  before = {path: path.stat().st_mtime_ns for path in _prepared_files(data_dir)}
  (data_dir / 'multiview_action').rename(data_dir / 'gone')
  try:
    again = _open(data_dir)
  finally:
    (data_dir / 'gone').rename(data_dir / 'multiview_action')
  assert again.names == source.names and again.metadata == source.metadata
  assert {path: path.stat().st_mtime_ns for path in _prepared_files(data_dir)} == before


def test_only_the_modalities_asked_for_are_delivered(source):
  for modalities in (('flow',), ('depth', 'rgb')):
    for name in NAMES:
      encoded = prepared.encoded_frames(source, name, modalities)
      assert set(encoded) == set(modalities)
      assert all(len(frames) == 9 and frames[0][:2] == b'\xff\xd8' for frames in encoded.values())


def test_only_the_files_of_the_samples_are_opened(data_dir, tmp_path):
  """The training set of cross view 3 is read without the files of view 3, which are gone."""
  shutil.copytree(data_dir, tmp_path / 'copy')
  opened = _open(tmp_path / 'copy')
  gone = [path for path in _prepared_files(tmp_path / 'copy') if 'view_3' in path.name]
  assert gone
  for path in gone:
    path.unlink()
  for name in NAMES:
    if not name.startswith('view_3'):
      assert len(prepared.encoded_frames(opened, name, ('rgb',))['rgb']) == 9
  with pytest.raises(FileNotFoundError):
    prepared.encoded_frames(opened, NAMES[-1])


def test_samples_are_sorted_by_name(source):
  assert source.index(NAMES[::-1])[0] == NAMES == source.videos(NAMES[::-1], ('rgb',)).names
  assert source.index([NAMES[7], NAMES[2]])[0] == [NAMES[2], NAMES[7]]


# What a user can get wrong.


def test_missing_data_tell_what_to_download(tmp_path):
  with pytest.raises(errors.UserError) as error:
    _open(tmp_path / 'nowhere')
  for part in ('nowhere', 'multiview_action', 'Northwestern-UCLA', '--data_dir', '--dataset=synthetic'):
    assert part in str(error.value)
  assert not (tmp_path / 'nowhere').exists()


def test_folders_without_videos_are_missing_data(tmp_path):
  (tmp_path / 'multiview_action' / 'view_1').mkdir(parents=True)
  with pytest.raises(errors.UserError, match='--dataset=synthetic'):
    _open(tmp_path)
  assert not _prepared_files(tmp_path)


def test_unknown_depth_variant(data_dir):
  with pytest.raises(errors.UserError, match='choose one of depth_vis, depth'):
    _open(data_dir, depth_variant='hha')


def _truncate(path):
  path.write_bytes(path.read_bytes()[:200])


def test_all_truncated_files_are_told_and_nothing_is_kept(own_files):
  directory, video = own_files
  other = directory / 'multiview_action' / NAMES[-1]
  _truncate(video / 'frame_6_rgb.jpg')
  _truncate(other / 'frame_10_depth_vis.jpg')
  with pytest.raises(errors.UserError) as error:
    _open(directory)
  assert str(error.value).startswith('2 videos cannot be used; fix them, or pass --skip_broken')
  for name, file in ((BROKEN, 'frame_6_rgb.jpg'), (NAMES[-1], 'frame_10_depth_vis.jpg')):
    assert any(name in line and file in line for line in str(error.value).splitlines()[1:])
  assert not _prepared_files(directory)


def test_all_unusable_folders_are_told_and_nothing_is_kept(own_files):
  directory, video = own_files
  root = directory / 'multiview_action'
  for path in video.iterdir():
    path.unlink()
  for path in (root / NAMES[0]).glob('*_depth_vis.jpg'):
    path.unlink()
  (root / 'view_3' / 'a01_s01').mkdir()
  shutil.copytree(root / NAMES[1], root / 'view_1' / 'a07_s01_e00')
  with pytest.raises(errors.UserError) as error:
    _open(directory)
  problems = str(error.value).splitlines()
  assert problems[0].startswith('4 videos cannot be used')
  for expected in (f'{BROKEN}: no frame_*_rgb.jpg', f'{NAMES[0]}: no frame_*_depth_vis.jpg', "'view_3/a01_s01' is not",
                   'view_1/a07_s01_e00: there is no action 7'):
    assert any(expected in line for line in problems[1:]), expected
  assert not _prepared_files(directory)


def test_skip_broken_prepares_the_rest_and_tells(own_files):
  directory, video = own_files
  root = directory / 'multiview_action'
  _truncate(video / 'frame_6_rgb.jpg')
  for path in (root / NAMES[0]).iterdir():
    path.unlink()
  (root / 'view_3' / 'notes').mkdir()
  kept = _open(directory, skip_broken=True)
  assert kept.names == [name for name in NAMES if name not in (BROKEN, NAMES[0])]
  assert sorted(kept.index(kept.names)[0]) == kept.names
  assert '3 videos were skipped' in kept.describe()
  for name in (BROKEN, NAMES[0], 'view_3/notes'):
    assert name in kept.describe()
    assert any(name in problem for problem in kept.manifest()['skipped'])
  with pytest.raises(errors.UserError, match='cannot be used'):
    _open(directory)  # without the flag the same files are still refused


def test_a_view_and_subject_without_one_readable_video(own_files):
  directory, _ = own_files
  names = ['view_2/a02_s01_e00', 'view_2/a09_s01_e00']
  for name in names:
    _truncate(directory / 'multiview_action' / name / 'frame_6_rgb.jpg')
  with pytest.raises(errors.UserError) as error:
    _open(directory)
  assert all(name in str(error.value) for name in names) and '--skip_broken' in str(error.value)
  rest = _open(directory, skip_broken=True)
  assert rest.names == [name for name in NAMES if name not in names] == sorted(rest.index(rest.names)[0])
  assert len(rest.metadata['skipped']) == 2


def test_no_readable_video_at_all(own_files):
  directory, _ = own_files
  for name in NAMES:
    _truncate(directory / 'multiview_action' / name / 'frame_6_rgb.jpg')
  with pytest.raises(errors.UserError, match='No video under .* can be used.*frame_6_rgb.jpg'):
    _open(directory, skip_broken=True)
  assert not _prepared_files(directory)


def test_skip_broken_in_16_bit_depth(own_files):
  directory, video = own_files
  cv2.imwrite(str(video / 'frame_5_depth.png'), np.ones((36, 48), np.uint8))
  cv2.imwrite(str(directory / 'multiview_action' / NAMES[5] / 'frame_5_depth.png'), np.ones((30, 48), np.uint16))
  kept = _open(directory, skip_broken=True, depth_variant='depth')
  skipped = kept.manifest()['skipped']
  assert len(skipped) == 2
  assert any(BROKEN in line and 'not a 16-bit PNG' in line for line in skipped)
  assert any(NAMES[5] in line and 'unlike the first frame' in line for line in skipped)


def test_modalities_of_different_length_are_cut_and_told(own_files):
  """Frames pair by number: without RGB 6 and depth 12 seven of nine are left."""
  directory, video = own_files
  whole, _ = prepared.read_video(_open(directory, skip_broken=True), BROKEN)
  shutil.rmtree(directory / 'prepared')
  (video / 'frame_6_rgb.jpg').unlink()
  (video / 'frame_12_depth_vis.jpg').unlink()
  source = _open(directory)
  assert source.metadata['samples'][BROKEN] == 7 and source.metadata['cut'] == {BROKEN: 2}
  assert '1 videos have modalities of different length' in source.describe() and BROKEN in source.describe()
  cut, _ = prepared.read_video(source, BROKEN)
  kept = [0, 1, 3, 4, 5, 6, 7]
  np.testing.assert_array_equal(cut['rgb'], whole['rgb'][kept])
  np.testing.assert_array_equal(cut['depth'], whole['depth'][kept])
  assert len(cut['flow']) == 7
  assert flow.ENCODING.algorithm in source.describe()


def test_text_between_number_and_ending_is_allowed(own_files):
  """The published files carry timestamps: frame_4_tc_123_rgb.jpg."""
  directory, video = own_files
  for path in list(video.iterdir()):
    prefix, number, rest = path.name.split('_', 2)
    path.rename(path.with_name(f'{prefix}_{number}_tc_123_{rest}'))
  videos, problems = native.scan(directory / 'multiview_action', 'depth_vis', with_skeletons=True)
  assert not problems
  found, = (v for v in videos if v.name == BROKEN)
  assert [pathlib.Path(path).name for path in found.rgb] == [f'frame_{n}_tc_123_rgb.jpg' for n in range(4, 13)]
  assert [pathlib.Path(path).name for path in found.depth] == [
      f'frame_{n}_tc_123_depth_vis.jpg' for n in range(4, 13)]
  assert [pathlib.Path(path).name for path in found.skeletons] == [
      f'frame_{n}_tc_123_skeletons.txt' for n in range(4, 13)]
