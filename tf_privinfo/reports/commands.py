"""The commands that measure what a report misses, and running them."""

import shlex
import subprocess
import sys
from typing import List, Sequence, Tuple

from tf_privinfo import recipes
from tf_privinfo.reports import thesis_tables
from tf_privinfo.runs.run import NOISE, RANDOM_FEATURES, RESULTS

# A command line: a main and its flags.
Command = Tuple[str, ...]


def missing(wanted, chain: Sequence[recipes.Recipe], selection, result_files) -> List[Command]:
  """What measures a value that no file has: the run that the run starts from, the run, its evaluation.

  Args:
    wanted: a `results.ThesisValue`.
    chain: the recipe of its run; before it that of the run that it starts from.
    selection: a `results.RunSelection`.
    result_files: a `results.ResultFiles`.
  """
  recipe = chain[-1]
  data = [f'--{flag}={value}' for flag, value in (
      ('data_dir', selection.data_dir), ('prepared_dir', selection.prepared_dir)) if value]
  if wanted.file == RANDOM_FEATURES:
    if result_files.read(recipe, wanted.file):
      return []  # there are fewer training samples than neighbours
    return [('eval_main', '--random_features', f'--dataset={recipe.dataset}', f'--preset={recipe.preset}',
             f'--variant={recipe.variant}', f'--seeds={recipe.seed}', f'--output_dir={selection.output_dir}', *data,
             *_overrides(selection.values))]
  training = [_training(link, selection.output_dir, data) for link in chain if result_files.read(link, RESULTS) is None]
  evaluation = ('eval_main', f'--run_dir={result_files.directory(recipe)}', *data)
  folder, _, file = wanted.file.rpartition('/')
  if file == NOISE:
    return [*training, (*evaluation, f'--noise={",".join(("0", *thesis_tables.NOISE))}')]
  if folder.startswith('depth_'):
    return [*training, (*evaluation, f'--depth_variant={folder.removeprefix("depth_")}')]
  return training or [evaluation]


def _training(recipe, output_dir, data) -> Command:
  changed = recipes.overrides(recipe)
  start = changed.pop('init_from', '')
  return ('train_main', f'--method={recipe.method}', f'--dataset={recipe.dataset}', f'--protocol={recipe.protocol}',
          f'--preset={recipe.preset}', f'--variant={recipe.variant}', f'--seed={recipe.seed}',
          f'--output_dir={output_dir}', *data, *_overrides(changed),
          *([f'--init_from={start}'] if start else []), '--stages_from=auto')


def _overrides(values) -> List[str]:
  return [f'--set={key}={value}' for key, value in values.items()]


def shell(command: Command) -> str:
  """A command as a line for a shell."""
  main, *flags = command
  return shlex.join(['python', f'{main}.py', *flags])


def run(commands: Sequence[Command]) -> List[Command]:
  """Runs commands one after the other, each in a process of its own, and returns those that failed.

  Each does only what is not done yet: when they were killed, the same call goes on.
  """
  failed = []
  for number, command in enumerate(commands, 1):
    print(f'[{number}/{len(commands)}] {shell(command)}', flush=True)
    main, *flags = command
    if subprocess.run([sys.executable, '-m', main, *flags], check=False).returncode:
      failed.append(command)
  return failed
