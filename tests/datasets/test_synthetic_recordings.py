"""The synthetic dataset as a table of recordings: images and columns are those of its other layout."""

import dataclasses
import unittest.mock

import cv2
import numpy as np
import pytest

from tf_privinfo.datasets.nwucla import native
from tf_privinfo.datasets.recordings import measurements, table
from tf_privinfo.datasets.synthetic import recordings, rendering

_OPTIONS = rendering.RenderOptions(subjects=1, episodes=1, min_frames=3, max_frames=4, width=64, height=48)


@pytest.fixture
def two_actions(monkeypatch):
  monkeypatch.setattr(native, 'ACTIONS', {4: 'walk_around', 12: 'carry'})


def test_recordings_are_those_of_the_dataset(two_actions, tmp_path):
  root = tmp_path / 'recordings'
  recordings.render(root, _OPTIONS, workers=1)
  content = table.read(root)
  assert content.modalities == ('rgb', 'depth')
  assert sorted(content.rows) == sorted(
      f'view_{view}/a{action:02d}_s01_e00' for view in (1, 2, 3) for action in (4, 12))
  assert content.rows['view_3/a12_s01_e00'] == {'label': 'carry', 'view': '3', 'subject': 'S01', 'episode': '0'}
  for performance in rendering.performances(_OPTIONS):
    for number, rgb, depth, _ in rendering.views(_OPTIONS, performance):
      cells = content.cells[f'view_{number}/{performance.name}']
      clips = {name: measurements.read(table.files(root, cell)).images for name, cell in cells.items()}
      np.testing.assert_array_equal(clips['depth'], depth)
      assert clips['rgb'].shape == rgb.shape and np.abs(clips['rgb'].astype(float) - rgb).mean() < 6
  before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
  recordings.render(root, _OPTIONS)
  assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before
  with pytest.raises(ValueError, match='other parameters'):
    recordings.render(root, dataclasses.replace(_OPTIONS, seed=7))


def test_the_layout_of_nw_ucla_is_no_table(two_actions, tmp_path):
  rendering.render(tmp_path, _OPTIONS, workers=1)
  with pytest.raises(ValueError, match='other parameters'):
    recordings.render(tmp_path / 'multiview_action', _OPTIONS)


def test_a_video_that_is_not_written_completely_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(cv2, 'VideoWriter', unittest.mock.MagicMock())
  with pytest.raises(OSError, match='cannot be written'):
    recordings._write_video(tmp_path / 'rgb.avi', np.zeros((3, 48, 64, 3), np.uint8))
