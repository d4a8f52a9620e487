"""The examples of docs/extending.md are added to a copy of the code, which then trains with them."""

import json
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np

from tests.doc_pages import fences, ROOT


def apply_examples(text, root):
  """Writes the files that a page shows whole (`# path` on top), and makes the changes that it shows as differences."""
  for language, block in fences(text):
    if language == 'python':
      path, _, content = block.partition('\n')
      path = root / path.removeprefix('# ')
      path.parent.mkdir(exist_ok=True)
      path.write_text(content)
    elif language == 'diff':
      for part in re.split(r'^--- ', block, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition('\n')
        for hunk in re.split(r'^@@\n', hunks, flags=re.MULTILINE):
          change(root / name, [line for line in hunk.splitlines() if line])


def change(path, lines):
  before, after = (''.join(line[1:] + '\n' for line in lines if line[0] in kept) for kept in (' -', ' +'))
  text = path.read_text()
  assert f'\n{text}'.count(f'\n{before}') == 1, f'{path.name} does not have exactly one place with\n{before}'
  path.write_text(f'\n{text}'.replace(f'\n{before}', f'\n{after}')[1:])


# A copy of the package, and of what tests train with.
EXAMPLE = '''
import sys
from tf_privinfo.recipes import validation
from tf_privinfo import recipes
from tests import in_process
longer = validation.check(recipes.recipe('longer', 'nwucla', 'cross_view_3'))
assert [list(longer.streams(stage)) for stage in longer.stages] == [['rgb']] * 3
with in_process.one_device(), in_process.quick():
  in_process.train_main_with(*sys.argv[1:])
'''


def test_examples_of_extending(tmp_path):
  """A dataset, a modality, a method and a network are added to a copy of the code, which then trains with all."""
  copy, data_dir = tmp_path / 'copy', tmp_path / 'data'
  shutil.copytree(ROOT / 'tf_privinfo', copy / 'tf_privinfo')
  shutil.copytree(ROOT / 'datasets', copy / 'datasets')
  (copy / 'tf_privinfo' / 'datasets').symlink_to(copy / 'datasets')
  (copy / 'tests').mkdir()
  for name in ('train_main.py', 'setup.cfg', 'tests/in_process.py'):
    shutil.copy(ROOT / name, copy / name)
  apply_examples((ROOT / 'docs' / 'extending.md').read_text(), copy)
  rng = np.random.default_rng(0)
  for name in [f'a{action:02d}_s{subject:02d}_v01_e00' for action in (1, 2) for subject in (1, 2, 3, 4)]:
    (data_dir / name).mkdir(parents=True)
    for number in range(3):
      for ending, picture in (('rgb.jpg', rng.integers(0, 255, (36, 48, 3), np.uint8)),
                              ('depth.png', rng.integers(900, 3000, (36, 48), np.uint16)),
                              ('ir.png', rng.integers(0, 255, (36, 48, 3), np.uint8))):
        cv2.imwrite(str(data_dir / name / f'{number:04d}_{ending}'), picture)
  done = subprocess.run(
      [sys.executable, '-c', EXAMPLE, '--method=mutual', '--dataset=gestures', '--preset=tiny',
       f'--data_dir={data_dir}', f'--output_dir={tmp_path / "runs"}', '--epochs=1', '--set=modalities=rgb,infrared',
       '--set=network.architecture=mobilenet', '--set=network.alpha=0.35', '--set=clips.crop_size=32',
       '--set=clips.frames=2', '--set=clips.test_clips=1', '--set=clips.colour=false'],
      cwd=copy, capture_output=True, text=True, env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': str(copy)})
  assert done.returncode == 0, done.stderr[-4000:]
  [run] = (tmp_path / 'runs' / 'gestures' / 'mutual').iterdir()
  results = json.loads((run / 'results.json').read_text())
  assert results['samples'] == 4 and list(results['accuracy'])[:2] == ['rgb', 'infrared']
  [history] = json.loads((run / 'ensemble' / 'history.json').read_text())
  assert history['loss_soft/infrared'] > 0 and 'architecture: mobilenet' in (run / 'recipe.yaml').read_text()
