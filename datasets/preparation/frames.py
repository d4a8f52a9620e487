"""Decoding, resizing and encoding of frames."""

from typing import List

import numpy as np
import tensorflow as tf

# High enough that a second JPEG generation costs less than the cameras' own noise.
JPEG_QUALITY = 95


class BrokenFile(Exception):
  """A file that cannot be decoded; the message names it and says why."""


def read_jpeg(path: str) -> np.ndarray:
  """Decodes a JPEG file to [H, W, 3] uint8, grey ones replicated; raises `BrokenFile`."""
  return _decode(path, lambda data: tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE'))


def read_picture(path: str) -> np.ndarray:
  """Decodes a JPEG or 8-bit PNG file to [H, W, 3] uint8, grey ones replicated; raises `BrokenFile`."""
  def decode(data):
    if data[:4] == b'\x89PNG' and data[24:25] == b'\x10':
      raise BrokenFile(f'{path}: a 16-bit PNG, where a picture of 8 bits is expected')
    return tf.io.decode_image(data, channels=3, expand_animations=False)
  return _decode(path, decode)


def read_depth(path: str) -> np.ndarray:
  """Decodes a 16-bit PNG of millimetres to [H, W] uint16 (0: no measurement); raises `BrokenFile`."""
  # Bit depth is byte 24 of every PNG: an 8-bit image is not metric depth.
  def decode(data):
    if data[24:25] != b'\x10':
      raise BrokenFile(f'{path}: not a 16-bit PNG')
    return tf.io.decode_png(data, channels=1, dtype=tf.uint16)[..., 0]
  return _decode(path, decode)


def _decode(path, decode):
  try:
    with open(path, 'rb') as file:
      return decode(file.read()).numpy()
  except tf.errors.InvalidArgumentError:
    raise BrokenFile(f'{path}: truncated or not an image') from None
  except FileNotFoundError:
    raise BrokenFile(f'{path}: missing') from None


def resize_bilinear(images, size: int) -> tf.Tensor:
  """Bilinear resize as TensorFlow 1 does it: no half-pixel centres, source = target · in / out (FIDELITY row 25).

  Args:
    images: [T, H, W, C], any real dtype.
    size: S.

  Returns:
    [T, S, S, C] float32; the aspect ratio is not kept.
  """
  return tf.raw_ops.ResizeBilinear(
      images=tf.cast(images, tf.float32), size=[size, size], align_corners=False, half_pixel_centers=False)


def resize_lanczos(images, size: int) -> tf.Tensor:
  """Lanczos resize with antialiasing, as the authors shrink object crops (FIDELITY B 3).

  Args:
    images: [T, H, W, C], any real dtype.
    size: S.

  Returns:
    [T, S, S, C] float32, values may overshoot; the aspect ratio is not kept.
  """
  return tf.image.resize(images, [size, size], tf.image.ResizeMethod.LANCZOS3, antialias=True)


def encode_jpeg(images) -> List[bytes]:
  """Rounds [T, H, W, 3] float images of range 0..255 and encodes each as a JPEG without chroma subsampling.

  Grey ones are stored with one channel: decoded to three they are the same to
  the last bit, in less time.
  """
  images = tf.cast(tf.round(tf.clip_by_value(images, 0, 255)), tf.uint8)
  images = [image[..., :1] if tf.reduce_all(image == image[..., :1]) else image for image in images]
  return [tf.io.encode_jpeg(image, quality=JPEG_QUALITY, chroma_downsampling=False).numpy() for image in images]
