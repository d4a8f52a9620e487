"""Imports go in one direction; ruff and the type checker find nothing."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.command_line import ROOT

LINT_IMPORTS = '-c', 'from importlinter.cli import lint_imports_command; lint_imports_command()'


def run(*command, cwd):
  done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False,
                        env={**os.environ, 'PYTHONPATH': str(cwd)})
  return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
  """The packages in the places that their names say: tf_privinfo.datasets lies in a folder of its own."""
  root = tmp_path_factory.mktemp('tree')
  ignore = shutil.ignore_patterns('__pycache__')
  shutil.copytree(ROOT / 'tf_privinfo', root / 'tf_privinfo', ignore=ignore)
  shutil.copytree(ROOT / 'datasets', root / 'tf_privinfo' / 'datasets', ignore=ignore)
  shutil.copy(ROOT / 'pyproject.toml', root)
  return root


def test_each_layer_imports_only_layers_below_it(tree):
  status, text = run(*LINT_IMPORTS, '--no-cache', cwd=tree)
  assert status == 0, text


def test_an_import_from_above_is_found(tree):
  path = tree / 'tf_privinfo' / 'utils' / 'text.py'
  plain = path.read_text(encoding='utf-8')
  path.write_text(f'{plain}\nfrom tf_privinfo.recipes import recipe\n', encoding='utf-8')
  try:
    status, text = run(*LINT_IMPORTS, '--no-cache', cwd=tree)
  finally:
    path.write_text(plain, encoding='utf-8')
  assert status == 1 and 'tf_privinfo.utils.text -> tf_privinfo.recipes.recipe' in text


def test_ruff_has_nothing_to_say():
  status, text = run('-m', 'ruff', 'check', '--no-cache', '.', cwd=ROOT)
  assert status == 0, text


def test_types_of_the_packages_without_tensorflow(tree):
  status, text = run('-m', 'mypy', '--cache-dir', str(tree / 'cache'), cwd=tree)
  assert status == 0, text
