"""Decoding of video files."""

import os
from typing import Iterator

import cv2
import numpy as np

from tf_privinfo.datasets.preparation import frames


def read_video(path: str, least_width: int) -> np.ndarray:
  """Decodes a video file: RGB frames [F, H, W, 3] uint8; arguments and errors as for `frame_by_frame`."""
  return np.stack(list(frame_by_frame(path, least_width)))


def frame_by_frame(path: str, least_width: int) -> Iterator[np.ndarray]:
  """Yields the RGB frames [H, W, 3] uint8 of a video file and downscales every frame at once, to save memory.

  The factor is the largest integer that leaves frames at least `least_width`
  pixels wide; narrower frames keep their size. A pixel is the mean of a block
  of pixels; rows and columns that do not fill a block are cropped.

  Args:
    path: path of the file.
    least_width: minimum width of the result in pixels; 0: no downscaling.

  Raises:
    frames.UnreadableFileError: if the file is missing, not a video, or has
      fewer frames than its header states.
  """
  if not os.path.exists(path):
    raise frames.UnreadableFileError(f'{path}: missing')
  # One thread per file: several files are decoded at once, and every thread holds frames of full size.
  capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
  try:
    frames.check_pixels(path, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    count = 0
    while True:
      decoded, image = capture.read()
      if not decoded:
        break
      count += 1
      yield cv2.cvtColor(_shrink(image, least_width), cv2.COLOR_BGR2RGB)
  finally:
    capture.release()
  if not count:
    raise frames.UnreadableFileError(f'{path}: truncated or not a video')
  if count < promised:
    raise frames.UnreadableFileError(f'{path}: truncated, only {count} of {promised} frames can be decoded')


def _shrink(image: np.ndarray, least_width: int) -> np.ndarray:
  height, width = image.shape[:2]
  factor = max(1, width // least_width) if least_width else 1
  height, width = height // factor, width // factor
  return cv2.resize(image[:height * factor, :width * factor], (width, height), interpolation=cv2.INTER_AREA)
