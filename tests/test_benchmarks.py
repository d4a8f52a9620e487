"""That the benchmarks still run, in sizes that say nothing about speed."""

import json
import math
import re
import subprocess
import sys

import pytest

from tests import command_line


def run(name, *arguments):
  """Runs a benchmark, which succeeds, and returns what it prints."""
  done = subprocess.run(
      [sys.executable, f'benchmarks/{name}.py', *arguments], cwd=command_line.ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  return done.stdout


def of_tiny_run(name, tmp_path, method, *options):
  """Trains a method and runs a benchmark of its run; returns the results of both, and the folder of the latter."""
  command_line.succeed('train_main', f'--method={method}', '--dataset=synthetic', '--preset=tiny', *options,
                       f'--data_dir={tmp_path}', f'--output_dir={tmp_path}')
  path, = tmp_path.glob('synthetic/*/*/results.json')
  out = tmp_path / 'out'
  run(name, f'--run_dir={path.parent}', f'--out={out}')
  measured, = json.loads((out / f'{name}.json').read_text()).values()
  return json.loads(path.read_text()), measured, out


@pytest.mark.slow
def test_input_pipeline():
  printed = run('input_pipeline', '--videos=2', '--length=9', '--width=64', '--height=48', '--batch_size=2',
                '--epochs=1', '--repeats=1')
  for name in ('tf_privinfo', 'authors'):
    assert re.search(rf'^\| {name} (\| [\d.e+]+ \(.+\) ){{4}}\|$', printed, re.MULTILINE), printed


@pytest.mark.slow
def test_simulated_records():
  printed = run('input_pipeline', '--simulated', '--tiny=16', '--full=8', '--rate=4000')
  for name, read, frames in re.findall(r'^\| (tiny|full).*?\| ([\d.]+) \(([\d.]+)\) \|', printed, re.MULTILINE):
    assert float(frames) > 0 and float(read) < 1.5 * float(frames) + 0.1, name
  assert printed.count('\n| ') == 3


@pytest.mark.slow
def test_two_steps_of_every_stage_at_full_size():
  """The stages of all `paper` recipes, one after the other, in processes of their own."""
  printed = run('stage_steps')
  rows = re.findall(r'^\| (\w+) \| (\w+) \| (\w+) \| float32 \| (.*) \|$', printed, re.MULTILINE)
  assert {('dmcl', 'ntu120', 'ensemble'), ('admd', 'ntu120', 'game'), ('autoencoder', 'nyud', 'autoencoder')} <= {
      row[:3] for row in rows} and len(rows) >= 15
  for *_, measured in rows:
    batch, first, step, rate, peak, loss = map(float, measured.split(' | '))
    assert step > 0 and peak < 24 and math.isfinite(loss), printed


@pytest.mark.slow
def test_injected_depth(tmp_path):
  """The accuracies with own depth and without depth are those of the run's results."""
  results, measured, out = of_tiny_run('injected_depth', tmp_path, 'modality_distillation')
  stage = results['stages']['hallucination']
  assert measured['own'] == stage['accuracy_with_true_depth']['hall']
  assert measured['none'] == stage['accuracy']['hall']
  assert sorted(path.name for path in out.iterdir()) == [
      'injected_depth.json', 'injected_depth.png', 'injected_depth.svg']


@pytest.mark.slow
def test_game_seeds(tmp_path):
  """The same game again is the same to the bit; results of a killed benchmark are kept."""
  results, measured, out = of_tiny_run('game_seeds', tmp_path, 'admd', '--epochs=2')
  assert measured['again'] == measured['as trained'] == results['stages']['game']['accuracy']['hall']
  assert list(measured) == ['as trained', 'again', 'weights', 'clips', 'falling rate', 'half as long', 'twice as long',
                            'batch norm']
  assert (out / 'game_seeds.png').exists()
  file = out / 'game_seeds.json'
  file.write_text(file.read_text().replace(f'"again": {measured["again"]}', '"again": 2.0'))
  path, = tmp_path.glob('synthetic/admd/*/results.json')
  assert re.search(r'^\| again +\| 200.0 ', run('game_seeds', f'--run_dir={path.parent}', f'--out={out}'), re.MULTILINE)


@pytest.mark.slow
def test_teacher_gradients(tmp_path):
  _, measured, out = of_tiny_run('teacher_gradients', tmp_path, 'dmcl', '--epochs=3')
  assert sorted(measured) == ['cosine/alone', 'cosine/loser', 'cosine/other', 'cosine/random', 'right/loser',
                              'right/random', 'right/winner']
  assert all(len(values) == 3 and -1.0001 <= value <= 1.0001 for values in measured.values() for value in values)
  for name in ('random', 'loser'):
    assert all(winner >= other for winner, other in zip(measured['right/winner'], measured[f'right/{name}']))
  assert (out / 'teacher_gradients.png').exists()
