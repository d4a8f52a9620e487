"""Pinhole cameras, and ray casting of capsules and boxes for all frames of a video at once.

Every solid is a unit shape in its own frame: a capsule of radius 1 along its y
axis, or the cube [-1, 1]³. An affine map places it, so ellipsoids and flattened
trunks are capsules, too. Only the pixels of a solid's image bounding box are
tested, and those of all solids of all frames in one go.
"""

import dataclasses
from typing import NamedTuple, Sequence

import numpy as np

_NEAR = 0.05  # metres; solids that reach behind the camera are tested everywhere


@dataclasses.dataclass(frozen=True)
class Camera:
  """A pinhole camera: x right, y down, z forward; pixel (0, 0) is the centre of the top left one.

  Attributes:
    width, height: of its image, pixels.
    focal: focal length, pixels.
    centre: (u, v) of the optical axis, pixels.
    rotation: [3, 3] world to camera.
    position: [3] in the world, metres.
  """
  width: int
  height: int
  focal: float
  centre: tuple
  rotation: np.ndarray
  position: np.ndarray

  def to_camera(self, points: np.ndarray) -> np.ndarray:
    """World -> camera coordinates, [..., 3] metres."""
    return (points - self.position) @ self.rotation.T

  def project(self, points: np.ndarray) -> np.ndarray:
    """World points [..., 3] -> pixels [..., 2] as (u, v)."""
    x, y, z = np.moveaxis(self.to_camera(points), -1, 0)
    return np.stack([self.focal * x / z + self.centre[0], self.focal * y / z + self.centre[1]], -1)

  def as_dict(self) -> dict:
    """What a file of parameters says about the camera."""
    return {'width': self.width, 'height': self.height, 'focal': self.focal, 'centre': list(self.centre),
            'rotation': self.rotation.tolist(), 'position': self.position.tolist()}


class Solids(NamedTuple):
  """N solids.

  Attributes:
    centre: [N, 3] metres.
    axes: [N, 3, 3]; columns are the images of the unit shape's axes, metres.
    half: [N] half length of a capsule's cylinder in its own frame; -1 for boxes.
    material: [N] what it is made of.
    frame: [N] the frame in which it is there.
  """
  centre: np.ndarray
  axes: np.ndarray
  half: np.ndarray
  material: np.ndarray
  frame: np.ndarray


class Hits(NamedTuple):
  """What a camera sees in each pixel of F frames.

  Attributes:
    depth: [F, H, W] metres along the optical axis; inf where nothing is.
    solid: [F, H, W] index of the solid that is seen; -1 where nothing is.
  """
  depth: np.ndarray
  solid: np.ndarray


def join(groups: Sequence[Solids]) -> Solids:
  """All solids of several groups."""
  return Solids(*(np.concatenate(arrays) for arrays in zip(*groups)))


def cast(camera: Camera, solids: Solids, frames: int) -> Hits:
  """Finds the nearest solid in every pixel of every frame."""
  shape = frames, camera.height, camera.width
  boxes = solids.half < 0
  fragments = [_fragments(camera, solids, np.flatnonzero(boxes), _enter_box),
               _fragments(camera, solids, np.flatnonzero(~boxes), _enter_capsule)]
  owner, pixel, depth = (np.concatenate(parts) for parts in zip(*fragments))
  far_to_near = np.argsort(-depth)  # of repeated indices the last assignment stays
  nearest = np.full(np.prod(shape), -1, np.int32)
  nearest[pixel[far_to_near]] = far_to_near
  seen = nearest >= 0
  image, solid = np.full(seen.shape, np.inf, np.float32), np.full(seen.shape, -1, np.int32)
  image[seen], solid[seen] = depth[nearest[seen]], owner[nearest[seen]]
  return Hits(image.reshape(shape), solid.reshape(shape))


def surface(camera: Camera, solids: Solids, solid: np.ndarray, pixel: np.ndarray, depth: np.ndarray):
  """Where rays meet solids.

  Args:
    camera: the camera of the rays.
    solids: what was cast.
    solid: [P] indices into `solids`.
    pixel: [P, 2] (u, v).
    depth: [P] as in `Hits`.

  Returns:
    [P, 3] position in the solid's own frame in metres, and the unit normals
    [P, 3] of the unit shape there and of the surface in the world.
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
  """Rays that hit: index of the solid, index of the pixel in the flattened video, depth."""
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
  """First and last + 1 column and row of each solid's image, clipped to the image."""
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
  """Ray parameter where a ray enters the unit cube; nan or negative where it does not."""
  with np.errstate(divide='ignore', invalid='ignore'):
    planes = [((-1 - o) / d, (1 - o) / d) for o, d in zip(origin, direction)]
    near = np.maximum.reduce([np.minimum(*pair) for pair in planes])
    far = np.minimum.reduce([np.maximum(*pair) for pair in planes])
  return np.where(near < far, near, -1)


def _enter_capsule(origin, direction, half):
  """Ray parameter where a ray enters the capsule of radius 1; nan where it does not."""
  (ox, oy, oz), (dx, dy, dz) = origin, direction
  a, b, c = np.maximum(dx * dx + dz * dz, 1e-6), ox * dx + oz * dz, ox * ox + oz * oz - 1
  with np.errstate(invalid='ignore'):
    side = (-b - np.sqrt(b * b - a * c)) / a
    y = oy + side * dy
    end_y = oy - np.copysign(half, y)
    a, b, c = a + dy * dy, b + end_y * dy, c + end_y * end_y
    end = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(np.abs(y) <= half, side, end)
