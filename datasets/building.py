"""What the builders of all datasets have in common: native files are checked, prepared in threads, the broken listed.

A dataset adds one subclass of `NativeBuilder`, in a module of its own, and a line in `catalog`.
"""

import collections
import concurrent.futures
import os
import pathlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import tensorflow_datasets as tfds
import tqdm

from tf_privinfo import errors
from tf_privinfo.configs import DataConfig
from tf_privinfo.datasets.preparation import alignment, frames

# What makes a single sample unusable.
PROBLEMS = (frames.BrokenFile, alignment.NotAlignable)
_SHOWN_PROBLEMS = 20


class Prepared(NamedTuple):
  """One sample as it is stored.

  Attributes:
    example: by the names of the features; modalities are lists of encoded frames.
    facts: what else is to be known of it, by the key of the metadata that holds it (sample's name -> fact).
  """
  example: Dict[str, Any]
  facts: Mapping[str, Any]


class NativeBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds a dataset from native files on disk.

  `info.metadata` holds at least `samples` (name -> number of frames) and
  `skipped` (one sentence for each sample that cannot be used). The builder's
  config has `skip_broken`.

  Attributes:
    MODALITIES: what each sample offers.
    UNIT: what a sample is, for messages.
    PREPARATION: what preparing does, for the progress bar.
  """

  MODALITIES: Tuple[str, ...]
  UNIT: str
  PREPARATION: str

  @classmethod
  def configure(cls, config: DataConfig, frame_size: int) -> tfds.core.BuilderConfig:
    """The builder's config for frames of `frame_size` pixels; raises `UserError` if the dataset has no such form."""
    raise NotImplementedError

  @classmethod
  def provide(cls, data_dir: str, config: DataConfig) -> None:
    """Makes the native files if the dataset is one that makes its own."""

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    """The folder of the native files at or under `data_dir`; raises `UserError` with what to download."""
    raise NotImplementedError

  @staticmethod
  def partition(name: str) -> str:
    """The TFDS split that stores a sample.

    Protocols train and test on whole partitions, so training never opens a
    file that holds a test sample.
    """
    raise NotImplementedError

  @classmethod
  def label_of(cls, name: str) -> str:
    """The class of a sample."""
    raise NotImplementedError

  def describe(self, names: Sequence[str]) -> List[str]:
    """Lines that say what was kept: the samples `names`, by class and whatever else matters."""
    raise NotImplementedError

  def scan(self, root: pathlib.Path) -> Tuple[List[Any], List[str]]:
    """Finds the samples, each with a `name`, and one sentence for each that cannot be used."""
    raise NotImplementedError

  def prepare(self, sample) -> Prepared:
    """Reads the native files of a sample; raises one of `PROBLEMS`; runs in threads."""
    raise NotImplementedError

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    root = self.find_root(dl_manager.manual_dir)
    samples, problems = self.scan(root)
    if not self.builder_config.skip_broken:
      self._stop_if_any(problems)
    if not samples:
      raise errors.UserError(f'No {self.UNIT} under {root} can be used.\n{self.MANUAL_DOWNLOAD_INSTRUCTIONS}')
    self.info.metadata['skipped'].extend(problems)
    partitions = collections.defaultdict(list)
    for sample in samples:
      partitions[self.partition(sample.name)].append(sample)
    progress = tqdm.tqdm(total=len(samples), desc=f'Preparing {self.UNIT}s ({self.PREPARATION})', unit=self.UNIT)
    return {name: self._generate_examples(members, progress, last=name == max(partitions))
            for name, members in sorted(partitions.items())}

  def _generate_examples(self, samples: List[Any], progress, last: bool) -> Iterator[Tuple[str, Dict]]:
    kept = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV and TensorFlow release the GIL
      for sample, prepared in zip(samples, pool.map(self._try_to_prepare, samples)):
        progress.update()
        if isinstance(prepared, PROBLEMS):
          self.info.metadata['skipped'].append(f'{sample.name}: {prepared}')
          continue
        self.info.metadata['samples'][sample.name] = len(prepared.example[self.MODALITIES[0]])
        for key, fact in prepared.facts.items():
          self.info.metadata.setdefault(key, {})[sample.name] = fact
        kept += 1
        yield sample.name, prepared.example
    if last or not kept:
      progress.close()
      if not self.builder_config.skip_broken:
        # Only now, so that one run lists every broken file; nothing was kept yet.
        self._stop_if_any(self.info.metadata['skipped'])
    if not kept:  # TFDS stores no empty split
      raise errors.UserError(f'Not one {self.UNIT} of {self.partition(samples[0].name)} can be used; the last problem '
                             f'is {self.info.metadata["skipped"][-1]}. Mend them or move these folders away.')

  def _try_to_prepare(self, sample):
    """Returns what `prepare` does, or the one of `PROBLEMS` that was found."""
    try:
      return self.prepare(sample)
    except PROBLEMS as problem:
      return problem

  def _stop_if_any(self, problems: List[str]) -> None:
    if not problems:
      return
    shown = '\n  '.join(problems[:_SHOWN_PROBLEMS])
    rest = len(problems) - _SHOWN_PROBLEMS
    raise errors.UserError(
        f'{len(problems)} {self.UNIT}s cannot be used; mend them, or pass --skip_broken to go on without them:'
        f'\n  {shown}' + (f'\n  ... and {rest} more' if rest > 0 else ''))


def first(items, count: int = 5) -> str:
  """The first items of a list that may be long, for a line of text."""
  return '; '.join(list(items)[:count]) + ('; ...' if len(items) > count else '')
