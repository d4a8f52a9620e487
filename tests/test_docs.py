"""The README and the pages of docs/: their links lead somewhere, and their commands run on tiny data (slow).

The pages of docs/reproduction/ say how large runs were made, so their commands are only parsed: test_docs_flags.py.
"""

import base64
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from tests import native_files
from tests.doc_pages import all_commands, OURS, PAGES, prose, README, ROOT

# Flags of commands that are parsed (test_docs_flags.py) but not run, and why.
NOT_RUN = {
    '--beam_options': 'needs a cluster: tests/datasets/prepare/test_beam_preparation.py runs Beam without one',
}


# Links.


def anchors(page):
  """The anchors that GitHub gives to the headings of a page."""
  headings = re.findall(r'^#+ (.*)$', prose(page.read_text()), re.MULTILINE)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def links(page):
  """(text of the link, file, anchor) of the links of a page into the repository."""
  for target in re.findall(r'\]\(([^)]+)\)', prose(page.read_text())):
    if '://' not in target:
      path, _, anchor = target.partition('#')
      yield target, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
  for target, path, anchor in links(page):
    assert path.exists() and path.is_relative_to(ROOT), target
    assert not anchor or anchor in anchors(path), target


def test_every_page_is_reached_from_the_readme():
  reached, new = set(), {README}
  while new:
    reached |= new
    new = {path for page in new for _, path, _ in links(page) if path.suffix == '.md'} - reached
  assert not set(PAGES) - reached


# Commands, run as they stand, on tiny data.


class Workshop:
  """Runs commands of the pages with tiny data and networks in the places of theirs, each once.

  Attributes:
    folder: everything is in it, runs in its folder `checkpoints`.
  """

  # What stands in for RUN: page -> method of a run on NW-UCLA; DMCL on the others.
  RUNS = {'admd': 'admd', 'modality_distillation': 'modality_distillation'}
  PREPARED = ('nwucla', 'ntu', 'uwa3dii', 'nyud')

  def __init__(self, folder):
    self.folder = folder
    self.runs = folder / 'checkpoints'
    self.data = {name: folder / 'data' / name for name in (*self.PREPARED, 'synthetic', 'synthetic_objects')}
    self._done = {}
    native_files.write_nwucla(self.data['nwucla'], actions=(1, 2), episodes=2)
    # Performer 1 validates, 2 trains, 3 tests.
    native_files.write_ntu(self.data['ntu'], [
        f'S001C001P00{performer}R00{take}A00{action}'
        for performer in (1, 2, 3) for take in (1, 2) for action in (1, 2)])
    native_files.write_uwa3dii(self.data['uwa3dii'])
    native_files.write_nyud(self.data['nyud'])
    native_files.write_nyud(self.data['nyud'], depth='estimated')
    native_files.write_depth_crops(folder / 'crops')
    native_files.write_avi(folder / 'clip.avi', np.zeros((9, 36, 48, 3), np.uint8))

  def run(self, page, name, flags):
    """Runs a command of a page; returns what it prints and the path that it names last."""
    command = [name, *self._smaller(name, [self._replace(page, name, flags, flag) for flag in flags])]
    key = tuple(sorted(command))
    if key not in self._done:
      done = subprocess.run(
          [sys.executable, '-m', *command], cwd=ROOT, capture_output=True, text=True, check=False,
          env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3'})
      assert done.returncode == 0, f'{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}'
      self._done[key] = done.stdout
    out = self._done[key]
    paths = re.findall(r'(?:Everything is in|Written to|SavedModel written to) (\S+?)[:;,]?(?:\s|$)', out)
    return out, pathlib.Path(paths[-1]) if paths else None

  def trained(self, method, dataset='nwucla'):
    """The run directory of a method."""
    return self.run(
        README, 'train_main', [f'--method={method}', f'--dataset={dataset}', f'--data_dir=/data/{dataset}'])[1]

  def _replace(self, page, name, flags, flag):
    """A flag with the places and the seeds of the workshop."""
    key, _, value = flag.partition('=')
    if key in ('--run_dir', '--init_from'):
      if '--depth_variant=FOLDER' in flags:
        return f'{key}={self.trained("admd", "nyud")}'
      if value != 'RUN':
        return f'{key}={self.trained(*reversed(pathlib.Path(value).parts[1:3]))}'
      method = 'modality_distillation' if key == '--init_from' else self.RUNS.get(page.stem, 'dmcl')
      return f'{key}={self.trained(method)}'
    if key == '--compare':
      return f'{key}={self.trained("dmcl" if value == "RUN" else "independent")}'
    if key == '--predict':
      depth = next(self.data['nwucla'].rglob('a01*')) / 'frame_*_depth_vis.jpg'
      value = re.sub('clip[0-9]*.avi', str(self.folder / 'clip.avi'), value)
      return f'{key}={value.replace("clip7_depth", str(depth))}'
    if key == '--methods':  # two are enough: each has a test of its own
      methods = value.split(',')
      return f'{key}={",".join(dict.fromkeys((methods[0], methods[-1])))}'
    return {
        '--data_dir': f'{key}={self.folder / "data"}/{pathlib.Path(value).name}', '--seeds': '--seeds=0',
        '--pairs': f'{key}={self.folder / "crops" / value}', '--output': f'{key}={self.folder / "converted"}',
        '--export_dir': f'{key}={self.folder / ("edge" if "--format=tflite" in flags else "served")}',
        '--out': f'{key}={self.folder / "sheets"}',
        '--depth_variant': f'{key}=estimated'}.get(key, flag)

  def _smaller(self, name, flags):
    """Flags with more of them for tiny networks, data that are rendered into the workshop, and runs there."""
    values = dict(flag.partition('=')[::2] for flag in flags)
    if name == 'benchmarks.dmcl_step':
      return [*flags, '--repeats=1', '--size=32', '--width=4']
    if name == 'benchmarks.stage_steps':
      return [*flags, '--preset=tiny', '--methods=dmcl', '--datasets=ntu120', '--steps=1', '--settings=float32']
    if name == 'benchmarks.input_pipeline':
      return [*flags, '--videos=2', '--length=9', '--width=64', '--height=48', '--batch_size=2', '--epochs=1',
              '--repeats=1', '--tiny=16', '--full=8', '--rate=4000']
    if name == 'tf_privinfo.datasets.nyud.convert' or values.keys() & {'--export_dir', '--predict'}:
      return flags
    if '--run_dir' in values:
      return [*flags, f'--data_dir={self.folder / "data" / pathlib.Path(values["--run_dir"]).parts[-3]}']
    if '--compare' in values:
      return [*flags, f'--output_dir={self.runs}']
    more = ['--preset=tiny']
    if '--data_dir' not in values:
      more.append(f'--data_dir={self.data[values["--dataset"]]}')
    if name in ('train_main', 'eval_main'):
      published = values['--dataset'] == 'ntu60'  # its validation set is
      more += [f'--set=data.hold_out={0.05 if published else 0.25}', f'--output_dir={self.runs}']
    if '--init_from' in values:
      more.append('--stage=rgb')
    if name == 'benchmarks.preparation':
      more += ['--frame_sizes=32', '--samples=2']
    if name == 'tf_privinfo.datasets.show':
      more.append('--count=2')
    return [*flags, *more]


@pytest.fixture(scope='module')
def workshop(tmp_path_factory):
  return Workshop(tmp_path_factory.mktemp('workshop'))


def runnable():
  for page, name, flags in OURS:
    # tests/test_recordings_page.py runs the commands of its page in their order.
    elsewhere = 'reproduction' in page.parts or page.stem == 'recordings'
    if not elsewhere and not any(flag.startswith(tuple(NOT_RUN)) for flag in flags):
      yield pytest.param(page, name, flags, id=f'{page.stem}: {name} {" ".join(flags)}')


@pytest.mark.slow
@pytest.mark.parametrize('page, name, flags', runnable())
def test_command_runs(workshop, page, name, flags):
  """It ends well, and what it says that it wrote is there."""
  out, path = workshop.run(page, name, flags)
  if name.startswith('benchmarks'):
    assert re.search(r'^\| [\w.]+ (\| [^|]+)+\|$', out, re.MULTILINE), out
  elif '--init_from=RUN' in flags:  # only the stage that starts from it
    assert re.search('Stage rgb has finished in .*; still to run: depth', out), out
  elif '--check' not in flags:
    assert path.exists() and (path.is_file() or any(path.iterdir()))
    if name == 'train_main':
      assert (path / 'saved_model' / '1' / 'saved_model.pb').exists()


@pytest.mark.slow
def test_the_request_is_answered(workshop):
  """What curl sends, with a JPEG file for every "...", through the signature that it names, as a server decodes it."""
  [body] = [json.loads(words[words.index('-d') + 1]) for _, words in all_commands() if words[0] == 'curl']
  picture = base64.b64encode(tf.io.encode_jpeg(np.zeros((48, 64, 3), np.uint8)).numpy()).decode()
  body = json.loads(json.dumps(body).replace('...', picture))
  inputs = {name: tf.constant([[base64.b64decode(frame['b64']) for frame in video] for video in videos])
            for name, videos in body['inputs'].items()}
  run = workshop.trained('dmcl')
  signature = tf.saved_model.load(str(run / 'saved_model' / '1')).signatures[body['signature_name']]
  answer = signature(**inputs)
  [example] = re.findall(r'`(\{"outputs".*?\}\})`', (ROOT / 'docs' / 'serving.md').read_text())
  assert set(answer) == set(re.findall(r'"(\w+)": \[', example))
  assert answer['label'].shape == [1] and answer['label'].numpy()[0].decode() in (
      run / 'saved_model' / 'labels.txt').read_text().split()


@pytest.mark.slow
def test_tensorboard_shows_every_tag(workshop):
  """The table of tags has those of the runs and no others; TensorBoard starts by the command of the page."""
  for method in ('dmcl', 'cmcl', 'modality_distillation', 'admd'):
    workshop.trained(method)
  found = set()
  for path in workshop.runs.rglob('events*'):
    for record in tf.data.TFRecordDataset(str(path)):
      found.update(value.tag for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value)
  text = (ROOT / 'docs' / 'runs.md').read_text()
  rows = [line.split('|')[1] for line in text[text.index('## TensorBoard'):].splitlines() if line.startswith('| `')]
  patterns = {tag: re.sub(r'<\w+>', r'\\w+', tag) for row in rows for tag in re.findall('`([^`]+)`', row)}
  found -= {tag for tag in found if tag.startswith('_hparams_')}
  assert not [tag for tag in found if not any(re.fullmatch(pattern, tag) for pattern in patterns.values())]
  assert not [tag for tag, pattern in patterns.items() if not any(re.fullmatch(pattern, name) for name in found)]
  [words] = [words for _, words in all_commands() if words[0] == 'tensorboard']
  server = subprocess.Popen([sys.executable, '-m', 'tensorboard.main', *words[1:], '--port=0', '--bind_all'],
                            cwd=workshop.folder, stderr=subprocess.PIPE, text=True)
  try:
    line = next(line for line in server.stderr if 'http://' in line)
    [port] = re.findall(r':(\d+)/', line)
    for _ in range(60):
      with urllib.request.urlopen(f'http://localhost:{port}/data/plugin/scalars/tags') as answer:
        logs = json.load(answer)
      if logs:
        break
      time.sleep(1)
    assert any(log.endswith('tensorboard/ensemble') for log in logs)
  finally:
    server.terminate()
    server.wait()
