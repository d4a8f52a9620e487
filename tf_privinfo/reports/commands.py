"""Commands for the missing results of a report."""

import pathlib
import shlex
import subprocess
import sys
from typing import List, Sequence, Tuple

from tf_privinfo import recipes
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.runs.run import NOISE, RANDOM_FEATURES, RESULTS
from tf_privinfo.utils import errors

# A command line: the name of a program and its flags.
Command = Tuple[str, ...]


def missing(wanted, chain: Sequence[recipes.Recipe], selection, result_files) -> List[Command]:
  """The commands that measure a missing value: initial run, run, evaluation.

  Args:
    wanted: missing value, a `results.ThesisValue`.
    chain: recipe of its run, preceded by the recipe of the run with its initial weights, if there is one.
    selection: selected runs, a `results.RunSelection`.
    result_files: existing results, a `results.ResultFiles`.
  """
  recipe = chain[-1]
  data = [f'--{flag}={value}' for flag, value in (
      ('data_dir', selection.data_dir), ('prepared_dir', selection.prepared_dir)) if value]
  if wanted.file == RANDOM_FEATURES:
    if result_files.read(recipe, wanted.file):
      return []  # the value cannot be measured: fewer training samples than neighbours
    return [('eval_main', '--random_features', f'--dataset={recipe.dataset}', f'--preset={recipe.preset}',
             f'--variant={recipe.variant}', f'--seeds={recipe.seed}', f'--output_dir={selection.output_dir}', *data,
             *_overrides(selection.values))]
  training = [_training(link, selection.output_dir, data) for link in chain if result_files.read(link, RESULTS) is None]
  evaluation = ('eval_main', f'--run_dir={result_files.directory(recipe)}', *data)
  folder, _, file = wanted.file.rpartition('/')
  if file == NOISE:
    return [*training, (*evaluation, f'--noise={",".join(NOISE_LEVELS)}')]
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
  """A command as a line for the shell."""
  main, *flags = command
  return shlex.join(['python', f'{main}.py', *flags])


def run(commands: Sequence[Command]) -> List[Command]:
  """Runs commands in succession, each in a separate process, and returns the failed ones.

  Commands do not repeat completed work: after an interruption, the same call resumes.
  """
  failed = []
  for number, command in enumerate(commands, 1):
    print(f'[{number}/{len(commands)}] {shell(command)}', flush=True)
    main, *flags = command
    if subprocess.run([sys.executable, '-m', main, *flags], check=False).returncode:
      failed.append(command)
  return failed


def refuse_failed(failed: Sequence[Command], directory: pathlib.Path) -> None:
  """Raises `UserError` if commands failed, after their report was written into `directory`."""
  if failed:
    raise errors.UserError(f'The report is in {directory}, but these commands failed, see above: '
                           f'{"; ".join(map(shell, failed))}')
