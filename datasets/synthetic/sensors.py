"""Simulation of an RGB camera and of a Kinect-like depth sensor."""

import cv2
import numpy as np

from . import difficulty


def photograph(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Simulates an RGB camera: blur, vignetting, noise.

  Args:
    radiance: ideal images, [T, H, W, 3] float32; 1 is white.
    rng: random generator of the camera and of the noise in every frame.

  Returns:
    RGB images, [T, H, W, 3] uint8.
  """
  _, height, width, _ = radiance.shape
  y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
  vignette = (1 - rng.uniform(*difficulty.VIGNETTING) * (x * x + y * y) / 2).astype(np.float32)[..., None]
  blurred = np.stack([cv2.GaussianBlur(frame, (3, 3), difficulty.RGB_BLUR) for frame in radiance])
  blurred *= vignette
  blurred += rng.uniform(*difficulty.RGB_NOISE) * rng.standard_normal(blurred.shape, np.float32)
  return np.rint(255 * np.clip(blurred, 0, 1)).astype(np.uint8)


def measure_depth(depth: np.ndarray, loss: np.ndarray, focal: float, rng: np.random.Generator) -> np.ndarray:
  """Simulates a structured-light depth sensor: steps that grow with z², noise, shadows, missing edges and surfaces.

  Args:
    depth: true depth, [T, H, W] metres; inf without a surface.
    loss: fraction of the surface in each pixel that is not measured, [T, H, W].
    focal: focal length in pixels.
    rng: random generator of the noise.

  Returns:
    Depth in millimetres, [T, H, W] uint16; 0 = missing.
  """
  near, far = difficulty.DEPTH_RANGE
  inverse = (1 / depth).astype(np.float32)
  lost = _in_shadow(inverse, focal) | ~((depth >= near) & (depth <= far))
  # The missing pixels of a dark surface change little from frame to frame.
  luck = .7 * rng.random(depth.shape[1:], np.float32) + .3 * rng.random(depth.shape, np.float32)
  lost |= luck < loss
  lost |= _beside_jump(depth) & (rng.random(depth.shape, np.float32) < difficulty.EDGE_LOSS)
  quanta = inverse / difficulty.DEPTH_QUANTUM
  quanta += difficulty.DEPTH_NOISE * rng.standard_normal(depth.shape, np.float32)
  millimetres = 1000 / (difficulty.DEPTH_QUANTUM * np.maximum(np.rint(quanta), 1))
  return np.where(lost, 0, np.rint(millimetres)).astype(np.uint16)


def visualize_depth(depth: np.ndarray) -> np.ndarray:
  """Encodes depth [..., H, W] in millimetres as grey levels, uint8: 1 = nearest, 255 = farthest, 0 = missing."""
  near, far = 1000 * np.array(difficulty.DEPTH_RANGE)
  grey = 1 + 254 * np.clip((depth.astype(np.float32) - near) / (far - near), 0, 1)
  return np.where(depth == 0, 0, np.rint(grey)).astype(np.uint8)


def _in_shadow(inverse: np.ndarray, focal: float) -> np.ndarray:
  """Mask of pixels that a nearer surface hides from the projector, which is to the right of the camera."""
  shadow = np.zeros(inverse.shape, bool)
  disparity = focal * difficulty.PROJECTOR_BASELINE * inverse
  for shift in range(1, int(disparity.max()) + 1):
    shadow[..., :-shift] |= disparity[..., shift:] - disparity[..., :-shift] >= shift
  return shadow


def _beside_jump(depth: np.ndarray) -> np.ndarray:
  """Mask [T, H, W] of pixels with a much nearer or farther neighbour."""
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
