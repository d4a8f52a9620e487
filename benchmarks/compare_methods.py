"""Trains methods with several seeds on the same data and compares their accuracies.

  python benchmarks/compare_methods.py --methods=independent,dmcl --seeds=0,1,2

Runs that are finished are not repeated, a killed one is resumed. The table has
mean and standard deviation over the seeds, and for every method the paired
difference from the first one: same seed, so same weights at the start, same
order of the data and same clips.
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
  """Trains one method with one seed, or reads its results; returns its accuracies by name."""
  command = [sys.executable, str(ROOT / 'train_main.py'), f'--method={method}', f'--dataset={FLAGS.dataset}',
             f'--seed={seed}', f'--output_dir={FLAGS.output_dir}', *FLAGS.flag]
  print(' '.join(command[1:]), flush=True)
  # Its last line says where the results are; progress stays visible on standard error.
  output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
  directory = output.strip().splitlines()[-1].removeprefix('Everything is in ').partition(': ')[0]
  return json.loads((pathlib.Path(directory) / 'results.json').read_text())['accuracy']


def spread(values) -> str:
  """Mean ± sample standard deviation, in percent."""
  values = 100 * np.asarray(values)
  return f'{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}'


def main(argv):
  if argv[1:]:
    raise app.UsageError(f'Unexpected arguments {argv[1:]}')
  accuracies = {method: [] for method in FLAGS.methods}
  for seed in FLAGS.seeds:
    for method in FLAGS.methods:
      accuracies[method].append(run(method, seed))
  first = accuracies[FLAGS.methods[0]]
  columns = list(first[0])
  print(f'\n{FLAGS.dataset}, seeds {", ".join(FLAGS.seeds)}, {os.cpu_count()} cores ({platform.machine()}), '
        f'{datetime.date.today()}; accuracy in %, mean ± standard deviation\n')
  print(f'| method | {" | ".join(columns)} |\n|---|{"---|" * len(columns)}')
  for method, runs in accuracies.items():
    print(f'| {method} | ' + ' | '.join(spread([result[name] for result in runs]) for name in columns) + ' |')
  for method in FLAGS.methods[1:]:
    differences = [spread([b[name] - a[name] for a, b in zip(first, accuracies[method])]) for name in columns]
    print(f'| {method} - {FLAGS.methods[0]}, paired | ' + ' | '.join(differences) + ' |')


if __name__ == '__main__':
  app.run(main)
