"""Scenes: a body, objects and a room as solids, with their textures, light and visibility to a depth sensor."""

import colorsys
from typing import NamedTuple

import cv2
import numpy as np

from . import camera as cameras
from . import difficulty, figure
from .actions import Block, Performance
from .camera import Solids

# Materials. The materials of the room follow: floor, three walls, posters, clutter.
SKIN, HAIR, SHIRT, TROUSERS, SHOES, COAT, FLAT, BOX, BALL, SUPPORT, CHAIR, FLOOR = range(12)
_WALLS = 3
_FIRST_WALL, _FIRST_DECORATION = FLOOR + 1, FLOOR + 1 + _WALLS
_BLOCK_MATERIALS = {'flat': FLAT, 'box': BOX, 'ball': BALL, 'support': SUPPORT, 'chair': CHAIR}

_FURNITURE = ('support', 'chair')

_TEXELS, _TEXEL = 32, 0.02  # number per side of a texture's tile, and their size in metres


class Room(NamedTuple):
  """An empty room, the same for all performances in it and for all views.

  Attributes:
    solids: floor, walls, posters and clutter, as one frame.
    tiles: textures of the R materials of the room, [R, S, S, 3], linear in light.
    loss: fraction of the surface of each material that a depth sensor does not measure, [R].
  """
  solids: Solids
  tiles: np.ndarray
  loss: np.ndarray


class Scene(NamedTuple):
  """The geometry of a performance in its room, shared by the three views.

  Attributes:
    room: static solids, as one frame.
    moving: moving solids.
  """
  room: Solids
  moving: Solids


class Look(NamedTuple):
  """The appearance of a scene in one video.

  Attributes:
    tiles: textures of the K materials, [K, S, S, 3], linear in light.
    loss: fraction of the surface of each material that a depth sensor does not measure, [K].
    light: unit vector towards the light, [3].
    colour: colour of the light, [3].
    ambient: fraction of the light without direction.
  """
  tiles: np.ndarray
  loss: np.ndarray
  light: np.ndarray
  colour: np.ndarray
  ambient: float


def draw_room(rng: np.random.Generator) -> Room:
  """Draws the furniture and the textures of a room."""
  solids = _furnish(rng)
  materials = int(solids.material.max()) + 1 - FLOOR
  tiles = np.stack([
      draw_tile(hsv(rng.uniform(), rng.uniform(*difficulty.ROOM_SATURATION), rng.uniform(*difficulty.ROOM_BRIGHTNESS)),
            rng.uniform(*difficulty.ROOM_CONTRAST), rng) for _ in range(materials)])
  decoration = np.arange(materials) >= _FIRST_DECORATION - FLOOR
  dark = decoration & (rng.random(materials) < difficulty.DARK_CLUTTER)
  return Room(solids, tiles, np.where(dark, rng.uniform(*difficulty.DARK_LOSS, materials), 0))


def build(performance: Performance, room: Room, rng: np.random.Generator) -> Scene:
  """Places a performance in a room."""
  frames = len(performance.coat)
  still = [block for block in performance.blocks if block.kind in _FURNITURE]
  moving = [block for block in performance.blocks if block.kind not in _FURNITURE]
  sleeves = SHIRT if rng.random() < difficulty.LONG_SLEEVES else SKIN
  parts = [_dress(performance, sleeves)] + [_block_solids(block, frames) for block in moving]
  return Scene(cameras.join([room.solids] + [_block_solids(block, 1) for block in still]), cameras.join(parts))


def without_flat_things(solids: Solids) -> Solids:
  """Solids that a depth sensor resolves, without thin objects."""
  return Solids(*(array[solids.material != FLAT] for array in solids))


def draw_clothes(room: Room, rng: np.random.Generator) -> np.ndarray:
  """Draws the colours [11, 3] of a person and the handled objects; some shirts have the colour of the walls."""
  tone = rng.uniform(.25, .95)
  coat_hue = rng.uniform(*difficulty.COAT_HUES) % 1
  muted = lambda: hsv(rng.uniform(*difficulty.CLOTHES_HUES), rng.uniform(.05, .7), rng.uniform(.2, .9))
  wall = room.tiles[_FIRST_WALL - FLOOR].mean(axis=(0, 1))
  shirt = wall * rng.uniform(.85, 1.15) if rng.random() < difficulty.CAMOUFLAGE else muted()
  return np.stack([
      tone * np.array([1, .78, .65]) + .05, rng.uniform(.05, .4) * np.array([1, .8, .6]), shirt, muted(),
      rng.uniform(.05, .3, 3), hsv(coat_hue, rng.uniform(.8, 1), rng.uniform(.75, 1)),
      hsv(rng.uniform(*difficulty.OBJECT_HUES), 1, 1), muted(), hsv(rng.uniform(), .8, .9), muted(), muted()])


def draw_look(clothes: np.ndarray, room: Room, rng: np.random.Generator) -> Look:
  """Draws textures and light of a scene for one video; `clothes` are the colours from `draw_clothes`."""
  contrast = rng.uniform(*difficulty.TEXTURE_CONTRAST, FLOOR)
  contrast[[SKIN, HAIR, FLAT, BALL]] = 0
  tiles = np.concatenate([np.stack([draw_tile(*appearance, rng) for appearance in zip(clothes, contrast)]), room.tiles])
  loss = np.concatenate([np.zeros(FLOOR), room.loss])
  loss[[HAIR, SHOES]] = rng.uniform(*difficulty.DARK_LOSS, 2)
  light = figure.normalize(np.array([rng.normal(), rng.uniform(.3, 1.5), rng.uniform(.2, 1.5)]))
  colour = rng.uniform(*difficulty.BRIGHTNESS) * (1 + difficulty.TINT * rng.uniform(-1, 1, 3))
  return Look(tiles, loss, light, colour, rng.uniform(*difficulty.AMBIENT))


def shade(camera: cameras.Camera, solids: Solids, hits: cameras.Hits, mask: np.ndarray, look: Look) -> np.ndarray:
  """Light from the surfaces in the P pixels of `mask` [F, H, W]: [P, 3] float32."""
  _, v, u = np.nonzero(mask)
  solid = hits.solid[mask]
  position, normal, world = cameras.surface(camera, solids, solid, np.stack([u, v], -1), hits.depth[mask])
  facing = np.abs(normal).argmax(axis=1)  # the axis along which the texture is projected
  across = np.where(facing == 0, position[:, 2], position[:, 0])
  up = np.where(facing == 1, position[:, 2], position[:, 1])
  column, row = (np.floor(x / _TEXEL).astype(np.int64) % _TEXELS for x in (across, up))
  texture = look.tiles[solids.material[solid], row, column]
  direct = .5 + .5 * (world @ look.light)  # softer than Lambert's law, as with several lamps
  return (texture * (look.ambient + (1 - look.ambient) * direct)[:, None] * look.colour).astype(np.float32)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
  """RGB colour [3] in 0..1; the hue has period 1."""
  return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def draw_tile(colour: np.ndarray, contrast: float, rng: np.random.Generator) -> np.ndarray:
  """Draws a texture [S, S, 3] float32 around a colour: cloudy, striped or chequered."""
  cells = int(rng.choice([4, 8, 16]))
  pattern = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
  pattern = cv2.resize(pattern, (_TEXELS, _TEXELS), interpolation=cv2.INTER_LINEAR)
  row, column = np.mgrid[:_TEXELS, :_TEXELS] * cells // _TEXELS % 2
  regular = (row, column, row ^ column, .5)[rng.integers(4)]
  pattern = .6 * pattern + .7 * (2. * regular - 1)
  tinted = pattern[..., None] * rng.uniform(.6, 1, 3)
  return np.clip(colour * (1 + contrast * tinted) + .1 * contrast * tinted, .01, 1).astype(np.float32)


def _block_solids(block: Block, frames: int) -> Solids:
  shown = np.flatnonzero(block.visible[:frames])
  return Solids(block.position[shown], block.axes[shown], np.full(len(shown), 0. if block.kind == 'ball' else -1.),
                np.full(len(shown), _BLOCK_MATERIALS[block.kind]), shown)


def _furnish(rng: np.random.Generator) -> Solids:
  """Draws floor, three walls, posters and clutter; each of them has its own material."""
  back, side = rng.uniform(1.5, 1.95), rng.uniform(1.9, 2.4)
  boxes = [([0, -.05, 0], [4, .05, 4]), ([0, 2, -back - .05], [4, 2, .05]),
           ([-side - .05, 2, 0], [.05, 2, 4]), ([side + .05, 2, 0], [.05, 2, 4])]
  for _ in range(rng.integers(*difficulty.POSTERS, endpoint=True)):
    wide, high, y = rng.uniform(.15, .6), rng.uniform(.15, .5), rng.uniform(.7, 1.9)
    wall = rng.integers(3)
    if wall == 0:
      boxes.append(([rng.uniform(-1, 1) * side, y, -back], [wide, high, .01]))
    else:
      boxes.append(([side * (2 * wall - 3), y, rng.uniform(-back, .3)], [.01, high, wide]))
  for _ in range(rng.integers(*difficulty.CLUTTER, endpoint=True)):
    size = rng.uniform([.1, .1, .1], [.35, .6, .3])
    if rng.random() < .5:
      place = [rng.uniform(-1, 1) * side, size[1], rng.uniform(-back, -1.1)]
    else:
      place = [rng.choice([-1, 1]) * (side - size[0]), size[1], rng.uniform(-back, -.2)]
    boxes.append((place, size))
  centre, half_sides = (np.array(values, np.float64) for values in zip(*boxes))
  return Solids(centre, half_sides[:, :, None] * np.eye(3), np.full(len(boxes), -1.),
                FLOOR + np.arange(len(boxes)), np.zeros(len(boxes), np.int64))


def _dress(performance: Performance, sleeves: int) -> Solids:
  """Solids of the body in every frame."""
  body, coat = performance.body, performance.coat
  joints, unit = np.moveaxis(body.joints, 1, 0), body.height * body.girth
  trunk = np.where(coat[:, 0], COAT, SHIRT)
  thick = 1 + .08 * coat[:, 0]
  hips, spine, shoulders, head = joints[:4]
  up = body.torso[..., 1] * unit
  parts = [_limb(hips - .01 * up, shoulders - .05 * up, .078 * unit * thick, trunk, body.front, .6),
           _limb(joints[figure.LEFT_ARM.start], joints[figure.RIGHT_ARM.start], .042 * unit * thick, trunk, body.front),
           _limb(joints[figure.LEFT_LEG.start], joints[figure.RIGHT_LEG.start], .058 * unit, TROUSERS, body.front),
           _limb(shoulders, head, .03 * unit, SKIN, body.front),
           _limb(head - .015 * up, head + .022 * up, .047 * unit, SKIN, body.front, 1.1),
           _limb(head + .02 * up - .02 * unit * body.front, head + .034 * up - .01 * unit * body.front, .049 * unit,
                 HAIR, body.front)]
  for arm, worn in ((figure.LEFT_ARM, coat[:, 1]), (figure.RIGHT_ARM, coat[:, 2])):
    shoulder, elbow, wrist, hand = joints[arm]
    parts += [_limb(shoulder, elbow, .029 * unit * (1 + .2 * worn), np.where(worn, COAT, SHIRT), body.front),
              _limb(elbow, wrist, .023 * unit * (1 + .2 * worn), np.where(worn, COAT, sleeves), body.front),
              _limb(wrist, hand, .022 * unit, SKIN, body.front)]
  for leg in (figure.LEFT_LEG, figure.RIGHT_LEG):
    hip, knee, ankle, foot = joints[leg]
    parts += [_limb(hip, knee, .048 * unit, TROUSERS, body.front),
              _limb(knee, ankle, .035 * unit, TROUSERS, body.front),
              _limb(ankle, foot, .026 * unit, SHOES, np.float32([0, 1, 0]))]
  return cameras.join(parts)


def _limb(start, end, radius, material, front, flatness: float = 1.) -> Solids:
  """Capsules from `start` to `end` [T, 3]; `flatness` scales the radius towards `front`."""
  frames = len(start)
  along = end - start
  length = np.linalg.norm(along, axis=1)
  along = figure.normalize(along)
  # A limb that points to the front needs a different direction.
  facing = front + .1 * along[:, [1, 2, 0]]
  facing = figure.normalize(facing - (facing * along).sum(axis=1, keepdims=True) * along)
  radius = np.broadcast_to(radius, frames)[:, None]
  axes = np.stack([np.cross(along, facing) * radius, along * radius, facing * radius * flatness], -1)
  return Solids((start + end) / 2, axes, length / 2 / radius[:, 0],
                np.broadcast_to(material, frames), np.arange(frames))
