"""NTU RGB+D: protocols against the authors' lists, native files, and the three systems on them."""

import collections
import gzip
import json
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, parity, prepared, real_data
from tf_privinfo import recipes
from tf_privinfo.datasets import catalog, clips, registry
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.ntu_rgbd import builder, native, skeletons
from tf_privinfo.datasets.ntu_rgbd import protocols as ntu_protocols
from tf_privinfo.datasets.preparation import alignment, depth, frames, video
from tf_privinfo.recipes import validation
from tf_privinfo.runs import restore
from tf_privinfo.utils import errors

SPLITS = json.loads(gzip.decompress((parity.GOLDEN / 'splits.json.gz').read_bytes()))

FRAME_SIZE = 32
# Performer 1 validates, 2 trains, 3 tests; cameras 2 and 3 train, 1 tests.
NAMES = sorted(f'S001C00{camera}P00{performer}R001A0{action:02d}'
               for camera in (1, 2, 3) for performer in (1, 2, 3) for action in (2, 9))
BROKEN = NAMES[4]


def _stems(paths):
  return [pathlib.PurePath(path).stem for path in paths]


# Protocols.


@pytest.mark.parametrize('key', ['ntu_cross_subj', 'ntu_cross_view', 'ntu-mini_cross_subj', 'ntu-mini_cross_view'])
def test_ntu60_equals_the_authors_lists(key):
  dataset = 'ntu60_mini' if 'mini' in key else 'ntu60'
  protocol = 'cross_view' if 'view' in key else 'cross_subject'
  split = registry.split(dataset, protocol, _stems(SPLITS['ntu_input_sorted'])[::-1])
  authors = SPLITS[key]
  assert [len(part) for part in split] == [len(authors[part]) for part in ('train', 'val', 'test')]
  assert [set(part) for part in split] == [set(_stems(authors[part])) for part in ('train', 'val', 'test')]
  if 'mini' in key:  # drawn in their order
    assert split.train == _stems(authors['train'])


def test_half_of_ntu120_equals_the_authors_list():
  train = SPLITS['dmcl_read']['ntu120_input']['train']
  halves = [ntu_protocols.half_of_each_class(train, version) for version in (1, 2, 3)]
  assert set(halves[0]) == set(_stems(SPLITS['dmcl_read']['ntu120_mini']['train']))
  first_actions = {name for name in halves[0] if int(name[-3:]) <= 60}
  assert first_actions == set(_stems(SPLITS['dmcl_read']['ntu_mini']['train']))
  for half in halves:
    assert set(collections.Counter(name[-3:] for name in half).values()) == {int(len(train) / 2 / 120)}
  assert len({frozenset(half) for half in halves}) == 3


def _ntu120_names():
  return [f'S{setup:03d}C001P{performer:03d}R00{r}A{action:03d}' for setup in (1, 2, 18, 19)
          for performer in (1, 3, 45, 103, 106) for r in (1, 2) for action in range(1, 121)]


@pytest.mark.parametrize('protocol', registry.DATASETS['ntu120_mini'].protocols)
def test_half_of_ntu120_trains_and_all_of_it_tests(protocol):
  names = _ntu120_names()
  whole = registry.split('ntu120', 'cross_subject', names)
  mini = registry.split('ntu120_mini', protocol, names)
  assert set(mini.train) < set(whole.train) and mini[1:] == whole[1:]
  assert len(mini.train) == len(set(mini.train)) == 120 * int(len(whole.train) / 2 / 120)
  version = 1 + list(registry.DATASETS['ntu120_mini'].protocols).index(protocol)
  assert mini.train == ntu_protocols.half_of_each_class(sorted(whole.train), version)  # in any order


def test_ntu120_cross_subject_trains_on_the_published_performers():
  names = [f'S001C001P{performer:03d}R001A{action:03d}' for performer in range(1, 107) for action in (1, 120)]
  split = registry.split('ntu120', 'cross_subject', names, 0)
  assert sorted({ntu_protocols.parse_ntu_name(name).performer for name in split.train}) == [
      1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50, 52, 53, 54, 55, 56,
      57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103]
  assert len(split.train) == 2 * 53 and len(split.test) == 2 * 53


@pytest.mark.parametrize('dataset', ['ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini'])
def test_default_protocol_is_cross_subject(dataset):
  assert registry.resolve_protocol(dataset, None) == 'cross_subject'


def test_ntu120_cross_setup():
  split = registry.split('ntu120', 'cross_setup', _ntu120_names())
  assert {name[:4] for name in split.train + split.validation} == {'S002', 'S018'}
  assert {name[:4] for name in split.test} == {'S001', 'S019'}
  assert set(collections.Counter(name[-3:] for name in split.validation).values()) == {1}


@pytest.mark.parametrize('dataset, protocol', [
    (dataset, protocol) for dataset in ('ntu60', 'ntu120') for protocol in registry.DATASETS[dataset].protocols])
def test_nothing_held_out_leaves_the_whole_training_set(dataset, protocol):
  names = _stems(SPLITS['ntu_input_sorted']) if dataset == 'ntu60' else _ntu120_names()
  some, none = registry.split(dataset, protocol, names, 1e-2), registry.split(dataset, protocol, names, 0)
  assert none.validation == [] and sorted(none.train) == sorted(some.train + some.validation)
  assert none.test == some.test and not set(some.train) & set(some.validation)


def test_a_small_class_keeps_one_video_to_train_on():
  split = registry.split('ntu60', 'cross_view', NAMES)
  assert collections.Counter(name[-3:] for name in split.train) == {'002': 1, '009': 1}


@pytest.mark.parametrize('dataset', ['ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini'])
def test_no_partition_trains_and_tests(dataset):
  names = _stems(SPLITS['ntu_input_sorted']) if '60' in dataset else _ntu120_names()
  for protocol in registry.DATASETS[dataset].protocols:
    split = registry.split(dataset, protocol, names)
    partitions = [{builder.Ntu120.partition(name) for name in part} for part in split]
    assert not (partitions[0] | partitions[1]) & partitions[2]


def test_counts_of_the_samples_without_skeleton():
  """What the published counts before and after their removal differ by: 40,320 - 40,091 and so on."""
  assert len(native.MISSING_SKELETONS) == 535
  first = [name for name in native.MISSING_SKELETONS if ntu_protocols.parse_ntu_name(name).action <= 60]
  cross_subject, cross_view, of_120 = (registry.split(dataset, protocol, names, 0) for dataset, protocol, names in (
      ('ntu60', 'cross_subject', first), ('ntu60', 'cross_view', first),
      ('ntu120', 'cross_subject', native.MISSING_SKELETONS)))
  assert (len(cross_subject.train), len(cross_subject.test)) == (40320 - 40091, 16560 - 16487)
  assert (len(cross_view.train), len(cross_view.test)) == (37920 - 37646, 18960 - 18932)
  assert len(of_120.train) + len(of_120.test) == 535


@real_data.needs('lists')
def test_published_counts():
  lists = real_data.FOLDER / 'lists' / 'ntu'
  with_skeleton, all_with_skeleton = (
      (lists / f'ntu{count}_skes_available_name.txt').read_text().split() for count in (60, 120))
  first = [name for name in native.MISSING_SKELETONS if ntu_protocols.parse_ntu_name(name).action <= 60]
  for dataset, protocol, names, counts in (
      ('ntu60', 'cross_subject', with_skeleton, (40091, 16487)),
      ('ntu60', 'cross_view', with_skeleton, (37646, 18932)),
      ('ntu60', 'cross_subject', with_skeleton + first, (40320, 16560)),
      ('ntu120', 'cross_subject', [*all_with_skeleton, *native.MISSING_SKELETONS], (63360, 51120)),
      ('ntu120', 'cross_setup', all_with_skeleton, (54468, 59477))):
    split = registry.split(dataset, protocol, names)
    assert (len(split.train) + len(split.validation), len(split.test)) == counts
    assert split.validation
  assert len(registry.split('ntu60', 'cross_view', with_skeleton).validation) == 60 * 31


def test_parses_a_name():
  assert ntu_protocols.parse_ntu_name('S017C002P103R001A060') == ntu_protocols.NtuName(
      setup=17, camera=2, performer=103, replication=1, action=60)


@pytest.mark.parametrize('name', [
    'S001C002P003R002A013_rgb', 'S001C002P003R002', 'S01C002P003R002A013', 's001c002p003r002a013',
    ' S001C002P003R002A013', 'S001C002P003R002A013\n', 'S001P003C002R002A013', ''])
def test_malformed_names_are_told(name):
  with pytest.raises(ValueError, match='not of the form S001C002P003R002A013'):
    ntu_protocols.parse_ntu_name(name)


# Skeletons.


def _person(seed=0, move=0., count=4, state=2):
  """Joints [25, 12] in each of `count` frames, who moves so many metres per frame."""
  positions = np.random.default_rng(seed).uniform([-.5, -.9, 3], [.5, .7, 3.3], (25, 3))
  return [native_files.kinect2_joints(positions + [move * frame, 0, 0], state) for frame in range(count)]


def _file(tmp_path, *frames_):
  path = tmp_path / 'S001C001P001R001A001.skeleton'
  path.write_bytes(native_files.ntu_skeleton(frames_).encode())
  return str(path)


def test_reads_two_people_with_frames_missing(tmp_path):
  """Ids that differ in their last digits alone, which a float does not tell apart."""
  one, other = _person(0), _person(1)
  first, second = '72057594037944734', '72057594037944735'
  people = skeletons.read(_file(tmp_path, {first: one[0]}, {}, {second: other[2], first: one[2]}, {second: other[3]}))
  assert set(people) == {first, second} and all(joints.shape == (4, 25, 12) for joints in people.values())
  np.testing.assert_allclose(people[first][[0, 2]], [one[0], one[2]], rtol=1e-6)
  np.testing.assert_allclose(people[second][2:], other[2:], rtol=1e-6)
  assert np.isnan(people[first][[1, 3]]).all() and np.isnan(people[second][:2]).all()


def test_joints_are_those_of_the_person_who_moves(tmp_path):
  still, moves, guessed = _person(0, .001), _person(1, .05), _person(2, .5, state=1)
  path = _file(tmp_path, *({'1': a, '2': b, '3': c} for a, b, c in zip(still, moves, guessed)))
  joints = skeletons.read_joints(path, 4, (1080, 1920), (424, 512))
  np.testing.assert_allclose(joints.depth_pixels, np.array(moves)[..., 3:5], rtol=1e-5)
  np.testing.assert_allclose(joints.rgb_pixels, np.array(moves)[..., 5:7], rtol=1e-5)
  assert joints.tracked.shape == (4, 25) and joints.tracked.all()


def test_only_tracked_joints_with_finite_pixels_count(tmp_path):
  person = _person(count=1)[0]
  person[0, -1], person[1, -1] = 0, 1
  person[2, 5], person[3, 3], person[4, 2] = -np.inf, np.nan, np.inf
  person[5, 7:11] = np.nan  # orientations are not looked at
  tracked = skeletons.read_joints(_file(tmp_path, {'1': person}), 1, (1080, 1920), (424, 512)).tracked
  np.testing.assert_array_equal(tracked, [[False] * 5 + [True] * 20])


@pytest.mark.parametrize('length', [3, 6])
def test_skeletons_of_another_length_than_the_video(tmp_path, length):
  joints = skeletons.read_joints(_file(tmp_path, *({'1': joints} for joints in _person())), length, (9, 16), (4, 5))
  assert joints.rgb_pixels.shape == (length, 25, 2)
  np.testing.assert_array_equal(joints.tracked.all(axis=1), [frame < 4 for frame in range(length)])
  assert joints.tracked.any(axis=1).sum() == min(length, 4)


def test_pixels_in_smaller_frames(tmp_path):
  """The middle of the nine pixels of which one is left, and the corner of a frame, which stays one."""
  person = _person(count=1)[0]
  person[0, 5:7], person[1, 5:7], person[2, 3:5] = (1, 4), (-.5, 1079.5), (3.5, 7.5)
  joints = skeletons.read_joints(_file(tmp_path, {'1': person}), 1, (360, 640), (53, 64))
  np.testing.assert_allclose(joints.rgb_pixels[0, :2], [(0, 1), (-.5, 359.5)], atol=1e-6)
  np.testing.assert_allclose(joints.depth_pixels[0, 2], (0, .5), atol=1e-6)


def _without(text, number):
  lines = text.splitlines(keepends=True)
  del lines[number]
  return ''.join(lines)


@pytest.mark.parametrize('spoil, message', [
    (lambda text: text[:len(text) * 6 // 10], 'truncated, or of unknown format, in frame 3 of 4'),
    (lambda text: text[:-20], 'in frame 4 of 4'),
    (lambda text: '', 'in frame 0 of 0'),
    (lambda text: '5' + text[1:], 'in frame 5 of 5'),
    (lambda text: '3' + text[1:], 'lines after the 3 frames'),
    (lambda text: _without(text, 5), 'in frame 1 of 4'),
    (lambda text: text.replace('\r\n25\r\n', '\r\n24\r\n'), 'in frame 1 of 4'),
    (lambda text: text.replace(' 2\r\n', '\r\n', 1), 'in frame 1 of 4'),
    (lambda text: text.replace(' 3.', ' x.', 1), 'in frame 1 of 4'),
    (lambda text: '4\r\n0\r\n0\r\n0\r\n0\r\n', 'no person in any of the 4 frames'),
    (lambda text: '0\r\n', 'no person in any of the 0 frames'),
    (lambda text: '\u20ac', 'not a text file')])
def test_skeletons_that_cannot_be_read(tmp_path, spoil, message):
  path = tmp_path / 'S001C001P001R001A001.skeleton'
  path.write_bytes(spoil(native_files.ntu_skeleton([{'1': joints} for joints in _person()])).encode())
  with pytest.raises(frames.UnreadableFileError, match=f'S001C001P001R001A001.skeleton: .*{message}'):
    skeletons.read(str(path))
  with pytest.raises(frames.UnreadableFileError, match='missing'):
    skeletons.read(str(tmp_path / 'gone'))


@real_data.needs('ntu_native')
def test_real_skeletons():
  """All are read to their last line; scale and offset are those of a Kinect 2, and fit the joints to a few pixels."""
  paths = sorted((real_data.FOLDER / 'ntu_native').glob('*.skeleton'))
  assert paths
  for path in paths:
    people = skeletons.read(str(path))
    rows = sum(2 + 25 for joints in people.values() for frame in joints if not np.isnan(frame[0, -1]))
    length = len(next(iter(people.values())))
    assert 1 + length + rows == len(path.read_text().splitlines())
    joints = skeletons.read_joints(str(path), length, (360, 640), (424, 512))
    found = alignment.estimate(*joints)
    assert found.scale == pytest.approx(1081 / 366 / 3, rel=.04)
    distances = np.linalg.norm(found.to_rgb(joints.depth_pixels) - joints.rgb_pixels, axis=-1)[joints.tracked]
    print(f'{path.stem}: {len(people)} people, {length} frames, {found}, median distance {np.median(distances):.2f} px')
    assert joints.tracked.mean() > .5 and np.median(distances) < 2
  assert {len(skeletons.read(str(path))) for path in paths} == {1, 2}


# Video files.


def _pictures(count=5, height=54, width=96):
  rows, columns = np.mgrid[:height, :width]
  return [np.stack([255 * columns / width, 255 * rows / height, np.full(rows.shape, 40 * t)], -1).astype(np.uint8)
          for t in range(count)]


@pytest.mark.parametrize('least_width, shape', [(96, (54, 96)), (512, (54, 96)), (32, (18, 32)), (33, (27, 48)),
                                                (20, (13, 24))])
def test_frames_shrink_while_they_are_read(tmp_path, least_width, shape):
  pictures = _pictures()
  native_files.write_avi(tmp_path / 'a.avi', pictures)
  read = video.read_video(str(tmp_path / 'a.avi'), least_width)
  assert read.shape == (5, *shape, 3) and read.dtype == np.uint8
  factor = 96 // shape[1]
  blocks = np.array(pictures)[:, :shape[0] * factor].reshape(5, shape[0], factor, shape[1], factor, 3)
  np.testing.assert_allclose(read.astype(float), blocks.mean(axis=(2, 4)), atol=8)  # JPEG with coarse colours


@pytest.mark.parametrize('kept', [.9, .5])
def test_truncated_video_is_told(tmp_path, kept):
  path = tmp_path / 'a.avi'
  native_files.write_avi(path, [np.random.default_rng(t).integers(0, 255, (54, 96, 3), np.uint8) for t in range(10)])
  path.write_bytes(path.read_bytes()[:int(kept * path.stat().st_size)])
  with pytest.raises(frames.UnreadableFileError, match=r'a.avi: truncated, only \d of 10 frames'):
    video.read_video(str(path), 96)


@pytest.mark.parametrize('content', [b'', b'RIFF', b'not a video' * 100])
def test_files_that_are_no_videos(tmp_path, content):
  (tmp_path / 'a.avi').write_bytes(content)
  with pytest.raises(frames.UnreadableFileError, match='a.avi: truncated or not a video'):
    video.read_video(str(tmp_path / 'a.avi'), 96)
  with pytest.raises(frames.UnreadableFileError, match='b.avi: missing'):
    video.read_video(str(tmp_path / 'b.avi'), 96)


@real_data.needs('ntu_native')
def test_real_video(tmp_path):
  path = real_data.FOLDER / 'ntu_native' / 'S001C001P001R001A001_rgb.avi'
  capture = cv2.VideoCapture(str(path))
  assert capture.read()[1].shape == (1080, 1920, 3)
  capture.release()
  assert video.read_video(str(path), builder.LEAST_RGB_WIDTH).shape == (103, 360, 640, 3)
  (tmp_path / 'cut.avi').write_bytes(path.read_bytes()[:-20000])
  with pytest.raises(frames.UnreadableFileError, match=r'truncated, only \d+ of 103 frames'):
    video.read_video(str(tmp_path / 'cut.avi'), 64)


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
      native_files.ntu_skeleton([{'1': joints} for joints in _person(state=1)]))


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
