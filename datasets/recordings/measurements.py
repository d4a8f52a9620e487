"""Reading of recordings, and encoding of 16-bit measurements as images."""

import functools
import pathlib
from typing import Callable, Dict, Mapping, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from tf_privinfo.datasets.preparation import depth, frames, video
from tf_privinfo.datasets.recordings import table as tables
from tf_privinfo.datasets.recordings.spec import RECORDINGS
from tf_privinfo.utils import errors

# The default range spans these percentiles of the middle half, without missing pixels, of frames of training samples.
LOW, HIGH = 1, 95
# Number of training samples, evenly spaced, whose middle frames determine the default range.
_SAMPLES = 500


class Clip(NamedTuple):
  """Frames of one modality.

  Attributes:
    images: [F, H, W, 3] uint8, or [F, H, W] uint16 measurements (0 = missing).
    seconds: duration of a video; 0 if unknown.
  """
  images: np.ndarray
  seconds: float = 0.0


def grey(values: np.ndarray, nearest: int, farthest: int) -> np.ndarray:
  """Encodes measurements [..., H, W] uint16 as grey images [..., H, W, 3] uint8: 1 to 255, 0 = missing."""
  scaled = (values.astype(np.float32) - nearest) / (farthest - nearest)
  levels = np.where(values == 0, 0, 1 + np.rint(254 * np.clip(scaled, 0, 1))).astype(np.uint8)
  return np.repeat(levels[..., None], 3, axis=-1)


ENCODINGS = {'jet': depth.jet, 'grey': grey}


def encoding(name: str, nearest: int, farthest: int) -> Callable[[np.ndarray], np.ndarray]:
  """The function from measurements to images of an encoding over a range."""
  return functools.partial(ENCODINGS[name], nearest=nearest, farthest=farthest)


def is_measured(path: str) -> bool:
  """Whether a file is a 16-bit PNG."""
  try:
    with open(path, 'rb') as file:
      head = file.read(26)
  except OSError:
    return False
  return head[:4] == b'\x89PNG' and head[24:25] == b'\x10'


def read(paths: Sequence[str]) -> Clip:
  """Reads a video or frames; raises `frames.UnreadableFileError`, also for mixed bit depths and sizes."""
  if paths[0].lower().endswith(tables.VIDEOS):
    capture = cv2.VideoCapture(paths[0])
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    images = video.read_video(paths[0], RECORDINGS.least_rgb_width)
    return Clip(images, len(images) / rate if rate > 0 else 0.0)
  measured = [is_measured(path) for path in paths]
  if len(set(measured)) > 1:
    other = paths[measured.index(not measured[0])]
    raise frames.UnreadableFileError(f'{other}: {8 if measured[0] else 16} bits, unlike the first frame')
  return Clip(frames.stack(
      [frames.read_depth(path) if measured[0] else frames.read_picture(path, RECORDINGS.dct_method) for path in paths],
      paths))


def paired(clips: Mapping[str, Clip], tolerance: float) -> Dict[str, np.ndarray]:
  """Frames of every modality at the times of the first one's frames, as `footage` pairs recordings for prediction.

  Lengths are seconds if all modalities are videos, otherwise numbers of frames.

  Raises:
    frames.UnreadableFileError: if lengths differ by more than the fraction `tolerance` of the longer one.
  """
  timed = all(clip.seconds for clip in clips.values())
  lengths = {name: clip.seconds if timed else len(clip.images) for name, clip in clips.items()}
  first = next(iter(clips))
  for name, length in lengths.items():
    longer = max(length, lengths[first])
    if abs(length - lengths[first]) > tolerance * longer:
      unit = 'seconds' if timed else 'frames'
      raise frames.UnreadableFileError(
          f'{first} has {lengths[first]:g} {unit}, {name} {length:g}, which differ by more than data.length_tolerance='
          f'{tolerance:g} of the longer one')
  count = len(clips[first].images)
  return {name: clip.images[frames.positions(len(clip.images), count)] for name, clip in clips.items()}


def settings(option: str, items: Sequence[str], measured: Sequence[str]) -> Dict[str, str]:
  """Modality -> value of items such as 'depth=jet'; raises `UserError` for others."""
  pairs = dict(item.partition('=')[::2] for item in items)
  wrong = [name for name, value in pairs.items() if name not in measured or not value]
  if wrong:
    raise errors.UserError(f'{option}={",".join(items)}: {wrong[0]} is not COLUMN=VALUE for a column of 16-bit '
                           f'pictures ({", ".join(measured) or "there are none"}).')
  return pairs


def parse_range(text: str) -> Tuple[int, int]:
  """The numbers of a range such as '500-1500'; raises `UserError` for others."""
  low, _, high = text.partition('-')
  if not (low.isdecimal() and high.isdecimal() and int(low) < int(high) < 2 ** 16):
    raise errors.UserError(f'data.ranges has {text}, which is not LOW-HIGH, as in depth=500-1500.')
  return int(low), int(high)


def training_range(root: pathlib.Path, modality: str, cells: Sequence[str]) -> Tuple[int, int]:
  """The percentiles `LOW` and `HIGH` of measurements in the middle half of the frames of training samples."""
  values = []
  for cell in cells[::max(1, len(cells) // _SAMPLES)]:
    try:
      paths = tables.files(root, cell)
      image = frames.read_depth(paths[len(paths) // 2])
    except (ValueError, frames.UnreadableFileError):
      continue  # reported by the preparation
    height, width = image.shape
    middle = image[height // 4:height - height // 4, width // 4:width - width // 4]
    values.append(middle[middle > 0])
  found = np.concatenate(values or [np.zeros(0)])
  if not found.size or found.min() == found.max():
    raise errors.UserError(f'{root / tables.NAME}: the training samples have no range of {modality}: state it with '
                           f'--set data.ranges={modality}=LOW-HIGH.')
  low, high = np.percentile(found, [LOW, HIGH]).astype(int).tolist()
  return low, max(high, low + 1)
