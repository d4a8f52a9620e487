"""Reads new recordings for prediction: the frames that preparation would store of them.

A recording of one modality is a video file, a folder of pictures, a pattern such as `clip7/frame_*_rgb.jpg`, a single
picture, or an array.
"""

import glob
import os
import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence, Union

import numpy as np

from tf_privinfo.datasets import listing
from tf_privinfo.datasets.preparation import depth as depths
from tf_privinfo.datasets.preparation import flow, frames, video
from tf_privinfo.datasets.recordings import measurements
from tf_privinfo.datasets.spec import DatasetSpec

# A path, or the frames themselves.
Recording = Union[str, os.PathLike, np.ndarray]


class Reader:
  """Reads and encodes frames as the preparation of one form of a dataset does.

  RGB and other images of 8 bits are taken as they are. Depth of 16 bits in millimetres is encoded if the dataset does
  so, and 16-bit columns of a table by their encodings. Optical flow is computed from RGB.

  Args:
    spec: specification of the dataset.
    manifest: manifest of the prepared dataset, which states the form of depth, and the encodings of a table.
    frame_size: side of the stored frames in pixels.
  """

  def __init__(self, spec: DatasetSpec, manifest: Mapping[str, Any], frame_size: int):
    self._spec = spec
    is_metric = manifest.get('depth_variant') in spec.metric_depth
    self._unit = '' if spec.from_table else ' in millimetres'
    # Modality -> function from measurements of 16 bits to images.
    self._encodings: Dict[str, Callable[[np.ndarray], np.ndarray]] = {'depth': depths.jet} if is_metric else {
        modality: measurements.encoding(stored['name'], *stored['range'])
        for modality, stored in manifest.get('encodings', {}).items()}
    self._frame_size = frame_size

  def read(self, recordings: Mapping[str, Recording], modalities: Sequence[str]) -> Dict[str, List[bytes]]:
    """The stored frames of one sample: modality -> F JPEG files, the same F for all.

    Recordings of different lengths are paired by their position in time, from the first frame to the last, at the
    frames of the first modality.

    Args:
      recordings: modality -> recording.
      modalities: names of the modalities to return, as far as there are recordings; flow needs only RGB.

    Raises:
      frames.UnreadableFileError: if a recording is missing or cannot be read.
    """
    encoded = {modality: [self._encode(image) for image in self._images(modality, recordings[modality])]
               for modality in modalities if modality in recordings}
    if 'flow' in modalities and 'rgb' in recordings and 'flow' not in recordings:
      motions = flow.frame_by_frame(self._images('rgb', recordings['rgb']))  # decoded again, which needs less memory
      encoded['flow'] = [self._encode(flow.encode_flow(motion)) for motion in motions]
    length = len(next(iter(encoded.values())))
    return {modality: _at_positions(encoded[modality], length) for modality in modalities if modality in encoded}

  def _encode(self, image: np.ndarray) -> bytes:
    return frames.store(image, self._spec, self._frame_size)

  def _images(self, modality: str, recording: Recording) -> Iterator[np.ndarray]:
    """The frames [H, W, 3] uint8 of a recording, at least one, all of one size."""
    if isinstance(recording, np.ndarray):
      yield from self._of_array(modality, recording)
    elif is_video(str(recording)):
      if modality in self._encodings:
        raise frames.UnreadableFileError(f'{recording}: a video, where {modality} of 16 bits{self._unit} is expected: '
                                         'pass a folder of PNG files')
      yield from video.frame_by_frame(str(recording), self._spec.least_rgb_width if modality == 'rgb' else 0)
    else:
      yield from self._of_pictures(modality, str(recording))

  def _of_pictures(self, modality: str, path: str) -> Iterator[np.ndarray]:
    first = None
    for picture in find_pictures(path):
      if modality in self._encodings:
        image = self._encodings[modality](frames.read_depth(picture))
      else:
        image = frames.read_picture(picture, self._spec.dct_method)
      first = first or image.shape
      frames.check_shape(picture, image, first)
      yield self._shrunk(modality, image)

  def _of_array(self, modality: str, array: np.ndarray) -> Iterable[np.ndarray]:
    measured = modality in self._encodings
    expected = f'[F, H, W] uint16{self._unit}' if measured else '[F, H, W, 3] uint8'
    is_right = (array.dtype == np.uint16 and array.ndim == 3) if measured else (
        array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3)
    if not is_right or not array.size:
      raise frames.UnreadableFileError(
          f'{modality}: an array {list(array.shape)} {array.dtype}, where {expected} is expected')
    return self._encodings[modality](array) if measured else (self._shrunk(modality, image) for image in array)

  def _shrunk(self, modality: str, image: np.ndarray) -> np.ndarray:
    least_width = self._spec.least_rgb_width
    return frames.shrink(image, least_width).numpy() if modality == 'rgb' and least_width else image


def is_video(path: str) -> bool:
  """Whether a path names a video file: neither a folder, nor a picture, nor a pattern."""
  is_pattern = glob.has_magic(path) and not os.path.exists(path)
  return not (os.path.isdir(path) or path.lower().endswith(listing.PICTURES) or is_pattern)


def find_pictures(path: str) -> List[str]:
  """The pictures of a folder or a pattern in the order of the numbers in their names, or the picture itself.

  Raises:
    frames.UnreadableFileError: if there is none, or if a folder contains pictures of different kinds.
  """
  if os.path.isdir(path):
    found = [os.path.join(path, name) for name in listing.names(path) if name.lower().endswith(listing.PICTURES)]
    forms = sorted({re.sub(r'\d+', '*', os.path.basename(name)) for name in found})
    if len(forms) > 1:
      raise frames.UnreadableFileError(
          f'{path}: contains pictures of several kinds ({forms[0]}, {forms[1]}): name one kind, as in '
          f'{os.path.join(path, forms[0])}')
  elif os.path.exists(path) or not glob.has_magic(path):
    found = [path]
  else:
    found = glob.glob(path)
  if not found:
    raise frames.UnreadableFileError(f'{path}: no JPEG or PNG files')
  return sorted(found, key=listing.natural)


def _at_positions(encoded: List[bytes], length: int) -> List[bytes]:
  return [encoded[position] for position in frames.positions(len(encoded), length)]
