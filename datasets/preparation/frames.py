"""Decoding, resizing and encoding of frames."""

import struct
from typing import Callable, List, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tf_privinfo.datasets.spec import DatasetSpec

# Largest image, by the header of its file: larger ones would need gigabytes of memory and are refused.
MAX_PIXELS = 50_000_000
_PNG, _JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'
# High enough that the second JPEG compression changes frames less than the noise of the cameras.
JPEG_QUALITY = 95


class UnreadableFileError(Exception):
  """A file that cannot be decoded; the message contains its path and the reason."""


def read_jpeg(path: str) -> np.ndarray:
  """Decodes a JPEG file to upright [H, W, 3] uint8; grey is replicated; raises `UnreadableFileError`."""
  return _decode(path, lambda data: tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE'))


def read_picture(path: str, dct_method: str = '') -> np.ndarray:
  """Decodes a JPEG or 8-bit PNG file to upright [H, W, 3] uint8; grey is replicated; raises `UnreadableFileError`.

  Args:
    path: path of the file.
    dct_method: method of the inverse DCT of JPEG files, as for `tf.io.decode_jpeg`.
  """
  def decode(data):
    if data[:4] == b'\x89PNG' and data[24:25] == b'\x10':
      raise UnreadableFileError(f'{path}: a 16-bit PNG, where an 8-bit image is expected')
    if data.startswith(_JPEG):
      return tf.io.decode_jpeg(data, channels=3, dct_method=dct_method)
    return tf.io.decode_image(data, channels=3, expand_animations=False)
  return _decode(path, decode)


def read_depth(path: str) -> np.ndarray:
  """Decodes a 16-bit PNG file to upright [H, W] uint16 millimetres (0 = missing); raises `UnreadableFileError`."""
  # Byte 24 of every PNG is the bit depth: an 8-bit image is not metric depth.
  def decode(data):
    if data[24:25] != b'\x10':
      raise UnreadableFileError(f'{path}: not a 16-bit PNG')
    return tf.io.decode_png(data, channels=1, dtype=tf.uint16)[..., 0]
  return _decode(path, decode)


def _decode(path: str, decode: Callable[[bytes], tf.Tensor]) -> np.ndarray:
  """Decodes a JPEG or PNG file of up to `MAX_PIXELS` pixels and rotates it by its EXIF orientation."""
  try:
    with open(path, 'rb') as file:
      data = file.read()
    check_pixels(path, *_size(data))
    return _upright(decode(data).numpy(), orientation(data))
  except (tf.errors.InvalidArgumentError, struct.error):
    raise UnreadableFileError(f'{path}: truncated or not an image') from None
  except FileNotFoundError:
    raise UnreadableFileError(f'{path}: missing') from None
  except OSError as error:  # a folder, missing permission, a failing disk
    raise UnreadableFileError(f'{path}: {error.strerror}') from None


def check_pixels(path: str, height: int, width: int) -> None:
  """Raises `UnreadableFileError` if an image of this size has more than `MAX_PIXELS` pixels."""
  if height * width > MAX_PIXELS:
    raise UnreadableFileError(
        f'{path}: {width}x{height} pixels, more than the limit of {MAX_PIXELS / 1e6:.0f} million: reduce its size')


def stack(images: Sequence[np.ndarray], paths: Sequence[str]) -> np.ndarray:
  """Stacks the frames of a video: [F, H, W, ...]; raises `UnreadableFileError` if their sizes differ.

  Args:
    images: F arrays [H, W, ...].
    paths: paths of the frames, for the error message.
  """
  for image, path in zip(images, paths):
    check_shape(path, image, images[0].shape)
  return np.stack(images)


def check_shape(path: str, image: np.ndarray, first: Sequence[int]) -> None:
  """Raises `UnreadableFileError` if an image [H, W, ...] has another shape than the first frame of its video."""
  if image.shape != first:
    raise UnreadableFileError(f'{path}: {image.shape[1]}x{image.shape[0]}, unlike the first frame of the video')


def _size(data: bytes) -> Tuple[int, int]:
  """(height, width) in the header of a JPEG or PNG file; raises InvalidArgumentError or struct.error."""
  if data.startswith(_PNG):
    width, height = struct.unpack_from('>II', data, 16)
    return height, width
  height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
  return height, width


def orientation(data: bytes) -> int:
  """EXIF orientation of a JPEG file, from 1 (upright, also without EXIF header) to 8."""
  try:
    position = 2 if data.startswith(_JPEG) else len(data)
    while True:
      marker, length = struct.unpack_from('>HH', data, position)
      if marker == 0xffe1 and data[position + 4:position + 10] == b'Exif\0\0':
        return _orientation_tag(data[position + 10:position + 2 + length])
      if marker == 0xffda or marker < 0xff00:  # start of the pixels
        return 1
      position += 2 + length
  except struct.error:
    return 1


def _orientation_tag(exif: bytes) -> int:
  """The tag 0x0112 of the first directory of an EXIF header, 1 if it is missing or unknown; raises struct.error."""
  order = '<' if exif[:2] == b'II' else '>'
  start, = struct.unpack_from(f'{order}I', exif, 4)
  count, = struct.unpack_from(f'{order}H', exif, start)
  for entry in range(start + 2, start + 2 + 12 * count, 12):
    tag, _, _, value = struct.unpack_from(f'{order}HHIH', exif, entry)
    if tag == 0x0112:
      return value if 1 <= value <= 8 else 1
  return 1


def _upright(image: np.ndarray, held: int) -> np.ndarray:
  """Rotates and mirrors [H, W, ...] from the EXIF orientation `held` to upright."""
  if held >= 5:
    image = image.swapaxes(0, 1)
  if held in (3, 4, 7, 8):
    image = image[::-1]
  if held in (2, 3, 6, 7):
    image = image[:, ::-1]
  return np.ascontiguousarray(image)


def positions(frames: int, count: int) -> List[int]:
  """Indices of `count` frames at evenly spaced positions from the first to the last of `frames` frames."""
  return [round(position) for position in np.linspace(0, frames - 1, count)]


def resize_bilinear(images, size: int) -> tf.Tensor:
  """Bilinear resize as in TensorFlow 1: no half-pixel centres, source = target · in / out (docs/fidelity.md, row 25).

  Args:
    images: images [T, H, W, C] of any real dtype.
    size: side S of the result in pixels.

  Returns:
    [T, S, S, C] float32; the aspect ratio is not preserved.
  """
  return tf.raw_ops.ResizeBilinear(  # returns float32 for any dtype, without a float32 copy of the images
      images=images, size=[size, size], align_corners=False, half_pixel_centers=False)


def resize_lanczos(images, size: int) -> tf.Tensor:
  """Lanczos resize with antialiasing, as in the authors' code for object crops (docs/fidelity.md, B 3).

  Args:
    images: images [T, H, W, C] of any real dtype.
    size: side S of the result in pixels.

  Returns:
    [T, S, S, C] float32, values can overshoot; the aspect ratio is not preserved.
  """
  return tf.image.resize(images, [size, size], tf.image.ResizeMethod.LANCZOS3, antialias=True)


# Resize functions, by `DatasetSpec.resize`.
RESIZE = {'bilinear': resize_bilinear, 'lanczos': resize_lanczos}


def shrink(image: tf.Tensor, least_width: int) -> tf.Tensor:
  """Downscales a frame [H, W, 3] uint8 by area averaging, inside a graph; same pixels as in `video.read_video`.

  Args:
    image: the frame.
    least_width: minimum width of the result in pixels, as in `video.read_video`.
  """
  factor = tf.maximum(1, tf.shape(image)[1] // least_width)
  height, width = tf.shape(image)[0] // factor, tf.shape(image)[1] // factor
  parts = tf.reshape(image[:height * factor, :width * factor], [height, factor, width, factor, 3])
  sums = tf.reduce_sum(tf.cast(parts, tf.int32), axis=[1, 3])
  # OpenCV rounds halves up if the factor is two, otherwise to even numbers.
  means = tf.round(tf.cast(sums, tf.float32) * tf.cast(1 / tf.cast(factor * factor, tf.float64), tf.float32))
  return tf.cast(tf.where(factor == 2, tf.cast((sums + 2) // 4, tf.float32), means), tf.uint8)


def store(image: np.ndarray, spec: DatasetSpec, size: int) -> bytes:
  """The JPEG file of S x S pixels that is stored of a frame: in preparation, and of new recordings.

  Args:
    image: the frame [H, W, 3] uint8, of any modality; RGB is already shrunk.
    spec: specification of the dataset.
    size: side S of the stored frame in pixels.
  """
  return encode_jpeg(RESIZE[spec.resize](image[np.newaxis], size))[0]


def as_stored(image: tf.Tensor, spec: DatasetSpec, size: int) -> tf.Tensor:
  """The pixels that `store` preserves of an RGB frame, computed inside a graph: [H, W, 3] uint8 -> [S, S, 3] uint8.

  Args:
    image: the decoded frame; already cropped if RGB and depth are aligned.
    spec: specification of the dataset.
    size: side S of the stored frame in pixels.
  """
  if spec.least_rgb_width:
    image = shrink(image, spec.least_rgb_width)
  data = _encode_jpeg(_whole_numbers(RESIZE[spec.resize](image[tf.newaxis], size)[0]))
  return tf.ensure_shape(tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE'), [size, size, 3])


def _whole_numbers(images):
  return tf.cast(tf.round(tf.clip_by_value(images, 0, 255)), tf.uint8)


def _encode_jpeg(image):
  return tf.io.encode_jpeg(image, quality=JPEG_QUALITY, chroma_downsampling=False)


def encode_jpeg(images) -> List[bytes]:
  """Rounds images [T, H, W, 3] of 0..255 and encodes each as a JPEG without chroma subsampling.

  Grey images are stored with one channel: decoded to three channels, they are
  bitwise the same, and decoding is faster.
  """
  images = _whole_numbers(images)
  images = [image[..., :1] if tf.reduce_all(image == image[..., :1]) else image for image in images]
  return [_encode_jpeg(image).numpy() for image in images]
