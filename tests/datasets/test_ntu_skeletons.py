"""Skeleton files of NTU RGB+D: people, tracked joints, pixels, unreadable files."""

import numpy as np
import pytest

from tests import native_files, real_data
from tests.native_files import kinect2_person
from tf_privinfo.datasets.ntu_rgbd import skeletons
from tf_privinfo.datasets.preparation import alignment, frames


def _file(tmp_path, *frames_):
  path = tmp_path / 'S001C001P001R001A001.skeleton'
  path.write_bytes(native_files.ntu_skeleton(frames_).encode())
  return str(path)


def test_reads_two_people_with_frames_missing(tmp_path):
  """Ids that differ in their last digits alone, which a float does not tell apart."""
  one, other = kinect2_person(0), kinect2_person(1)
  first, second = '72057594037944734', '72057594037944735'
  people = skeletons.read(_file(tmp_path, {first: one[0]}, {}, {second: other[2], first: one[2]}, {second: other[3]}))
  assert set(people) == {first, second} and all(joints.shape == (4, 25, 12) for joints in people.values())
  np.testing.assert_allclose(people[first][[0, 2]], [one[0], one[2]], rtol=1e-6)
  np.testing.assert_allclose(people[second][2:], other[2:], rtol=1e-6)
  assert np.isnan(people[first][[1, 3]]).all() and np.isnan(people[second][:2]).all()


def test_joints_are_those_of_the_person_who_moves(tmp_path):
  still, moves, guessed = kinect2_person(0, .001), kinect2_person(1, .05), kinect2_person(2, .5, state=1)
  path = _file(tmp_path, *({'1': a, '2': b, '3': c} for a, b, c in zip(still, moves, guessed)))
  joints = skeletons.read_joints(path, 4, (1080, 1920), (424, 512))
  np.testing.assert_allclose(joints.depth_pixels, np.array(moves)[..., 3:5], rtol=1e-5)
  np.testing.assert_allclose(joints.rgb_pixels, np.array(moves)[..., 5:7], rtol=1e-5)
  assert joints.tracked.shape == (4, 25) and joints.tracked.all()


def test_only_tracked_joints_with_finite_pixels_count(tmp_path):
  person = kinect2_person(count=1)[0]
  person[0, -1], person[1, -1] = 0, 1
  person[2, 5], person[3, 3], person[4, 2] = -np.inf, np.nan, np.inf
  person[5, 7:11] = np.nan  # orientations are not looked at
  tracked = skeletons.read_joints(_file(tmp_path, {'1': person}), 1, (1080, 1920), (424, 512)).tracked
  np.testing.assert_array_equal(tracked, [[False] * 5 + [True] * 20])


@pytest.mark.parametrize('length', [3, 6])
def test_skeletons_of_another_length_than_the_video(tmp_path, length):
  path = _file(tmp_path, *({'1': joints} for joints in kinect2_person()))
  joints = skeletons.read_joints(path, length, (9, 16), (4, 5))
  assert joints.rgb_pixels.shape == (length, 25, 2)
  np.testing.assert_array_equal(joints.tracked.all(axis=1), [frame < 4 for frame in range(length)])
  assert joints.tracked.any(axis=1).sum() == min(length, 4)


def test_pixels_in_smaller_frames(tmp_path):
  """The middle of the nine pixels of which one is left, and the corner of a frame, which stays one."""
  person = kinect2_person(count=1)[0]
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
  path.write_bytes(spoil(native_files.ntu_skeleton([{'1': joints} for joints in kinect2_person()])).encode())
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
