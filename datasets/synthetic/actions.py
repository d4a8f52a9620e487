"""The ten actions: key poses of a human figure, and the motion of the handled objects.

Pairs of actions need different modalities. Sitting down and standing up are
mirror images in time. Putting a coat on and taking it off are the same
movement and differ in the colour of the coat. Dropping and picking up differ in
a small flat object that a depth sensor hardly resolves. Walking and carrying
differ in a box that can have the colour of the shirt.
"""

import dataclasses
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from . import difficulty, figure
from .figure import pose

_HEIGHT = 1.7  # metres, of the average subject
_SEATED = dict(pelvis=(0, .29, -.2), torso=(8, 0, 0), left=(.1, .38, .08), right=(-.1, .38, .08),
               left_foot=(.07, .045, .08), right_foot=(-.07, .045, .08))


class Subject(NamedTuple):
  """Style of a person.

  Attributes:
    height: body height, metres.
    girth: factor on every thickness.
    speed: factor on the speed of movements.
    amplitude: factor on the amplitude of movements.
    phase: shift of movements in time, as a fraction of the duration of an action.
    left_handed: whether poses are mirrored.
  """
  height: float
  girth: float
  speed: float
  amplitude: float
  phase: float
  left_handed: bool


class Block(NamedTuple):
  """A box or ball in the world.

  Attributes:
    kind: kind of the block: 'chair', 'support', 'flat', 'box' or 'ball'.
    position: centre in every frame, [T, 3] metres.
    axes: half sides in every frame as columns, [T, 3, 3] metres.
    visible: whether the block is visible in every frame, [T] bool.
  """
  kind: str
  position: np.ndarray
  axes: np.ndarray
  visible: np.ndarray


class Performance(NamedTuple):
  """An action in world coordinates.

  Attributes:
    body: body of the moving person.
    coat: whether trunk, left arm and right arm are in a coat, [T, 3] bool.
    blocks: furniture and handled objects.
  """
  body: figure.Body
  coat: np.ndarray
  blocks: List[Block]


@dataclasses.dataclass
class _Motion:
  """An action in the body's frame, for a right-handed person of average style.

  Attributes:
    poses: pose in every frame, [T, 18].
    thing: kind of the handled block; None if there is none.
    held: whether the block is in the hand(s), [T] bool.
    path: x and z [T, 2] in metres and heading [T] in radians if the person walks, otherwise None.
    coat: state of the coat, [T, 3] as in `Performance`.
    seat: whether there is a chair to sit on.
  """
  poses: np.ndarray
  thing: Optional[str] = None
  held: Optional[np.ndarray] = None
  path: Optional[Tuple[np.ndarray, np.ndarray]] = None
  coat: Optional[np.ndarray] = None
  seat: bool = False


def draw_subject(rng: np.random.Generator) -> Subject:
  """Draws the style of a person."""
  spread = lambda width: 1 + width * rng.uniform(-1, 1)
  return Subject(
      height=_HEIGHT * spread(difficulty.SIZE_SPREAD), girth=spread(difficulty.SIZE_SPREAD),
      speed=spread(difficulty.SPEED_SPREAD), amplitude=rng.uniform(*difficulty.AMPLITUDE),
      phase=rng.uniform(-1, 1) * difficulty.PHASE_JITTER / 2, left_handed=rng.random() < difficulty.LEFT_HANDED)


def perform(action: int, subject: Subject, frames: int, rng: np.random.Generator) -> Performance:
  """Generates one performance of an action (its number in NW-UCLA) by a subject, of `frames` frames."""
  phase = subject.phase + rng.uniform(-1, 1) * difficulty.PHASE_JITTER / 2
  speed = subject.speed * rng.uniform(.95, 1.05)
  time = np.clip(.5 + phase + speed * (np.linspace(0, 1, frames) - .5), 0, 1)
  motion = _MOTIONS[action](time, rng)
  poses = motion.poses
  # Feet and pelvis are not scaled, since they would leave the floor.
  rest = pose()[3:12]
  poses[:, 3:12] = rest + subject.amplitude * (poses[:, 3:12] - rest)
  poses[:, :12] += _sway(frames, rng)
  if subject.left_handed:
    poses = figure.mirror(poses)
  place = rng.uniform(-1, 1, 2) * difficulty.POSITION_JITTER
  heading = np.deg2rad(difficulty.FACING_JITTER) * rng.uniform(-1, 1)
  place, heading = np.tile(place, (frames, 1)), np.full(frames, heading)
  if motion.path:
    place, heading = place + motion.path[0], motion.path[1]
  body = figure.articulate(poses, place, heading, subject.height, subject.girth)
  coat = np.zeros((frames, 3), bool) if motion.coat is None else motion.coat
  blocks = _chair(motion, body, place, heading, rng) + _things(motion, body, subject.left_handed, rng)
  return Performance(body, coat[:, [0, 2, 1]] if subject.left_handed else coat, blocks)


def _follow(time: np.ndarray, keys, rng: np.random.Generator) -> np.ndarray:
  """Smooth movement through key poses (time, pose), at rest in each of them: [T, 18]."""
  times = np.array([key[0] for key in keys])
  poses = np.stack([key[1] for key in keys])
  poses[:, :12] += rng.normal(0, difficulty.TARGET_JITTER, (len(keys), 12)) * np.repeat([.3, 1, 1, 1], 3)
  before = np.clip(np.searchsorted(times, time, 'right') - 1, 0, len(keys) - 2)
  part = ((time - times[before]) / (times[before + 1] - times[before]))[:, None]
  part = part * part * (3 - 2 * part)
  return (1 - part) * poses[before] + part * poses[before + 1]


def _sway(frames: int, rng: np.random.Generator) -> np.ndarray:
  """Slow unintended movement, [T, 12] in body heights."""
  turns = np.linspace(0, rng.uniform(3, 8), frames)[:, None] + rng.uniform(0, 2 * np.pi, 12)
  return difficulty.SWAY * rng.normal(0, 1, 12) * np.sin(turns)


def _crouch(height: float, left, right) -> np.ndarray:
  """Pose [18] of a person who bends down until the hands are at `height`, in body heights."""
  depth = 1 - height / .5
  return pose((0, .53 - .17 * depth, -.1 * depth), (78 * depth, 0, 0), left, right)


def _fetch(time, rng, both_hands: bool):
  """Two poses [18]: hand(s) at the object, and standing with it."""
  height = rng.uniform(*difficulty.FETCH_HEIGHT) / _HEIGHT + .06
  across, ahead, lift = rng.uniform(-.1, .02), rng.uniform(.27, .36), rng.uniform(.5, .62)
  if both_hands:
    width = rng.uniform(.07, .1)
    return (_crouch(height, (width, height, ahead), (-width, height, ahead)),
            pose(left=(width, lift, .2), right=(-width, lift, .2)))
  return _crouch(height, (.12, .36, .12), (across, height, ahead)), pose(right=(-.1, lift, .2))


def _pick_up_with_one_hand(time, rng):
  down, up = _fetch(time, rng, both_hands=False)
  poses = _follow(time, [(0, pose()), (.45, down), (.52, down), (.95, up), (1, up)], rng)
  return _Motion(poses, 'flat', time > .48)


def _pick_up_with_two_hands(time, rng):
  down, up = _fetch(time, rng, both_hands=True)
  poses = _follow(time, [(0, pose()), (.45, down), (.52, down), (.95, up), (1, up)], rng)
  return _Motion(poses, 'box', time > .48)


def _drop_trash(time, rng):
  down, up = _fetch(time, rng, both_hands=False)
  start, end = (up, pose()) if rng.random() < .5 else (pose(), up)  # the empty hand carries no information
  poses = _follow(time, [(0, start), (.45, down), (.52, down), (.95, end), (1, end)], rng)
  return _Motion(poses, 'flat', time < .48)


def _walk(time, rng):
  """Poses [T, 18] and path of a step cycle on an arc of a circle."""
  radius, sense = rng.uniform(.42, .6), rng.choice([-1, 1])
  angle = rng.uniform(0, 2 * np.pi) + sense * rng.uniform(2, 2.8) * time
  path = radius * np.stack([np.cos(angle), np.sin(angle)], -1), -angle + (0 if sense > 0 else np.pi)
  cycle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * rng.uniform(1.1, 1.5) * time
  poses = np.tile(pose(pelvis=(0, .52, 0), torso=(4, 0, 0)), (len(time), 1)).astype(np.float64)
  poses[:, 1] += .01 * np.cos(2 * cycle)
  for wrist, ankle, step in ((figure.RIGHT_WRIST, figure.LEFT_ANKLE, cycle),
                             (figure.LEFT_WRIST, figure.RIGHT_ANKLE, cycle + np.pi)):
    poses[:, ankle.start + 2] += .13 * np.sin(step)
    poses[:, ankle.start + 1] += .05 * np.maximum(np.cos(step), 0)
    poses[:, wrist.start + 2] += .11 * np.sin(step)
    poses[:, wrist.start + 1] += .02 * np.abs(np.sin(step))
  return poses, path


def _walk_around(time, rng):
  poses, path = _walk(time, rng)
  return _Motion(poses, path=path)


def _carry(time, rng):
  poses, path = _walk(time, rng)
  at = rng.uniform(.56, .64)
  poses[:, figure.LEFT_WRIST], poses[:, figure.RIGHT_WRIST] = (.09, at, .2), (-.09, at, .2)
  return _Motion(poses, 'box', np.ones(len(time), bool), path)


def _sit_down(time, rng, back: bool = False):
  bent = pose((0, .41, -.12), (40, 0, 0), (.13, .42, .14), (-.13, .42, .14), (.07, .045, .08), (-.07, .045, .08))
  standing, seated = pose(left_foot=(.07, .045, .08), right_foot=(-.07, .045, .08)), pose(**_SEATED)
  keys = [(0, standing), (.15, standing), (.5, bent), (.85, seated), (1, seated)]
  return _Motion(_follow(1 - time if back else time, keys, rng), seat=True)


def _stand_up(time, rng):
  return _sit_down(time, rng, back=True)


def _donning(time, rng, off: bool = False):
  gather = pose(left=(.05, .68, .17), right=(-.05, .68, .17))
  one_arm = pose(torso=(0, -15, -4), left=(.06, .8, .12), right=(-.3, .78, -.04))
  other_arm = pose(torso=(0, 15, 4), left=(.3, .78, -.04), right=(-.06, .8, .12))
  right_first = rng.random() < .5
  arms = (one_arm, other_arm) if right_first else (other_arm, one_arm)
  keys = [(0, pose()), (.2, gather), (.4, arms[0]), (.6, arms[1]), (.8, gather), (1, pose())]
  order = [.5, .6, .4] if right_first else [.5, .4, .6]  # trunk, left arm, right arm
  return _Motion(_follow(time, keys, rng), coat=(time[:, None] > order) != off)


def _doffing(time, rng):
  return _donning(time, rng, off=True)


def _throw(time, rng):
  wind_up = pose((0, .52, -.02), (-4, -35, -5), (.08, .68, .24), (-.24, .93, -.1), (.06, .045, .1))
  release = pose((0, .51, .04), (14, 25, 5), (.16, .55, -.02), (-.1, .88, .28), (.06, .045, .1))
  follow = pose((0, .51, .05), (24, 38, 6), (.18, .5, -.06), (.04, .52, .26), (.06, .045, .1))
  ready = pose(right=(-.1, .62, .18), left_foot=(.06, .045, .1))
  keys = [(0, ready), (.12, ready), (.45, wind_up), (.66, release), (.8, follow), (1, pose(left_foot=(.06, .045, .1)))]
  return _Motion(_follow(time, keys, rng), 'ball', time < .64)


_MOTIONS = {1: _pick_up_with_one_hand, 2: _pick_up_with_two_hands, 3: _drop_trash, 4: _walk_around, 5: _sit_down,
            6: _stand_up, 8: _donning, 9: _doffing, 11: _throw, 12: _carry}


def _chair(motion: _Motion, body: figure.Body, place, heading, rng) -> List[Block]:
  """The chair to sit on, or an unused one in the room; possibly none."""
  present = rng.random() < difficulty.CHAIR
  if not (motion.seat or present):
    return []
  if motion.seat:
    turn = figure.rotation_y(heading[0])
    x, y, z = turn @ (body.height * np.array(_SEATED['pelvis'])) + [place[0, 0], 0, place[0, 1]]
    top = y - .07 * body.girth * body.height
  else:
    turn = figure.rotation_y(rng.uniform(-1, 1))
    x, z, top = rng.choice([-1, 1]) * rng.uniform(.8, 1.1), rng.uniform(-1, -.6), .42
  seat = _block('chair', [x, top / 2, z], turn @ np.diag([.2, top / 2, .18]), 1)
  back = _block('chair', np.array([x, top + .2, z]) + turn @ [0, 0, -.2], turn @ np.diag([.2, .2, .025]), 1)
  return [seat, back]


def _block(kind, position, axes, frames, visible=None) -> Block:
  """A moving block, or a static one if `position` is a single position [3]."""
  return Block(kind, np.broadcast_to(position, (frames, 3)), np.broadcast_to(axes, (frames, 3, 3)),
               np.ones(frames, bool) if visible is None else visible)


def _things(motion: _Motion, body: figure.Body, left_handed: bool, rng) -> List[Block]:
  """The handled object and its support; possibly none."""
  if not motion.thing:
    return []
  hands = body.joints[:, figure.JOINTS.index('hand_left' if left_handed else 'hand_right')]
  sizes = {'flat': (.1, .1, .006), 'ball': (.055,) * 3, 'box': rng.uniform((.11, .08, .09), (.15, .13, .12))}
  size = np.array(sizes[motion.thing])
  axes = body.torso * size
  if motion.thing == 'box':
    left, right = (body.joints[:, figure.JOINTS.index(name)] for name in ('hand_left', 'hand_right'))
    position = (left + right) / 2 + .03 * body.front
    axes = np.stack([axes[..., 0], [[0, size[1], 0]] * len(axes), size[2] * body.front], -1)
  else:
    position = hands + .04 * body.front - [[0, .04, 0]]
  frames, held = len(hands), motion.held
  changes = np.flatnonzero(held[1:] != held[:-1]) + 1
  if motion.thing == 'ball':
    return [_fly(body, position, axes, held)]
  if not changes.size:
    return [Block(motion.thing, position, axes, np.ones(frames, bool))]
  moment = changes[0] if held[-1] else changes[0] - 1  # moment of the grasp or the release
  here = np.where(held[:, None], position, position[moment])
  axes = np.where(held[:, None, None], axes, axes[moment])
  visible = held | (np.arange(frames) <= moment + 1)  # a dropped object soon disappears
  top = max(position[moment, 1] - size[1], 0)
  blocks = [Block(motion.thing, here, axes, visible)]
  if top > .05:
    x, _, z = position[moment]
    blocks.append(_block('support', [x, top / 2, z], np.diag([.16, top / 2, .14]), 1))
  return blocks


def _fly(body: figure.Body, position, axes, held) -> Block:
  """A ball that is thrown forwards."""
  last = np.flatnonzero(held)[-1]
  since = np.maximum(np.arange(len(held)) - last, 0)[:, None]
  flight = position[last] + since * (.45 * body.front[last] + [0, .06, 0]) - [0, .05, 0] * since ** 2
  return Block('ball', np.where(held[:, None], position, flight), axes, since[:, 0] < 3)
