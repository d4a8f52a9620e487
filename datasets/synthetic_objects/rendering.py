"""Renders the synthetic object dataset into the native layout of the NYUD objects.

    objects/synthetic.json                  options, version, classes
    objects/train/images/chair/000.jpg      RGB crop
    objects/train/depth/chair/000.png       HHA crop of the same pixels
    objects/test/...

One camera with known focal length, height and tilt records RGB and depth, so both are aligned. As for NYUD, HHA is
computed on the complete view, from depth with the noise and holes of a Kinect.
"""

import dataclasses
import functools
import pathlib
from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from tf_privinfo.datasets.preparation import hha
from tf_privinfo.datasets.synthetic import camera as cameras
from tf_privinfo.datasets.synthetic import difficulty, scene, sensors, storage
from tf_privinfo.datasets.synthetic_objects import models

VERSION = 1  # of the images: raise it whenever the same options produce different ones
_FOCAL = 585 / 640  # image widths, as in a Kinect
_RGB_QUALITY = 90

# Difficulty: lengths in metres, angles in degrees, ranges of uniform draws.
_CAMERA_HEIGHT = (1.0, 1.6)
_DISTANCE = (1.5, 2.0)  # distance of camera and object, in sizes of the object, plus one metre
_FACING = 45.0  # ±, rotation of an object away from the camera
_AIM = 0.1  # ±, error of the aim of the camera
_TO_WALL = (0.05, 0.8)  # from the object to the wall behind
_CLUTTER = (3, 7)  # number of other objects in view
_POSTERS = (1, 4)
_TEXTURE = (0.3, 1.0)  # contrast of objects, clutter and walls: it hides shapes in RGB
_CAMOUFLAGE = 0.4  # probability that an object has the texture of the wall behind it
_MARGIN = 0.15  # largest margin at each edge of the object, as a fraction of its size
_LEAST_SIDE = 12  # minimum size of an object, pixels
_LEAST_SEEN = 0.5  # minimum fraction of an object's pixels that clutter does not hide


@dataclasses.dataclass(frozen=True)
class RenderOptions:
  """Parameters of a rendering, which determine all files.

  Attributes:
    seed: seed of all random draws.
    train: number of training objects per class.
    test: number of test objects per class.
    width: width of the view from which objects are cropped, pixels.
    height: height of the view from which objects are cropped, pixels.
  """
  seed: int = 0
  train: int = 100
  test: int = 50
  width: int = 160
  height: int = 120


class View(NamedTuple):
  """An object in a room.

  Attributes:
    camera: camera of the view.
    solids: solids that a depth sensor resolves; materials index the tiles of `look`.
    parts: number of solids of the object; they come first.
    flat: thin details on the surface of the object, visible in RGB only; possibly none.
    look: textures and light.
  """
  camera: cameras.Camera
  solids: cameras.Solids
  parts: int
  flat: cameras.Solids
  look: scene.Look


def render(root: pathlib.Path, options: RenderOptions, workers: Optional[int] = None) -> None:
  """Renders all crops into `root`/objects, unless they exist.

  Args:
    root: folder of the dataset; created if needed.
    options: parameters of the rendering.
    workers: number of processes; None: one per core.

  Raises:
    ValueError: if the folder exists and contains other data.
  """
  items = [(part, label, index) for part in ('train', 'test') for label in models.CLASSES
           for index in range(getattr(options, part))]
  parameters = {'version': VERSION, 'options': dataclasses.asdict(options), 'classes': list(models.CLASSES)}
  storage.render_once(pathlib.Path(root) / 'objects', parameters, functools.partial(_render_object, options), items,
                      unit='object', workers=workers)


def draw_crops(label: str, width: int, height: int, rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
  """RGB and HHA crops [h, w, 3] uint8 of a new object; object, room and camera are drawn until it is visible.

  Args:
    label: class of the object.
    width: width of the view, pixels.
    height: height of the view, pixels.
    rng: random generator.
  """
  while True:
    view = draw_view(label, width, height, rng)
    hits = cameras.cast(view.camera, view.solids, 1)
    shown = (hits.solid[0] >= 0) & (hits.solid[0] < view.parts)
    alone = cameras.cast(view.camera, cameras.Solids(*(array[:view.parts] for array in view.solids)), 1)
    box = _crop_box(shown, rng)
    if box and shown.sum() > _LEAST_SEEN * (alone.solid >= 0).sum():
      break
  rgb = sensors.photograph(_radiance(view, hits), rng)[0]
  loss = view.look.loss[view.solids.material[hits.solid]]
  millimetres = sensors.measure_depth(hits.depth, loss, view.camera.focal, rng)[0]
  return rgb[box], encode_depth(view.camera, millimetres / 1000)[box]


def encode_depth(camera: cameras.Camera, depth: np.ndarray) -> np.ndarray:
  """Encodes depth [H, W] in metres as HHA [H, W, 3] uint8, with the camera's true height and gravity."""
  intrinsics = hha.Intrinsics(camera.focal, camera.focal, *camera.centre)
  return hha.encode(depth, intrinsics, gravity=camera.rotation @ [0, -1, 0], camera_height=camera.position[1])


def draw_view(label: str, width: int, height: int, rng: np.random.Generator) -> View:
  """Draws an object of the class `label`, the room around it, and a camera aimed at it."""
  parts = models.CLASSES[label](rng)
  top = max(part.centre[1] + part.half[1] for part in parts)
  reach = max(np.hypot(abs(part.centre[0]) + part.half[0], abs(part.centre[2]) + part.half[2]) for part in parts)
  room = _draw_room(reach, rng)
  angle = np.deg2rad(_FACING) * rng.uniform(-1, 1)
  turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
  thick, flat = ([part for part in parts if part.flat == kind] for kind in (False, True))
  solids = cameras.join([_solids(thick, turn), room])
  distance = 1 + rng.uniform(*_DISTANCE) * max(reach, top / 2)
  return View(_draw_camera(width, height, distance, top, rng), solids, len(thick), _solids(flat, turn),
              _draw_look(int(room.material.max()) + 1, rng))


def _solids(parts: List[models.Part], turn: np.ndarray) -> cameras.Solids:
  """Solids of an object that is rotated by the matrix `turn` [3, 3]."""
  return cameras.Solids(
      np.array([turn @ part.centre for part in parts]).reshape(-1, 3),
      np.array([turn * part.half for part in parts]).reshape(-1, 3, 3),
      np.array([0. if part.round else -1. for part in parts]),
      np.array([part.material for part in parts], np.int64), np.zeros(len(parts), np.int64))


def _draw_room(reach: float, rng: np.random.Generator) -> cameras.Solids:
  """Floor, walls, posters and clutter around an object of radius `reach`; the walls share one material."""
  back, side = reach + rng.uniform(*_TO_WALL), reach + rng.uniform(.6, 1.5)
  boxes = [([0, -.05, 0], [8, .05, 8]), ([0, 2, -back - .05], [8, 2, .05]), ([-side - .05, 2, 0], [.05, 2, 8]),
           ([side + .05, 2, 0], [.05, 2, 8])]
  for _ in range(rng.integers(*_POSTERS, endpoint=True)):
    boxes.append(([rng.uniform(-1, 1) * side, rng.uniform(.3, 1.8), -back], [*rng.uniform(.1, .5, 2), .01]))
  for _ in range(rng.integers(*_CLUTTER, endpoint=True)):
    size, direction = rng.uniform([.06, .05, .06], [.3, .6, .25]), rng.uniform(-.25, 1.25) * np.pi
    away = reach + np.hypot(size[0], size[2]) * rng.uniform(.7, 1.3)
    boxes.append(([away * np.cos(direction), size[1], -away * np.sin(direction)], size))
  centre, half = (np.array(values, np.float64) for values in zip(*boxes))
  first = models.BRIGHT + 1
  material = np.concatenate([[first, first + 1, first + 1, first + 1], first + 2 + np.arange(len(boxes) - 4)])
  return cameras.Solids(
      centre, half[:, :, None] * np.eye(3), np.full(len(boxes), -1.), material, np.zeros(len(boxes), np.int64))


def _draw_look(materials: int, rng: np.random.Generator) -> scene.Look:
  """Draws textures and light; some objects have the texture of the wall."""
  tiles = np.stack([
      scene.draw_tile(scene.hsv(rng.uniform(), rng.uniform(0, .8), rng.uniform(.2, 1)), rng.uniform(*_TEXTURE), rng)
      for _ in range(materials)])
  tiles[models.DARK] = scene.draw_tile(np.full(3, rng.uniform(.02, .08)), .1, rng)
  tiles[models.BRIGHT] = scene.draw_tile(scene.hsv(rng.uniform(), rng.uniform(0, .4), 1), .1, rng)
  if rng.random() < _CAMOUFLAGE:
    tiles[models.BODY] = tiles[models.BRIGHT + 2]
  loss = np.where(rng.random(materials) < difficulty.DARK_CLUTTER, rng.uniform(*difficulty.DARK_LOSS, materials), 0)
  light = np.array([rng.normal(), rng.uniform(.3, 1.5), rng.uniform(.2, 1.5)])
  colour = rng.uniform(*difficulty.BRIGHTNESS) * (1 + difficulty.TINT * rng.uniform(-1, 1, 3))
  return scene.Look(tiles, loss, light / np.linalg.norm(light), colour, rng.uniform(*difficulty.AMBIENT))


def _draw_camera(width: int, height: int, distance: float, top: float, rng: np.random.Generator) -> cameras.Camera:
  azimuth = np.deg2rad(20) * rng.uniform(-1, 1)
  position = np.array([distance * np.sin(azimuth), rng.uniform(*_CAMERA_HEIGHT), distance * np.cos(azimuth)])
  forward = np.array([0, top / 2, 0]) + _AIM * rng.uniform(-1, 1, 3) - position
  forward /= np.linalg.norm(forward)
  right = np.cross(forward, [0, 1, 0])
  right /= np.linalg.norm(right)
  centre = ((width - 1) / 2, (height - 1) / 2)
  rotation = np.stack([right, np.cross(forward, right), forward])
  return cameras.Camera(width, height, _FOCAL * width, centre, rotation, position)


def _crop_box(shown: np.ndarray, rng: np.random.Generator) -> Optional[Tuple[slice, slice]]:
  """Slices (rows, columns) around the object with random margins; None if the object is too small."""
  box: List[slice] = []
  for axis, size in ((1, shown.shape[0]), (0, shown.shape[1])):
    inside = np.flatnonzero(shown.any(axis=axis))
    if len(inside) == 0 or inside[-1] + 1 - inside[0] < _LEAST_SIDE:
      return None
    before, after = np.rint(rng.uniform(0, _MARGIN, 2) * (inside[-1] + 1 - inside[0])).astype(int)
    box.append(slice(max(inside[0] - before, 0), min(inside[-1] + 1 + after, size)))
  return tuple(box)


def _radiance(view: View, hits: cameras.Hits) -> np.ndarray:
  """Image of an ideal camera, [1, H, W, 3] float32; `hits` are the hits of `view.solids`."""
  image = np.zeros((*hits.solid.shape, 3), np.float32)
  seen = hits.solid >= 0
  image[seen] = scene.shade(view.camera, view.solids, hits, seen, view.look)
  if len(view.flat.half):
    flat = cameras.cast(view.camera, view.flat, 1)
    in_front = flat.depth < hits.depth
    image[in_front] = scene.shade(view.camera, view.flat, flat, in_front, view.look)
  return image


def _render_object(options: RenderOptions, folder: pathlib.Path, item: Tuple[str, str, int]) -> None:
  part, label, index = item
  # A random generator for every object, independent of all other objects.
  key = [options.seed, ('train', 'test').index(part), list(models.CLASSES).index(label), index]
  rgb, encoded = draw_crops(label, options.width, options.height, np.random.default_rng(np.random.SeedSequence(key)))
  for name, image, ending, settings in (
      ('images', rgb, '.jpg', [cv2.IMWRITE_JPEG_QUALITY, _RGB_QUALITY]), ('depth', encoded, '.png', [])):
    directory = folder / part / name / label
    directory.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)[1]
    (directory / f'{index:03d}{ending}').write_bytes(data.tobytes())
