"""Metric depth as 3-channel images."""

import cv2
import numpy as np

# The working range of a Kinect in millimetres.
NEAREST, FARTHEST = 500, 4500


def jet(depth: np.ndarray, nearest: int = NEAREST, farthest: int = FARTHEST) -> np.ndarray:
  """Codes depth with the jet colour map, near blue to far red (thesis 3.3.6, 4.3.1).

  Args:
    depth: [..., H, W] uint16 millimetres, 0 where nothing was measured.
    nearest, farthest: what the colour map spans, mm; all that is beyond has the colour of the end.

  Returns:
    [..., H, W, 3] uint8 RGB; black where nothing was measured.
  """
  scaled = (depth.astype(np.float32) - nearest) / (farthest - nearest)
  levels = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
  image = _JET[levels]
  image[depth == 0] = 0
  return image


_JET = cv2.cvtColor(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)[:, 0]
