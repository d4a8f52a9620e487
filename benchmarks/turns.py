"""Measurement of variants that take turns in one process, so that other load of the machine affects all of them."""

import datetime
import os
import pathlib
import platform
import subprocess
from typing import Callable, Dict, Mapping

import cv2
import numpy as np
import tensorflow as tf

from tf_privinfo.utils import machine


def measure(runs: Mapping[str, Callable[[], float]], repeats: int, unit: str) -> Dict[str, np.ndarray]:
  """Runs all variants in turns, after one turn that does not count.

  Args:
    runs: name -> function that runs a variant once and returns its rate.
    repeats: number of turns that count.
    unit: unit of the rates, for messages.

  Returns:
    Name -> rates, [repeats].
  """
  rates = {name: [] for name in runs}
  for repeat in range(repeats + 1):
    for name, run in runs.items():
      rate = run()
      print(f'  repeat {repeat}, {name}: {rate:.3g} {unit}' + ('' if repeat else ' (not counted)'), flush=True)
      if repeat:
        rates[name].append(rate)
  return {name: np.array(values) for name, values in rates.items()}


def spread(values: np.ndarray) -> str:
  """Values as the text 'median (min - max)'."""
  return f'{np.median(values):.3g} ({values.min():.3g} - {values.max():.3g})'


def describe_machine() -> str:
  """Date, machine, versions and commit, in two lines."""
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
  gpus = [tf.config.experimental.get_device_details(gpu).get('device_name', 'GPU')
          for gpu in tf.config.list_physical_devices('GPU')]
  return (f'{datetime.date.today()}: {machine.cpu_cores()} cores of {machine.processor()}, {memory:.0f} GiB, '
          f'{", ".join(gpus) or "no GPU"}, load average {os.getloadavg()[0]:.1f}\n'
          f'Python {platform.python_version()}, TensorFlow {tf.__version__}, '
          f'NumPy {np.__version__}, OpenCV {cv2.__version__}; commit {_commit()}')


def _commit() -> str:
  git = subprocess.run(['git', 'describe', '--always', '--dirty'], cwd=pathlib.Path(__file__).parent,
                       capture_output=True, text=True)
  return git.stdout.strip() or 'unknown'
