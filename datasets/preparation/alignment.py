"""Spatial alignment of RGB and depth frames by the joints of the skeleton (thesis section 3.3.6)."""

import dataclasses
from typing import NamedTuple, Tuple

import cv2
import numpy as np

# Minimum distance of a pair of joints, as a fraction of the extent of the skeleton in the frame. The ratio of distances
# divides the errors of the joints by the distance, so near pairs are unreliable.
_LEAST_DISTANCE = 0.1
# Minimum number of ratios per dimension: the pairs of five joints in one frame.
_LEAST_PAIRS = 10
# Minimum overlap, as a fraction of width and height of the RGB frame. A smaller one indicates joints of another video.
_LEAST_SHARE = 0.25


class NotAlignable(Exception):
  """The joints of a video do not determine its alignment; the message contains the reason."""


@dataclasses.dataclass(frozen=True)
class Alignment:
  """Mapping of depth pixels to RGB pixels of a video: rgb = scale · depth + offset.

  Attributes:
    scale: number of RGB pixels per depth pixel.
    offset: translation (x, y) in RGB pixels.
  """
  scale: float
  offset: Tuple[float, float]

  def to_rgb(self, depth_pixels: np.ndarray) -> np.ndarray:
    """Maps depth pixels [..., 2], as (x, y), to RGB pixels [..., 2]."""
    return self.scale * depth_pixels + np.array(self.offset)

  def to_depth(self, rgb_pixels: np.ndarray) -> np.ndarray:
    """Maps RGB pixels [..., 2], as (x, y), to depth pixels [..., 2]."""
    return (rgb_pixels - np.array(self.offset)) / self.scale


class Joints(NamedTuple):
  """Positions of the joints in the frames of a video, the arguments of `estimate`.

  Attributes:
    rgb_pixels: positions (x, y) in the RGB frames, [F, J, 2]; undefined for joints that are not tracked.
    depth_pixels: positions (x, y) in the depth frames, [F, J, 2]; undefined for joints that are not tracked.
    tracked: mask of the tracked joints, [F, J] bool.
  """
  rgb_pixels: np.ndarray
  depth_pixels: np.ndarray
  tracked: np.ndarray


class Box(NamedTuple):
  """A part of a frame, by the centres of its first and last pixels, both included."""
  left: float
  top: float
  right: float
  bottom: float


def estimate(rgb_pixels: np.ndarray, depth_pixels: np.ndarray, tracked: np.ndarray) -> Alignment:
  """Estimates the alignment of a video.

  The scale is the mean of two medians of distance ratios, one in x and one in
  y, over all pairs of well-tracked joints of all frames. The offset is the
  median difference of the joints' positions in RGB and scaled depth, over all
  joints of all frames. If the joints have errors of half a pixel or more, one
  offset for the video is more exact than one per frame. It also keeps the crop
  static, so that it does not add motion to the optical flow.

  Args:
    rgb_pixels: joints in the RGB frames as (x, y), [F, J, 2].
    depth_pixels: the same joints in the depth frames, [F, J, 2].
    tracked: mask of the well-tracked joints, [F, J] bool; other joints are ignored.

  Raises:
    NotAlignable: if there are too few joints, or they lie on one line or point.
  """
  if not tracked.any():
    raise NotAlignable('no joint is tracked in any frame')
  scale = float(np.mean([_median_ratio(rgb_pixels, depth_pixels, tracked, axis) for axis in (0, 1)]))
  if not scale > 0:
    raise NotAlignable(f'the skeletons in RGB and depth do not match (ratio {scale:.3g})')
  offset = np.median(rgb_pixels[tracked] - scale * depth_pixels[tracked], axis=0)
  return Alignment(scale, (float(offset[0]), float(offset[1])))


def _median_ratio(rgb_pixels, depth_pixels, tracked, axis: int) -> float:
  """Median of (rgb_A - rgb_B) / (depth_A - depth_B) along one axis (0: x), over all pairs A, B in all frames."""
  first, second = np.triu_indices(tracked.shape[1], 1)
  rgb, depth = (pixels[:, first, axis] - pixels[:, second, axis] for pixels in (rgb_pixels, depth_pixels))
  low = np.where(tracked[..., None], depth_pixels, np.inf).min(axis=1)
  high = np.where(tracked[..., None], depth_pixels, -np.inf).max(axis=1)
  extent = np.max(high - low, axis=1, keepdims=True)
  usable = tracked[:, first] & tracked[:, second] & (np.abs(depth) >= _LEAST_DISTANCE * extent) & (depth != 0)
  if usable.sum() < _LEAST_PAIRS:
    raise NotAlignable(f'only {usable.sum()} pairs of tracked joints differ in {"xy"[axis]} (needed: {_LEAST_PAIRS})')
  return np.median(rgb[usable] / depth[usable])


def crop_boxes(alignment: Alignment, rgb_shape: Tuple[int, int], depth_shape: Tuple[int, int]) -> Tuple[Box, Box]:
  """The overlap of both modalities.

  Args:
    alignment: alignment of the video.
    rgb_shape: (height, width) of the RGB frames.
    depth_shape: (height, width) of the depth frames.

  Returns:
    The box in the RGB frames, in whole pixels, and the corresponding box in the
    depth frames, in fractions of pixels.

  Raises:
    NotAlignable: if the overlap is too small.
  """
  rgb_size, depth_size = np.array(rgb_shape[::-1]), np.array(depth_shape[::-1])
  tolerance = 1e-6  # so that rounding does not cost a pixel
  first = np.ceil(np.maximum(0, alignment.to_rgb(np.zeros(2))) - tolerance)
  last = np.floor(np.minimum(rgb_size - 1, alignment.to_rgb(depth_size - 1)) + tolerance)
  share = (last - first + 1) / rgb_size
  if (share < _LEAST_SHARE).any():
    raise NotAlignable('RGB and depth overlap in only {:.0%} of the width and {:.0%} of the height'.format(
        *np.maximum(share, 0)))
  return Box(*first.astype(int), *last.astype(int)), Box(*alignment.to_depth(first), *alignment.to_depth(last))


def overlay(rgb: np.ndarray, depth: np.ndarray, alignment: Alignment) -> Tuple[np.ndarray, np.ndarray]:
  """Crops both modalities to their overlap and resamples depth bilinearly on the pixels of RGB.

  The thesis scales the RGB frames to the depth frames instead. After the resize
  to the input of the network, both have the same size; here RGB keeps its
  sharpness.

  Args:
    rgb: RGB frames, [F, H, W, 3] uint8.
    depth: depth images, [F, H', W', 3] uint8.
    alignment: alignment of the video.

  Returns:
    Spatially aligned RGB and depth, [F, h, w, 3] uint8.

  Raises:
    NotAlignable: see `crop_boxes`.
  """
  box, under = crop_boxes(alignment, rgb.shape[1:3], depth.shape[1:3])
  height, width = box.bottom - box.top + 1, box.right - box.left + 1
  to_depth = np.array([[1 / alignment.scale, 0, under.left], [0, 1 / alignment.scale, under.top]])
  aligned = [cv2.warpAffine(picture, to_depth, (int(width), int(height)), borderMode=cv2.BORDER_REPLICATE,
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for picture in depth]
  return rgb[:, box.top:box.bottom + 1, box.left:box.right + 1], np.stack(aligned)
