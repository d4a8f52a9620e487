"""Lays RGB and depth frames over each other by the skeleton's joints (thesis section 3.3.6)."""

import dataclasses
from typing import NamedTuple, Tuple

import cv2
import numpy as np

# A pair of joints gives a ratio of distances only if it is this far apart, as a fraction of the skeleton's extent in
# that frame: errors of the joints are divided by the distance, and those of near pairs would be nothing but errors.
_LEAST_DISTANCE = 0.1
# Ratios per dimension that a video must give: those of five joints in one frame.
_LEAST_PAIRS = 10
# Part of the RGB frame's width and height that the overlay must keep; with less the joints are not those of the video.
_LEAST_SHARE = 0.25


class NotAlignable(Exception):
  """The joints of a video do not tell how its frames lie over each other; the message says why."""


@dataclasses.dataclass(frozen=True)
class Alignment:
  """Where the depth pixels of a video lie in its RGB frames: rgb = scale · depth + offset.

  Attributes:
    scale: RGB pixels per depth pixel.
    offset: (x, y) in RGB pixels.
  """
  scale: float
  offset: Tuple[float, float]

  def to_rgb(self, depth_pixels: np.ndarray) -> np.ndarray:
    """Depth pixels [..., 2] as (x, y) -> RGB pixels [..., 2]."""
    return self.scale * depth_pixels + np.array(self.offset)

  def to_depth(self, rgb_pixels: np.ndarray) -> np.ndarray:
    """RGB pixels [..., 2] as (x, y) -> depth pixels [..., 2]."""
    return (rgb_pixels - np.array(self.offset)) / self.scale


class Joints(NamedTuple):
  """Where the joints of a video are seen, for `estimate`.

  Attributes:
    rgb_pixels, depth_pixels: [F, J, 2] as (x, y); those of joints that are not tracked mean nothing.
    tracked: [F, J] bool.
  """
  rgb_pixels: np.ndarray
  depth_pixels: np.ndarray
  tracked: np.ndarray


class Box(NamedTuple):
  """A part of a frame: the centres of its first and last pixels, both included."""
  left: float
  top: float
  right: float
  bottom: float


def estimate(rgb_pixels: np.ndarray, depth_pixels: np.ndarray, tracked: np.ndarray) -> Alignment:
  """Finds the alignment of a video.

  The scale is the mean of two medians, of the ratios in x and of those in y,
  over all pairs of well-tracked joints of all frames. The offset lays the
  skeletons over each other: the median over all joints of all frames. One
  offset for the video is more exact than one per frame as soon as the joints
  have errors of half a pixel, and keeps the crop still, so that optical flow
  does not see it move.

  Args:
    rgb_pixels: [F, J, 2] joints in the RGB frames as (x, y).
    depth_pixels: [F, J, 2] the same joints in the depth frames.
    tracked: [F, J] bool, which of them are well tracked; the others are not looked at.

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
  """The median of (rgb_A - rgb_B) / (depth_A - depth_B) in one dimension, 0 for x, over all pairs in all frames."""
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
  """What both modalities show.

  Args:
    alignment: of the video.
    rgb_shape, depth_shape: (height, width) of the frames.

  Returns:
    The box in the RGB frames, of whole pixels, and the one in the depth frames
    that lies exactly under it.

  Raises:
    NotAlignable: if they share too little.
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
  """Crops both modalities to what they share; depth is resampled on the pixels of RGB, bilinearly.

  The thesis scales the RGB frames to the depth frames instead. After the
  resize to the network's input both are the same, and RGB stays as sharp as it is.

  Args:
    rgb: [F, H, W, 3] uint8.
    depth: [F, H', W', 3] uint8 pictures of depth.
    alignment: of the video.

  Returns:
    RGB and depth [F, h, w, 3] uint8; a pixel of one shows what the same pixel of the other does.

  Raises:
    NotAlignable: see `crop_boxes`.
  """
  box, under = crop_boxes(alignment, rgb.shape[1:3], depth.shape[1:3])
  height, width = box.bottom - box.top + 1, box.right - box.left + 1
  to_depth = np.array([[1 / alignment.scale, 0, under.left], [0, 1 / alignment.scale, under.top]])
  aligned = [cv2.warpAffine(picture, to_depth, (int(width), int(height)), borderMode=cv2.BORDER_REPLICATE,
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for picture in depth]
  return rgb[:, box.top:box.bottom + 1, box.left:box.right + 1], np.stack(aligned)
