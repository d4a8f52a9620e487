"""Other processors, imitated on this one: settings under which the same computation runs on other kernels.

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
import urllib.parse
from typing import Dict, NamedTuple, Optional

import numpy as np

from tests import parity


class Setting(NamedTuple):
  """Environment variables, and on how many cores the process may run (None: all)."""
  environment: Dict[str, str] = {}
  cores: Optional[int] = None


SETTINGS = {
    'best': Setting(),
    'AVX2': Setting({'ONEDNN_MAX_CPU_ISA': 'AVX2'}),
    'SSE41': Setting({'ONEDNN_MAX_CPU_ISA': 'SSE41'}),
    'no_onednn': Setting({'TF_ENABLE_ONEDNN_OPTS': '0'}),
    'one_core': Setting(cores=1),
    'no_onednn_one_core': Setting({'TF_ENABLE_ONEDNN_OPTS': '0'}, cores=1),
}


def run_parity_tests(setting: Setting, values: Optional[str] = None) -> subprocess.CompletedProcess:
  """Runs the quick parity tests in a process of their own, which keeps what it compared in the folder `values`."""
  environment = {**os.environ, **setting.environment, **({parity.VALUES: values} if values else {})}
  environment.pop('PYTEST_XDIST_WORKER', None)
  cores = sorted(os.sched_getaffinity(0))[:setting.cores]
  return subprocess.run(
      [sys.executable, '-m', 'pytest', '-n', '0', '-k', 'parity', '-m', 'not slow', 'tests'],
      cwd=pathlib.Path(__file__).parents[1], env=environment, capture_output=True, text=True,
      preexec_fn=lambda: os.sched_setaffinity(0, cores))


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
