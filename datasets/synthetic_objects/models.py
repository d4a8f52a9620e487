"""The ten classes of objects, as boxes and ellipsoids.

Pairs of classes need different modalities. A stool is a small table: they differ in height above ground, which a crop
does not show. A dresser has the shape of a cardboard box, and a television the shape of a painting: only colour shows
drawers and screens. Beds, sofas, chairs and lamps differ in shape, which textures and clutter hide in RGB.
"""

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

# Materials: two for the body of the object, and two for thin details on its surface.
BODY, TRIM, DARK, BRIGHT = range(4)


class Part(NamedTuple):
  """A box or ellipsoid of an object that stands on the floor at the origin and faces +z; y points up, metres.

  Attributes:
    centre: position (x, y, z) of the centre.
    half: half sides, or radii, along x, y and z.
    material: index of the material, one of the four above.
    round: whether the part is an ellipsoid instead of a box.
    flat: whether the part is too thin for a depth sensor.
  """
  centre: Tuple[float, float, float]
  half: Tuple[float, float, float]
  material: int = BODY
  round: bool = False
  flat: bool = False


def _bed(rng) -> List[Part]:
  width, length, height = rng.uniform([.45, .95, .2], [.8, 1.05, .28])
  pillows = [Part((x * width, 2 * height + .04, -.75 * length), (.35 * width, .07, .2), TRIM, round=True)
             for x in (-.45, .45)]
  return [Part((0, height, 0), (width, height, length)),
          Part((0, height + .25, -length - .03), (width, height + .25, .03), TRIM), *pillows]


def _sofa(rng) -> List[Part]:
  width, depth, seat, back = rng.uniform([.6, .38, .18, .36], [1., .48, .23, .45])
  return [Part((0, seat, 0), (width, seat, depth)), Part((0, back, -depth), (width, back, .1)),
          *(Part((side * width, seat + .11, 0), (.09, seat + .11, depth), TRIM) for side in (-1, 1))]


def _four_legs(width: float, depth: float, height: float, thick: float) -> List[Part]:
  return [Part((x * (width - thick), height / 2, z * (depth - thick)), (thick, height / 2, thick), TRIM)
          for x in (-1, 1) for z in (-1, 1)]


def _chair(rng) -> List[Part]:
  width, seat, back = rng.uniform([.2, .42, .2], [.25, .5, .28])
  return [Part((0, seat, 0), (width, .025, width)), *_four_legs(width, width, seat, .022),
          Part((0, seat + back, -width), (width, back, .02))]


def _topped(rng, height: float) -> List[Part]:
  """A top on four legs, with proportions that do not depend on the height."""
  width, depth, thick = height * rng.uniform([.45, .35, .02], [.75, .5, .035])
  return [Part((0, height, 0), (width, thick, depth)), *_four_legs(width, depth, height, thick)]


def _stool(rng) -> List[Part]:
  return _topped(rng, rng.uniform(.3, .48))


def _table(rng) -> List[Part]:
  return _topped(rng, rng.uniform(.68, .85))


def _lamp(rng) -> List[Part]:
  height, shade, base = rng.uniform([1., .14, .12], [1.5, .24, .18])
  return [Part((0, .02, 0), (base, .02, base), TRIM), Part((0, height / 2, 0), (.02, height / 2, .02), TRIM),
          Part((0, height, 0), (shade, .8 * shade, shade), round=bool(rng.random() < .5))]


def _block(rng, low: float, high: float) -> Tuple[Part, np.ndarray]:
  half = rng.uniform([.25, low, .2], [.5, high, .28])
  return Part((0, half[1], 0), tuple(half)), half


def _dresser(rng) -> List[Part]:
  """A block with drawers: dark gaps and bright knobs on its front."""
  body, (width, height, depth) = _block(rng, .32, .55)
  parts, rows = [body], rng.integers(2, 5)
  for row in range(rows):
    y = 2 * height * (row + .5) / rows
    parts.append(Part((0, y + height / rows, depth), (.95 * width, .012, .004), DARK, flat=True))
    parts += [Part((x * width, y, depth), (.035, .025, .004), BRIGHT, flat=True) for x in (-.45, .45)]
  return parts


def _box(rng) -> List[Part]:
  """A block with adhesive tape around it, and sometimes a label."""
  body, (width, height, depth) = _block(rng, .18, .42)
  across = rng.uniform(.025, .05)
  parts = [body, Part((0, height, 0), (across, height + .003, depth + .003), BRIGHT, flat=True)]
  if rng.random() < .5:
    parts.append(Part((.55 * width, 1.4 * height, depth), (.25 * width, .2 * height, .004), DARK, flat=True))
  return parts


def _panel(rng) -> Tuple[List[Part], np.ndarray]:
  """An upright panel on a stand; its front lies at z = 0.035."""
  width, height, stand = rng.uniform([.35, .25, .3], [.6, .4, .8])
  middle = stand + height
  return [Part((0, middle, 0), (width, height, .03), TRIM), Part((0, stand / 2, 0), (.04, stand / 2, .03), TRIM),
          Part((0, .015, 0), (.25, .015, .15), TRIM)], np.array([width, height, middle])


def _television(rng) -> List[Part]:
  """A panel with a dark screen and one bright reflection."""
  parts, (width, height, middle) = _panel(rng)
  x, y = rng.uniform(-.6, .6, 2)
  return parts + [Part((0, middle, .03), (.93 * width, .9 * height, .005), DARK, flat=True),
                  Part((x * width, middle + y * height, .035), (.12 * width, .1 * height, .004), BRIGHT, flat=True)]


def _painting(rng) -> List[Part]:
  """A panel with coloured patches."""
  parts, (width, height, middle) = _panel(rng)
  parts.append(Part((0, middle, .03), (.85 * width, .82 * height, .005), BODY, flat=True))
  for _ in range(rng.integers(4, 8)):
    x, y = rng.uniform(-.55, .55, 2)
    half = rng.uniform(.1, .25, 2) * [width, height]
    parts.append(Part((x * width, middle + y * height, .035), (*half, rng.uniform(.002, .006)),
                      rng.choice([DARK, BRIGHT, TRIM]), flat=True))
  return parts


# Class -> function that draws the parts of a new object.
CLASSES: Dict[str, Callable[[np.random.Generator], List[Part]]] = {
    'bed': _bed, 'box': _box, 'chair': _chair, 'dresser': _dresser, 'lamp': _lamp, 'painting': _painting,
    'sofa': _sofa, 'stool': _stool, 'table': _table, 'television': _television}
