"""A table of what users get wrong: every main ends in one sentence, exit status 1, and leaves nothing behind.

TensorFlow is imported once, in a process that forks for every input; each input has a folder of its own.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests import command_line, native_files
from tf_privinfo import recipes
from tf_privinfo.utils import atomic

# Imports all but the mains, whose flags exclude each other; each child imports its own.
SERVER = '''
import contextlib, importlib, json, os, sys, time, traceback
from tf_privinfo.utils import cli
from tf_privinfo.reports import compare, results, thesis_report
from tf_privinfo import workflow
from tf_privinfo.datasets import catalog, contact_sheets
from tf_privinfo.datasets.nyud import crops

def child(folder, main, argv):
  os.chdir(folder)
  with open(f"{folder}.out", "w", encoding="utf-8") as out, open(f"{folder}.err", "w", encoding="utf-8") as err:
    os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
    sys.argv = [main, *argv]
    module = importlib.import_module(main)
    status = 0
    try:
      cli.run(module.main)
    except SystemExit as end:
      status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
      if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
    except BaseException:
      traceback.print_exc()
      status = 99
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status)

for folder, main, argv in json.load(sys.stdin):
  pid = os.fork()
  if not pid:
    child(folder, main, argv)
  print(json.dumps([folder, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]), flush=True)
'''
TRAIN, EVAL = 'train_main', 'eval_main'
PREPARE, SHOW = 'tf_privinfo.datasets.prepare', 'tf_privinfo.datasets.show'
CONVERT = 'tf_privinfo.datasets.nyud.convert'

DMCL = ('--method=dmcl', '--dataset=nwucla', '--preset=tiny', '--set=modalities=rgb,depth', '--data_dir=data')
ADMD = ('--method=admd', '--dataset=nwucla', '--preset=tiny', '--data_dir=data')
TWO_STREAM = ('--method=two_stream', *ADMD[1:])
OTHERS = '--dataset=nwucla', '--data_dir=data', '--preset=tiny'
PAIRS = ('--pairs=pairs.csv', '--output=out', '--encoding=jet')
RUN = 'runs/nwucla/dmcl/run'
FEWER = 'runs/nwucla/dmcl/fewer/results.json'  # the first of equal runs is read
OF_RUN = (f'--run_dir={RUN}', '--data_dir=data')
METHODS = ('--report=methods', '--methods=dmcl', '--dataset=nwucla', '--preset=tiny', '--output_dir=runs')


def text(path, content):
  """Gives a file this content, text or bytes, before the main starts."""
  return lambda: atomic.write(pathlib.Path(path), content)


def in_recipe(old, new):
  def change():
    path = pathlib.Path(RUN, 'recipe.yaml')
    content = path.read_text(encoding='utf-8')
    assert old in content
    path.write_text(content.replace(old, new), encoding='utf-8')
  return change


def in_results(**changes):
  def change():
    content = json.loads(pathlib.Path(FEWER).read_text(encoding='utf-8'))
    atomic.write(pathlib.Path(FEWER), json.dumps({**content, **changes}))
  return change


def table_of(*rows):
  return text('pairs.csv', '\n'.join(['part,class,rgb,depth', *rows]) + '\n')


def remove(path):
  return lambda: pathlib.Path(path).unlink()


def nothing():
  pass


# What is there before the main starts; the main; its flags; words of the sentence that it ends in.
TABLE = [
    # Flags of training.
    (nothing, TRAIN, ['--dataset=nwucla'], '--method', 'dmcl'),
    (nothing, TRAIN, ['--method=dmcl'], '--dataset'),
    (nothing, TRAIN, ['--method=dmcl', '--dataset=nyud'], '--method=dmcl', 'nyud', 'admd'),
    (nothing, TRAIN, [*DMCL, '--protocol=cross_view_9'], '--protocol=cross_view_9', 'cross_view_1'),
    (nothing, TRAIN, [*DMCL, '--variant=text'], '--variant=text', 'thesis'),
    (nothing, TRAIN, [*DMCL, '--preset='], 'Download'),  # as without the flag
    (nothing, TRAIN, [*DMCL, '--epochs=0'], '--epochs'),
    (nothing, TRAIN, [*DMCL, '--epochs=two'], '--epochs', 'two'),
    (nothing, TRAIN, [*DMCL, '--batch_size=-4'], '--batch_size'),
    (nothing, TRAIN, [*DMCL, '--num_gpus=-2'], '--num_gpus'),
    (nothing, TRAIN, [*DMCL, '--no_such_flag'], 'no_such_flag'),
    (nothing, TRAIN, [*DMCL, '--resume=perhaps'], '--resume', 'perhaps'),
    (nothing, TRAIN, [*DMCL, '--stage=game'], '--stage=game', 'ensemble'),
    (nothing, TRAIN, [*DMCL, '--stage='], '--stage', 'ensemble'),
    (nothing, TRAIN, [*DMCL, '--new_classifier'], 'new_classifier', 'init_from'),
    # Seeds: NumPy and TensorFlow have bounds.
    (nothing, TRAIN, [*DMCL, '--seed=-1'], 'seed', '2147483647'),
    (nothing, TRAIN, [*DMCL, '--seed=20261125201500'], 'seed', '2147483647'),
    (nothing, TRAIN, [*ADMD, '--seed=4294967295'], 'seed', '2147483647'),
    (nothing, TRAIN, [*DMCL, '--set=seed=2147483648'], 'seed', '2147483647'),
    (nothing, TRAIN, [*DMCL, '--seed=1.5'], '--seed', '1.5'),
    (nothing, PREPARE, [*OTHERS, '--seed=-1'], 'seed', '2147483647'),
    (nothing, SHOW, [*OTHERS, '--out=sheets', '--seed=4294967296'], 'seed', '2147483647'),
    (nothing, EVAL, [*METHODS, '--seeds=4294967295'], '--seeds', '2147483647'),
    (nothing, EVAL, [*METHODS, '--seeds=0,one'], '--seeds=0,one', '0,1,2'),
    (nothing, EVAL, [*METHODS, '--seeds='], '--seeds', '0,1,2'),
    (nothing, EVAL, [*METHODS, '--seeds=0,-1'], '--seeds=0,-1'),
    # Fields of a recipe.
    (nothing, TRAIN, [*DMCL, '--set==3'], "''", 'loser'),
    (nothing, TRAIN, [*DMCL, '--set=loser'], 'key=value'),
    (nothing, TRAIN, [*DMCL, '--set=loser=3'], 'loser', 'temperature'),
    (nothing, TRAIN, [*DMCL, '--set=loser.temperature.x=3'], 'loser.temperature.x'),
    (nothing, TRAIN, [*DMCL, '--set=loser.temperature=-1'], 'loser.temperature'),
    (nothing, TRAIN, [*DMCL, '--set=loser.temperature=nan'], 'loser.temperature', 'finite'),
    (nothing, TRAIN, [*DMCL, '--set=stages.ensemble.learning_rate=inf'], 'learning_rate', 'finite'),
    (nothing, TRAIN, [*DMCL, '--set=modalities='], 'modalities'),
    (nothing, TRAIN, [*DMCL, '--set=modalities=rgb,rgb'], 'modalities'),
    (nothing, TRAIN, [*DMCL, '--set=data.hold_out=1'], 'data.hold_out'),
    (nothing, TRAIN, [*DMCL, '--set=clips.sampling=all'], 'clips.sampling', 'uniform'),
    (nothing, TRAIN, [*DMCL, '--set=clips.frames=0'], 'clips.frames'),
    (nothing, TRAIN, [*DMCL, '--set=clips.crop_size=64'], 'clips.crop_size'),
    (nothing, TRAIN, [*DMCL, '--set=network.units=2,x'], 'network.units', "'x'"),
    (nothing, TRAIN, [*DMCL, '--set=stages.ensemble.optimizer=sgd'], 'optimizer', 'momentum'),
    (nothing, TRAIN, [*DMCL, '--set=method=admd'], '--method'),
    (nothing, TRAIN, [*DMCL, '--set=dataset=kinetics'], '--dataset'),
    (nothing, TRAIN, [*DMCL, '--set=protocol=mine'], '--protocol'),
    (nothing, TRAIN, [*ADMD, '--set=stages.game.init=hall'], 'stages.game.init', "'hall'"),
    (nothing, TRAIN, [*ADMD, '--set=stages.game.frozen=flow'], 'stages.game.frozen', 'depth'),
    (nothing, TRAIN, [*ADMD, '--set=stages.fused.epochs=1'], 'stages.fused.epochs'),
    (nothing, TRAIN, [*ADMD, '--set=discriminator.form=round'], 'discriminator.form'),
    # Data that are not there, or are something else.
    (nothing, TRAIN, DMCL, 'data', 'multiview_action', 'Download'),
    (text('data', ''), TRAIN, DMCL, 'data', 'Download'),
    (nothing, PREPARE, [*OTHERS, '--check'], 'data', '--data_dir'),
    (nothing, PREPARE, [*OTHERS, '--frame_size=0'], '--frame_size'),
    (nothing, PREPARE, ['--dataset=imagenet'], '--dataset=imagenet', 'nwucla'),
    (nothing, SHOW, OTHERS, '--out'),
    (nothing, SHOW, [*OTHERS, '--out=sheets', '--count=0'], '--count'),
    (nothing, SHOW, [*OTHERS, '--out=sheets'], 'data', 'Download'),
    # Runs: the directory, its recipe, what its stages ended with.
    (nothing, EVAL, [], '--run_dir', '--report', '--compare'),
    (nothing, EVAL, ['--run_dir=nowhere'], 'nowhere', 'recipe.yaml'),
    (nothing, EVAL, [f'--run_dir={RUN}/recipe.yaml'], 'recipe.yaml', 'run directory'),
    (nothing, EVAL, [*OF_RUN, '--noise=loud'], "'loud'", 'holes:'),
    (nothing, EVAL, [*OF_RUN, '--noise=levels:1'], "'levels:1'", '256'),
    (nothing, EVAL, [*OF_RUN, '--noise=0,,1'], "''", 'variance'),
    (nothing, EVAL, [*OF_RUN, '--noise=-1'], "'-1'", 'variance'),
    (nothing, EVAL, [*OF_RUN, '--noise=nan'], "'nan'", 'variance'),
    (nothing, EVAL, [*OF_RUN, '--seeds=0'], '--seeds', 'does not read'),
    (nothing, EVAL, [*OF_RUN, '--export_dir=served'], '--data_dir', '--export_dir does not read'),
    (nothing, EVAL, OF_RUN, 'Download'),
    (text(f'{RUN}/recipe.yaml', ''), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'damaged'),
    (text(f'{RUN}/recipe.yaml', b'\x93NUMPY\x00\xff'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'damaged'),
    (text(f'{RUN}/recipe.yaml', 'method: [dmcl'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'damaged'),
    (text(f'{RUN}/recipe.yaml', '- dmcl\n'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'damaged'),
    (in_recipe('temperature:', 'warmth:'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'loser.warmth'),
    (in_recipe('seed: 0', 'seed: [0]'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'seed'),
    (in_recipe('method: dmcl', 'method: dml'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'dml'),
    (in_recipe('protocol: cross_view_1', 'protocol: mine'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'cross_view_2'),
    (in_recipe('seed: 0', 'seed: -5'), EVAL, OF_RUN, f'{RUN}/recipe.yaml', 'seed', '2147483647'),
    (remove(f'{RUN}/ensemble/finished.json'), EVAL, OF_RUN, 'ensemble', 'not finished', 'train_main.py'),
    (text(f'{RUN}/ensemble/finished.json', ''), EVAL, OF_RUN, f'{RUN}/ensemble/finished.json', 'remove it'),
    (text(f'{RUN}/ensemble/finished.json', '{"weig'), EVAL, OF_RUN, f'{RUN}/ensemble/finished.json', 'remove it'),
    (text(f'{RUN}/ensemble/finished.json', b'\x00\xff'), EVAL, OF_RUN, f'{RUN}/ensemble/finished.json', 'remove it'),
    (text(f'{RUN}/ensemble/finished.json', '[1]'), EVAL, OF_RUN, f'{RUN}/ensemble/finished.json', 'object'),
    (text(f'{RUN}/ensemble/finished.json', '{"epochs": 1}'), EVAL, OF_RUN, f'{RUN}/ensemble/finished.json', 'weights'),
    (nothing, EVAL, [f'--run_dir={RUN}', '--export_dir=served'], f'{RUN}/ensemble/last/epoch-1', 'checkpoint'),
    (remove(f'{RUN}/manifest.json'), EVAL, [f'--run_dir={RUN}', '--export_dir=served'], f'{RUN}/manifest.json',
     'missing'),
    (text(f'{RUN}/manifest.json', '{"samples": {}}'), EVAL, [f'--run_dir={RUN}', '--export_dir=served'],
     f'{RUN}/manifest.json', 'label_names'),
    # Runs that others start from, on data that are there.
    ('data', TRAIN, [*DMCL, '--epochs=1', '--init_from=nowhere', '--output_dir=out'], 'nowhere', 'recipe.yaml'),
    ('data', TRAIN, [*DMCL, '--epochs=1', '--stages_from=nowhere', '--output_dir=out'], 'nowhere', 'recipe.yaml'),
    ('data', TRAIN, [*TWO_STREAM, f'--init_from={RUN}', '--output_dir=out'], f'--init_from={RUN}', 'ensemble'),
    ('data', TRAIN, [*TWO_STREAM, f'--stages_from={RUN}', '--output_dir=out'], f'{RUN}', 'no finished stage'),
    ('data', TRAIN, [*DMCL, '--output_dir=pairs.csv/out'], '--output_dir', 'pairs.csv'),
    # Reports and comparisons.
    (nothing, EVAL, ['--report=table_9_9'], '--report=table_9_9', 'table_5_1'),
    (nothing, EVAL, ['--report=table_5_1', '--output_dir=nowhere'], 'nowhere', '--run_missing'),
    (nothing, EVAL, ['--report=table_5_1', '--dataset=imagenet'], '--dataset=imagenet'),
    (nothing, EVAL, ['--report=methods', '--output_dir=runs'], '--methods', '--dataset'),
    (nothing, EVAL, [*METHODS, '--methods=dmlc'], '--methods=dmlc', 'dmcl'),
    (nothing, EVAL, ['--report=table_5_1', '--methods=dmcl', '--output_dir=runs'], '--methods'),
    (nothing, EVAL, [*METHODS, '--preset=large'], '--preset=large'),
    (nothing, EVAL, [*METHODS, '--variant=text'], '--variant=text'),
    (nothing, EVAL, [*METHODS, '--set=seed=3'], '--seeds'),
    (nothing, EVAL, [*METHODS, '--set=preset=paper'], '--preset'),
    (nothing, EVAL, ['--report=table_5_1', '--data_dir=data'], '--dataset'),
    (nothing, EVAL, ['--random_features'], '--dataset'),
    (text(FEWER, '{"stages"'), EVAL, METHODS, FEWER, 'remove it'),
    (text(FEWER, '[]'), EVAL, METHODS, FEWER, 'object'),
    (in_results(stages={}), EVAL, METHODS, FEWER, 'stage ensemble'),
    (in_results(stages={'ensemble': 3}), EVAL, METHODS, FEWER, 'stage ensemble'),
    (in_results(stages={'ensemble': {'accuracy': {'rgb': 'high'}}}), EVAL, METHODS, FEWER, 'stage ensemble'),
    (in_results(stages=[]), EVAL, METHODS, FEWER, 'stage ensemble'),
    (nothing, EVAL, [f'--compare={RUN}'], 'two'),
    (nothing, EVAL, [f'--compare={RUN}', f'--compare={RUN}'], 'two'),
    (nothing, EVAL, ['--compare='], '--compare'),
    (nothing, EVAL, [f'--compare={RUN}', '--compare=nowhere'], 'nowhere', 'results.json'),
    (text(f'{RUN}/results.json', ''), EVAL, [f'--compare={RUN}', '--compare=runs/nwucla/dmcl/other'],
     f'{RUN}/results.json'),
    (text(f'{RUN}/results.json', '{"accuracy": {}}'), EVAL, [f'--compare={RUN}', '--compare=runs/nwucla/dmcl/other'],
     f'{RUN}/results.json', 'another version'),
    (text(f'{RUN}/predictions.npz', b'PK\x03\x04'), EVAL, [f'--compare={RUN}', '--compare=runs/nwucla/dmcl/other'],
     'predictions.npz', '--run_dir'),
    (nothing, EVAL, [f'--compare={RUN}', '--compare=runs/nwucla/dmcl/fewer'], 'fewer', 'different samples'),
    # The conversion of crops.
    (nothing, CONVERT, ['--output=out', '--encoding=jet'], '--pairs'),
    (nothing, CONVERT, [*PAIRS, '--encoding=grey'], '--encoding', 'grey'),
    (nothing, CONVERT, [*PAIRS, '--depth_folder=images'], '--depth_folder=images'),
    (nothing, CONVERT, [*PAIRS, '--depth_folder=../x'], '--depth_folder=../x'),
    (nothing, CONVERT, [*PAIRS, '--depth_range=600'], '--depth_range=600', '2 numbers'),
    (nothing, CONVERT, [*PAIRS, '--depth_range=1200,600'], '--depth_range=1200,600'),
    (nothing, CONVERT, [*PAIRS, '--encoding=hha', '--gravity=0,0,0'], '--gravity'),
    (nothing, CONVERT, [*PAIRS, '--encoding=hha', '--gravity=0,nan,0'], '--gravity'),
    (nothing, CONVERT, [*PAIRS, '--focal_length=inf'], '--focal_length'),
    (nothing, CONVERT, [*PAIRS, '--encoding=hha', '--camera_height=inf'], '--camera_height'),
    (nothing, CONVERT, [*PAIRS, '--columns=part'], "'part'", 'part=block'),
    (nothing, CONVERT, [*PAIRS, '--pairs=nowhere.csv'], 'nowhere.csv'),
    (nothing, CONVERT, [*PAIRS, '--pairs=.'], '.', 'is a folder'),
    (text('pairs.csv', b'\xff\xfe\x00part'), CONVERT, PAIRS, 'pairs.csv', 'UTF-8'),
    (text('pairs.csv', 'a,b\n1,2\n'), CONVERT, PAIRS, 'pairs.csv', '--columns'),
    (table_of(), CONVERT, PAIRS, 'pairs.csv', "'train'"),
    (table_of('train,,a.png,b.png'), CONVERT, PAIRS, 'line 2', 'no class'),
    (table_of('train,../up,a.png,b.png'), CONVERT, PAIRS, 'line 2', "'../up'"),
    (table_of('train,cup,a.gif,b.png'), CONVERT, PAIRS, 'line 2', 'a.gif'),
    (table_of('train,cup,a.png,b.png', 'test,cup,c.png,d.png'), CONVERT, PAIRS, 'line 3', 'c.png'),
]


def listing(folder):
  return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob('*')}


def write_run(directory, names=('view_1/a01_s01_e00', 'view_1/a02_s01_e00')):
  """A finished run but for its weights."""
  recipe = recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'tiny')
  predicted = {'rgb': [0] * len(names), 'sum': [0] * len(names)}
  origin = {field: getattr(recipe, field) for field in (
      'method', 'dataset', 'protocol', 'preset', 'variant', 'seed')}
  results = {**origin, 'split': 'test', 'class_accuracy': {'rgb': {'one': 1.0, 'two': 0.0}},
             'predictions': {'names': names, 'labels': [0] * len(names), 'predicted': predicted},
             'stages': {'ensemble': {'accuracy': {'rgb': 0.5, 'sum': 0.5}}}}
  files = {'recipe.yaml': recipes.to_yaml(recipe), 'results.json': json.dumps(results),
           'manifest.json': json.dumps({'label_names': ['one', 'two'], 'samples': dict.fromkeys(names, 9)}),
           'ensemble/finished.json': json.dumps({'weights': 'last/epoch-1', 'epochs': 1})}
  for name, content in files.items():
    atomic.write(directory / name, content)


@pytest.fixture(scope='module')
def ends(tmp_path_factory):
  """Of every row of the table: exit status, standard error, what the folder held before and holds after."""
  root, jobs, before = tmp_path_factory.mktemp('bad'), [], []
  data = root / 'data'
  native_files.write_nwucla(data, actions=(1, 2), width=24, height=18)
  for number, (setup, main, argv, *_) in enumerate(TABLE):
    folder = root / f'{number:03d}'
    write_run(folder / RUN)
    write_run(folder / 'runs/nwucla/dmcl/other')
    write_run(folder / 'runs/nwucla/dmcl/fewer', names=('view_1/a01_s01_e00',))
    atomic.write(folder / 'pairs.csv', 'part,class,rgb,depth\n')
    with pytest.MonkeyPatch.context() as patch:
      patch.chdir(folder)
      (folder / 'data').symlink_to(data) if setup == 'data' else setup()
    before.append(listing(folder))
    jobs.append((str(folder), main, list(argv)))
  environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': str(command_line.ROOT)}
  done = subprocess.run([sys.executable, '-c', SERVER], input=json.dumps(jobs), text=True, capture_output=True,
                        env=environment, cwd=root, check=False, timeout=300)
  status = dict(json.loads(line) for line in done.stdout.splitlines())
  assert len(status) == len(jobs), done.stderr
  folders = [pathlib.Path(folder) for folder, _, _ in jobs]
  return [(status[str(folder)], folder.with_suffix('.err').read_text(encoding='utf-8'), was, listing(folder))
          for folder, was in zip(folders, before)]


@pytest.mark.parametrize('number', range(len(TABLE)), ids=lambda number: ' '.join(TABLE[number][2][-1:]) or 'no flags')
def test_one_sentence(ends, number):
  (_, _, argv, *words), (status, err, before, after) = TABLE[number], ends[number]
  assert status == 1 and 'Traceback' not in err, f'{argv}: exit status {status}\n{err}'
  assert all(word in err for word in words), f'{argv}: {err}'
  made = {name for name, content in after.items() if content is not None and before.get(name) != content}
  # Of a run that has not begun there are whole files, from which the same command goes on.
  assert all(name.endswith(('/recipe.yaml', '/manifest.json', '/data.json', '/run.lock')) for name in made), made
  assert before.keys() <= after.keys()


def test_there_are_sixty():
  assert len(TABLE) >= 60
