"""Imports go in one direction; ruff and the type checker find nothing; files are short, public names documented."""

import ast
import os
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

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


FOLDERS = 'tf_privinfo', 'datasets', 'benchmarks'
# Methods that override those of Keras are documented there.
KERAS = {name for base in (tf.keras.Model, tf.keras.callbacks.Callback, tf.keras.metrics.Metric,
                           tf.keras.optimizers.Optimizer) for name in dir(base)}


def python_files(*folders):
  return [*ROOT.glob('*.py'), *(path for folder in folders for path in (ROOT / folder).rglob('*.py'))]


def test_no_file_is_long():
  lines = {path.relative_to(ROOT): path.read_text(encoding='utf-8').count('\n')
           for path in python_files(*FOLDERS, 'tests')}
  assert len(lines) > 200 and not {path: count for path, count in lines.items() if count > 350}


def public(node):
  """Public functions and classes of a module, methods included."""
  for child in node.body:
    if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith('_'):
      yield child, isinstance(node, ast.ClassDef)
      if isinstance(child, ast.ClassDef):
        yield from public(child)


def test_what_is_public_is_documented():
  """Methods need no description of their own where another class, or Keras, documents a method of this name."""
  trees = {path.relative_to(ROOT): ast.parse(path.read_text(encoding='utf-8')) for path in python_files(*FOLDERS)}
  found = [(path, node, is_method) for path, tree in trees.items() for node, is_method in public(tree)]
  described = KERAS | {node.name for _, node, is_method in found if is_method and ast.get_docstring(node)}
  assert not [str(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
  assert not [f'{path}: {node.name}' for path, node, is_method in found
              if not ast.get_docstring(node) and not (is_method and node.name in described)]
