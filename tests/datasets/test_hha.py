"""HHA of scenes whose geometry is known in closed form, and against the reference implementation."""

import time

import cv2
import numpy as np
import pytest

from tests import real_data
from tf_privinfo.datasets.preparation import hha

CAMERA = hha.Intrinsics(146.25, 146.25, 79.5, 59.5)
SHAPE = 120, 160
CAMERA_HEIGHT, WALL = 1.4, 3.5
# One level is a centimetre or a degree.
LEVEL = 1


def _rays(camera=CAMERA, shape=SHAPE):
  v, u = np.mgrid[:shape[0], :shape[1]]
  return np.stack([(u - camera.centre_x) / camera.focal_x, (v - camera.centre_y) / camera.focal_y, np.ones(shape)], -1)


def _plane(normal, distance):
  """Depth of the points with normal · point = distance, inf where it is not in front."""
  with np.errstate(divide='ignore'):
    depth = distance / (_rays() @ np.asarray(normal, float))
  return np.where(depth > 0, depth, np.inf)


def _tilt(pitch, roll):
  """Gravity and the horizontal view direction of a camera that looks `pitch` degrees down and leans by `roll`."""
  pitch, roll = np.deg2rad([pitch, roll])
  lean = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
  return lean @ [0, np.cos(pitch), np.sin(pitch)], lean @ [0, -np.sin(pitch), np.cos(pitch)]


def _room(pitch=0., roll=0.):
  """Depth of a floor and a wall that faces the camera, gravity, and where the floor is."""
  gravity, ahead = _tilt(pitch, roll)
  floor, wall = _plane(gravity, CAMERA_HEIGHT), _plane(ahead, WALL)
  return np.minimum(floor, wall), gravity, floor < wall


def _inside(mask, margin):
  """`mask` without a seam as wide as the windows of the planes."""
  return cv2.erode(mask.astype(np.uint8), np.ones((2 * margin + 1,) * 2), borderValue=1) > 0


def _degrees(first, second):
  return np.rad2deg(np.arccos(np.clip(first @ second, -1, 1)))


@pytest.mark.parametrize('pitch, roll', [(0, 0), (20, 0), (12, 8), (35, -12)])
def test_floor_and_wall(pitch, roll):
  depth, gravity, floor = _room(pitch, roll)
  found = hha.estimate_gravity(hha.surface_normals(depth, CAMERA, depth > 0, 10))
  assert _degrees(found, gravity) < 1  # planes across the seam belong to neither
  image = hha.encode(depth, CAMERA, gravity=gravity).astype(int)
  np.testing.assert_allclose(image[..., 0], np.rint(np.minimum(hha.DISPARITY / depth, 255)), atol=0)
  expected = 100 * (CAMERA_HEIGHT - depth * (_rays() @ gravity))
  np.testing.assert_allclose(image[..., 1], np.clip(expected, 0, 255), atol=LEVEL / 2 + 1e-6)
  np.testing.assert_allclose(image[..., 2][_inside(floor, 3)], hha.ANGLE_OFFSET, atol=LEVEL)
  np.testing.assert_allclose(image[..., 2][_inside(~floor, 3)], hha.ANGLE_OFFSET + 90, atol=LEVEL)
  estimated = hha.encode(depth, CAMERA).astype(int)
  assert np.abs(estimated - image).max(axis=(0, 1))[1:] == pytest.approx([0, 0], abs=6)
  assert np.abs(estimated - image).mean() < 1


def test_a_slope_and_a_ceiling():
  slope = np.deg2rad(30)
  image = hha.encode(_plane([0, np.cos(slope), np.sin(slope)], 2.), CAMERA, gravity=[0, 1, 0], camera_height=1.4)
  np.testing.assert_allclose(image[..., 2], hha.ANGLE_OFFSET + 30, atol=LEVEL)
  ceiling = _plane([0, -1, 0], 1.)
  image = hha.encode(ceiling, CAMERA, gravity=[0, 1, 0], camera_height=1.4)[np.isfinite(ceiling)]
  np.testing.assert_allclose(image[:, 2], hha.ANGLE_OFFSET + 180, atol=LEVEL)
  np.testing.assert_allclose(image[:, 1], 240, atol=LEVEL)


def test_ground_that_is_not_seen():
  """The camera is then taken to be 1.3 m above it."""
  wall = _plane([0, 0, 1], 1.5)
  below = 1.5 * _rays()[..., 1]
  assert below.max() < .9
  image = hha.encode(wall, CAMERA, gravity=[0, 1, 0]).astype(int)
  np.testing.assert_allclose(image[..., 1], 100 * (1.3 - below), atol=LEVEL)


def test_a_lone_wall_leaves_gravity_where_it_was_guessed():
  wall = _plane([0, 0, 1], 2.)
  found = hha.estimate_gravity(hha.surface_normals(wall, CAMERA, wall > 0, 10))
  assert _degrees(found, np.array([0, 1, 0])) < 1


def test_noise_of_a_kinect():
  """Gravity within 3 degrees, angles within 10 in the median, under quantised and noisy disparity."""
  depth, gravity, floor = _room(15, 5)
  quantum = 2.85e-3
  rng = np.random.default_rng(0)
  depth = 1 / (quantum * np.rint(1 / depth / quantum + .15 * rng.standard_normal(SHAPE)))
  found = hha.estimate_gravity(hha.surface_normals(depth, CAMERA, depth > 0, 10))
  image = hha.encode(depth, CAMERA).astype(int)
  print(f'\ngravity off by {_degrees(found, gravity):.2f} degrees', end='')
  assert _degrees(found, gravity) < 3
  for mask, angle in ((floor, 0), (~floor, 90)):
    assert np.median(np.abs(image[..., 2][_inside(mask, 3)] - hha.ANGLE_OFFSET - angle)) < 10


@pytest.mark.parametrize('hole', [0, np.nan, np.inf])
def test_holes_take_after_their_neighbours(hole):
  depth, gravity, _ = _room(20)
  whole = hha.encode(depth, CAMERA, gravity=gravity, camera_height=CAMERA_HEIGHT).astype(int)
  holed = depth.copy()
  holed[30:45, 50:70] = hole
  holed[np.random.default_rng(0).random(SHAPE) < .3] = hole
  image = hha.encode(holed, CAMERA, gravity=gravity, camera_height=CAMERA_HEIGHT).astype(int)
  difference = np.abs(image - whole)
  assert difference.mean(axis=(0, 1)).max() < 2
  known = np.isfinite(holed) & (holed > 0)
  assert difference[known][:, :2].max() <= LEVEL
  found = hha.estimate_gravity(hha.surface_normals(np.where(known, holed, 0), CAMERA, known, 10))
  assert _degrees(found, gravity) < 1


def test_nothing_measured():
  image = hha.encode(np.zeros((4, 6)), CAMERA)
  assert image.shape == (4, 6, 3) and image.dtype == np.uint8 and not image.any()


@pytest.mark.parametrize('shape', [(1, 1), (2, 3), (1, 40)])
def test_tiny_images_and_single_measurements(shape):
  depth = np.zeros(shape)
  depth[0, 0] = 2.
  assert (hha.encode(depth, CAMERA)[..., 0] == 155).all()
  assert hha.encode(np.full(shape, 2.), CAMERA).shape == (*shape, 3)


def test_objects_at_arms_length_need_another_disparity():
  depth = np.tile(np.linspace(.5, 1., 160), (120, 1))
  assert (hha.encode(depth, CAMERA)[..., 0] == 255).all()
  levels = hha.encode(depth, CAMERA, disparity=127.5)[0, :, 0]
  assert levels[0] == 255 and levels[-1] == 128 and (np.diff(levels.astype(int)) <= 0).all()


def test_it_is_fast():
  depth, _, _ = _room(15)
  hha.encode(depth, CAMERA)
  start = time.process_time()
  hha.encode(depth, CAMERA)
  assert time.process_time() - start < 1  # 0.02 s on an idle core


@real_data.needs('hha_pair')
def test_equals_the_reference_implementation():
  """A depth image of NYU Depth v2: nearly every level is the same, and no measured pixel is off by more than one."""
  folder = real_data.FOLDER / 'hha_pair'
  depth, raw = (cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) / 1e4 for name in ('0.png', '0_raw.png'))
  # The reference counts pixels from 1.
  camera = hha.Intrinsics(518.857901, 519.469611, 325.582449 - 1, 253.736166 - 1)
  for name, measured in (('hha_complete.png', depth > 0), ('hha.png', raw > 0)):
    expected = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB).astype(int)
    difference = np.abs(hha.encode(depth, camera, measured=measured) - expected)[measured]
    assert (difference <= 1).all(axis=1).mean() > .9999 and (difference == 0).mean() > .99
