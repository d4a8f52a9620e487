"""Video files: frames that shrink while they are read, unreadable files."""

import cv2
import numpy as np
import pytest

from tests import native_files, real_data
from tf_privinfo.datasets.ntu_rgbd import builder
from tf_privinfo.datasets.preparation import frames, video


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
