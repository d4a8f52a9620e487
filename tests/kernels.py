"""Other processors, imitated on this one: environments in which the same computation runs on other kernels.

  python -m tests.kernels

runs the parity tests under each of them and writes how far every quantity moves between them to
`tests/golden/kernels.json`.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Dict, Optional
import urllib.parse

import numpy as np

from tests import parity

SETTINGS = {
    'two_threads': {'TF_NUM_INTRAOP_THREADS': '2'},
    'two_threads_AVX2': {'TF_NUM_INTRAOP_THREADS': '2', 'ONEDNN_MAX_CPU_ISA': 'AVX2'},
    'two_threads_SSE41': {'TF_NUM_INTRAOP_THREADS': '2', 'ONEDNN_MAX_CPU_ISA': 'SSE41'},
    'two_threads_no_onednn': {'TF_NUM_INTRAOP_THREADS': '2', 'TF_ENABLE_ONEDNN_OPTS': '0'},
    'one_thread': {'TF_NUM_INTRAOP_THREADS': '1'},
    'one_thread_no_onednn': {'TF_NUM_INTRAOP_THREADS': '1', 'TF_ENABLE_ONEDNN_OPTS': '0'},
}


def run_parity_tests(setting: Dict[str, str], values: Optional[str] = None) -> subprocess.CompletedProcess:
  """Runs the quick parity tests in a process of their own, which keeps what it compared in the folder `values`."""
  environment = {**os.environ, **setting, **({parity.VALUES: values} if values else {})}
  return subprocess.run(
      [sys.executable, '-m', 'pytest', '-n', '0', '-k', 'parity', '-m', 'not slow', 'tests'],
      cwd=pathlib.Path(__file__).parents[1], env=environment, capture_output=True, text=True)


def movements(folders) -> Dict[str, Dict[str, float]]:
  """Golden file -> key -> the largest relative L2 distance of two settings' values, those that move at all."""
  result = {}
  for path in sorted(folders[0].rglob('*.npy')):
    golden, key = path.parent.name, urllib.parse.unquote(path.stem)
    values = [np.load(folder / path.relative_to(folders[0])) for folder in folders]
    moved = max(parity.relative_error(one, other) for one, other in itertools.combinations(values, 2))
    if moved:
      result.setdefault(golden, {})[key] = float(f'{moved:.1e}')
  return result


def main() -> None:
  with tempfile.TemporaryDirectory() as root:
    folders = []
    for name, setting in SETTINGS.items():
      folders.append(pathlib.Path(root, name))
      done = run_parity_tests(setting, str(folders[-1]))
      print(name, done.stdout.splitlines()[-1], flush=True)
    parity.KERNELS.write_text(json.dumps(movements(folders), indent=0, sort_keys=True) + '\n')
  print(f'How far every quantity moves is in {parity.KERNELS}')


if __name__ == '__main__':
  main()
