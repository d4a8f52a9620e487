"""Renders the synthetic dataset as recordings of two cameras, with the table of `--dataset=recordings`.

    samples.csv                               sample,label,view,subject,episode,rgb,depth
    synthetic.json                            options, version, actions, true cameras
    view_1/a01_s01_e00/rgb.avi
                       depth/00.png           16 bit, millimetres, 0: not measured
"""

import errno
import functools
import pathlib
from typing import Optional

import cv2
import numpy as np

from tf_privinfo.datasets.nwucla import native
from tf_privinfo.datasets.recordings import table
from tf_privinfo.datasets.synthetic import rendering, storage

_FRAMES_PER_SECOND = 5  # an action takes 2 to 3 seconds


def render(root: pathlib.Path, options: rendering.RenderOptions, workers: Optional[int] = None) -> None:
  """Renders all recordings and their table into `root`, unless they exist; as `rendering.render`."""
  parameters = rendering.parameters(options)
  parameters['options']['layout'] = 'recordings'
  performances = rendering.performances(options)
  storage.render_once(
      pathlib.Path(root), parameters, functools.partial(_render_performance, options), performances, unit='video',
      per_item=len(rendering.VIEWS), texts={table.NAME: _table(performances)}, workers=workers)


def _table(performances) -> str:
  lines = ['sample,label,view,subject,episode,rgb,depth']
  for view in rendering.VIEWS:
    for performance in performances:
      name = f'view_{view}/{performance.name}'
      lines.append(f'{name},{native.ACTIONS[performance.action]},{view},S{performance.subject:02d},'
                   f'{performance.episode},{name}/rgb.avi,{name}/depth')
  return '\n'.join(lines) + '\n'


def _render_performance(options: rendering.RenderOptions, folder: pathlib.Path,
                        performance: rendering.Performance) -> None:
  for view in rendering.views(options, performance):
    sample = folder / f'view_{view.number}' / performance.name
    (sample / 'depth').mkdir(parents=True)
    _write_video(sample / 'rgb.avi', view.rgb)
    for number, millimetres in enumerate(view.depth):
      (sample / 'depth' / f'{number:02d}.png').write_bytes(rendering.png(millimetres))


def _write_video(path: pathlib.Path, images: np.ndarray) -> None:
  height, width = images.shape[1:3]
  writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), _FRAMES_PER_SECOND, (width, height))
  for image in images:
    writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
  writer.release()
  capture = cv2.VideoCapture(str(path))
  if not all(capture.read()[0] for _ in images):  # OpenCV reports no failed writes
    raise OSError(errno.EIO, 'the video cannot be written completely', str(path))
