"""That the benchmarks still run, in sizes that say nothing about speed."""

import json
import math
import re
import subprocess
import sys

import pytest

from tests import command_line


@pytest.mark.slow
def test_input_pipeline():
  done = subprocess.run(
      [sys.executable, 'benchmarks/input_pipeline.py', '--videos=2', '--length=9', '--width=64', '--height=48',
       '--batch_size=2', '--epochs=1', '--repeats=1'], cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  for name in ('tf_privinfo', 'authors'):
    assert re.search(rf'^\| {name} (\| [\d.e+]+ \(.+\) ){{4}}\|$', done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_simulated_records():
  done = subprocess.run(
      [sys.executable, 'benchmarks/input_pipeline.py', '--simulated', '--tiny=16', '--full=8', '--rate=4000'],
      cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  for name, read, frames in re.findall(r'^\| (tiny|full).*?\| ([\d.]+) \(([\d.]+)\) \|', done.stdout, re.MULTILINE):
    assert float(frames) > 0 and float(read) < 1.5 * float(frames) + 0.1, name
  assert done.stdout.count('\n| ') == 3


@pytest.mark.slow
def test_two_steps_of_every_stage_at_full_size():
  """The stages of all `paper` recipes, one after the other, in processes of their own."""
  done = subprocess.run(
      [sys.executable, 'benchmarks/stage_steps.py'], cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  rows = re.findall(r'^\| (\w+) \| (\w+) \| (\w+) \| float32 \| (.*) \|$', done.stdout, re.MULTILINE)
  assert {('dmcl', 'ntu120', 'ensemble'), ('admd', 'ntu120', 'game'), ('autoencoder', 'nyud', 'autoencoder')} <= {
      row[:3] for row in rows} and len(rows) >= 15
  for *_, measured in rows:
    batch, first, step, rate, peak, loss = map(float, measured.split(' | '))
    assert step > 0 and peak < 24 and math.isfinite(loss), done.stdout


@pytest.mark.slow
def test_injected_depth(tmp_path):
  """The accuracies with own depth and without depth are those of the run's results."""
  command_line.succeed('train_main', '--method=modality_distillation', '--dataset=synthetic', '--preset=tiny',
                       f'--data_dir={tmp_path}', f'--output_dir={tmp_path}')
  results_path, = tmp_path.glob('synthetic/*/*/results.json')
  out = tmp_path / 'out'
  done = subprocess.run(
      [sys.executable, 'benchmarks/injected_depth.py', f'--run_dir={results_path.parent}', f'--out={out}'],
      cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  measured, = json.loads((out / 'injected_depth.json').read_text()).values()
  stage = json.loads(results_path.read_text())['stages']['hallucination']
  assert measured['own'] == stage['accuracy_with_true_depth']['hall']
  assert measured['none'] == stage['accuracy']['hall']
  assert sorted(path.name for path in out.iterdir()) == [
      'injected_depth.json', 'injected_depth.png', 'injected_depth.svg']


@pytest.mark.slow
def test_teacher_gradients(tmp_path):
  command_line.succeed('train_main', '--method=dmcl', '--dataset=synthetic', '--preset=tiny', '--epochs=3',
                       f'--data_dir={tmp_path}', f'--output_dir={tmp_path}')
  results_path, = tmp_path.glob('synthetic/*/*/results.json')
  out = tmp_path / 'out'
  done = subprocess.run(
      [sys.executable, 'benchmarks/teacher_gradients.py', f'--run_dir={results_path.parent}', f'--out={out}'],
      cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  measured, = json.loads((out / 'teacher_gradients.json').read_text()).values()
  assert sorted(measured) == ['cosine/alone', 'cosine/other', 'cosine/random', 'right/random', 'right/winner']
  assert all(len(values) == 3 and 0 <= value <= 1.0001 for values in measured.values() for value in values)
  assert all(winner >= other for winner, other in zip(measured['right/winner'], measured['right/random']))
  assert (out / 'teacher_gradients.png').exists()
