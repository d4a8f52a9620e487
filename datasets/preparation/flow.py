"""Dense optical flow and its encoding as 3-channel images."""

import dataclasses
from typing import Iterable, Iterator

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class FlowEncoding:
  """Computation and encoding of flow, recorded in the metadata of every prepared dataset.

  Attributes:
    algorithm: name of the algorithm; the default is OpenCV's dense inverse
      search with its medium preset.
    bound: displacement per frame, as a fraction of the image width, that is
      stored as 255; larger displacements are clipped.
    channels: content of the three channels. Without motion, horizontal and
      vertical displacement are 128, and the magnitude is 0.
  """
  algorithm: str = 'opencv_dis_medium'
  bound: float = 1 / 32
  channels: str = 'horizontal,vertical,magnitude'


ENCODING = FlowEncoding()


def frame_by_frame(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
  """Yields the optical flow [H, W, 2] float32, in pixels, from each of T frames [H, W, 3] uint8 to the next.

  The last flow is repeated (zero for a single frame), so that flow has as many
  frames as RGB.
  """
  greys = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images)
  first = next(greys)
  # Not shared between videos: the object has state and is not thread-safe.
  algorithm = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  motion = np.zeros((*first.shape, 2), np.float32)
  for second in greys:
    motion = algorithm.calc(first, second, None)
    yield motion
    first = second
  yield motion


def dense_flow(images: np.ndarray) -> np.ndarray:
  """Optical flow of all frames, as in `frame_by_frame`: RGB [T, H, W, 3] uint8 -> [T, H, W, 2] float32, in pixels."""
  return np.stack(list(frame_by_frame(images)))


def encode_flow(flow: np.ndarray, encoding: FlowEncoding = ENCODING) -> np.ndarray:
  """Encodes flow [..., H, W, 2], in pixels, as images [..., H, W, 3] uint8 (see `FlowEncoding`)."""
  scaled = np.clip(flow / (encoding.bound * flow.shape[-2]), -1, 1)
  magnitude = np.minimum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1)
  return np.rint(np.concatenate([128 + 127 * scaled, 255 * magnitude], axis=-1)).astype(np.uint8)
