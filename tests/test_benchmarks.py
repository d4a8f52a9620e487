"""That the benchmarks still run, in sizes that say nothing about speed."""

import re
import subprocess
import sys

from tests import command_line


def test_input_pipeline():
  done = subprocess.run(
      [sys.executable, 'benchmarks/input_pipeline.py', '--videos=2', '--length=9', '--width=64', '--height=48',
       '--batch_size=2', '--epochs=1', '--repeats=1'], cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  for name in ('tf_privinfo', 'authors'):
    assert re.search(rf'^\| {name} (\| [\d.e+]+ \(.+\) ){{4}}\|$', done.stdout, re.MULTILINE), done.stdout
