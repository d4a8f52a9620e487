"""What an RGB camera and a Kinect-like depth sensor make of a scene."""

import cv2
import numpy as np

from . import difficulty


def photograph(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Takes RGB pictures with one camera: blur, vignetting, noise.

  Args:
    radiance: [T, H, W, 3] float32, 1 is white.
    rng: draws the camera, and the noise of every frame.

  Returns:
    [T, H, W, 3] uint8.
  """
  _, height, width, _ = radiance.shape
  y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
  vignette = (1 - rng.uniform(*difficulty.VIGNETTING) * (x * x + y * y) / 2).astype(np.float32)[..., None]
  blurred = np.stack([cv2.GaussianBlur(frame, (3, 3), difficulty.RGB_BLUR) for frame in radiance])
  blurred *= vignette
  blurred += rng.uniform(*difficulty.RGB_NOISE) * rng.standard_normal(blurred.shape, np.float32)
  return np.rint(255 * np.clip(blurred, 0, 1)).astype(np.uint8)


def measure_depth(depth: np.ndarray, loss: np.ndarray, focal: float, rng: np.random.Generator) -> np.ndarray:
  """Measures depth by structured light: steps that grow with z², noise, shadows, lost edges and surfaces.

  Args:
    depth: [T, H, W] metres, inf where nothing is.
    loss: [T, H, W] fraction that is not measured of the surface in each pixel.
    focal: focal length in pixels.
    rng: draws the noise.

  Returns:
    [T, H, W] uint16 millimetres, 0 where nothing was measured.
  """
  near, far = difficulty.DEPTH_RANGE
  inverse = (1 / depth).astype(np.float32)
  lost = _in_shadow(inverse, focal) | ~((depth >= near) & (depth <= far))
  # Which pixels of a dark surface are lost changes little from frame to frame.
  luck = .7 * rng.random(depth.shape[1:], np.float32) + .3 * rng.random(depth.shape, np.float32)
  lost |= luck < loss
  lost |= _beside_jump(depth) & (rng.random(depth.shape, np.float32) < difficulty.EDGE_LOSS)
  quanta = inverse / difficulty.DEPTH_QUANTUM
  quanta += difficulty.DEPTH_NOISE * rng.standard_normal(depth.shape, np.float32)
  millimetres = 1000 / (difficulty.DEPTH_QUANTUM * np.maximum(np.rint(quanta), 1))
  return np.where(lost, 0, np.rint(millimetres)).astype(np.uint16)


def visualize_depth(depth: np.ndarray) -> np.ndarray:
  """Shows millimetres [..., H, W] as grey levels, uint8: 1 the nearest, 255 the farthest, 0 not measured."""
  near, far = 1000 * np.array(difficulty.DEPTH_RANGE)
  grey = 1 + 254 * np.clip((depth.astype(np.float32) - near) / (far - near), 0, 1)
  return np.where(depth == 0, 0, np.rint(grey)).astype(np.uint8)


def _in_shadow(inverse: np.ndarray, focal: float) -> np.ndarray:
  """Pixels whose surface the projector, right of the camera, cannot reach past a nearer one."""
  shadow = np.zeros(inverse.shape, bool)
  disparity = focal * difficulty.PROJECTOR_BASELINE * inverse
  for shift in range(1, int(disparity.max()) + 1):
    shadow[..., :-shift] |= disparity[..., shift:] - disparity[..., :-shift] >= shift
  return shadow


def _beside_jump(depth: np.ndarray) -> np.ndarray:
  """Pixels [T, H, W] with a neighbour that is much nearer or farther."""
  jump = np.zeros(depth.shape, bool)
  finite = np.minimum(depth, 100)
  for axis in (1, 2):
    step = np.abs(np.diff(finite, axis=axis)) > difficulty.EDGE_JUMP
    before = [slice(None)] * 3
    after = [slice(None)] * 3
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    jump[tuple(before)] |= step
    jump[tuple(after)] |= step
  return jump
