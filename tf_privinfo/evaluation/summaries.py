"""TensorBoard logs of an evaluation."""

import pathlib
from typing import Dict, Sequence

import numpy as np
import tensorflow as tf


def write_confusion_matrices(directory: pathlib.Path, plots: Dict[str, bytes], step: int) -> None:
  """Logs plots of confusion matrices, stream -> PNG bytes, at a step."""
  writer = tf.summary.create_file_writer(str(directory))
  with writer.as_default(step=step):
    for name, plot in plots.items():
      tf.summary.image(f'confusion/{name}', tf.io.decode_png(plot)[tf.newaxis])
  writer.close()


def write_projection(directory: pathlib.Path, features: Dict[str, np.ndarray], labels: Sequence[str]) -> None:
  """Writes features for TensorBoard's projector, which plots them in two or three dimensions.

  Args:
    directory: folder of the log.
    features: kind -> [N, D], for the same samples.
    labels: N class names.
  """
  from tensorboard.plugins import projector

  directory.mkdir(parents=True, exist_ok=True)
  np.savetxt(directory / 'features.tsv', np.concatenate(list(features.values())), '%.5g', '\t')
  rows = [f'{label}\t{kind}' for kind in features for label in labels]
  (directory / 'labels.tsv').write_text('\n'.join(['class\tfeatures', *rows]) + '\n', encoding='utf-8')
  config = projector.ProjectorConfig()
  config.embeddings.add(tensor_name='features', tensor_path='features.tsv', metadata_path='labels.tsv')
  projector.visualize_embeddings(str(directory), config)
