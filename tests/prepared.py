"""Reads prepared videos back, frame by frame."""

import numpy as np
import tensorflow as tf


def encoded_frames(source, name, modalities=('rgb', 'depth', 'flow')):
  """All frames of the video `name` of a `catalog.PreparedDataset`: {modality: F JPEG files}."""
  videos = source.videos([name], modalities)
  assert list(videos.names) == [name]
  return dict(zip(modalities, videos.read(0, np.arange(videos.lengths[0]))))


def read_video(source, name, modalities=('rgb', 'depth', 'flow')):
  """The one video `name` of a `catalog.PreparedDataset`: ({modality: [F, S, S, 3] int, pixels 0..255}, label)."""
  [label] = source.videos([name], modalities).labels
  return {m: np.stack([tf.io.decode_jpeg(frame, channels=3).numpy() for frame in kind]).astype(int)
          for m, kind in encoded_frames(source, name, modalities).items()}, label
