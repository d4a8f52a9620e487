"""HHA: depth as horizontal disparity, height above ground and angle with gravity.

The encoding of Gupta et al., "Learning Rich Features from RGB-D Images for Object Detection and Segmentation"
(ECCV 2014), with gravity estimated as in Gupta et al., "Perceptual Organization and Recognition of Indoor Scenes from
RGB-D Images" (CVPR 2013). It needs a complete view of a scene; objects are cropped from the result.
"""

from typing import NamedTuple, Optional

import cv2
import numpy as np

# Levels of the three channels. Disparity is 255 at depths up to DISPARITY / 255 = 1.2 m; height is 255 from 2.55 m on;
# angles range from 38 (floors) to 218 (ceilings), with 128 for upright surfaces.
DISPARITY = 310.0  # at a depth of 1 m
HEIGHT = 100.0  # per metre
ANGLE_OFFSET = 38.0  # level of an angle of 0 degrees; one level per degree

# If the lowest point is less than this below the camera, the ground is assumed to be out of view ...
_LEAST_CAMERA_HEIGHT = 0.9
# ... and the camera is assumed to be this high. Metres.
_USUAL_CAMERA_HEIGHT = 1.3
# Planes are fitted to (2 · radius + 1)² pixels: small windows for the angle, large windows for gravity.
_ANGLE_RADIUS, _GRAVITY_RADIUS = 3, 10
_LEAST_SUPPORT = 6  # minimum number of pixels of a plane; three would suffice without noise
# (threshold in degrees, iterations) of the two rounds of the estimation of gravity.
_GRAVITY_ROUNDS = ((45.0, 5), (15.0, 5))
# Cosine of the largest angle between gravity and its initial value: beyond 45 degrees floors and walls would swap.
_LEAST_UPRIGHT = np.cos(np.deg2rad(45))
# Weight of the initial value of gravity, per pixel. It decides if a scene leaves a direction open, such as one wall.
_PRIOR = 1e-4


class Intrinsics(NamedTuple):
  """Parameters of a pinhole camera; coordinates (0, 0) are the centre of the top left pixel.

  Attributes:
    focal_x: horizontal focal length, pixels.
    focal_y: vertical focal length, pixels.
    centre_x: column of the principal point, pixels.
    centre_y: row of the principal point, pixels.
  """
  focal_x: float
  focal_y: float
  centre_x: float
  centre_y: float


def encode(depth: np.ndarray, camera: Intrinsics, *, measured: Optional[np.ndarray] = None,
           gravity: Optional[np.ndarray] = None, camera_height: Optional[float] = None,
           disparity: float = DISPARITY) -> np.ndarray:
  """Encodes metric depth as an HHA image.

  Holes are filled with the nearest measured pixel. Surface normals are
  computed from measured pixels alone.

  Args:
    depth: depth in metres, [H, W]; missing pixels are 0 or not finite.
    camera: parameters of the depth camera.
    measured: mask of pixels that were measured and not filled in, [H, W] bool;
      None: all pixels with depth.
    gravity: direction of gravity [3] in camera coordinates (x right, y down, z
      forward); None: estimated from the surfaces.
    camera_height: height above the ground in metres; None: height above the
      lowest point, or 1.3 m if this is less than 0.9 m.
    disparity: level of a depth of 1 m. All depths below disparity / 255 metres
      have level 255, so objects at arm's length need a smaller value.

  Returns:
    [H, W, 3] uint8: disparity, height in cm, angle of the surface normal with
    gravity in degrees + 38. All zero if nothing was measured.
  """
  depth = np.where(np.isfinite(depth), depth, 0).astype(np.float64)
  known = depth > 0
  measured = known if measured is None else known & measured
  if not measured.any():
    return np.zeros((*depth.shape, 3), np.uint8)
  rays = _rays(depth.shape, camera)
  if gravity is None:
    gravity = estimate_gravity(surface_normals(depth, camera, measured, _GRAVITY_RADIUS))
  gravity = np.asarray(gravity, np.float64) / np.linalg.norm(gravity)
  normals = surface_normals(depth, camera, measured, _ANGLE_RADIUS)
  angle = np.rad2deg(np.arccos(np.clip(normals @ gravity, -1, 1)))
  depth = _fill(depth, known)
  below = depth * (rays @ gravity)  # distance below the camera, metres
  if camera_height is None:
    lowest = below[known].max()
    camera_height = lowest if lowest >= _LEAST_CAMERA_HEIGHT else _USUAL_CAMERA_HEIGHT
  channels = (disparity / depth, HEIGHT * (camera_height - below), ANGLE_OFFSET + _fill(angle, np.isfinite(angle)))
  return np.rint(np.clip(np.stack(channels, axis=-1), 0, 255)).astype(np.uint8)


def surface_normals(depth: np.ndarray, camera: Intrinsics, measured: np.ndarray, radius: int) -> np.ndarray:
  """Unit normals of planes fitted around every pixel, pointing away from the camera.

  The plane a·x + b·y + c·z = 1 is linear in inverse depth along a ray, so the
  least-squares fit consists of sums over the window.

  Args:
    depth: depth in metres, [H, W].
    camera: parameters of the depth camera.
    measured: mask of the pixels to use, [H, W] bool.
    radius: radius of the square window in pixels.

  Returns:
    [H, W, 3] in camera coordinates; NaN if too few pixels were measured.
  """
  x, y, _ = np.moveaxis(_rays(depth.shape, camera), -1, 0)
  weight = measured.astype(np.float64)
  inverse = np.divide(1, depth, out=np.zeros(depth.shape), where=measured)
  moments = np.stack([weight * x * x, weight * x * y, weight * x, weight * y * y, weight * y, weight,
                      inverse * x, inverse * y, inverse], axis=-1)
  size = (2 * radius + 1,) * 2
  xx, xy, x1, yy, y1, count, bx, by, b1 = np.moveaxis(
      cv2.boxFilter(moments, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT), -1, 0)
  # Adjugate of the symmetric matrix of moments times the right-hand side: only the direction is needed.
  normal = np.stack([
      (yy * count - y1 * y1) * bx + (x1 * y1 - xy * count) * by + (xy * y1 - yy * x1) * b1,
      (x1 * y1 - xy * count) * bx + (xx * count - x1 * x1) * by + (xy * x1 - xx * y1) * b1,
      (xy * y1 - yy * x1) * bx + (xy * x1 - xx * y1) * by + (xx * yy - xy * xy) * b1], axis=-1)
  length = np.linalg.norm(normal, axis=-1, keepdims=True)
  usable = (count[..., None] > _LEAST_SUPPORT - .5) & (length > 0)
  away = np.copysign(1, (normal * _rays(depth.shape, camera)).sum(axis=-1, keepdims=True))
  return np.divide(away * normal, length, out=np.full(normal.shape, np.nan), where=usable)


def estimate_gravity(normals: np.ndarray, start=(0.0, 1.0, 0.0)) -> np.ndarray:
  """Estimates gravity as the direction to which most surfaces are parallel or orthogonal.

  Every iteration selects surfaces that are horizontal (F) or vertical (W)
  within a threshold, and minimises Σ_W (n·g)² - Σ_F (n·g)²: the solution is the
  eigenvector of the smallest eigenvalue of the difference of scatter matrices.

  Args:
    normals: unit normals [..., 3]; NaN if unknown.
    start: initial direction in camera coordinates; the default assumes that the
      camera was held upright within 45 degrees.

  Returns:
    Unit vector [3] that points down.
  """
  normals = normals.reshape(-1, 3)
  normals = normals[np.isfinite(normals[:, 0])]
  gravity = start = np.asarray(start, np.float64)
  for threshold, iterations in _GRAVITY_ROUNDS:
    for _ in range(iterations):
      along = np.abs(normals @ gravity)
      flat = normals[along > np.cos(np.deg2rad(threshold))]
      upright = normals[along < np.sin(np.deg2rad(threshold))]
      scatter = upright.T @ upright - flat.T @ flat - _PRIOR * (1 + len(normals)) * np.outer(start, start)
      best = np.linalg.eigh(scatter)[1][:, 0]
      best *= np.copysign(1, best @ start)
      if best @ start < _LEAST_UPRIGHT:
        return gravity
      gravity = best
  return gravity


def _rays(shape, camera: Intrinsics) -> np.ndarray:
  """The point at depth 1 on the ray of every pixel, [H, W, 3]."""
  v, u = np.mgrid[:shape[0], :shape[1]]
  return np.stack([(u - camera.centre_x) / camera.focal_x, (v - camera.centre_y) / camera.focal_y,
                   np.ones(shape)], axis=-1)


def _fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
  """Fills unknown pixels of [H, W] with the nearest known value; all zero if none is known."""
  if known.all():
    return image
  if not known.any():
    return np.zeros_like(image)
  _, nearest = cv2.distanceTransformWithLabels(
      (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
  values = np.zeros(nearest.max() + 1, image.dtype)
  values[nearest[known]] = image[known]
  return values[nearest]
