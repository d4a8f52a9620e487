"""The bounds of the parity tests hold on other kernels, and are tight enough to catch a small mistake in the code."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import kernels

ROOT = pathlib.Path(__file__).parents[1]

# What is changed -> the file of tf_privinfo, its text, what stands there instead, and the test that must fail.
MUTATIONS = {
    'momentum of batch norm': (
        'networks/layers.py', 'self.momentum = momentum', 'self.momentum = momentum - 1e-4',
        'networks/test_resnet50_parity.py::test_single_stream_parity[train-grad]'),
    'epsilon of batch norm': (
        'networks/layers.py', 'self.epsilon = epsilon', 'self.epsilon = 1e-3',
        'networks/test_resnet50_parity.py::test_single_stream_parity[infer-grad_infer]'),
    'epsilon of batch norm in R(2+1)D': (
        'networks/layers.py', 'self.epsilon = epsilon', 'self.epsilon = 1e-3',
        'networks/test_r2plus1d.py::test_inference_mode_parity'),
    'unbiased moving variance': (
        'networks/layers.py', 'variance *= (count - 1) / count', 'variance *= 1',
        'networks/test_r2plus1d.py::test_moving_variances_are_those_of_the_authors_kernels'),
    'padding of strided convolutions': (
        'networks/layers.py', 'before = [(k - 1) // 2', 'before = [(k - 2) // 2',
        'networks/test_resnet50_parity.py::test_two_stream_objects_parity[infer]'),
    'padding of the max pool': (
        'networks/resnet50.py', "MaxPool2D(3, 2, 'same')", "MaxPool2D(3, 2, 'valid')",
        'networks/test_resnet50_parity.py::test_single_stream_parity[infer-grad_infer]'),
    'bias of the classifier': (
        'networks/resnet50.py', 'frame_logits = self.classifier(features)',
        'frame_logits = self.classifier(features) - self.classifier.bias',
        'networks/test_resnet50_parity.py::test_bottleneck_parity[infer]'),
    'bias of the bottleneck': (
        'networks/resnet50.py', 'x = self.conv(maps)', 'x = self.conv(maps) - self.conv.bias',
        'networks/test_resnet50_parity.py::test_two_stream_objects_parity[infer]'),
    'no gradient through a connection': (
        'networks/resnet50.py', 'CONNECTIONS[form](total, first, given)',
        'CONNECTIONS[form](total, first, tf.stop_gradient(given))',
        'networks/test_resnet50_parity.py::test_step2_parity[inter-train]'),
    'statistics of a frozen stream': (
        'networks/layers.py', 'if not (training and self.trainable)', 'if not training',
        'methods/test_two_stream.py::test_step_3_parity[infer]'),
    'gradient into the teacher': (
        'methods/losses.py', 'tf.stop_gradient(tf.nn.softmax(teacher_logits / temperature))',
        '(tf.nn.softmax(teacher_logits / temperature))', 'test_losses.py'),
    'slope of the discriminator': (
        'networks/discriminator.py', 'SLOPE = 0.2', 'SLOPE = 0.201',
        'networks/test_discriminator.py::test_video_parity'),
}


@pytest.mark.slow
@pytest.mark.parametrize('setting', kernels.SETTINGS)
def test_parity_holds_on_other_kernels(setting):
  done = kernels.run_parity_tests(kernels.SETTINGS[setting])
  assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('mutation', MUTATIONS)
def test_parity_fails_with_a_mistake(mutation, tmp_path):
  """Of a copy of the project, where one line is changed."""
  name, old, new, test = MUTATIONS[mutation]
  for folder in ('tf_privinfo', 'tests'):
    shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns('__pycache__'))
  for file in ('setup.cfg', 'train_main.py', 'eval_main.py'):
    shutil.copy(ROOT / file, tmp_path)
  path = tmp_path / 'tf_privinfo' / name
  text = path.read_text(encoding='utf-8')
  assert text.count(old) == 1
  run = [sys.executable, '-m', 'pytest', '-n', '0', f'tests/{test}']
  path.write_text(text.replace(old, new), encoding='utf-8')
  done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
  assert done.returncode == 1 and 'failed' in done.stdout, done.stdout
