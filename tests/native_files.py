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


NTU_JOINTS = 25


def write_ntu(data_dir: pathlib.Path, names, frames=9, rgb_shape=(54, 96), depth_shape=(53, 64)) -> pathlib.Path:
  """Writes videos in the layout of NTU RGB+D: a bright square moves with the action, over noise.

  Both folders of depth are written. Skeletons are in pixels of the Kinect's full
  frames, whatever the sizes here, and nobody is in the first frame.

  Returns:
    The folder with `nturgb+d_rgb`.
  """
  for name in names:
    rng, action = np.random.default_rng(list(name.encode())), int(name[-3:])
    background = rng.integers(0, 120, (*rgb_shape, 3), np.uint8)
    pictures, depths = [], []
    for number in range(frames):
      column, row = action * number % (depth_shape[1] - 10), 2 * action % (depth_shape[0] - 10)
      pictures.append(background.copy())
      pictures[-1][row:row + 10, column:column + 10] = 240
      depths.append(np.zeros(depth_shape, np.uint16))
      depths[-1][row:row + 10, column:column + 10] = 2000 + 10 * action
    joints = kinect2_joints(rng.uniform([-.5, -.9, 3], [.5, .7, 3.3], (NTU_JOINTS, 3)))
    skeleton = ntu_skeleton([{}] + (frames - 1) * [{'72057594037931101': joints}])
    write_ntu_video(data_dir, name, pictures, depths, skeleton)
    write_pngs(data_dir / 'nturgb+d_depth' / name, 'Depth', [np.where(depth, depth, 4000) for depth in depths])
  return data_dir


def write_ntu_video(data_dir: pathlib.Path, name, pictures, depths, skeleton) -> None:
  """Writes one video of NTU RGB+D: pictures [H, W, 3] uint8 RGB, masked depths [H, W] uint16, text of the skeletons."""
  rgb, skeletons = (data_dir / folder for folder in ('nturgb+d_rgb', 'nturgb+d_skeletons'))
  for folder in (rgb, skeletons):
    folder.mkdir(parents=True, exist_ok=True)
  write_avi(rgb / f'{name}_rgb.avi', pictures)
  (skeletons / f'{name}.skeleton').write_bytes(skeleton.encode())
  write_pngs(data_dir / 'nturgb+d_depth_masked' / name, 'MDepth', depths)


def write_avi(path: pathlib.Path, pictures) -> None:
  """Writes pictures [H, W, 3] uint8 RGB as a video of 30 JPEG frames per second."""
  height, width = pictures[0].shape[:2]
  writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 30, (width, height))
  for picture in pictures:
    writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
  writer.release()


def write_pngs(folder: pathlib.Path, prefix, depths) -> None:
  folder.mkdir(parents=True)
  for number, depth in enumerate(depths, 1):
    cv2.imwrite(str(folder / f'{prefix}-{number:08d}.png'), depth.astype(np.uint16))


def kinect2_joints(positions: np.ndarray, state: int = 2) -> np.ndarray:
  """Rows [N, 12] of a skeleton file of points [N, 3] in metres (y up), through the cameras of a Kinect 2."""
  x, y, z = positions.T
  in_depth = 256 + 366 * x / z, 208 - 366 * y / z
  in_rgb = 960 + 1060 * (x + .052) / z, 540 - 1060 * y / z
  orientation = np.zeros((4, len(x)))
  return np.stack([x, y, z, *in_depth, *in_rgb, *orientation, np.full(len(x), state)], axis=-1)


def kinect2_person(seed: int = 0, move: float = 0., count: int = 4, state: int = 2):
  """Joints [25, 12] of one person in each of `count` frames, who moves `move` metres per frame."""
  positions = np.random.default_rng(seed).uniform([-.5, -.9, 3], [.5, .7, 3.3], (NTU_JOINTS, 3))
  return [kinect2_joints(positions + [move * frame, 0, 0], state) for frame in range(count)]


def ntu_skeleton(frames) -> str:
  """The text of a skeleton file: for each frame the joints [25, 12] of the people in it, by their ids."""
  lines = [str(len(frames))]
  for people in frames:
    lines.append(str(len(people)))
    for name, joints in people.items():
      lines += [f'{name} 0 1 1 1 1 0 0.0218 -0.0567 2', str(len(joints))]
      lines += [' '.join(f'{value:.7g}' for value in joint) for joint in joints]
  return ''.join(line + '\r\n' for line in lines)


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


def write_recordings(data_dir: pathlib.Path, subjects=4, sessions=(0, 1), modality='depth', frames=4) -> pathlib.Path:
  """Writes samples.csv with videos of two classes: RGB as AVI, folders of 16-bit PNG files.

  Odd subjects train and even ones test by the column `split`; 0 is missing in the measurements.

  Returns:
    The table, with the columns sample, label, subject, session, split, rgb and `modality`.
  """
  data_dir.mkdir(parents=True)
  rows = [f'sample,label,subject,session,split,rgb,{modality}']
  for subject in range(1, subjects + 1):
    for session in sessions:
      for action, label in ((2, 'push'), (9, 'wave')):
        name = f'{label}_{subject}_{session}'
        images = list(_moving_square(np.random.default_rng([subject, session, action]), action, frames, 48, 36))
        write_avi(data_dir / f'{name}.avi', [rgb[..., ::-1] for rgb, _ in images])
        write_pngs(data_dir / name, modality, [measured for _, measured in images])
        part = 'train' if subject % 2 else 'test'
        rows.append(f'{name},{label},S{subject},{session},{part},{name}.avi,{name}')
  table = data_dir / 'samples.csv'
  table.write_text('\n'.join(rows) + '\n')
  return table


def write_picture_table(data_dir: pathlib.Path, samples=6) -> pathlib.Path:
  """Writes samples.csv with single pictures of two classes, as 8-bit RGB and 16-bit depth; returns the table."""
  data_dir.mkdir(parents=True)
  rows = ['sample,label,split,rgb,depth']
  for label, distance in (('cup', 800), ('bowl', 1200)):
    for index in range(samples):
      rng = np.random.default_rng([distance, index])
      cv2.imwrite(str(data_dir / f'{label}{index}.png'), rng.integers(0, 255, (24, 32, 3), np.uint8))
      depth = rng.integers(distance, distance + 300, (24, 32)).astype(np.uint16)
      cv2.imwrite(str(data_dir / f'{label}{index}_depth.png'), depth)
      rows.append(f'{label}{index},{label},{"train" if index % 3 else "test"},{label}{index}.png,'
                  f'{label}{index}_depth.png')
  table = data_dir / 'samples.csv'
  table.write_text('\n'.join(rows) + '\n')
  return table
