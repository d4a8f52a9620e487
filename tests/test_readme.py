"""The main job of the README, and the results of docs/, as far as they fit a test."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests import command_line


def compare_methods(output_dir, *flags):
  subprocess.run(
      [sys.executable, 'eval_main.py', '--report=methods', '--run_missing', f'--output_dir={output_dir}', *flags],
      cwd=command_line.ROOT, check=True)


@pytest.mark.slow
def test_distillation_helps_rgb_on_the_synthetic_dataset(tmp_path):
  """The results in docs/dmcl.md: three seeds of `independent` and `dmcl`; about an hour on two cores."""
  compare_methods(tmp_path, '--methods=independent,dmcl', '--dataset=synthetic', '--seeds=0,1,2')
  accuracy = {method: [json.loads(path.read_text())['accuracy'] for path in sorted(
      tmp_path.glob(f'synthetic/{method}/*/results.json'))] for method in ('independent', 'dmcl')}
  mean = lambda method, name: sum(result[name] for result in accuracy[method]) / 3
  assert len(accuracy['dmcl']) == len(accuracy['independent']) == 3
  assert mean('dmcl', 'sum') >= 0.8
  assert mean('dmcl', 'rgb') > mean('independent', 'rgb')
  assert mean('independent', 'rgb') < min(mean('independent', 'sum'), max(
      mean('independent', 'flow'), mean('independent', 'depth'))) - 0.05


@pytest.mark.slow
def test_order_of_the_four_steps_on_the_synthetic_dataset(tmp_path):
  """That of the thesis, with one of the three seeds of docs/modality_distillation.md: some 15 minutes on two cores."""
  compare_methods(tmp_path, '--methods=modality_distillation', '--dataset=synthetic', '--seeds=0')
  [path] = tmp_path.glob('synthetic/modality_distillation/*/results.json')
  accuracy = {stage: result['accuracy']['sum'] for stage, result in json.loads(path.read_text())['stages'].items()}
  assert accuracy['joint'] > max(accuracy['rgb'], accuracy['depth'])
  assert accuracy['finetune'] > accuracy['rgb'] > 0.5


def test_main_job_on_a_tiny_rendering(tmp_path):
  """The main job from rendering to export, smaller."""
  out = command_line.succeed(
      'train_main', '--method=dmcl', '--dataset=synthetic', '--preset=tiny', '--protocol=cross_subject',
      f'--data_dir={tmp_path / "data"}', f'--output_dir={tmp_path / "runs"}')
  assert 'synthetic: 120 videos' in out and '| Σ (sum of all predictions)' in out
  [run] = tmp_path.glob('runs/synthetic/dmcl/*')
  assert out.strip().splitlines()[-1].startswith(f'Everything is in {run}: ')
  assert (run / 'saved_model/1/saved_model.pb').exists() and (run / 'confusion_sum.png').exists()
  results, predictions = json.loads((run / 'results.json').read_text()), np.load(run / 'predictions.npz')
  assert predictions['names'].tolist() == results['predictions']['names']
  for stream in ('rgb', 'depth', 'flow'):
    assert np.argmax(predictions[f'logits/{stream}'], axis=1).tolist() == results['predictions']['predicted'][stream]
