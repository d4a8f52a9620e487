"""Contact sheets: images with the clips of one sample, as they are stored and as a training step reads them."""

import collections
import dataclasses
import io
import itertools
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence

import cv2
import numpy as np

from tf_privinfo.datasets.config import ClipConfig

# Largest side of an enlarged frame and largest width of a row, in pixels; frames are enlarged by whole factors.
_LARGEST_FRAME, _WIDEST_ROW = 256, 1200
# Layout of the sheet, in pixels.
_LEFT, _TOP, _CAPTION, _GAP, _LEAST_WIDTH, _DPI = 70, 36, 30, 4, 640, 100
# Colour of the edges of depth, and the thresholds of the edge detector: silhouettes, not steps of the colour map.
_EDGES, _CANNY = (255, 0, 160), (300, 600)


class Sample(NamedTuple):
  """Clips of one sample with the same frames, [T, H, W, 3] uint8 by modality.

  Attributes:
    name: sample id.
    stored: clips of whole frames, as stored.
    augmented: clips as a training step reads them.
  """
  name: str
  stored: Dict[str, np.ndarray]
  augmented: Dict[str, np.ndarray]


def spread(names: Sequence[str], label_of, count: int) -> List[str]:
  """Selects `count` samples from as many classes as possible, at different positions within the classes.

  Args:
    names: sample names.
    label_of: function of a sample name that returns its class.
    count: number of samples to select; fewer are returned if there are fewer.
  """
  by_class = collections.defaultdict(list)
  for name in sorted(names):
    by_class[label_of(name)].append(name)
  classes, most = len(by_class), -(-count // len(by_class))  # samples per class
  chosen = [[members[i] for i in sorted({int((k + rank / classes) / most * len(members)) for k in range(most)})]
            for rank, members in enumerate(by_class.values())]
  rounds = itertools.chain.from_iterable(itertools.zip_longest(*chosen))
  return [name for name in rounds if name is not None][:count]


def read(source, names: Sequence[str], config: ClipConfig, seed: int) -> Iterator[Sample]:
  """Yields the clips of samples as the first epoch of a training reads them, in its order.

  Args:
    source: dataset from `catalog.open_dataset`.
    names: names of the samples.
    config: sampling and augmentation of the clips.
    seed: seed of the training.
  """
  from tf_privinfo.datasets import clips, colour

  # The frames of a clip do not depend on its crop.
  whole = dataclasses.replace(config, crop_size=config.frame_size, crop_shift=0.0, flip=False, colour=False)
  stored, augmented = (
      clips.training_clips(source.videos(names, source.modalities), form, seed=seed, epochs=[0], batch_size=1)
      .map(lambda clip, _, name: (colour.distort(clip), name[0])).as_numpy_iterator() for form in (whole, config))
  for (before, name), (after, same_name) in zip(stored, augmented):
    assert name == same_name
    yield Sample(name.decode(), *({m: np.rint(clip[0]).astype(np.uint8) for m, clip in form.items()}
                                  for form in (before, after)))


def overlay_edges(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
  """Draws the edges of depth [T, H, W, 3] uint8 in one colour over a pale grey version of RGB of the same shape."""
  pale = np.repeat(rgb.mean(axis=-1, keepdims=True) / 2 + 96, 3, axis=-1).astype(np.uint8)
  for picture, of_depth in zip(pale, depth):
    calm = cv2.medianBlur(of_depth, 3)  # removes single missing pixels
    picture[np.any([cv2.Canny(channel, *_CANNY) for channel in np.moveaxis(calm, -1, 0)], axis=0)] = _EDGES
  return pale


def blocks(sample: Sample, config: ClipConfig, aligned: bool) -> Dict[str, Dict[str, np.ndarray]]:
  """Content of a sheet: caption of a block -> name of a row -> frames [T, H, W, 3] uint8."""
  changes = [change for change, active in (
      ('shifted crop', config.crop_shift and config.crop_size < config.frame_size), ('mirroring', config.flip),
      ('colours of RGB', config.colour)) if active]
  if changes:
    result = {'as stored': sample.stored,
              f'as a training step reads it (every other clip: {", ".join(changes)})': sample.augmented}
  else:
    result = {'as stored and as a training step reads it': sample.augmented}
  if aligned:
    result['alignment: edges of depth over RGB'] = {
        'rgb + depth': overlay_edges(sample.stored['rgb'], sample.stored['depth'])}
  return result


def contact_sheet(title: str, shown: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
  """Draws a sheet with a caption for each block and a line of frames for each row; returns a PNG file as bytes.

  Frames are enlarged by a whole factor and never resampled.

  Args:
    title: heading of the sheet.
    shown: content as returned by `blocks`; all rows have the same number of frames.
  """
  from matplotlib import figure  # heavy; no global state, unlike pyplot

  rows = [clip for block in shown.values() for clip in block.values()]
  count, side = len(rows[0]), max(clip.shape[1] for clip in rows)
  zoom = max(1, min(_LARGEST_FRAME, _WIDEST_ROW // count) // side)
  step = zoom * side + _GAP
  width = max(_LEAST_WIDTH, _LEFT + count * step)
  height = _TOP + len(shown) * _CAPTION + len(rows) * step
  canvas, texts, y = np.full((height, width, 3), 255, np.uint8), [(10, _TOP // 2, title, 'bold')], _TOP
  for caption, block in shown.items():
    texts.append((_LEFT, y + _CAPTION // 2, caption, 'normal'))
    y += _CAPTION
    for row, clip in block.items():
      texts.append((10, y + step // 2, row.replace(' + ', ' +\n'), 'normal'))
      for column, frame in enumerate(clip):
        panel = frame.repeat(zoom, axis=0).repeat(zoom, axis=1)
        top, left = (start + (zoom * side - len(panel)) // 2 for start in (y, _LEFT + column * step))
        canvas[top:top + len(panel), left:left + len(panel)] = panel
      y += step
  picture = figure.Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
  picture.figimage(canvas, origin='upper')
  for x, y, text, weight in texts:
    picture.text(x / width, 1 - y / height, text, va='center', size=9, weight=weight)
  buffer = io.BytesIO()
  picture.savefig(buffer, format='png', dpi=_DPI)
  return buffer.getvalue()
