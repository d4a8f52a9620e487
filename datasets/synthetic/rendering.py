"""Renders the synthetic dataset into the native layout of Northwestern-UCLA Multiview Action3D.

    multiview_action/synthetic.json                     options, version, actions, true cameras
    multiview_action/view_1/a01_s01_e00/frame_0_rgb.jpg
                                        frame_0_depth.png       16 bit, millimetres, 0: not measured
                                        frame_0_depth_vis.jpg   8-bit depth image
                                        frame_0_skeletons.txt   see `nwucla.skeletons`
"""

import dataclasses
import functools
import pathlib
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from tf_privinfo.datasets.nwucla import native

from . import actions, camera, difficulty, scene, sensors, storage

VERSION = 1  # of the images: raise it whenever the same options produce different ones
VIEWS = (1, 2, 3)

# View -> azimuth in degrees, height and distance in metres of the depth camera; all are aimed at the scene's middle.
_PLACEMENTS = {1: (0., 1.25, 2.5), 2: (-42., .95, 2.6), 3: (38., 1.6, 2.45)}
_LOOK_AT = np.array([0, .88, 0])
_RGB_BASELINE = 0.025  # metres to the right of the depth camera
_RGB_FOCAL, _DEPTH_FOCAL = 525 / 640, 585 / 640  # image widths, as in a Kinect
# With these settings, most files of a default rendering fit one or two disk blocks.
_RGB_QUALITY, _DEPTH_VIS_QUALITY = 87, 70
_PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 6]


@dataclasses.dataclass(frozen=True)
class RenderOptions:
  """Parameters of a rendering, which determine all files.

  Attributes:
    seed: seed of all random draws.
    subjects: number of people.
    episodes: number of performances of each action by each person.
    min_frames: minimum number of frames of a video.
    max_frames: maximum number of frames of a video.
    width: width of RGB and depth images, pixels.
    height: height of RGB and depth images, pixels.
  """
  seed: int = 0
  subjects: int = 10
  episodes: int = 2
  min_frames: int = 12
  max_frames: int = 14
  width: int = 160
  height: int = 120


# Value of `data.rendering` -> parameters of the rendering.
RENDERINGS = {
    'default': RenderOptions(),
    'tiny': RenderOptions(subjects=4, episodes=1, min_frames=9, max_frames=10, width=64, height=48),
}


class Performance(NamedTuple):
  """Number of an action, of a subject and of an episode."""
  action: int
  subject: int
  episode: int

  @property
  def name(self) -> str:
    """Name in the layout of NW-UCLA, such as `a01_s02_e00`."""
    return f'a{self.action:02d}_s{self.subject:02d}_e{self.episode:02d}'


class View(NamedTuple):
  """The recording of a performance by one pair of cameras.

  Attributes:
    number: number of the view.
    rgb: [T, H, W, 3] uint8.
    depth: millimetres, [T, H, W] uint16; 0 = missing.
    skeletons: columns of the files of `nwucla.skeletons`, [T, 20, 7].
  """
  number: int
  rgb: np.ndarray
  depth: np.ndarray
  skeletons: np.ndarray


def cameras(options: RenderOptions) -> Dict[int, Tuple[camera.Camera, camera.Camera]]:
  """View -> its (RGB, depth) cameras."""
  rigs = {}
  for view, (azimuth, height, distance) in _PLACEMENTS.items():
    angle = np.deg2rad(azimuth)
    position = np.array([distance * np.sin(angle), height, distance * np.cos(angle)])
    forward = (_LOOK_AT - position) / np.linalg.norm(_LOOK_AT - position)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    centre = ((options.width - 1) / 2, (options.height - 1) / 2)
    rigs[view] = tuple(
        camera.Camera(options.width, options.height, focal * options.width, centre, rotation, position + offset * right)
        for focal, offset in ((_RGB_FOCAL, _RGB_BASELINE), (_DEPTH_FOCAL, 0)))
  return rigs


def render(root: pathlib.Path, options: RenderOptions, workers: Optional[int] = None) -> None:
  """Renders all videos into `root`/multiview_action, unless they exist.

  The folder gets its final name only when it is complete.

  Args:
    root: folder of the dataset; created if needed.
    options: parameters of the rendering.
    workers: number of processes; None: one per core.

  Raises:
    ValueError: if the folder exists and contains other data.
  """
  storage.render_once(
      pathlib.Path(root) / 'multiview_action', parameters(options), functools.partial(_render_performance, options),
      performances(options), unit='video', per_item=len(VIEWS), workers=workers)


def performances(options: RenderOptions) -> List[Performance]:
  """All performances of a rendering."""
  return [Performance(action, subject, episode) for action in native.ACTIONS
          for subject in range(1, options.subjects + 1) for episode in range(options.episodes)]


def parameters(options: RenderOptions) -> Dict[str, Any]:
  """Parameters of a rendering for `storage.render_once`."""
  rigs = {str(view): {'rgb': rgb.as_dict(), 'depth': depth.as_dict()}
          for view, (rgb, depth) in cameras(options).items()}
  return {'version': VERSION, 'options': dataclasses.asdict(options),
          'actions': {str(action): name for action, name in native.ACTIONS.items()}, 'cameras': rigs}


def _generator(options: RenderOptions, purpose: int, *key: int) -> np.random.Generator:
  """Random generator for one purpose and key, independent of all other draws."""
  return np.random.default_rng(np.random.SeedSequence([options.seed, purpose, *key]))


def views(options: RenderOptions, performance: Performance) -> Iterator[View]:
  """Renders all views of a performance."""
  action, subject, episode = performance
  rng = _generator(options, 1, action, subject, episode)
  frames = rng.integers(options.min_frames, options.max_frames + 1)
  acted = actions.perform(action, actions.draw_subject(_generator(options, 0, subject)), frames, rng)
  room = scene.draw_room(_generator(options, 3, subject % difficulty.ROOMS))
  clothes = scene.draw_clothes(room, _generator(options, 4, subject, episode))
  place = scene.build(acted, room, rng)
  for view, (rgb_camera, depth_camera) in cameras(options).items():
    rng = _generator(options, 2, action, subject, episode, view)
    look = scene.draw_look(clothes, room, rng)
    rgb = sensors.photograph(_radiance(rgb_camera, place, look, frames), rng)
    depth = sensors.measure_depth(*_geometry(depth_camera, place, look, frames), depth_camera.focal, rng)
    yield View(view, rgb, depth, _skeletons(acted.body.joints, rgb_camera, depth_camera))


def _render_performance(options: RenderOptions, folder: pathlib.Path, performance: Performance) -> None:
  """Writes the videos of all views of a performance in the layout of NW-UCLA."""
  for number, *images in views(options, performance):
    video = folder / f'view_{number}' / performance.name
    video.mkdir(parents=True)
    _write(video, *images)


def _radiance(rgb_camera: camera.Camera, place: scene.Scene, look: scene.Look, frames: int) -> np.ndarray:
  """Image of an ideal RGB camera, [T, H, W, 3] float32."""
  room, moving = camera.cast(rgb_camera, place.room, 1), camera.cast(rgb_camera, place.moving, frames)
  image = np.zeros((1, rgb_camera.height, rgb_camera.width, 3), np.float32)
  image[room.solid >= 0] = scene.shade(rgb_camera, place.room, room, room.solid >= 0, look)
  images = np.repeat(image, frames, axis=0)
  in_front = moving.depth < room.depth
  images[in_front] = scene.shade(rgb_camera, place.moving, moving, in_front, look)
  return images


def _geometry(depth_camera: camera.Camera, place: scene.Scene, look: scene.Look, frames: int):
  """Depth in metres, and the fraction of it that a sensor loses, both [T, H, W]."""
  solids = scene.without_flat_things(place.moving)
  room, moving = camera.cast(depth_camera, place.room, 1), camera.cast(depth_camera, solids, frames)
  in_front = moving.depth < room.depth
  loss = np.where(in_front, look.loss[solids.material[moving.solid]], look.loss[place.room.material[room.solid]])
  return np.where(in_front, moving.depth, room.depth), loss


def _skeletons(joints: np.ndarray, rgb_camera: camera.Camera, depth_camera: camera.Camera) -> np.ndarray:
  """Columns of the files of `nwucla.skeletons`, [T, 20, 7]."""
  return np.concatenate(
      [depth_camera.to_camera(joints), rgb_camera.project(joints), depth_camera.project(joints)], axis=-1)


def _write(folder: pathlib.Path, rgb: np.ndarray, depth: np.ndarray, skeletons: np.ndarray) -> None:
  for k, (image, millimetres, joints) in enumerate(zip(rgb, depth, skeletons)):
    lines = ['{},{}'.format(*joints.shape)] + [','.join(f'{value:.4f}' for value in joint) for joint in joints]
    for name, content in (
        ('rgb.jpg', _jpeg(image[..., ::-1], _RGB_QUALITY)),
        ('depth.png', png(millimetres)),
        ('depth_vis.jpg', _jpeg(sensors.visualize_depth(millimetres), _DEPTH_VIS_QUALITY)),
        ('skeletons.txt', '\n'.join(lines).encode() + b'\n')):
      (folder / f'frame_{k}_{name}').write_bytes(content)


def png(millimetres: np.ndarray) -> bytes:
  """PNG file of depth [H, W] uint16."""
  return cv2.imencode('.png', millimetres, _PNG_SETTINGS)[1].tobytes()


def _jpeg(image: np.ndarray, quality: int) -> bytes:
  return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
