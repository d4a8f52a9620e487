"""The README and the pages of docs/: their links, commands, overrides and examples are held against the code.

Every command is parsed, and its recipe resolved, in a quick test; the slow tests run it, on tiny data. The pages of
docs/reproduction/ say how large runs were made, so their commands are only parsed.
"""

import base64
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line, native_files
from tf_privinfo import recipes
from tf_privinfo.datasets import catalog
from tf_privinfo.evaluation import noise_sweep
from tf_privinfo.recipes import settings, validation
from tf_privinfo.utils import errors

ROOT = command_line.ROOT
README = ROOT / 'README.md'
PAGES = [README, *sorted((ROOT / 'docs').rglob('*.md'))]

# First words of the commands that are neither parsed nor run here, and why.
ELSEWHERE = {
    'python3.11 -m venv': 'sets an environment up: .ci/run does',
    'pip install': 'the same',
    'python -m pytest': 'runs the tests',
    'python train_main.py --help': 'tests/test_package.py reads it',
    'tensorboard': 'see test_tensorboard_shows_every_tag',
    'curl': 'needs a server: see test_the_request_is_answered',
    'docker run': 'needs Docker',
    'python -m apache_beam.runners.worker.worker_pool_main': 'needs a cluster, and an extra',
}
# Likewise, of those that are parsed but not run.
NOT_RUN = {
    '--beam_options': 'needs a cluster: tests/datasets/test_prepare.py runs Beam without one',
}
# Where a program's work begins: in these modules. Those without any are benchmarks whose flags are numbers.
PROGRAMS = {
    'train_main': ['tf_privinfo.workflow'],
    'eval_main': ['tf_privinfo.workflow', 'tf_privinfo.reports.compare'],
    'tf_privinfo.datasets.prepare': ['tf_privinfo.datasets.catalog'],
    'tf_privinfo.datasets.show': ['tf_privinfo.datasets.catalog'],
    'tf_privinfo.datasets.nyud.convert': ['tf_privinfo.datasets.nyud.crops'],
    'benchmarks.preparation': ['tf_privinfo.datasets.catalog'],
    'benchmarks.dmcl_step': [],
    'benchmarks.input_pipeline': [],
}
MISTAKES = [
    ('train_main', '--metod=dmcl --dataset=nwucla', 'metod'),
    ('train_main', '--method=dmlc --dataset=nwucla', 'dmlc'),
    ('train_main', '--method=dmcl --dataset=nwucla --protocol=cross_subject', 'cross_subject'),
    ('train_main', '--method=dmcl --dataset=nwucla --set=loser.temprature=5', 'temprature'),
    ('train_main', '--method=dmcl --dataset=nwucla stray', 'stray'),
    ('eval_main', '--report=table_9_9', 'table_9_9'),
    ('eval_main', '--report=methods --methods=dmcl,dmlc --dataset=synthetic', 'dmlc'),
    ('tf_privinfo.datasets.prepare', '--dataset=nwucla --set=data.dept=depth', 'data.dept'),
    ('tf_privinfo.datasets.show', '--dataset=nwucla', 'out'),
    ('tf_privinfo.datasets.nyud.convert', '--pairs=pairs.csv --output=DIR --encoding=grey', 'grey'),
    ('benchmarks.preparation', '--dataset=ucla', 'ucla'),
    ('benchmarks.dmcl_step', '--repeats=three', 'three'),
]

# Runs a program with each of many flags up to where its work begins; prints what is wrong with them, and its flags.
CHECK = '''
import importlib, json, os, sys, types
from absl import flags
from absl.testing import flagsaver
from tf_privinfo.utils import errors
from tf_privinfo import recipes

class Begun(Exception):
  pass

class Work(types.ModuleType):
  def __getattr__(self, name):
    if name.startswith('__'):
      raise AttributeError(name)
    def begin(*args, **kwargs):
      raise Begun
    return begin

def verdict(words):
  with flagsaver.flagsaver():
    try:
      stray = flags.FLAGS([name, *words])[1:]
      if stray:
        return f'stray {stray}'
      for method in getattr(flags.FLAGS, 'methods', ()):
        recipes.recipe(method, flags.FLAGS.dataset, 'any')
      if works:
        module.main()
    except Begun:
      pass
    except (flags.Error, errors.UserError) as error:
      return str(error)
  return ''

name, *works = sys.argv[1:]
sys.modules.update({work: Work(work) for work in works})
module = importlib.import_module(name)
commands = json.load(sys.stdin)
answer, sys.stdout = sys.stdout, open(os.devnull, 'w')
json.dump([[verdict(words) for words in commands], list(flags.FLAGS)], answer)
'''


def fences(text):
  """The fenced blocks of a page: (language, content) of each."""
  return re.findall(r'^```(\w*)\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def prose(text):
  """A page without its fenced blocks."""
  return re.sub(r'^```.*?^```$', '', text, flags=re.MULTILINE | re.DOTALL)


def code_spans(text):
  """What stands between backticks in the text of a page, each in one line."""
  return [' '.join(span.split()) for span in re.findall(r'`([^`]+)`', prose(text))]


def split_commands(block):
  """The commands of a shell block, each as its words: several lines or several in a line, without comments."""
  lines, commands = '', []
  for line in block.replace('\\\n', '').splitlines():
    lines += line + '\n'
    try:
      words = shlex.split(lines, comments=True)
    except ValueError:  # a quotation goes on
      continue
    lines, command = '', []
    for word in [*words, '&&']:
      if word != '&&':
        command.append(word)
      elif command:
        commands.append(command)
        command = []
  assert not lines.strip(), f'unfinished: {lines}'
  return commands


def all_commands():
  """(page, words) of every distinct command, in blocks and in the text."""
  found = {}
  for page in PAGES:
    text = page.read_text()
    blocks = [block for language, block in fences(text) if language == 'sh']
    command = re.compile(r'(\.venv/bin/)?(python3?(\.\d+)? |pip |tensorboard )')
    spans = [span for span in code_spans(text) if command.match(span)]
    for words in (words for block in [*blocks, *spans] for words in split_commands(block)):
      words = [words[0].removeprefix('.venv/bin/'), *words[1:]]
      found.setdefault(tuple(words), page)
  return [(page, list(words)) for words, page in found.items()]


def elsewhere(words):
  return any(shlex.join(words).startswith(start) for start in ELSEWHERE)


def program(words):
  """`python a/b.py --flags` or `python -m a.b --flags` -> ('a.b', flags)."""
  assert words[0] == 'python', words
  if words[1] == '-m':
    return words[2], words[3:]
  return words[1].removesuffix('.py').replace('/', '.'), words[2:]


OURS = [(page, *program(words)) for page, words in all_commands() if not elsewhere(words)]


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


# Commands and overrides, without running anything.


@pytest.fixture(scope='module')
def checked(tmp_path_factory):
  """Flags of every program -> what is wrong with them, and the names of all flags."""
  folder = tmp_path_factory.mktemp('cwd')
  (folder / 'checkpoints').mkdir()  # of no runs
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
  asked, processes = {name: [] for name in PROGRAMS}, {}
  for name, flags in [(name, flags) for _, name, flags in OURS] + [(name, text.split()) for name, text, _ in MISTAKES]:
    asked[name].append(flags)
  for name, works in PROGRAMS.items():  # all at once
    processes[name] = subprocess.Popen(
        [sys.executable, '-c', CHECK, name, *works], cwd=folder, env=environment, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    read_only = [[flag for flag in flags if flag != '--run_missing'] for flags in asked[name]]
    processes[name].stdin.write(json.dumps(read_only))
    processes[name].stdin.close()
  verdicts, known = {}, set()
  for name, process in processes.items():
    answer = process.stdout.read()
    assert process.wait() == 0, process.stderr.read()[-3000:]
    messages, flags = json.loads(answer)
    verdicts.update({(name, *flags): message for flags, message in zip(asked[name], messages)})
    known.update(flags)
  return verdicts, known


def test_commands_are_understood(checked):
  """Flags exist, and what they say makes a recipe, a report or a conversion."""
  assert {name for _, name, _ in OURS} == set(PROGRAMS) and len(OURS) > 25
  wrong = {f'{page.name}: {name} {shlex.join(flags)}': checked[0][name, *flags]
           for page, name, flags in OURS if checked[0][name, *flags]}
  assert not wrong


def test_mistakes_in_commands_are_found(checked):
  for name, text, word in MISTAKES:
    assert word in checked[0][name, *text.split()], (name, text)


def test_levels_of_noise_are_understood():
  levels = [flag.partition('=')[2] for _, _, flags in OURS for flag in flags if flag.startswith('--noise=')]
  assert levels and all(noise_sweep.parse_levels(text) for text in levels)


def test_flags_in_the_text_exist(checked):
  for page in PAGES:
    for span in code_spans(page.read_text()):
      if span.startswith('--'):
        for flag in re.findall(r'(?:^| )--(\w+)', span):
          assert {flag, flag.removeprefix('no')} & {*checked[1], 'help'}, f'{page.name}: {span}'


# Page -> the dataset that it is about, where it is not called so.
ABOUT = {'ntu': 'ntu60', 'objects': 'nyud'}


def overrides():
  for page in PAGES:
    for span in code_spans(page.read_text()):
      values = re.findall(r'--set ([^ =]+=\S+)', span)
      # test_examples_of_extending trains with those of its network.
      if values and values != ['key=value'] and 'network.architecture=mobilenet' not in values:
        yield pytest.param(page, values, id=f'{page.stem}: {" ".join(values)}')


@pytest.mark.parametrize('page, values', overrides())
def test_overrides_in_the_text_are_understood(page, values):
  """By the method or the dataset that the page is about; on other pages by any."""
  dataset = ABOUT.get(page.stem, page.stem)
  refusals = []
  for method in [page.stem] if page.stem in recipes.METHODS else recipes.METHODS:
    for name in [dataset] if dataset in recipes.DATASETS else ('nwucla', 'nyud'):
      try:
        recipe = recipes.recipe(method, name, 'any')
        recipe = validation.check(recipes.override(recipe, settings.parse_settings(values)))
        catalog.builder_class(name).configure(recipe.data, recipe.clips.frame_size)
        return
      except errors.UserError as error:
        refusals.append(str(error))
  raise AssertionError('\n'.join(refusals))


# The examples of docs/extending.md.


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
      return f'{key}={self.trained("dmcl")},{self.trained("independent")}'
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
    if 'reproduction' not in page.parts and not any(flag.startswith(tuple(NOT_RUN)) for flag in flags):
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
