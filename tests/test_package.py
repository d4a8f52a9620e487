"""The package as users install it, and the commands of the README."""

import pathlib
import subprocess
import sys

import pytest

from tests import command_line

CHECK = """
import importlib.util, pathlib, sys
import tf_privinfo.datasets.protocols as protocols
from tf_privinfo.datasets import registry
assert registry.resolve_protocol('nwucla', None) == 'cross_view_1'
assert importlib.util.find_spec('datasets') is None, 'the name datasets is taken'
print(pathlib.Path(protocols.__file__).parent)
"""


def test_editable_install_works_from_elsewhere(tmp_path):
  done = subprocess.run([sys.executable, '-c', CHECK], cwd=tmp_path, check=True, capture_output=True, text=True)
  assert pathlib.Path(done.stdout.strip()) == command_line.ROOT / 'datasets'


def test_built_wheel_holds_every_module_and_leaves_datasets_free(tmp_path):
  subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--wheel-dir', tmp_path,
                  command_line.ROOT], check=True)
  [wheel] = tmp_path.glob('*.whl')
  site = tmp_path / 'site'
  subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', site, wheel], check=True)
  installed = {path.relative_to(site).as_posix() for path in site.rglob('*.*')}
  for source, target in (('tf_privinfo', 'tf_privinfo'), ('datasets', 'tf_privinfo/datasets')):
    expected = {f'{target}/{path.relative_to(command_line.ROOT / source).as_posix()}'
                for ending in ('*.py', '*.txt') for path in (command_line.ROOT / source).rglob(ending)}
    assert expected <= installed
  assert not any(name.startswith('datasets/') for name in installed)
  # Isolated from this checkout, with the dependencies of this environment.
  code = f'import sys; sys.path.insert(0, {str(site)!r})\n' + CHECK
  folder = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
  assert pathlib.Path(folder.strip()) == site / 'tf_privinfo' / 'datasets'


@pytest.mark.parametrize('main', ['train_main', 'eval_main'])
def test_help_explains_every_flag_without_importing_tensorflow(main):
  code = ('import sys, runpy\nsys.argv = ["main", "--helpshort"]\n'
          f'try:\n  runpy.run_path({str(command_line.ROOT / (main + ".py"))!r}, run_name="__main__")\n'
          'except SystemExit: pass\nassert "tensorflow" not in sys.modules')
  text = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout
  flags = {'train_main': ['method', 'dataset', 'protocol', 'data_dir', 'output_dir', 'preset', 'seed', 'epochs',
                          'batch_size', 'variant', 'set', '[no]resume', '[no]mixed_precision', 'num_gpus'],
           'eval_main': ['run_dir', 'data_dir', 'export_dir']}
  assert all(f'--{flag}: ' in text for flag in flags[main]), text
