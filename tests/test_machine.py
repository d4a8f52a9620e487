"""What the machine is said to have."""

import pathlib
from unittest import mock

import pytest
import tensorflow as tf

from tf_privinfo import recipes
from tf_privinfo.training import devices
from tf_privinfo.utils import errors, machine

_CPUINFO = ('processor\t: 0\nmodel name\t: Zen 2\nflags\t\t: fpu sse4_1 avx2{more}\n\n'
            'processor\t: 1\nmodel name\t: other\n')


@pytest.mark.parametrize('more, name', [('', 'Zen 2 (AVX2)'), (' avx512f', 'Zen 2 (AVX-512)')])
def test_processor(monkeypatch, more, name):
  monkeypatch.setattr(pathlib.Path, 'exists', lambda path: True)
  monkeypatch.setattr(pathlib.Path, 'read_text', lambda path, **options: _CPUINFO.format(more=more))
  assert machine.processor() == name


def test_a_system_without_that_file(monkeypatch):
  monkeypatch.setattr(pathlib.Path, 'exists', lambda path: False)
  monkeypatch.setattr('platform.processor', lambda: 'arm')
  assert machine.processor() == 'arm'


@pytest.fixture
def gpu_without_libraries(monkeypatch):
  monkeypatch.setattr(pathlib.Path, 'exists', lambda path: str(path) == '/dev/nvidia0')
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES')


def test_a_gpu_that_cannot_be_used_is_told(gpu_without_libraries, two_devices, monkeypatch, capsys):
  monkeypatch.setattr(tf.distribute, 'MirroredStrategy', lambda devices: two_devices)
  devices.make_strategy(-1)
  assert "pip install -c constraints.txt -e '.[gpu]'" in capsys.readouterr().out
  assert f'{machine.cpu_cores()} cores of {machine.processor()}' in devices.describe_devices()
  with pytest.raises(errors.UserError, match=r'--num_gpus=1, but TensorFlow finds 0 .*\.\[gpu\]'):
    devices.make_strategy(1)


def test_a_gpu_that_is_to_be_left_alone_is_not_told(gpu_without_libraries, two_devices, monkeypatch, capsys):
  monkeypatch.setattr(tf.distribute, 'MirroredStrategy', lambda devices: two_devices)
  devices.make_strategy(0)
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  devices.make_strategy(-1)
  assert not capsys.readouterr().out


@pytest.mark.parametrize('sizes, wanted, available, used', [
    ((5, 5, 2), -1, 8, 1), ((5,), -1, 8, 5), ((12, 8), -1, 8, 4), ((16,), -1, 6, 4), ((16,), 2, 8, 2), ((), -1, 3, 3)])
def test_devices_that_divide_every_batch(sizes, wanted, available, used):
  assert devices.divide_batches(dict(enumerate(sizes)), wanted, available) == used


def test_devices_that_do_not_divide_a_batch():
  """The later stage is refused as well, before anything is prepared."""
  with pytest.raises(errors.UserError, match=(
      '^--num_gpus=4 does not divide the batch of 6 of stage joint: choose from 1, 2, or another --batch_size.$')):
    devices.divide_batches({'rgb': 8, 'joint': 6}, 4, 8)


def test_the_first_line_counts_unused_gpus(monkeypatch):
  """MirroredStrategy gets five of eight; all reserve their memory as they need it."""
  gpus, grown, visible = [f'gpu{number}' for number in range(8)], [], []
  logical = lambda kind: [mock.Mock(name=name) for name in visible] if kind == 'GPU' else []
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: gpus)
  monkeypatch.setattr(tf.config, 'list_logical_devices', logical)
  monkeypatch.setattr(tf.config, 'set_visible_devices', lambda used, kind: visible.extend(used))
  monkeypatch.setattr(tf.config, 'get_visible_devices', lambda kind: visible)
  monkeypatch.setattr(tf.config.experimental, 'set_memory_growth', lambda gpu, growth: grown.append(gpu))
  monkeypatch.setattr(tf.config.experimental, 'get_device_details', lambda gpu: {'device_name': 'H100'})
  monkeypatch.setattr(tf.distribute, 'MirroredStrategy', len)
  assert devices.make_strategy(-1, {'rgb': 5}) == 5
  assert grown == visible == gpus[:5] and devices.describe_devices() == '5 of 8 GPUs: H100'


@pytest.mark.parametrize('method, cores, threads', [
    ('dmcl', 1, 1), ('dmcl', 2, 1), ('dmcl', 4, 2), ('dmcl', 16, 6), ('modality_distillation', 2, 2)])
def test_cores_are_divided_among_the_networks_of_a_step(monkeypatch, method, cores, threads):
  """Those of the stage that has the fewest."""
  monkeypatch.delenv('TF_NUM_INTRAOP_THREADS')
  monkeypatch.setattr(machine, 'cpu_cores', lambda: cores)
  given = []
  monkeypatch.setattr(tf.config.threading, 'set_intra_op_parallelism_threads', given.append)
  devices.divide_cores(recipes.recipe(method, 'synthetic', 'cross_view_1', 'small'))
  assert given == [threads]


@pytest.mark.parametrize('capability, dtype, warned', [
    ((7, 5), 'bfloat16', True), ((8, 0), 'bfloat16', False), ((7, 5), 'float16', False)])
def test_bfloat16_on_gpus_without_it(capability, dtype, warned, monkeypatch, capsys):
  monkeypatch.setattr(tf.config, 'get_visible_devices', lambda kind: ['GPU:0'])
  monkeypatch.setattr(tf.config.experimental, 'get_device_details',
                      lambda gpu: {'device_name': 'Tesla T4', 'compute_capability': capability})
  recipe = recipes.recipe('dmcl', 'synthetic', 'cross_view_1', 'tiny')
  devices.warn_about_precision(recipes.override(recipe, {'mixed_precision': True, 'mixed_dtype': dtype}))
  expected = 'Warning: Tesla T4 has no bfloat16: pass --mixed_precision=float16.\n' if warned else ''
  assert capsys.readouterr().out == expected
