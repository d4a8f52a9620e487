"""Skeletons of NW-UCLA and of the synthetic dataset: `frame_*_skeletons.txt`.

A file contains any number of people. Each has a header of one or two numbers,
which is ignored, and 20 lines of comma-separated numbers, one per Kinect joint.
A file that is empty or contains only `0` has no people. A joint is

    x,y,z,state                             original NW-UCLA: metres in the skeleton space of the Kinect SDK 1 (y up);
                                            state 2 tracked, 1 inferred, 0 not tracked
    x,y,z,u_rgb,v_rgb,u_depth,v_depth       synthetic: metres in the depth camera's frame (y down), pixels

Sources of the first form: a file in github.com/kchengiva/DecoupleGCN-DropGraph/issues/1 (header `60`), and public
readers of the original dataset.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tf_privinfo.datasets.preparation import alignment, frames

_JOINTS = 20
_TRACKED = 2  # NUI_SKELETON_POSITION_TRACKED

# Nominal focal lengths of the Kinect for Windows SDK 1, NuiImageCamera.h, in image widths:
# NUI_CAMERA_DEPTH_NOMINAL_FOCAL_LENGTH_IN_PIXELS at 320x240, and the constant of NUI_CAMERA_COLOR at 640x480.
_DEPTH_FOCAL, _RGB_FOCAL = 285.63 / 320, 531.15 / 640
_ASPECT = 4 / 3  # of both sensors; pixels are square
# The RGB camera sits 25 mm to the right of the depth camera. Frames of the SDK are mirrored, and x of its skeleton
# space grows to the right of the mirrored frame, so the RGB camera is at x = -0.025 m. The optical axes are assumed to
# be parallel and to pass through the frame centres: no calibration of the devices is published for this dataset.
_RGB_POSITION = np.array([-0.025, 0, 0])


class Skeleton(NamedTuple):
  """The joints of one person in one frame, in the order of the Kinect.

  Attributes:
    positions: coordinates [20, 3] in metres, in the depth camera's frame: x right, y down, z forward.
    tracked: mask of the joints that were measured and not inferred, [20] bool.
    pixels: (u, v) in the RGB frame and (u, v) in the depth frame, [20, 4]; None if the file does not contain them.
  """
  positions: np.ndarray
  tracked: np.ndarray
  pixels: Optional[np.ndarray]


def read(path: str) -> Optional[Skeleton]:
  """Reads the nearest person with a tracked joint; None if there is none; raises `frames.UnreadableFileError`."""
  try:
    with open(path, encoding='ascii') as file:
      rows = [[float(value) for value in line.split(',')] for line in file if line.strip()]
  except FileNotFoundError:
    raise frames.UnreadableFileError(f'{path}: missing') from None
  except ValueError:
    raise frames.UnreadableFileError(f'{path}: not lines of comma-separated numbers') from None
  if rows in ([], [[0]]):
    return None
  if len(rows) % (1 + _JOINTS) or any(len(header) > 2 for header in rows[::1 + _JOINTS]):
    raise frames.UnreadableFileError(f'{path}: {len(rows)} lines, not a header and {_JOINTS} joints per person')
  people = [_person(path, rows[start + 1:start + 1 + _JOINTS]) for start in range(0, len(rows), 1 + _JOINTS)]
  people = [person for person in people if person.tracked.any()]
  return min(people, key=lambda person: person.positions[person.tracked, 2].mean(), default=None)


def _person(path: str, rows: List[List[float]]) -> Skeleton:
  columns = {len(row) for row in rows}
  if columns not in ({4}, {7}):
    raise frames.UnreadableFileError(f'{path}: joints have {sorted(columns)} values (known: 4 and 7)')
  values = np.array(rows, np.float32)
  in_front = np.isfinite(values).all(axis=1) & (values[:, 2] > 0)
  if columns == {7}:
    return Skeleton(values[:, :3], in_front, values[:, 3:])
  return Skeleton(values[:, :3] * np.array([1, -1, 1], np.float32), in_front & (values[:, 3] == _TRACKED), None)


def read_joints(paths: Sequence[Optional[str]], rgb_shape: Tuple[int, int], depth_shape: Tuple[int, int]
                ) -> alignment.Joints:
  """Reads the positions of the joints in the frames of a video.

  Args:
    paths: paths of the skeletons of the F frames; None for frames without a file.
    rgb_shape: (height, width) of the RGB frames.
    depth_shape: (height, width) of the depth frames.

  Returns:
    The 20 joints of each frame.

  Raises:
    frames.UnreadableFileError: if a file cannot be parsed.
  """
  pixels, tracked = np.zeros((len(paths), _JOINTS, 4)), np.zeros((len(paths), _JOINTS), bool)
  for frame, path in enumerate(paths):
    skeleton = read(path) if path else None
    if skeleton is not None:
      seen = tracked[frame] = skeleton.tracked
      pixels[frame, seen] = (_project(skeleton.positions[seen], rgb_shape, depth_shape) if skeleton.pixels is None
                             else skeleton.pixels[seen])
  return alignment.Joints(pixels[..., :2], pixels[..., 2:], tracked)


def _project(positions: np.ndarray, rgb_shape, depth_shape) -> np.ndarray:
  """Projects positions [N, 3] to pixels [N, 4], (u, v) in RGB and in depth, by the nominal cameras of a Kinect."""
  pixels = []
  for (height, width), focal, position in ((rgb_shape, _RGB_FOCAL, _RGB_POSITION), (depth_shape, _DEPTH_FOCAL, 0)):
    x, y, z = np.moveaxis(positions - position, -1, 0)
    pixels += [width * (.5 + focal * x / z) - .5, height * (.5 + _ASPECT * focal * y / z) - .5]
  return np.stack(pixels, axis=-1)
