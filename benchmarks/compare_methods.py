"""Trains methods with several seeds on the same data and compares their accuracies.

  python benchmarks/compare_methods.py --methods=independent,dmcl --seeds=0,1,2
  python benchmarks/compare_methods.py --methods=modality_distillation --seeds=0,1,2

Runs that are finished are not repeated, a killed one is resumed. The table has
mean and standard deviation over the seeds, and for every method the paired
difference from the first one: same seed, so same weights at the start, same
order of the data and same clips. A method of several stages has a table of its
own with the accuracy after each of them.

Stages that are the same in several methods, such as the single streams, are
trained once for each seed.
"""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

from absl import app
from absl import flags
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]

FLAGS = flags.FLAGS
flags.DEFINE_list('methods', ['independent', 'dmcl'], 'Methods; the first is what the others are compared with.')
flags.DEFINE_list('seeds', ['0', '1', '2'], 'Seeds.')
flags.DEFINE_string('dataset', 'synthetic', 'Dataset, as in train_main.py.')
flags.DEFINE_string('output_dir', 'checkpoints', 'Root of run directories, as in train_main.py.')
flags.DEFINE_multi_string('flag', [], "More flags of train_main.py, such as --flag=--preset=tiny.")


def run(method: str, seed: str) -> dict:
  """Trains one method with one seed, or reads its results; returns what its results.json holds."""
  command = [sys.executable, str(ROOT / 'train_main.py'), f'--method={method}', f'--dataset={FLAGS.dataset}',
             f'--seed={seed}', f'--output_dir={FLAGS.output_dir}', '--stages_from=auto', *FLAGS.flag]
  print(' '.join(command[1:]), flush=True)
  # Its last line says where the results are; progress stays visible on standard error.
  output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
  directory = output.strip().splitlines()[-1].removeprefix('Everything is in ').partition(': ')[0]
  return json.loads((pathlib.Path(directory) / 'results.json').read_text())


def spread(values) -> str:
  """Mean ± sample standard deviation, in percent."""
  values = 100 * np.asarray(values)
  return f'{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}'


def compare(results: dict) -> None:
  """Prints the accuracies of the methods, and their paired differences from the first one."""
  accuracies = {method: [result['accuracy'] for result in runs] for method, runs in results.items()}
  first = next(iter(accuracies.values()))
  columns = [name for name in first[0] if all(name in runs[0] for runs in accuracies.values())]
  print(f'| method | reads at test time | {" | ".join(columns)} |\n|---|---|{"---|" * len(columns)}')
  for method, runs in accuracies.items():
    *_, last = results[method][0]['stages'].values()
    print(f'| {method} | {" + ".join(last["reads"])} | '
          + ' | '.join(spread([result[name] for result in runs]) for name in columns) + ' |')
  for method, runs in list(accuracies.items())[1:]:
    differences = [spread([b[name] - a[name] for a, b in zip(first, runs)]) for name in columns]
    print(f'| {method} - {next(iter(accuracies))}, paired | | ' + ' | '.join(differences) + ' |')


def compare_stages(method: str, runs: list) -> None:
  """Prints the accuracies after each stage of a method."""
  print(f'\n| {method}, after stage | reads at test time | streams | Σ |\n|---|---|---|---|')
  for stage, result in runs[0]['stages'].items():
    for key in [key for key in result if key != 'reads']:
      of_seeds = [run['stages'][stage][key] for run in runs]
      streams = ', '.join(f'{name} {spread([accuracy[name] for accuracy in of_seeds])}'
                          for name in result[key] if name not in ('sum', 'oracle'))
      reads = ' + '.join([*result['reads'], *([key.removeprefix('accuracy_with_')] if key != 'accuracy' else [])])
      print(f'| {stage} | {reads.replace("_", " ")} | {streams} | '
            f'{spread([accuracy["sum"] for accuracy in of_seeds])} |')


def main(argv):
  if argv[1:]:
    raise app.UsageError(f'Unexpected arguments {argv[1:]}')
  results = {method: [] for method in FLAGS.methods}
  for seed in FLAGS.seeds:
    for method in FLAGS.methods:
      results[method].append(run(method, seed))
  print(f'\n{FLAGS.dataset}, seeds {", ".join(FLAGS.seeds)}, {os.cpu_count()} cores ({platform.machine()}), '
        f'{datetime.date.today()}; accuracy in %, mean ± standard deviation\n')
  compare(results)
  for method, runs in results.items():
    if len(runs[0]['stages']) > 1:
      compare_stages(method, runs)


if __name__ == '__main__':
  app.run(main)
