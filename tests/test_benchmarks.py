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


def test_simulated_records():
  done = subprocess.run(
      [sys.executable, 'benchmarks/input_pipeline.py', '--simulated', '--tiny=16', '--full=8', '--rate=4000'],
      cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  for name, read, frames in re.findall(r'^\| (tiny|full).*?\| ([\d.]+) \(([\d.]+)\) \|', done.stdout, re.MULTILINE):
    assert float(frames) > 0 and float(read) < 1.5 * float(frames) + 0.1, name
  assert done.stdout.count('\n| ') == 3
