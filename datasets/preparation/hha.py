"""HHA: depth as horizontal disparity, height above ground and angle with gravity.

The encoding of Gupta et al., "Learning Rich Features from RGB-D Images for Object Detection and Segmentation"
(ECCV 2014), with the gravity of Gupta et al., "Perceptual Organization and Recognition of Indoor Scenes from RGB-D
Images" (CVPR 2013). It needs a whole view of a scene: objects are cropped from its result.
"""

from typing import NamedTuple, Optional

import cv2
import numpy as np

# Levels of the three channels. Disparity is 255 at depths up to DISPARITY / 255 = 1.2 m; heights end at 2.55 m; angles
# are 38 (floors) to 218 (ceilings), 128 for upright surfaces.
DISPARITY = 310.0  # at a depth of 1 m
HEIGHT = 100.0  # per metre
ANGLE_OFFSET = 38.0  # of an angle of 0 degrees; one level per degree

# Where the ground is not seen: the lowest point is higher than this below the camera ...
_LEAST_CAMERA_HEIGHT = 0.9
# ... and then the camera is taken to be so high. Metres.
_USUAL_CAMERA_HEIGHT = 1.3
# Planes are fitted to (2 · radius + 1)² pixels: small ones for the angle, large ones for gravity.
_ANGLE_RADIUS, _GRAVITY_RADIUS = 3, 10
_LEAST_SUPPORT = 6  # pixels that a plane needs; three would be enough without noise
# (threshold in degrees, iterations) of the two rounds in which gravity is found.
_GRAVITY_ROUNDS = ((45.0, 5), (15.0, 5))
# Cosine of the largest angle between gravity and its first guess: beyond 45 degrees the two sets would change places.
_LEAST_UPRIGHT = np.cos(np.deg2rad(45))
# Weight of the first guess of gravity, per pixel: decides where a scene leaves a direction open, as a lone wall does.
_PRIOR = 1e-4


class Intrinsics(NamedTuple):
  """A pinhole camera in pixels; pixel (0, 0) is the centre of the top left one."""
  focal_x: float
  focal_y: float
  centre_x: float
  centre_y: float


def encode(depth: np.ndarray, camera: Intrinsics, *, measured: Optional[np.ndarray] = None,
           gravity: Optional[np.ndarray] = None, camera_height: Optional[float] = None,
           disparity: float = DISPARITY) -> np.ndarray:
  """Encodes metric depth as an HHA image.

  Holes take the values of the nearest measured pixel. Surface normals come
  from measured pixels alone.

  Args:
    depth: [H, W] metres; 0 or not finite where nothing was measured.
    camera: that took it.
    measured: [H, W] bool, where `depth` was not filled in by somebody else;
      None for wherever there is depth.
    gravity: [3] direction of gravity in the camera's frame (x right, y down, z
      forward); None to estimate it from the surfaces.
    camera_height: above the ground, metres; None to take the lowest point for
      the ground, or 1.3 m where that is less than 0.9 m below the camera.
    disparity: level of a depth of 1 m. Nearer than disparity / 255 metres all
      depths are 255: objects at arm's length need a smaller one.

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
  below = depth * (rays @ gravity)  # the camera, metres
  if camera_height is None:
    lowest = below[known].max()
    camera_height = lowest if lowest >= _LEAST_CAMERA_HEIGHT else _USUAL_CAMERA_HEIGHT
  channels = (disparity / depth, HEIGHT * (camera_height - below), ANGLE_OFFSET + _fill(angle, np.isfinite(angle)))
  return np.rint(np.clip(np.stack(channels, axis=-1), 0, 255)).astype(np.uint8)


def surface_normals(depth: np.ndarray, camera: Intrinsics, measured: np.ndarray, radius: int) -> np.ndarray:
  """Unit normals that point away from the camera, of planes fitted around every pixel.

  The plane a·x + b·y + c·z = 1 is linear in inverse depth along a ray, so its
  least squares are sums over the window.

  Args:
    depth: [H, W] metres.
    camera: that took it.
    measured: [H, W] bool, which pixels count.
    radius: of the square window, pixels.

  Returns:
    [H, W, 3] in the camera's frame; NaN where too little was measured.
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
  """Finds the direction that most surfaces are parallel or orthogonal to.

  From a first guess on, surfaces within a threshold of lying flat (F) or
  standing upright (W) vote, and the next guess minimises
  Σ_W (n·g)² - Σ_F (n·g)²: the least eigenvector of their scatter matrices.

  Args:
    normals: [..., 3] unit normals, NaN where unknown.
    start: the first guess, in the camera's frame: the camera is held upright
      within 45 degrees.

  Returns:
    [3] unit vector that points down.
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
  """The point at depth 1 of every pixel: [H, W, 3]."""
  v, u = np.mgrid[:shape[0], :shape[1]]
  return np.stack([(u - camera.centre_x) / camera.focal_x, (v - camera.centre_y) / camera.focal_y,
                   np.ones(shape)], axis=-1)


def _fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
  """Gives unknown pixels of [H, W] the value of a known one next to them; all zero if none is known."""
  if known.all():
    return image
  if not known.any():
    return np.zeros_like(image)
  _, nearest = cv2.distanceTransformWithLabels(
      (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
  values = np.zeros(nearest.max() + 1, image.dtype)
  values[nearest[known]] = image[known]
  return values[nearest]
