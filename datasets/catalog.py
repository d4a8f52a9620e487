"""Opens a dataset by name: renders or finds the native files, prepares them once, reads videos."""

import contextlib
import io
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_privinfo.configs import DataConfig
from tf_privinfo.datasets import building
from tf_privinfo.datasets.nwucla.builder import Nwucla
from tf_privinfo.datasets.nyud.builder import Nyud
from tf_privinfo.datasets.synthetic.builder import Synthetic
from tf_privinfo.datasets.synthetic_objects.builder import SyntheticObjects
from tf_privinfo.datasets.uwa3dii.builder import Uwa3dii

_BUILDERS = {
    'nwucla': Nwucla,
    'nyud': Nyud,
    'synthetic': Synthetic,
    'synthetic_objects': SyntheticObjects,
    'uwa3dii': Uwa3dii,
}


class Source:
  """A prepared dataset.

  Attributes:
    names: all sample names.
    label_names: class names in the order of the labels.
    modalities: what each sample offers.
    metadata: the manifest: samples, what was skipped, and what else the dataset tells.
  """

  def __init__(self, builder: building.NativeBuilder):
    self._builder = builder
    self.metadata = dict(builder.info.metadata)
    self.names: List[str] = sorted(self.metadata['samples'])
    self.label_names: List[str] = builder.info.features['label'].names
    self.modalities = builder.MODALITIES

  def videos(self, names: Sequence[str], modalities: Sequence[str]) -> tf.data.Dataset:
    """The encoded videos `names`: ({modality: [F] JPEG bytes}, label int32, sample id), in a fixed order.

    Only the files that hold them and only the modalities asked for are read.
    """
    partitions = sorted({self._builder.partition(name) for name in names})
    wanted = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(names), tf.ones(len(names), tf.int64)), 0)
    features = {**{m: True for m in modalities}, 'label': True, 'sample_id': True}
    videos = self._builder.as_dataset(
        split='+'.join(partitions), shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(features, decoders={m: tfds.decode.SkipDecoding() for m in modalities}),
        read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1))
    videos = videos.filter(lambda video: wanted.lookup(video['sample_id']) > 0)
    return videos.map(lambda video: (
        {m: video[m] for m in modalities}, tf.cast(video['label'], tf.int32), video['sample_id']))

  def index(self, names: Sequence[str]) -> Tuple[List[str], np.ndarray]:
    """Sample ids and labels [N] int of the videos `names`, in the order of `videos`."""
    pairs = [(sample_id.decode(), label) for _, label, sample_id in self.videos(names, ()).as_numpy_iterator()]
    return [sample_id for sample_id, _ in pairs], np.array([label for _, label in pairs])

  def label_of(self, name: str) -> str:
    """The name of the class of a sample; no file is read."""
    return self._builder.label_of(name)

  def manifest(self) -> Dict[str, Any]:
    """What a run must know of its dataset, ready for JSON."""
    return {'label_names': self.label_names, **self.metadata}

  def describe(self) -> str:
    """What was kept and what was skipped."""
    lines = self._builder.describe(self.names)
    if self.metadata['skipped']:
      lines.append(f'{len(self.metadata["skipped"])} {self._builder.UNIT}s were skipped: '
                   f'{building.first(self.metadata["skipped"])}')
    return '\n'.join(lines)


def default_data_dir(dataset: str, config: DataConfig) -> str:
  """Where a dataset is looked for (or rendered) without --data_dir."""
  suffix = '' if config.rendering == 'default' else f'_{config.rendering}'
  return os.path.join('data', dataset + suffix)


def open_dataset(dataset: str, data_dir: str, config: DataConfig, frame_size: int) -> Source:
  """Opens a dataset, preparing it first where that was not done yet.

  The prepared form lies in `<data_dir>/prepared`, beside the native files. It
  is written to a temporary folder and renamed, so a killed preparation starts
  anew and a finished one is never repeated.

  Args:
    dataset: its name, as in `recipes.DATASETS`.
    data_dir: the folder of the native files.
    config: which form.
    frame_size: side of the stored frames in pixels.

  Raises:
    UserError: if the data are missing, broken or cannot be written.
  """
  builder_class = _BUILDERS[dataset]
  builder_config = builder_class.configure(config, frame_size)
  builder_class.provide(data_dir, config)
  builder = builder_class(data_dir=os.path.join(data_dir, 'prepared'), config=builder_config)
  if not builder.data_path.exists():
    builder.find_root(data_dir)
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # it speaks of downloads; the builder has a bar of its own
      builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=data_dir))
  source = Source(builder)
  print(f'{dataset}: {source.describe()}')
  return source
