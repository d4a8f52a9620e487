"""Small files in the native formats of the datasets."""

import pathlib

import cv2
import numpy as np


def write_nwucla(data_dir: pathlib.Path, views=(1, 2, 3), actions=(1, 2, 3, 4, 5, 6, 8, 9, 11, 12), subjects=2,
                 episodes=1, frames=9, width=48, height=36) -> pathlib.Path:
  """Writes videos in the layout of NW-UCLA: a bright square moves with the action, over noise.

  Frame numbers run over 9 and 10, where the order of names as text and of
  numbers differ.

  Returns:
    The folder `multiview_action`.
  """
  root = data_dir / 'multiview_action'
  for view in views:
    for action in actions:
      for subject in range(1, subjects + 1):
        for episode in range(episodes):
          folder = root / f'view_{view}' / f'a{action:02d}_s{subject:02d}_e{episode:02d}'
          folder.mkdir(parents=True)
          _write_video(folder, np.random.default_rng([view, action, subject, episode]), action, frames, width, height)
  return root


def kinect_skeleton(rng: np.random.Generator, distance: float = 3., states=(2,) * 20) -> str:
  """The file of one person some metres away, as the Kinect SDK 1 writes it: `x,y,z,state`, y up."""
  joints = rng.uniform([-.4, -.8, distance], [.4, .8, distance], (20, 3))
  return '60\n' + ''.join('{:g},{:g},{:g},{}\n'.format(*joint, state) for joint, state in zip(joints, states))


def _moving_square(rng, action, frames, width, height):
  """RGB [H, W, 3] uint8 in OpenCV's order and depth [H, W] uint16 in millimetres of each frame."""
  background = cv2.GaussianBlur(rng.integers(0, 160, (height, width, 3), np.uint8), (5, 5), 0)
  for index in range(frames):
    rgb = background.copy()
    depth = np.full((height, width), 3000, np.uint16)
    depth[:, :3] = 0
    column, row = action * index // 4 % (width - 10), 2 * action % (height - 10)
    rgb[row:row + 10, column:column + 10] = (250, 240, 200)
    depth[row:row + 10, column:column + 10] = 1000 + 100 * action
    yield rgb, depth


def _write_video(folder, rng, action, frames, width, height):
  for number, (rgb, depth) in enumerate(_moving_square(rng, action, frames, width, height), start=4):
    cv2.imwrite(str(folder / f'frame_{number}_rgb.jpg'), rgb)
    cv2.imwrite(str(folder / f'frame_{number}_depth.png'), depth)
    cv2.imwrite(str(folder / f'frame_{number}_depth_vis.jpg'), (depth // 16).astype(np.uint8))
    (folder / f'frame_{number}_skeletons.txt').write_text(kinect_skeleton(rng) if number > 4 else '0\n')


def write_uwa3dii(data_dir: pathlib.Path, views=(1, 2, 3, 4), actions=(1, 2), subjects=2, frames=9, width=48, height=36
                  ) -> pathlib.Path:
  """Writes videos in the layout of UWA3D Multiview II: as `write_nwucla`, with depth of half the size of RGB.

  Frames are numbered from 1; episodes are 01 in RGB and 00 in depth.
  """
  for view in views:
    for action in actions:
      for subject in range(1, subjects + 1):
        name = f'a{action:02d}_s{subject:02d}_v{view:02d}'
        rgb, depth = data_dir / 'UWA3D-RGB' / f'{name}_e01', data_dir / 'UWA3D-Depth' / 'WholeFrames' / f'{name}_e00'
        for folder in (rgb, depth):
          folder.mkdir(parents=True)
        pictures = _moving_square(np.random.default_rng([view, action, subject]), action, frames, width, height)
        for number, (colour, millimetres) in enumerate(pictures, start=1):
          cv2.imwrite(str(rgb / f'{number:03d},.jpg'), colour)
          cv2.imwrite(str(depth / f'{number:03d}.png'), millimetres[::2, ::2])
  return data_dir


def write_nyud(data_dir: pathlib.Path, classes=('chair', 'lamp', 'table'), train=4, test=2, depth='depth'
               ) -> pathlib.Path:
  """Writes crops in the layout of the NYUD objects: both modalities are nearly of one colour, the class's rank.

  Sizes vary; RGB is JPEG, HHA is PNG.

  Returns:
    The folder with `train` and `test`.
  """
  for part, count in (('train', train), ('test', test)):
    for rank, label in enumerate(classes):
      for index in range(count):
        rng = np.random.default_rng([rank, index, part == 'train'])
        shape = (*rng.integers(20, 60, 2), 3)
        for folder, ending, channel in (('images', '.jpg', 2), (depth, '.png', 0)):
          image = rng.integers(0, 8, shape, np.uint8)
          image[..., channel] += np.uint8(60 * (rank % 4) + 40)
          path = data_dir / part / folder / label / f'{index:04d}{ending}'
          path.parent.mkdir(parents=True, exist_ok=True)
          cv2.imwrite(str(path), image)
  return data_dir


def write_depth_crops(folder: pathlib.Path, classes=('bowl', 'cap'), counts=(('train', 3), ('test', 2), ('gap', 1))
                      ) -> pathlib.Path:
  """Writes RGB crops with 16-bit depth in millimetres: a ball, the nearer the higher its class's rank, before a wall.

  Sizes vary; one corner was not measured.

  Returns:
    The table that names the pairs, with the columns part, class, rgb and depth.
  """
  rows = ['part,class,rgb,depth']
  for part, count in counts:
    for rank, label in enumerate(classes):
      for index in range(count):
        rng = np.random.default_rng([rank, index, len(part)])
        height, width = rng.integers(30, 60, 2)
        across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        bulge = .8 - across ** 2 - down ** 2
        depth = np.where(bulge > 0, 900 - 100 * rank - 100 * np.sqrt(np.maximum(bulge, 0)), 3000).astype(np.uint16)
        depth[:5, :5] = 0
        rgb = rng.integers(0, 255, (height, width, 3), np.uint8)
        names = [f'{label}/{kind}_{part}_{index}.png' for kind in ('color', 'depth')]
        (folder / label).mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, (rgb, depth)):
          cv2.imwrite(str(folder / name), image)
        rows.append(','.join([part, label, *names]))
  table = folder / 'pairs.csv'
  table.write_text('\n'.join(rows) + '\n')
  return table
