"""Reads prepared videos back, frame by frame."""

import numpy as np
import tensorflow as tf


def read_video(source, name, modalities=('rgb', 'depth', 'flow')):
  """The one video `name` of a `catalog.PreparedDataset`: ({modality: [F, S, S, 3] int, pixels 0..255}, label)."""
  (encoded, label, sample_id), = source.videos([name], modalities).as_numpy_iterator()
  assert sample_id.decode() == name
  return {m: np.stack([tf.io.decode_jpeg(frame, channels=3).numpy() for frame in kind]).astype(int)
          for m, kind in encoded.items()}, label
