"""The Python examples of docs/serving.md and the README run as they stand, with other paths."""

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests import command_line, native_files
from tf_privinfo import runs
from tf_privinfo.serving import litert

RUN = command_line.ROOT / 'tests' / 'stored_runs' / 'tf2.15' / 'nwucla_dmcl'
WITHOUT_PROJECT = 'import sys\nsys.modules["tf_privinfo"] = None\n'


def example(page, start):
  """The Python block of a page that begins with `start`."""
  text = (command_line.ROOT / page).read_text(encoding='utf-8')
  [found] = [block for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL) if block.startswith(start)]
  return found


def run(program, folder, *replacements):
  for old, new in replacements:
    assert old in program
    program = program.replace(old, str(new))
  done = subprocess.run([sys.executable, '-c', program], cwd=folder, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr[-3000:]
  return done.stdout.split()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('page')
  images = cv2.blur(np.random.default_rng(0).integers(0, 256, (48, 64, 36), np.uint8), (5, 5)).reshape(48, 64, 12, 3)
  native_files.write_avi(folder / 'clip.avi', np.moveaxis(images, 2, 0))
  return folder


LABELS = runs.Run.open(str(RUN)).manifest()['label_names']
TRAINED = 'checkpoints/synthetic/dmcl/small-cross_view_1-code-seed0'


def test_savedmodel_without_this_project(folder):
  """Its process cannot import the project."""
  program = WITHOUT_PROJECT + example('docs/serving.md', 'import cv2\n')
  label, probability = run(program, folder, (TRAINED, RUN), ('video.mp4', 'clip.avi'))
  assert label in LABELS and 1 / len(LABELS) <= float(probability) <= 1


@pytest.mark.parametrize('page', ['docs/serving.md', 'README.md'])
def test_load(page, folder):
  program = example(page, 'import tf_privinfo\n')
  assert len(program.strip().splitlines()) == 3
  [label] = run(program, folder, (TRAINED, RUN))
  assert label in LABELS


def test_litert_without_tensorflow(folder):
  pytest.importorskip('ai_edge_litert', reason='ai-edge-litert is not installed: pip install it for this test')
  litert.export(runs.Run.open(str(RUN)), folder / 'edge')
  program = 'import sys\nsys.modules["tensorflow"] = None\n' + WITHOUT_PROJECT + example(
      'docs/serving.md', 'import zipfile\n')
  label, probability = run(program, folder)
  assert label in LABELS and 1 / len(LABELS) <= float(probability) <= 1
