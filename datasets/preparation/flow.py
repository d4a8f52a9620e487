"""Dense optical flow and its encoding as 3-channel images."""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class FlowEncoding:
  """How flow was computed and stored; goes into the metadata of every prepared dataset.

  Attributes:
    algorithm: OpenCV's dense inverse search at its medium preset.
    bound: displacement per frame, as a fraction of the image width, that is
      stored as 255; larger ones are clipped.
    channels: what the three channels hold. Horizontal and vertical displacement
      are 128 where nothing moves, the magnitude is 0 there.
  """
  algorithm: str = 'opencv_dis_medium'
  bound: float = 1 / 32
  channels: str = 'horizontal,vertical,magnitude'


ENCODING = FlowEncoding()


def dense_flow(images: np.ndarray) -> np.ndarray:
  """Optical flow from each frame to the next: RGB [T, H, W, 3] uint8 -> [T, H, W, 2] float32, in pixels.

  The last frame repeats the flow of the one before it (zero for a single
  frame), so that flow has as many frames as RGB.
  """
  greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
  # Not shared between videos: the algorithm object keeps state and is not safe in threads.
  algorithm = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  flows = [algorithm.calc(first, second, None) for first, second in zip(greys, greys[1:])]
  flows.append(flows[-1] if flows else np.zeros((*greys[0].shape, 2), np.float32))
  return np.stack(flows)


def encode_flow(flow: np.ndarray, encoding: FlowEncoding = ENCODING) -> np.ndarray:
  """Encodes flow [T, H, W, 2] in pixels as images [T, H, W, 3] uint8 (see `FlowEncoding`)."""
  scaled = np.clip(flow / (encoding.bound * flow.shape[2]), -1, 1)
  magnitude = np.minimum(np.linalg.norm(scaled, axis=-1, keepdims=True), 1)
  return np.rint(np.concatenate([128 + 127 * scaled, 255 * magnitude], axis=-1)).astype(np.uint8)
