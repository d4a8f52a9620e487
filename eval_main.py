"""Evaluates a trained run, exports it for serving, or reports what runs have measured beside the thesis.

  python eval_main.py --run_dir=checkpoints/synthetic/dmcl/small-cross_view_1-code-seed0
  python eval_main.py --run_dir=... --export_dir=/models/dmcl
  python eval_main.py --run_dir=... --noise=0,1e-3,1e-2,1e-1,1,10,void
  python eval_main.py --report=table_5_1 --dataset=synthetic --seeds=0,1,2 --run_missing
  python eval_main.py --report=methods --methods=independent,dmcl --dataset=synthetic --seeds=0,1,2 --run_missing
  python eval_main.py --compare=RUN,RUN
"""

import pathlib

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.recipes import settings, validation
from tf_privinfo.reports import compare, results, thesis_report, thesis_tables
from tf_privinfo.utils import cli, errors, paths

FLAGS = flags.FLAGS
paths.DEFINE_path('run_dir', None, 'The run directory, as train_main.py printed it.')
paths.DEFINE_path('data_dir', None, 'Folder of the native files. Default: of --run_dir the folder that it was trained '
                  'with, otherwise data/<dataset>.')
paths.DEFINE_path('prepared_dir', None, 'Folder of the prepared form. Default: of --run_dir the folder that it was '
                  'trained with, otherwise the subfolder "prepared" of --data_dir.')
paths.DEFINE_path(
    'export_dir', None, 'Write the SavedModel for TF Serving into this folder, as version 1, instead of evaluating.')
flags.DEFINE_string(
    'depth_variant', None, 'Evaluate with depth of another variant, such as a folder of images that an estimator made '
    'of RGB; the results go to a folder of their own in the run directory.')
flags.DEFINE_string(
    'noise', None, 'Evaluate under noise on depth instead; levels are separated by commas. A number is the variance of '
    'multiplicative speckle: tables 3.3 and 4.6 have 0,1e-3,1e-2,1e-1,1,10,void. void: no depth; holes:0.3: that part '
    'of the pixels is missing; levels:8: so many values are left; shift:0.1: displaced by that part of the side; '
    'frozen: the first frame stays.')

flags.DEFINE_string(
    'report', None, 'Set the figures of the thesis beside those of the runs under --output_dir, and write the page '
    'into a folder of its own in <output_dir>/reports/<dataset>, reports/thesis without one: '
    f'{", ".join(thesis_tables.TITLES)}, or all, with a page that leads to them; or methods, for --methods beside each '
    'other. It reads results only, and shows how to run what is missing.')
flags.DEFINE_list('methods', [], 'Methods of --report=methods; the first is what the others are compared with.')
flags.DEFINE_bool('run_missing', False, 'Run what a report misses first, each run in a process of its own. Killed, the '
                  'same command goes on.')
paths.DEFINE_paths(
    'compare', None, 'Run directories, separated by commas: a page with their accuracies, confidence intervals and a '
    'paired test of every one against the first, class by class; into <output_dir>/reports/<dataset>.')
flags.DEFINE_bool(
    'random_features', False, 'Classify features of the networks of chapter 5 as they are before training by their '
    'nearest neighbours (table 5.3), of --dataset, and keep the accuracies in the run directory of independent.')
flags.DEFINE_string(
    'dataset', None, 'Dataset that a report is of. Default: those of the thesis. Where the thesis has no figures on '
    'it, every row is requested of it, by its default protocol.')
paths.DEFINE_path('output_dir', 'checkpoints', 'Root of the run directories that a report reads.')
flags.DEFINE_string('preset', None, 'Of the runs of a report. Default: small for synthetic data, otherwise paper.')
flags.DEFINE_string('variant', 'code', f'Of the runs of a report: {" or ".join(recipes.VARIANTS)}.')
flags.DEFINE_list('seeds', ['0'], 'Of the runs of a report: it has mean and standard deviation of several.')
flags.DEFINE_multi_string('set', [], 'Overrides of all recipes of a report, as in train_main.py.')


_OF_RUNS = ('dataset', 'data_dir', 'prepared_dir', 'output_dir', 'preset', 'variant', 'seeds', 'set')
# Flag that asks for something -> the other flags that this reads. Of several the first one asks.
_READS = {
    'report': ('methods', 'run_missing', *_OF_RUNS),
    'compare': ('output_dir',),
    'random_features': _OF_RUNS,
    'export_dir': ('run_dir',),
    'noise': ('run_dir', 'data_dir', 'prepared_dir'),
    'run_dir': ('data_dir', 'prepared_dir', 'depth_variant'),
}


def _requested() -> str:
  """The flag that asks for something; raises `UserError` if none does, and for flags that this does not read."""
  requested = next((flag for flag in _READS if FLAGS[flag].value), None)
  if not requested or ('run_dir' in _READS[requested] and not FLAGS.run_dir):
    raise errors.UserError('Pass --run_dir to evaluate a run, --report for a table or a figure of the thesis, or '
                           '--compare to set runs beside each other.')
  others = {flag for asking, read in _READS.items() for flag in (asking, *read)} - {requested, *_READS[requested]}
  unread = [f'--{flag}' for flag in sorted(others) if FLAGS[flag].present]
  if unread:
    raise errors.UserError(f'--{requested} does not read {", ".join(unread)}: leave out one or the other.')
  return requested


def _selection() -> results.RunSelection:
  for flag in ('data_dir', 'prepared_dir'):
    if FLAGS[flag].value and not FLAGS.dataset:
      raise errors.UserError(f'--{flag} is of one dataset: pass --dataset, too.')
  if not FLAGS.seeds or not all(seed.isdecimal() for seed in FLAGS.seeds):
    raise errors.UserError(f'--seeds={",".join(FLAGS.seeds)} must be numbers separated by commas, as in --seeds=0,1,2.')
  seeds = tuple(dict.fromkeys(map(int, FLAGS.seeds)))
  if max(seeds) not in validation.SEEDS:
    raise errors.UserError(f'--seeds={",".join(FLAGS.seeds)} must be from 0 to {validation.SEEDS[-1]}.')
  values = settings.parse_settings(FLAGS.set)
  if 'seed' in values:
    raise errors.UserError('--set seed would make all runs of a report the same: pass --seeds.')
  return results.RunSelection(
      pathlib.Path(FLAGS.output_dir), FLAGS.dataset or '', FLAGS.preset or '', FLAGS.variant,
      seeds, values, FLAGS.data_dir or '', tuple(FLAGS.methods), FLAGS.prepared_dir or '')


def _random_features() -> None:
  selection = _selection()
  if not selection.dataset:
    raise errors.UserError('--random_features needs --dataset.')
  wanted = [results.recipe_of(selection, 'independent', selection.dataset, None, seed, {}) for seed in selection.seeds]
  from tf_privinfo import workflow

  for recipe in wanted:
    workflow.classify_random_features(recipe, FLAGS.data_dir, selection.output_dir, FLAGS.prepared_dir)


def _of_one_run(requested: str) -> None:
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  if requested == 'export_dir':
    workflow.export(FLAGS.run_dir, pathlib.Path(FLAGS.export_dir))
  elif requested == 'noise':
    workflow.sweep_noise(FLAGS.run_dir, FLAGS.data_dir, FLAGS.noise, FLAGS.prepared_dir)
  else:
    workflow.evaluate(FLAGS.run_dir, FLAGS.data_dir, FLAGS.depth_variant, FLAGS.prepared_dir)


def main() -> None:
  requested = _requested()
  if requested == 'report':
    thesis_report.write(FLAGS.report, _selection(), FLAGS.run_missing)
  elif requested == 'compare':
    compare.write([pathlib.Path(run) for run in FLAGS.compare], pathlib.Path(FLAGS.output_dir))
  elif requested == 'random_features':
    _random_features()
  else:
    _of_one_run(requested)


if __name__ == '__main__':
  cli.run(main)
