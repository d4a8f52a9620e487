"""Contact sheets: the clips of one sample as a picture, as they are stored and as a training step sees them."""

import collections
import dataclasses
import io
import itertools
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence

import cv2
import numpy as np

from tf_privinfo.datasets.config import ClipConfig

# A frame is enlarged by a whole factor as long as it does not become larger than this, or its row wider, in pixels.
_LARGEST_FRAME, _WIDEST_ROW = 256, 1200
# Of the sheet, in pixels.
_LEFT, _TOP, _CAPTION, _GAP, _LEAST_WIDTH, _DPI = 70, 36, 30, 4, 640, 100
# Colour of the edges of depth, and the gradients that make one: those of silhouettes, not of the colour map.
_EDGES, _CANNY = (255, 0, 160), (300, 600)


class Sample(NamedTuple):
  """Clips of one sample, [T, H, W, 3] uint8 by modality, of the same frames.

  Attributes:
    name: its id.
    stored: whole frames.
    augmented: what a training step reads.
  """
  name: str
  stored: Dict[str, np.ndarray]
  augmented: Dict[str, np.ndarray]


def spread(names: Sequence[str], label_of, count: int) -> List[str]:
  """`count` of the samples from as many classes as possible, each class at other places of its list."""
  by_class = collections.defaultdict(list)
  for name in sorted(names):
    by_class[label_of(name)].append(name)
  classes, most = len(by_class), -(-count // len(by_class))  # of a class
  chosen = [[members[i] for i in sorted({int((k + rank / classes) / most * len(members)) for k in range(most)})]
            for rank, members in enumerate(by_class.values())]
  rounds = itertools.chain.from_iterable(itertools.zip_longest(*chosen))
  return [name for name in rounds if name is not None][:count]


def read(source, names: Sequence[str], config: ClipConfig, seed: int) -> Iterator[Sample]:
  """Clips of the samples `names` as the first epoch of a training has them, in its order.

  Args:
    source: from `catalog.open_dataset`.
    names: which samples.
    config: the clips.
    seed: of the training.
  """
  from tf_privinfo.datasets import clips

  # The frames of a clip do not depend on how it is cut out.
  whole = dataclasses.replace(config, crop_size=config.frame_size, crop_shift=0.0, flip=False, colour=False)
  stored, augmented = (
      clips.training_clips(source.videos(names, source.modalities), form, seed=seed, epochs=[0], batch_size=1)
      for form in (whole, config))
  for (before, _, (name,)), (after, _, (same_name,)) in zip(stored.as_numpy_iterator(), augmented.as_numpy_iterator()):
    assert name == same_name
    yield Sample(name.decode(), *({m: np.rint(clip[0]).astype(np.uint8) for m, clip in form.items()}
                                  for form in (before, after)))


def overlay_edges(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
  """RGB [T, H, W, 3] uint8, grey and paler, with the edges of depth [T, H, W, 3] uint8 over it in one colour."""
  pale = np.repeat(rgb.mean(axis=-1, keepdims=True) / 2 + 96, 3, axis=-1).astype(np.uint8)
  for picture, of_depth in zip(pale, depth):
    calm = cv2.medianBlur(of_depth, 3)  # without single pixels that were not measured
    picture[np.any([cv2.Canny(channel, *_CANNY) for channel in np.moveaxis(calm, -1, 0)], axis=0)] = _EDGES
  return pale


def blocks(sample: Sample, config: ClipConfig, aligned: bool) -> Dict[str, Dict[str, np.ndarray]]:
  """What a sheet shows of a sample: caption -> row -> [T, H, W, 3] uint8."""
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
  """A PNG with a caption for each block and a line of frames for each row in it.

  Frames are enlarged by a whole factor and never resampled.

  Args:
    title: above all.
    shown: as `blocks` returns it; all rows have as many frames.
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
