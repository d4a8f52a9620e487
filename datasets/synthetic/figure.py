"""An articulated human figure: poses -> the twenty joints of a Kinect skeleton.

A pose is 18 numbers: pelvis (x, y, z), torso (lean, twist, sideways bend in
radians), and the (x, y, z) of left wrist, right wrist, left ankle and right
ankle. Positions are in body heights, in the body's frame: x to the person's
left, y up from the floor, z forward. Elbows and knees are computed by two-bone
inverse kinematics.
"""

from typing import NamedTuple

import numpy as np

JOINTS = (
    'hip_center', 'spine', 'shoulder_center', 'head',
    'shoulder_left', 'elbow_left', 'wrist_left', 'hand_left',
    'shoulder_right', 'elbow_right', 'wrist_right', 'hand_right',
    'hip_left', 'knee_left', 'ankle_left', 'foot_left',
    'hip_right', 'knee_right', 'ankle_right', 'foot_right')
HIP_CENTER, SPINE, SHOULDER_CENTER, HEAD = range(4)
LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = (slice(i, i + 4) for i in (4, 8, 12, 16))

PELVIS, TORSO, LEFT_WRIST, RIGHT_WRIST, LEFT_ANKLE, RIGHT_ANKLE = (slice(i, i + 3) for i in range(0, 18, 3))
_MIRROR = np.r_[0:6, 9:12, 6:9, 15:18, 12:15]
_MIRROR_SIGN = np.array([-1, 1, 1, 1, -1, -1] + [-1, 1, 1] * 4, np.float32)

# Segments in body heights.
_TORSO, _SHOULDER, _HEAD, _HIP = 0.29, 0.105, 0.125, 0.055
_UPPER_ARM, _FOREARM, _HAND = 0.175, 0.155, 0.045
_THIGH, _SHANK, _FOOT = 0.245, 0.235, 0.09


class Body(NamedTuple):
  """A moving body in world coordinates, metres.

  Attributes:
    joints: positions of the joints in the order of `JOINTS`, [T, 20, 3].
    torso: rotation of the trunk, [T, 3, 3]; its columns are left, up and front.
    front: direction that the hips face, [T, 3].
    height: height of the standing body, metres.
    girth: factor on every thickness.
  """
  joints: np.ndarray
  torso: np.ndarray
  front: np.ndarray
  height: float
  girth: float


def pose(pelvis=(0, .53, 0), torso=(0, 0, 0), left=(.14, .485, .03), right=(-.14, .485, .03),
         left_foot=(.06, .045, 0), right_foot=(-.06, .045, 0)) -> np.ndarray:
  """One pose [18] float32; the defaults are a person standing at rest. The angles of the torso are in degrees."""
  return np.array([*pelvis, *np.deg2rad(torso), *left, *right, *left_foot, *right_foot], np.float32)


def mirror(poses: np.ndarray) -> np.ndarray:
  """Exchanges left and right in poses [..., 18]."""
  return poses[..., _MIRROR] * _MIRROR_SIGN


def rotation_y(angle: np.ndarray) -> np.ndarray:
  """Rotations [..., 3, 3] about the vertical by angles [...] in radians; positive angles turn front to left."""
  c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
  return np.stack([c, zero, s, zero, one, zero, -s, zero, c], -1).reshape(*np.shape(angle), 3, 3)


def normalize(vectors: np.ndarray) -> np.ndarray:
  """Vectors [..., 3] scaled to unit length."""
  return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def articulate(poses: np.ndarray, place: np.ndarray, heading: np.ndarray, height: float, girth: float) -> Body:
  """Places a moving figure in the world.

  Args:
    poses: poses of the figure, [T, 18].
    place: x and z of the body's frame on the floor, [T, 2] metres.
    heading: rotation about the vertical, [T] radians; 0 faces z.
    height: height of the body, metres.
    girth: factor on every thickness.
  """
  pelvis = poses[:, PELVIS]
  torso = _torso_rotation(*poses[:, TORSO].T)
  hips = rotation_y(0.4 * poses[:, 4])
  joints = np.empty((len(poses), len(JOINTS), 3), np.float32)
  joints[:, HIP_CENTER] = pelvis
  joints[:, SPINE] = pelvis + 0.3 * _TORSO * torso[..., 1]
  joints[:, SHOULDER_CENTER] = pelvis + _TORSO * torso[..., 1]
  # People look ahead rather than along their bent back.
  joints[:, HEAD] = joints[:, SHOULDER_CENTER] + _HEAD * normalize(torso[..., 1] + [0, 0.6, 0])
  for side, arm, leg, wrist, ankle in ((1, LEFT_ARM, LEFT_LEG, LEFT_WRIST, LEFT_ANKLE),
                                       (-1, RIGHT_ARM, RIGHT_LEG, RIGHT_WRIST, RIGHT_ANKLE)):
    shoulder = joints[:, SHOULDER_CENTER] + torso @ np.float32([side * _SHOULDER, -0.015, 0])
    elbow, wrist_at = _two_bones(shoulder, poses[:, wrist], _UPPER_ARM, _FOREARM, np.float32([side * .4, -.5, -.8]))
    hand = wrist_at + _HAND * normalize(wrist_at - elbow)
    joints[:, arm] = np.stack([shoulder, elbow, wrist_at, hand], 1)
    hip = pelvis + hips @ np.float32([side * _HIP, -0.02, 0])
    knee, ankle_at = _two_bones(hip, poses[:, ankle], _THIGH, _SHANK, np.float32([side * .15, 0, 1]))
    foot = ankle_at + np.float32([side * 0.02, -0.02, _FOOT])
    joints[:, leg] = np.stack([hip, knee, ankle_at, foot], 1)
  world = rotation_y(heading).astype(np.float32)
  joints = height * np.einsum('tij,tkj->tki', world, joints)
  joints[..., [0, 2]] += place[:, None]
  return Body(joints, world @ torso, (world @ hips)[..., 2], height, girth)


def _torso_rotation(lean: np.ndarray, twist: np.ndarray, bend: np.ndarray) -> np.ndarray:
  lean_by, bend_by = np.zeros((2, len(lean), 3, 3), np.float32)
  lean_by[:, 0, 0] = bend_by[:, 2, 2] = 1
  lean_by[:, 1, 1] = lean_by[:, 2, 2] = np.cos(lean)
  lean_by[:, 2, 1], lean_by[:, 1, 2] = np.sin(lean), -np.sin(lean)
  bend_by[:, 0, 0] = bend_by[:, 1, 1] = np.cos(bend)
  bend_by[:, 0, 1], bend_by[:, 1, 0] = np.sin(bend), -np.sin(bend)
  return rotation_y(twist).astype(np.float32) @ lean_by @ bend_by


def _two_bones(start: np.ndarray, target: np.ndarray, upper: float, lower: float, hint: np.ndarray):
  """Middle and end joint [T, 3] of a limb that reaches from `start` for `target`, bent towards `hint`."""
  reach = target - start
  distance = np.clip(np.linalg.norm(reach, axis=-1, keepdims=True), abs(upper - lower) + .02, .998 * (upper + lower))
  along = normalize(reach)
  cosine = (upper ** 2 + distance ** 2 - lower ** 2) / (2 * upper * distance)
  across = normalize(hint - (along @ hint)[:, None] * along)
  middle = start + upper * (cosine * along + np.sqrt(np.maximum(1 - cosine ** 2, 0)) * across)
  return middle, start + distance * along
