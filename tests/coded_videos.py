"""Videos whose frames carry a code: every pixel contains its row, its column and the number of its frame.

A clip thus shows where it was cut out.
"""

import numpy as np
import tensorflow as tf

from tf_privinfo.datasets import clips, colour

MODALITIES = ('rgb', 'depth', 'flow')
STEP, FRAME_STEP = 7, 12  # of the code, well above what JPEG changes


def encode():
  """Twenty encoded frames whose pixels contain (row, column, number)."""
  rows, columns = np.mgrid[:32, :32]
  images = np.stack([np.stack([STEP * rows, STEP * columns, np.full_like(rows, FRAME_STEP * number)], -1)
                     for number in range(20)])
  return [tf.io.encode_jpeg(image.astype(np.uint8), quality=100, chroma_downsampling=False).numpy()
          for image in images]


def videos(encoded, names, modalities=MODALITIES):
  """Videos of 9 to 20 of the frames `encoded`, a function of their names."""
  numbers = np.array([int(name[1:]) for name in names], np.int32)

  def read(number, positions):
    assert positions.max() < 9 + numbers[number] % 12
    return np.array([[encoded[position] for position in positions]] * len(modalities), object)

  return clips.Videos(names, numbers, 9 + numbers % 12, modalities, read)


def names(count):
  return [f'v{number}' for number in range(count)]


def locate(clip):
  """Where a clip [T, S, S, 3] of coded frames comes from: (frame numbers, top, left, flipped)."""
  codes = np.rint(clip / [STEP, STEP, FRAME_STEP]).astype(int)
  assert abs(clip - codes * [STEP, STEP, FRAME_STEP]).max() <= 3
  rows, columns, numbers = np.moveaxis(codes, -1, 0)
  size = clip.shape[1]
  top, left = rows.min(), columns.min()
  flipped = columns[0, 0, 0] > columns[0, 0, -1]
  in_a_row = np.arange(size)[::-1] if flipped else np.arange(size)
  assert (rows == top + np.arange(size)[:, None]).all()
  assert (columns == left + in_a_row).all()
  assert (numbers == numbers[:, :1, :1]).all()
  return tuple(numbers[:, 0, 0]), top, left, flipped


def assert_same(first, second):
  """Two structures of arrays are equal."""
  tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def collect(batches):
  """Clips {modality: [N, T, S, S, 3]}, as a training step sees them, labels and sample ids of all batches."""
  clip, label, sample_id = zip(*((colour.distort(clip), *rest) for clip, *rest in batches))
  return {m: np.concatenate([c[m] for c in clip]) for m in clip[0]}, np.concatenate(label), np.concatenate(sample_id)
