"""Commands, flags and overrides of the README and the pages of docs/ are parsed, and their recipes resolved."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.doc_pages import code_spans, OURS, PAGES, ROOT
from tf_privinfo import recipes
from tf_privinfo.datasets import catalog
from tf_privinfo.evaluation import noise_sweep
from tf_privinfo.recipes import settings, validation
from tf_privinfo.utils import errors

# Where a program's work begins: in these modules. Those without any are benchmarks whose flags are numbers.
PROGRAMS = {
    'train_main': ['tf_privinfo.workflow'],
    'eval_main': ['tf_privinfo.workflow', 'tf_privinfo.reports.compare'],
    'tf_privinfo.datasets.prepare': ['tf_privinfo.datasets.catalog'],
    'tf_privinfo.datasets.show': ['tf_privinfo.datasets.catalog'],
    'tf_privinfo.datasets.nyud.convert': ['tf_privinfo.datasets.nyud.crops'],
    'tf_privinfo.datasets.synthetic.export': ['tf_privinfo.datasets.synthetic.storage'],
    'benchmarks.preparation': ['tf_privinfo.datasets.catalog'],
    'benchmarks.dmcl_step': [],
    'benchmarks.input_pipeline': [],
    'benchmarks.stage_steps': [],
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
      if 'dataset' in flags.FLAGS:
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


@pytest.fixture(scope='module')
def checked(tmp_path_factory):
  """Flags of every program -> what is wrong with them, and the names of all flags."""
  folder = tmp_path_factory.mktemp('cwd')
  (folder / 'checkpoints').mkdir()  # of no runs
  shutil.copytree(ROOT / 'docs/evidence', folder / 'docs/evidence')
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
        if not recipes.DATASETS[name].from_table:  # whose form needs the table
          catalog.builder_class(name).configure(recipe.data, recipe.clips.frame_size)
        return
      except errors.UserError as error:
        refusals.append(str(error))
  raise AssertionError('\n'.join(refusals))
