"""Encoding of metric depth as 3-channel images."""

import cv2
import numpy as np

# The working range of a Kinect in millimetres.
NEAREST, FARTHEST = 500, 4500


def jet(depth: np.ndarray, nearest: int = NEAREST, farthest: int = FARTHEST) -> np.ndarray:
  """Encodes depth with the jet colour map, from blue (near) to red (far); thesis sections 3.3.6 and 4.3.1.

  Args:
    depth: depth in millimetres, [..., H, W] uint16; 0 = missing.
    nearest: lower end of the colour map in millimetres; smaller depths have its colour.
    farthest: upper end of the colour map in millimetres; larger depths have its colour.

  Returns:
    RGB images [..., H, W, 3] uint8; missing pixels are black.
  """
  scaled = (depth.astype(np.float32) - nearest) / (farthest - nearest)
  levels = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
  image = _JET[levels]
  image[depth == 0] = 0
  return image


_JET = cv2.cvtColor(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)[:, 0]
