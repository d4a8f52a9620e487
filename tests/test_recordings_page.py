"""The example of docs/recordings.md runs from the table to the served model, with smaller networks (slow)."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.doc_pages import fences, program, ROOT, split_commands
from tf_privinfo.datasets.nwucla import native

# The output that a step must have; the steps are in the order of the page.
STEPS = {
    'tf_privinfo.datasets.synthetic.export': 'Everything is in recordings: ',
    'tf_privinfo.datasets.prepare': 'All native files are readable',
    'tf_privinfo.datasets.show': 'Everything is in sheets: 10 contact sheets',
    'train_main': '30 test samples',
    'eval_main': 'Written to checkpoints/recordings/dmcl/',
}


def run(words, folder):
  done = subprocess.run(
      [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': str(ROOT)})
  assert done.returncode == 0, f'{shlex.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}'
  return done.stdout


@pytest.mark.slow
def test_from_the_table_to_the_served_model(tmp_path):
  text = (ROOT / 'docs' / 'recordings.md').read_text().replace('small', 'tiny')
  blocks = fences(text)
  commands = [program(words) for language, block in blocks if language == 'sh' for words in split_commands(block)]
  assert [name for name, _ in commands] == list(STEPS)
  for name, flags in commands:
    assert STEPS[name] in run(['-m', name, *flags], tmp_path)
  [shown] = [block for language, block in blocks if language == 'text' and block.startswith('sample,label,view')]
  assert (tmp_path / 'recordings/samples.csv').read_text().startswith(shown)
  [predictions] = tmp_path.glob('checkpoints/recordings/dmcl/*/predictions/predictions.csv')
  assert len(set(re.findall(r'^[^,]+', predictions.read_text(), re.MULTILINE))) == 1 + 2
  [script] = [block for language, block in blocks if language == 'python']
  label, probability = run(['-c', 'import sys; sys.modules["tf_privinfo"] = None\n' + script], tmp_path).split()
  assert label in native.ACTIONS.values() and 0.1 <= float(probability) <= 1
