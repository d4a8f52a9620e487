"""Pinhole cameras, and ray casting of capsules and boxes for all frames of a video at once.

Every solid is a unit shape in its own coordinates: a capsule of radius 1 along
its y axis, or the cube [-1, 1]³. An affine map places it in the world, so
ellipsoids and flattened trunks are capsules as well. Rays are tested only in
the image bounding box of a solid, for all solids of all frames in one batch.
"""

import dataclasses
from typing import NamedTuple, Sequence

import numpy as np

_NEAR = 0.05  # metres; solids that extend behind the camera are tested in all pixels


@dataclasses.dataclass(frozen=True)
class Camera:
  """A pinhole camera: x right, y down, z forward; pixel (0, 0) is the centre of the top left one.

  Attributes:
    width: width of the image, pixels.
    height: height of the image, pixels.
    focal: focal length, pixels.
    centre: position (u, v) of the optical axis in the image, pixels.
    rotation: rotation from world to camera coordinates, [3, 3].
    position: position in the world, [3] metres.
  """
  width: int
  height: int
  focal: float
  centre: tuple
  rotation: np.ndarray
  position: np.ndarray

  def to_camera(self, points: np.ndarray) -> np.ndarray:
    """Transforms world points [..., 3] to camera coordinates [..., 3], metres."""
    return (points - self.position) @ self.rotation.T

  def project(self, points: np.ndarray) -> np.ndarray:
    """Projects world points [..., 3] in metres to pixels [..., 2] as (u, v)."""
    x, y, z = np.moveaxis(self.to_camera(points), -1, 0)
    return np.stack([self.focal * x / z + self.centre[0], self.focal * y / z + self.centre[1]], -1)

  def as_dict(self) -> dict:
    """Parameters of the camera, ready for JSON."""
    return {'width': self.width, 'height': self.height, 'focal': self.focal, 'centre': list(self.centre),
            'rotation': self.rotation.tolist(), 'position': self.position.tolist()}


class Solids(NamedTuple):
  """N solids.

  Attributes:
    centre: positions of the centres, [N, 3] metres.
    axes: axes of the unit shapes in the world as columns, [N, 3, 3] metres.
    half: half lengths of the cylinders of capsules in their own coordinates, [N]; -1 for boxes.
    material: indices of the materials, [N].
    frame: index of the frame that contains each solid, [N].
  """
  centre: np.ndarray
  axes: np.ndarray
  half: np.ndarray
  material: np.ndarray
  frame: np.ndarray


class Hits(NamedTuple):
  """The visible solid in each pixel of F frames.

  Attributes:
    depth: depth along the optical axis, [F, H, W] metres; inf without a solid.
    solid: index of the visible solid, [F, H, W]; -1 without a solid.
  """
  depth: np.ndarray
  solid: np.ndarray


def join(groups: Sequence[Solids]) -> Solids:
  """Concatenates groups of solids."""
  return Solids(*(np.concatenate(arrays) for arrays in zip(*groups)))


def cast(camera: Camera, solids: Solids, frames: int) -> Hits:
  """Finds the nearest solid in every pixel of `frames` frames."""
  shape = frames, camera.height, camera.width
  boxes = solids.half < 0
  fragments = [_fragments(camera, solids, np.flatnonzero(boxes), _enter_box),
               _fragments(camera, solids, np.flatnonzero(~boxes), _enter_capsule)]
  owner, pixel, depth = (np.concatenate(parts) for parts in zip(*fragments))
  far_to_near = np.argsort(-depth)  # the last assignment to a repeated index is kept
  nearest = np.full(np.prod(shape), -1, np.int32)
  nearest[pixel[far_to_near]] = far_to_near
  seen = nearest >= 0
  image, solid = np.full(seen.shape, np.inf, np.float32), np.full(seen.shape, -1, np.int32)
  image[seen], solid[seen] = depth[nearest[seen]], owner[nearest[seen]]
  return Hits(image.reshape(shape), solid.reshape(shape))


def surface(camera: Camera, solids: Solids, solid: np.ndarray, pixel: np.ndarray, depth: np.ndarray):
  """Computes the points where rays meet solids.

  Args:
    camera: camera of the rays.
    solids: solids that were passed to `cast`.
    solid: indices into `solids`, [P].
    pixel: pixels (u, v), [P, 2].
    depth: depths as in `Hits`, [P] metres.

  Returns:
    Positions in the coordinates of the solids in metres, normals of the unit
    shapes, and unit normals of the surfaces in the world, each [P, 3].
  """
  inverse = np.linalg.inv(solids.axes)[solid]
  ray = np.stack([(pixel[:, 0] - camera.centre[0]) / camera.focal, (pixel[:, 1] - camera.centre[1]) / camera.focal,
                  np.ones(len(pixel))], -1).astype(np.float32)
  point = (ray * depth[:, None]) @ camera.rotation + camera.position
  local = np.einsum('pij,pj->pi', inverse, point - solids.centre[solid])
  half = np.maximum(solids.half[solid], 0)
  normal = local.copy()
  normal[:, 1] -= np.clip(normal[:, 1], -half, half)
  largest = np.abs(local) >= np.abs(local).max(axis=1, keepdims=True)
  normal = np.where((solids.half[solid] < 0)[:, None], np.sign(local) * largest, normal)
  world = np.einsum('pij,pi->pj', inverse, normal)
  world /= np.linalg.norm(world, axis=1, keepdims=True)
  return local * np.linalg.norm(solids.axes, axis=1)[solid], normal, world


def _fragments(camera: Camera, solids: Solids, chosen: np.ndarray, enter):
  """Rays that hit a solid: index of the solid, index of the pixel in the flattened video, depth in metres."""
  solids = Solids(*(array[chosen] for array in solids))
  u0, v0, u1, v1 = _bounding_boxes(camera, solids)
  wide = u1 - u0
  count = wide * (v1 - v0)
  owner = np.repeat(np.arange(len(chosen)), count)
  rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
  row, column = np.divmod(rank, wide[owner])
  u, v = u0[owner] + column, v0[owner] + row
  to_local = np.linalg.inv(camera.rotation @ solids.axes).astype(np.float32)
  origin = np.einsum('nij,nj->in', to_local, -camera.to_camera(solids.centre)).astype(np.float32)
  x = ((u - camera.centre[0]) / camera.focal).astype(np.float32)
  y = ((v - camera.centre[1]) / camera.focal).astype(np.float32)
  direction = [to_local[:, i, 0][owner] * x + to_local[:, i, 1][owner] * y + to_local[:, i, 2][owner] for i in range(3)]
  depth = enter(origin[:, owner], direction, solids.half.astype(np.float32)[owner])
  hit = depth > _NEAR
  pixel = (solids.frame[owner] * camera.height + v) * camera.width + u
  return chosen[owner[hit]], pixel[hit], depth[hit]


def _bounding_boxes(camera: Camera, solids: Solids):
  """First column and row, and last ones + 1, of the image of each solid, clipped to the frame."""
  corner = np.stack(np.meshgrid(*[[-1, 1]] * 3, indexing='ij'), -1).reshape(8, 3).astype(np.float32)
  stretch = np.ones((len(solids.half), 1, 3), np.float32)
  stretch[:, 0, 1] += np.maximum(solids.half, 0)
  corners = solids.centre[:, None] + np.einsum('nij,nkj->nki', solids.axes, corner * stretch)
  behind = camera.to_camera(corners)[..., 2].min(axis=1) < _NEAR
  with np.errstate(divide='ignore', invalid='ignore'):
    pixels = camera.project(corners)
  pixels[behind] = [[0, 0], [camera.width, camera.height]] * 4
  limit = [camera.width, camera.height]
  low = np.clip(np.floor(pixels.min(axis=1)), 0, limit).astype(np.int64)
  high = np.clip(np.ceil(pixels.max(axis=1)) + 1, low, limit).astype(np.int64)
  return *low.T, *high.T


def _enter_box(origin, direction, _):
  """Ray parameter at the entry into the unit cube; nan or negative without one."""
  with np.errstate(divide='ignore', invalid='ignore'):
    planes = [((-1 - o) / d, (1 - o) / d) for o, d in zip(origin, direction)]
    near = np.maximum.reduce([np.minimum(*pair) for pair in planes])
    far = np.minimum.reduce([np.maximum(*pair) for pair in planes])
  return np.where(near < far, near, -1)


def _enter_capsule(origin, direction, half):
  """Ray parameter at the entry into the capsule of radius 1; nan without one."""
  (ox, oy, oz), (dx, dy, dz) = origin, direction
  a, b, c = np.maximum(dx * dx + dz * dz, 1e-6), ox * dx + oz * dz, ox * ox + oz * oz - 1
  with np.errstate(invalid='ignore'):
    side = (-b - np.sqrt(b * b - a * c)) / a
    y = oy + side * dy
    end_y = oy - np.copysign(half, y)
    a, b, c = a + dy * dy, b + end_y * dy, c + end_y * end_y
    end = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(np.abs(y) <= half, side, end)
