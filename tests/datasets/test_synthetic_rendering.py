"""The synthetic dataset's files, and whether its pictures are what its parameters say."""

import dataclasses
import hashlib
import json
import re
import shutil
import threading
import time

import cv2
import numpy as np
import pytest

from tf_privinfo.datasets.nwucla import native, skeletons
from tf_privinfo.datasets.synthetic import difficulty, figure, rendering, sensors
from tf_privinfo.utils import atomic

_OPTIONS = rendering.RenderOptions(subjects=1, episodes=1, min_frames=9, max_frames=10, width=64, height=48)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp('rendered')
  rendering.render(root, _OPTIONS, workers=2)
  return root


def _videos(root):
  return sorted((root / 'multiview_action').glob('view_*/*'))


def _digests(root):
  return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
          for path in root.rglob('*') if path.is_file()}


def _depth(video, frame):
  return cv2.imread(str(video / f'frame_{frame}_depth.png'), cv2.IMREAD_UNCHANGED)


def _frame_count(video):
  return len(list(video.glob('*_rgb.jpg')))


def test_layout_is_that_of_nw_ucla(root):
  names = {f'view_{view}/a{action:02d}_s01_e00' for view in (1, 2, 3) for action in (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)}
  assert {f'{video.parent.name}/{video.name}' for video in _videos(root)} == names
  for video in _videos(root):
    count = _frame_count(video)
    assert 9 <= count <= 10
    assert {path.name for path in video.iterdir()} == {
        f'frame_{k}_{ending}' for k in range(count)
        for ending in ('rgb.jpg', 'depth.png', 'depth_vis.jpg', 'skeletons.txt')}
  assert not list(root.glob('*.incomplete'))


def test_pictures_have_the_size_and_type_of_the_sensors(root):
  video = _videos(root)[0]
  assert cv2.imread(str(video / 'frame_3_rgb.jpg'), cv2.IMREAD_UNCHANGED).shape == (48, 64, 3)
  visible = cv2.imread(str(video / 'frame_3_depth_vis.jpg'), cv2.IMREAD_UNCHANGED)
  assert (visible.shape, visible.dtype) == ((48, 64), np.uint8)
  assert (_depth(video, 3).shape, _depth(video, 3).dtype) == ((48, 64), np.uint16)


def test_depth_is_in_range_with_holes_and_steps_that_grow(root):
  depth = np.stack([_depth(video, k) for video in _videos(root) for k in range(9)])
  measured = depth[depth > 0]
  assert measured.min() >= 490 and measured.max() <= 4600
  assert .02 < np.mean(depth == 0) < .5
  levels = np.unique(measured).astype(np.int64)
  steps = np.diff(levels)
  near, far = steps[(levels[:-1] > 1500) & (levels[:-1] < 2000)], steps[levels[:-1] > 3500]
  assert near.min() > 3 and far.min() > 2.5 * near.max()


def test_near_things_shade_far_ones_from_the_projector():
  """The shadow lies on one side and is as wide as the difference of the two disparities."""
  depth = np.full((3, 40, 80), 4., np.float32)
  depth[:, :, 40:60] = 1.5
  focal = 146.
  measured = sensors.measure_depth(depth, np.zeros_like(depth), focal, np.random.default_rng(0))
  lost = np.mean(measured == 0, axis=(0, 1))
  width = int(focal * difficulty.PROJECTOR_BASELINE * (1 / 1.5 - 1 / 4))
  assert width == 4
  assert lost[40 - width:40].min() == 1 and lost[:40 - width].max() == 0
  assert 0 < lost[60] < 1 and lost[61:].max() == 0  # the other side loses single pixels of the edge
  assert abs(np.median(measured[:, :, :30]) - 4000) < 50


def test_bytes_depend_on_the_options_alone(root, tmp_path, monkeypatch):
  monkeypatch.setattr(native, 'ACTIONS', {12: 'carry', 1: 'pick_up_with_one_hand'})  # another order of rendering
  rendering.render(tmp_path, _OPTIONS, workers=1)
  first, again = _digests(root), _digests(tmp_path)
  pictures = [name for name in again if '/view_' in name]
  assert len(pictures) >= 2 * 3 * 9 * 4 and all(again[name] == first[name] for name in pictures)


def test_another_seed_gives_other_videos(root, tmp_path, monkeypatch):
  monkeypatch.setattr(native, 'ACTIONS', {4: 'walk_around'})
  rendering.render(tmp_path, dataclasses.replace(_OPTIONS, seed=1), workers=1)
  ours, theirs = _digests(root), _digests(tmp_path)
  pictures = [name for name in ours.keys() & theirs.keys() if re.search(r'(rgb\.jpg|depth\.png)$', name)]
  assert pictures and all(ours[name] != theirs[name] for name in pictures)


def test_what_is_there_is_kept_or_refused(root, tmp_path):
  before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
  rendering.render(root, _OPTIONS)
  assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before
  with pytest.raises(ValueError, match='other parameters'):
    rendering.render(root, dataclasses.replace(_OPTIONS, seed=7))
  (tmp_path / 'multiview_action' / 'view_1').mkdir(parents=True)
  with pytest.raises(ValueError, match='no synthetic dataset'):
    rendering.render(tmp_path, _OPTIONS)


def test_leftovers_of_a_killed_rendering_are_replaced(tmp_path, monkeypatch):
  monkeypatch.setattr(native, 'ACTIONS', {4: 'walk_around'})
  leftover = tmp_path / 'multiview_action.incomplete' / 'view_1' / 'a04_s01_e00' / 'frame_77_rgb.jpg'
  leftover.parent.mkdir(parents=True)
  leftover.write_text('half')
  rendering.render(tmp_path, _OPTIONS, workers=1)
  assert not leftover.parents[2].exists()
  assert len(_videos(tmp_path)) == 3 and not list(tmp_path.rglob('frame_77*'))


def test_a_second_process_waits_and_takes_what_the_first_has_rendered(root, tmp_path, capsys):
  second = threading.Thread(target=rendering.render, args=(tmp_path, _OPTIONS))
  with atomic.only_process(tmp_path / 'multiview_action.lock', 'Busy'):
    second.start()
    while 'waiting for it' not in capsys.readouterr().out:
      assert second.is_alive()
      time.sleep(0.01)
    shutil.copytree(root / 'multiview_action', tmp_path / 'multiview_action')
    before = {path: path.stat().st_ino for path in tmp_path.rglob('*')}
  second.join()
  assert {path: path.stat().st_ino for path in tmp_path.rglob('*')} == before


def test_a_failure_leaves_no_dataset(tmp_path):
  impossible = dataclasses.replace(_OPTIONS, max_frames=7)  # less than min_frames
  with pytest.raises(ValueError):
    rendering.render(tmp_path, impossible, workers=1)
  assert not (tmp_path / 'multiview_action').exists()


def _project(camera, points):
  """Points [N, 3] in the frame of a camera of synthetic.json -> pixels [N, 2]."""
  return camera['focal'] * points[:, :2] / points[:, 2:] + camera['centre']


def test_skeletons_project_through_the_stored_cameras(root):
  parameters = json.loads((root / 'multiview_action' / 'synthetic.json').read_text())
  for video in _videos(root)[::7]:
    cameras = parameters['cameras'][video.parent.name[-1]]
    skeleton = skeletons.read(video / 'frame_4_skeletons.txt')
    assert skeleton.positions.shape == (20, 3)
    np.testing.assert_allclose(_project(cameras['depth'], skeleton.positions), skeleton.pixels[:, 2:], atol=.02)
    baseline = np.array(cameras['rgb']['position']) - cameras['depth']['position']
    assert np.isclose(np.linalg.norm(baseline), .025)
    in_rgb = skeleton.positions - np.array(cameras['rgb']['rotation']) @ baseline
    np.testing.assert_allclose(_project(cameras['rgb'], in_rgb), skeleton.pixels[:, :2], atol=.02)
    assert np.abs(skeleton.pixels[:, :2] - skeleton.pixels[:, 2:]).max() > .5


@pytest.mark.parametrize('joint, radius', [('spine', .2), ('head', .2)])
def test_depth_image_shows_the_body_where_the_joints_are(root, joint, radius):
  joint = figure.JOINTS.index(joint)
  differences = []
  for video in _videos(root):
    if video.name[:3] in ('a04', 'a05', 'a06'):  # in the others arms are held in front of the body
      for k in range(9):
        skeleton = skeletons.read(video / f'frame_{k}_skeletons.txt')
        u, v = np.rint(skeleton.pixels[joint, 2:]).astype(int)
        millimetres = _depth(video, k)[v, u] if 0 <= v < 48 and 0 <= u < 64 else 0
        if millimetres:
          differences.append(skeleton.positions[joint, 2] - millimetres / 1000)
  assert len(differences) > 40
  assert np.mean((np.array(differences) > 0) & (np.array(differences) < radius)) > .9


def test_three_views_show_one_performance(root):
  cameras = json.loads((root / 'multiview_action' / 'synthetic.json').read_text())['cameras']
  for action in native.ACTIONS:
    worlds = []
    for view in (1, 2, 3):
      video = root / 'multiview_action' / f'view_{view}' / f'a{action:02d}_s01_e00'
      joints = np.stack([skeletons.read(video / f'frame_{k}_skeletons.txt').positions
                         for k in range(_frame_count(video))])
      camera = cameras[str(view)]['depth']
      worlds.append(joints @ np.array(camera['rotation']) + camera['position'])
    np.testing.assert_allclose(worlds[1], worlds[0], atol=.001)
    np.testing.assert_allclose(worlds[2], worlds[0], atol=.001)
    assert np.ptp(worlds[0], axis=0).max() > .2  # something moves
    assert worlds[0][..., 1].min() > -.02  # nobody sinks into the floor


def test_only_rgb_shows_the_coat(root):
  """The trunk's colour changes while a coat is put on or taken off, and not while sitting down."""
  def redness(action, frame):
    video = root / 'multiview_action' / 'view_1' / f'a{action:02d}_s01_e00'
    u, v = np.rint(skeletons.read(video / f'frame_{frame}_skeletons.txt').pixels[figure.SPINE, :2]).astype(int)
    blue, _, red = cv2.imread(str(video / f'frame_{frame}_rgb.jpg'))[v - 1:v + 2, u - 1:u + 2].mean(axis=(0, 1))
    return red / (red + blue)
  assert redness(8, 8) > redness(8, 0) + .15
  assert redness(9, 0) > redness(9, 8) + .15
  assert abs(redness(5, 8) - redness(5, 0)) < .15
