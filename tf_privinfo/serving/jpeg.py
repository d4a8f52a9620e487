"""Decoding of JPEG files inside a graph, for servers, with the same result as `frames.read_jpeg`."""

import tensorflow as tf

from tf_privinfo.datasets.preparation import frames

# Markers in a JPEG file, as numbers of two or four bytes, high byte first.
_START, _EXIF_SEGMENT, _EXIF, _SCAN, _LITTLE_ENDIAN = 0xffd8, 0xffe1, 0x45786966, 0xffda, 0x4949
_ORIENTATION_TAG = 0x0112


def decode(data: tf.Tensor, dct_method: str = 'INTEGER_ACCURATE') -> tf.Tensor:
  """Decodes a JPEG file to an upright image [H, W, 3] uint8, by its EXIF orientation; grey values are replicated.

  Args:
    data: bytes of the file, string [].
    dct_method: method of the inverse DCT, as for `tf.io.decode_jpeg`.

  Raises:
    InvalidArgumentError: at run time, if the bytes are not an intact JPEG file,
      or if its header has more than `frames.MAX_PIXELS` pixels, which is detected
      before pixels are decoded.
  """
  content = tf.io.decode_raw(tf.strings.join([data, b'\0']), tf.uint8)  # one byte more, so that an empty file has one
  is_jpeg = tf.debugging.Assert(_number(content, 0, 2) == _START, [
      'Each element of rgb_jpeg must be the content of a JPEG file; one is empty or has another format.'])
  with tf.control_dependencies([is_jpeg]):
    shape = tf.io.extract_jpeg_shape(data, output_type=tf.int32)
  is_small = tf.debugging.Assert(tf.cast(shape[0], tf.int64) * tf.cast(shape[1], tf.int64) <= frames.MAX_PIXELS, [
      f'A JPEG file of rgb_jpeg has more than {frames.MAX_PIXELS} pixels: reduce its size. Height, width, channels:',
      shape], summarize=3)
  with tf.control_dependencies([is_small]):
    image = tf.io.decode_jpeg(data, channels=3, dct_method=dct_method)
  return _upright(image, orientation(content))


def orientation(content: tf.Tensor) -> tf.Tensor:
  """The EXIF orientation of a JPEG file, int64 []: 1 (upright, the default) to 8.

  Args:
    content: bytes of the file, uint8 [N], at least one.
  """
  def is_exif(position):
    return (_number(content, position, 2) == _EXIF_SEGMENT) & (_number(content, position + 4, 4) == _EXIF)

  def is_before(position):
    marker = _number(content, position, 2)
    return (marker >= 0xff00) & (marker != _SCAN) & ~is_exif(position)

  # Every segment starts with its marker and its length.
  segment = tf.while_loop(is_before, lambda position: position + 2 + _number(content, position + 2, 2),
                          [tf.constant(2, tf.int64)])[0]
  end = segment + 2 + _number(content, segment + 2, 2)
  header = segment + 10
  little = _number(content, header, 2) == _LITTLE_ENDIAN
  directory = header + _number(content, header + 4, 4, little)
  entries = directory + 2 + 12 * tf.range(_number(content, directory, 2, little))
  found = entries[(_number(content, entries, 2, little) == _ORIENTATION_TAG) & (entries + 12 <= end)]
  value = _number(content, tf.concat([found, [0]], axis=0)[0] + 8, 2, little)
  known = is_exif(segment) & (tf.size(found) > 0) & (value >= 1) & (value <= 8)
  return tf.where(known, value, 1)


def _number(content, position, size, little=False):
  """The int64 numbers of `size` bytes at positions [...]; bytes beyond the end of the file count as zero."""
  places = tf.cast(position, tf.int64)[..., tf.newaxis] + tf.range(size, dtype=tf.int64)
  last = tf.size(content, out_type=tf.int64) - 1
  digits = tf.where(places <= last, tf.cast(tf.gather(content, tf.minimum(places, last)), tf.int64), 0)
  weights = [256**place for place in range(size)]
  return tf.reduce_sum(digits * tf.where(little, tf.constant(weights, tf.int64), weights[::-1]), axis=-1)


def _upright(image, held):
  """Rotates and mirrors an image [H, W, 3] by its EXIF orientation."""
  def on(orientations, change):
    return tf.cond(tf.reduce_any(held == orientations), lambda: change(image), lambda: image)

  image = on([5, 6, 7, 8], lambda upright: tf.transpose(upright, [1, 0, 2]))
  image = on([3, 4, 7, 8], lambda upright: tf.reverse(upright, [0]))
  return on([2, 3, 6, 7], lambda upright: tf.reverse(upright, [1]))
