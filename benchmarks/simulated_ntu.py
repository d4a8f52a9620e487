"""The order of the training data and the cost of reading them at the size of NTU RGB+D 60, with made-up frames.

  python benchmarks/input_pipeline.py --simulated

measures two datasets without native files: `tiny`, with the names and record files of NTU RGB+D 60 and frames of 16
pixels, and `full`, a few hundred videos of 85 frames of 256 pixels, which is 3.9 MB each. A consumer takes batches of 8
clips at a constant rate, and reports how long it waits for the slowest one. The input pipeline alone yields RGB as
bytes; the rate with distorted colours includes the distortion, which is part of the training step.
"""

import pathlib
import resource
import sys
import time
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from tf_privinfo.datasets import catalog, clips, colour, prepared_samples
from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.ntu_rgbd import builder as ntu

BATCH, SETUPS, MODALITIES = 8, 17, ('rgb', 'depth', 'flow')
# Number of batches until the pipeline is as far ahead of its consumer as it gets.
FILL = 8


class Form(NamedTuple):
  """A simulated dataset: pixels and frames of its videos, bytes of a JPEG frame, number of clips that are measured."""
  size: int
  length: int
  frame_bytes: int
  clips: int


FORMS = {'tiny': Form(16, 9, 700, 8000), 'full': Form(256, 85, 15_300, 800)}


class Simulated(ntu.Ntu60):
  """NTU RGB+D 60 with the same frame in all places."""

  names: Sequence[str] = ()
  form = FORMS['tiny']

  @classmethod
  def find_root(cls, data_dir: str) -> pathlib.Path:
    return pathlib.Path(data_dir)

  def _prepare_samples(self, native_dir, beam_options) -> List[prepared_samples.Record]:
    records = [prepared_samples.Record(name, 'none', self.form.length) for name in sorted(self.names)]
    self._fill_metadata(records, [])
    return records

  def _read(self, members) -> Iterator[Tuple[str, prepared_samples.Example]]:
    frames = [jpeg(self.form)] * self.form.length
    for name, _ in members:
      yield name, {**dict.fromkeys(MODALITIES, frames), 'label': self.label_of(name), 'sample_id': name}


def jpeg(form: Form) -> bytes:
  """A smooth random frame as JPEG, padded by zeros after its end to the size of the form."""
  picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), (form.size, form.size))
  _, encoded = cv2.imencode('.jpg', picture)
  return encoded.tobytes().ljust(form.frame_bytes, b'\0')


def sample_names(count: int) -> List[str]:
  """Names of `count` videos in 501 files of 120, as in NTU RGB+D 60, or of fewer videos in as many files as needed."""
  groups = [(setup, performer) for performer in range(1, 11) for setup in range(1, SETUPS + 1)][:167]
  return [f'S{setup:03d}C{camera:03d}P{performer:03d}R{repetition:03d}A{action:03d}'
          for repetition in (1, 2) for action in range(1, 61) for setup, performer in groups
          for camera in (1, 2, 3)][:count]


def measure(directory: pathlib.Path, name: str, count: int, rate: float) -> str:
  """Prepares a simulated dataset and measures one form; returns a row of the table."""
  form = FORMS[name]
  Simulated.form, Simulated.names = form, sample_names(count)
  config = ClipConfig(frame_size=form.size, crop_size=form.size * 7 // 8)
  builder = Simulated(data_dir=str(directory / name), config=Simulated.configure(DataConfig('depth'), form.size))
  builder.build(str(directory))
  source = catalog.PreparedDataset(builder)
  memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  start = time.perf_counter()
  _, labels = source.index(source.names)
  seconds_of_index = time.perf_counter() - start

  def batches():
    return clips.training_clips(
        source.videos(source.names, MODALITIES), config, seed=0, epochs=range(99), batch_size=BATCH)

  steps, start = max(8, min(form.clips, 4 * count) // BATCH), time.perf_counter()
  iterator = iter(batches())
  setups = [len({sample_id[:4] for sample_id in next(iterator)[2].numpy()})]
  first = time.perf_counter() - start
  start = time.perf_counter()
  setups += [len({sample_id[:4] for sample_id in next(iterator)[2].numpy()}) for _ in range(steps)]
  throughput = BATCH * steps / (time.perf_counter() - start)
  del iterator
  waits, read = [], 0
  iterator, due = iter(batches()), None
  for step in range(FILL + steps // 4):
    if step == FILL:
      read = _bytes_read()
    start = time.perf_counter()
    next(iterator)
    now = time.perf_counter()
    if due is not None:
      waits.append(now - start)
    due = max(due or now, now) + BATCH / rate
    time.sleep(max(0.0, due - time.perf_counter()))
  bytes_of_clip = (_bytes_read() - read) / (BATCH * (steps // 4))
  used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / (2**20 if sys.platform != 'darwin' else 2**30)
  iterator = iter(batches().map(lambda clip, *rest: (colour.distort(clip), *rest)))
  next(iterator)
  start = time.perf_counter()
  for _ in range(steps):
    next(iterator)
  distorted = BATCH * steps / (time.perf_counter() - start)
  return (f'| {name}, {len(labels)} records of {3 * form.length * form.frame_bytes / 1e6:.2f} MB | '
          f'{np.mean(setups):.2f} | {throughput:.0f} | {distorted:.0f} | {bytes_of_clip / 1e6:.3f} '
          f'({3 * config.frames * form.frame_bytes / 1e6:.3f}) | {1024 * used:.0f} | {max(waits):.3f} | {first:.2f} | '
          f'{seconds_of_index:.2f} |')


def _bytes_read() -> int:
  """Bytes that this process has read so far, from disk or from the system's cache; 0 outside Linux."""
  path = pathlib.Path('/proc/self/io')
  lines = path.read_text(encoding='utf-8').splitlines() if path.exists() else ['rchar: 0']
  return int(lines[0].split()[1])


HEAD = ('| data | setups in a batch of 8 | clips/s | with distorted colours | MB read for a clip (its frames) | '
        'memory, MiB | longest wait, s | first batch, s | labels, s |\n' + '|---' * 9 + '|')
