"""Skeletons of NTU RGB+D: `S001C001P001R001A001.skeleton`, one text file for each video.

    103                                             number of frames
    1                                               number of people in this frame, for each of them:
    72057594037931101 0 1 1 1 1 0 0.02 -0.06 2      id, clipped edges, confidence and state of the left and of the right
                                                    hand, restricted, lean in x and y, tracking state
    25                                              number of joints, for each of them:
    0.2 0.1 3.8 277.4 191.8 1036.2 519.1 -0.2 0.05 0.97 -0.16 2
                                                    x y z in metres, x y in the depth frame, x y in the RGB frame,
                                                    orientation w x y z; state 2 tracked, 1 inferred, 0 not tracked

Coordinates that the Kinect could not measure are NaN or infinite.
"""

import collections
from typing import Dict, Tuple

import numpy as np

from tf_privinfo.datasets.preparation import alignment, frames

_BODY_COLUMNS, _JOINTS, _JOINT_COLUMNS = 10, 25, 12
_POSITION, _IN_DEPTH, _IN_RGB, _STATE = slice(0, 3), slice(3, 5), slice(5, 7), -1
_TRACKED = 2
# (height, width) of the frames to which the pixels in the file refer.
_DEPTH_SHAPE, _RGB_SHAPE = (424, 512), (1080, 1920)


def read(path: str) -> Dict[str, np.ndarray]:
  """Reads all people of a video.

  Args:
    path: path of the file.

  Returns:
    Id of a person -> columns of the file, [F, 25, 12]; NaN in frames without
    this person. At least one person.

  Raises:
    frames.UnreadableFileError: if the file cannot be parsed or contains no person.
  """
  try:
    with open(path, encoding='ascii') as file:
      rows = iter([line.split() for line in file if line.strip()])
  except FileNotFoundError:
    raise frames.UnreadableFileError(f'{path}: missing') from None
  except UnicodeDecodeError:
    raise frames.UnreadableFileError(f'{path}: not a text file') from None
  people, frame, length = collections.defaultdict(dict), -1, 0
  try:
    length = _count(next(rows))
    for frame in range(length):
      for _ in range(_count(next(rows))):
        name, joints = _body(rows)
        people[name][frame] = joints
  except (StopIteration, ValueError):
    raise frames.UnreadableFileError(
        f'{path}: truncated, or of unknown format, in frame {frame + 1} of {length}') from None
  if next(rows, None) is not None:
    raise frames.UnreadableFileError(f'{path}: there are lines after the {length} frames')
  if not people:
    raise frames.UnreadableFileError(f'{path}: no person in any of the {length} frames')
  absent = np.full((_JOINTS, _JOINT_COLUMNS), np.nan)
  return {name: np.stack([seen.get(frame, absent) for frame in range(length)]) for name, seen in people.items()}


def _count(row) -> int:
  value, = row
  return int(value)


def _body(rows) -> Tuple[str, np.ndarray]:
  """The id (a number too large for a float) and the joints [25, 12] of one person in one frame."""
  header = next(rows)
  if len(header) != _BODY_COLUMNS or _count(next(rows)) != _JOINTS:
    raise ValueError
  joints = np.array([next(rows) for _ in range(_JOINTS)], np.float64)
  if joints.shape[1] != _JOINT_COLUMNS:
    raise ValueError
  return header[0], joints


def read_joints(path: str, length: int, rgb_shape: Tuple[int, int], depth_shape: Tuple[int, int]) -> alignment.Joints:
  """Reads the positions of the joints of the person who moves most.

  This person has the largest sum, over all tracked joints of all frames, of
  squared distances to the mean position of the joint: the person is visible for
  long and moves, unlike furniture that the Kinect confuses with a person.

  Args:
    path: path of the file.
    length: number of frames of the video, F; the file can have fewer or more.
    rgb_shape: (height, width) of the RGB frames.
    depth_shape: (height, width) of the depth frames.

  Returns:
    The 25 joints of each frame.

  Raises:
    frames.UnreadableFileError: see `read`.
  """
  person = max(read(path).values(), key=_motion)[:length]
  person = np.pad(person, ((0, length - len(person)), (0, 0), (0, 0)), constant_values=np.nan)
  return alignment.Joints(
      _to_frames(person[..., _IN_RGB], _RGB_SHAPE, rgb_shape),
      _to_frames(person[..., _IN_DEPTH], _DEPTH_SHAPE, depth_shape), _tracked(person))


def _motion(person: np.ndarray) -> float:
  positions = np.where(_tracked(person)[..., None], person[..., _POSITION], 0)
  masked = np.ma.masked_array(positions, np.repeat(~_tracked(person)[..., None], 3, axis=-1))
  return float((masked.anom(axis=0) ** 2).sum() or 0)


def _tracked(person: np.ndarray) -> np.ndarray:
  """Mask [F, 25] of the joints that were measured, not inferred, and are visible to both cameras."""
  return (person[..., _STATE] == _TRACKED) & np.isfinite(person[..., :_IN_RGB.stop]).all(axis=-1)


def _to_frames(pixels: np.ndarray, shape_in_file: Tuple[int, int], shape: Tuple[int, int]) -> np.ndarray:
  """Scales pixels [..., 2] as (x, y), with whole numbers at pixel centres, to frames of another size."""
  scale = np.array(shape[::-1]) / shape_in_file[::-1]
  return scale * (pixels + .5) - .5
