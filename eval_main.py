"""Evaluates a trained run, exports it for serving, or compares the results of runs with the thesis.

  python eval_main.py --run_dir=checkpoints/synthetic/dmcl/small-cross_view_1-code-seed0
  python eval_main.py --run_dir=... --export_dir=/models/dmcl
  python eval_main.py --run_dir=... --export_dir=/models/edge --format=tflite --quantize
  python eval_main.py --run_dir=... --predict=clip.avi --predict=rgb=clip7.avi,depth=clip7_depth
  python eval_main.py --run_dir=... --noise=0,1e-3,1e-2,1e-1,1,10,void
  python eval_main.py --report=table_5_1 --dataset=synthetic --seeds=0,1,2 --run_missing
  python eval_main.py --report=methods --methods=independent,dmcl --dataset=synthetic --seeds=0,1,2 --run_missing
  python eval_main.py --compare=RUN --compare=OTHER
"""

import pathlib

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.recipes import settings, validation
from tf_privinfo.reports import compare, evidence, results, thesis_report, thesis_tables
from tf_privinfo.utils import cli, errors, paths

FLAGS = flags.FLAGS
paths.DEFINE_path('run_dir', None, 'Run directory, as printed by train_main.py.')
paths.DEFINE_path('data_dir', None, 'Folder of the native files. Default: the folder that --run_dir was trained with; '
                  'without --run_dir, data/<dataset>.')
paths.DEFINE_path('prepared_dir', None, 'Folder of the prepared data. Default: the folder that --run_dir was trained '
                  'with; without --run_dir, the subfolder "prepared" of --data_dir.')
paths.DEFINE_path(
    'export_dir', None, 'Folder of the SavedModel for TF Serving, written as its version 1. Nothing is evaluated.')
flags.DEFINE_enum('format', 'saved_model', ('saved_model', 'tflite'), 'Format of --export_dir. tflite: one LiteRT file '
                  'for the modalities in --modalities.')
flags.DEFINE_list('modalities', [], 'Modalities of a LiteRT file, such as rgb,depth. Default: rgb.')
flags.DEFINE_bool('quantize', False, 'Store the weights of a LiteRT file as int8, a quarter of the size.')
flags.DEFINE_string(
    'depth_variant', None, 'Variant of depth to evaluate with, such as a folder of depth images estimated from RGB. '
    'Results are written to a separate folder of the run directory.')
flags.DEFINE_string(
    'noise', None, 'Levels of noise on the privileged modality (depth) to evaluate under, separated by commas. A '
    f'number is the variance of multiplicative speckle; tables 3.3 and 4.6 have {",".join(NOISE_LEVELS)}. void: no '
    'content; holes:0.3: share of missing pixels; levels:8: number of distinct values; shift:0.1: displacement as a '
    'share of the side; frozen: the first frame in place of all frames.')

flags.DEFINE_multi_string(
    'predict', None, 'New recordings to classify, without labels; may be repeated. clip.avi: a video file, a folder of '
    'frames, or a picture, as the first modality of the model, usually RGB. rgb=clip.avi,depth=clip_depth: recordings '
    'of any subset of its modalities. A folder with entries such as rgb.avi and depth/: the same. samples.csv: a table '
    'with the column sample and one column of paths for each modality.')
paths.DEFINE_path('out', None, 'Folder of predictions.csv and the contact sheets of --predict. Default: the folder '
                  'predictions of --run_dir.')
flags.DEFINE_bool('sheets', False, 'Write a contact sheet for each sample of --predict: frames, label, predictions of '
                  'the streams.')

flags.DEFINE_string(
    'report', None, 'Report that compares the results of the runs under --output_dir with the thesis: '
    f'{", ".join(thesis_tables.TITLES)}; all: all of these, and an index page; methods: --methods compared with each '
    'other; evidence: the experiments of docs/evidence.md. Only result files are read; the page lists the commands for '
    'missing results. It is written to a separate folder in <output_dir>/reports/<dataset>, without --dataset in '
    '<output_dir>/reports/thesis.')
flags.DEFINE_list('methods', [], 'Methods of --report=methods; the others are compared with the first.')
flags.DEFINE_list('protocols', [], 'Protocols of --report=methods whose runs are pooled, such as views or folds. '
                  'Default: the default protocol of --dataset.')
flags.DEFINE_bool('run_missing', False, 'Run the commands for missing results of a report first, each in a separate '
                  'process. If interrupted, run the same command again to resume.')
paths.DEFINE_path('keep_results', None, 'Folder into which --report=evidence copies recipes, results and noise sweeps '
                  'of its runs, without weights.')
paths.DEFINE_multi_path(
    'compare', None, 'Run directory to compare; repeat the flag for each further one. A pattern, such as '
    "--compare='checkpoints/synthetic/dmcl/*', selects several runs, whose seeds and protocols are pooled. The page in "
    '<output_dir>/reports/<dataset>, has accuracies with confidence intervals and differences from the first one; for '
    'single runs also paired tests and accuracies of each class.')
flags.DEFINE_bool(
    'random_features', False, 'Classify the samples of --dataset by nearest neighbours, in the features of the '
    'untrained networks of chapter 5 (table 5.3). The accuracies are written to the run directory of the method '
    'independent.')
flags.DEFINE_string(
    'dataset', None, 'Dataset of a report. Default: the datasets of the thesis. If the thesis has no figures on this '
    'dataset, every row is measured on it by its default protocol.')
flags.DEFINE_integer('num_gpus', -1, 'Number of GPUs to evaluate on; -1: all, 0: none.', lower_bound=-1)
paths.DEFINE_path('output_dir', 'checkpoints', 'Root of the run directories of a report.')
flags.DEFINE_string(
    'preset', None, 'Preset of the runs of a report. Default: small for synthetic data, otherwise paper.')
flags.DEFINE_string('variant', 'code', f'Variant of the runs of a report: {" or ".join(recipes.VARIANTS)}.')
flags.DEFINE_list('seeds', ['0'], 'Seeds of the runs of a report; of several, it has mean and standard deviation.')
flags.DEFINE_multi_string('set', [], 'Overrides of all recipes of a report, as in train_main.py.')


_OF_RUNS = ('dataset', 'data_dir', 'prepared_dir', 'output_dir', 'preset', 'variant', 'seeds', 'set')
# Flag that selects an action -> the further flags that the action reads. Of several such flags the first one counts.
_READS = {
    'report': ('methods', 'protocols', 'run_missing', *_OF_RUNS),
    'compare': ('output_dir',),
    'random_features': (*_OF_RUNS, 'num_gpus'),
    'export_dir': ('run_dir', 'format', 'modalities', 'quantize'),
    'predict': ('run_dir', 'out', 'sheets'),
    'noise': ('run_dir', 'data_dir', 'prepared_dir', 'num_gpus'),
    'run_dir': ('data_dir', 'prepared_dir', 'depth_variant', 'num_gpus'),
}
# The same for --report=evidence, whose plan has datasets, methods and seeds.
_READ_BY_EVIDENCE = ('run_missing', 'keep_results', 'data_dir', 'prepared_dir', 'output_dir')


def _requested() -> str:
  """The flag that selects the action; raises `UserError` if there is none, and for flags that it does not read."""
  requested = next((flag for flag in _READS if FLAGS[flag].value), None)
  if not requested or ('run_dir' in _READS[requested] and not FLAGS.run_dir):
    raise errors.UserError('Pass --run_dir to evaluate a run, --report for a table or a figure of the thesis, or '
                           '--compare to compare runs.')
  name, read = requested, _READS[requested]
  if requested == 'report' and FLAGS.report == 'evidence':
    name, read = 'report=evidence', _READ_BY_EVIDENCE
  known = {*_READS, *_READ_BY_EVIDENCE, *(flag for flags_read in _READS.values() for flag in flags_read)}
  unread = [f'--{flag}' for flag in sorted(known - {requested, *read}) if FLAGS[flag].present]
  if unread:
    raise errors.UserError(f'--{name} does not read {", ".join(unread)}: leave out one or the other.')
  return requested


def _selection() -> results.RunSelection:
  for flag in ('data_dir', 'prepared_dir'):
    if FLAGS[flag].value and not FLAGS.dataset:
      raise errors.UserError(f'--{flag} applies to one dataset: pass --dataset as well.')
  if not FLAGS.seeds or not all(seed.isdecimal() for seed in FLAGS.seeds):
    raise errors.UserError(f'--seeds={",".join(FLAGS.seeds)} must be numbers separated by commas, as in --seeds=0,1,2.')
  seeds = tuple(dict.fromkeys(map(int, FLAGS.seeds)))
  if max(seeds) not in validation.SEEDS:
    raise errors.UserError(f'--seeds={",".join(FLAGS.seeds)} must be from 0 to {validation.SEEDS[-1]}.')
  values = settings.parse_settings(FLAGS.set)
  if 'seed' in values:
    raise errors.UserError('--set seed would give all runs of a report the same seed: pass --seeds.')
  return results.RunSelection(
      pathlib.Path(FLAGS.output_dir), FLAGS.dataset or '', FLAGS.preset or '', FLAGS.variant,
      seeds, values, FLAGS.data_dir or '', tuple(FLAGS.methods), tuple(FLAGS.protocols), FLAGS.prepared_dir or '')


def _evidence() -> None:
  selection = results.RunSelection(
      pathlib.Path(FLAGS.output_dir), data_dir=FLAGS.data_dir or '', prepared_dir=FLAGS.prepared_dir or '')
  evidence.write(selection, FLAGS.run_missing, FLAGS.keep_results)


def _random_features() -> None:
  selection = _selection()
  if not selection.dataset:
    raise errors.UserError('--random_features needs --dataset.')
  wanted = [results.recipe_of(selection, 'independent', selection.dataset, None, seed, {}) for seed in selection.seeds]
  from tf_privinfo import workflow

  for recipe in wanted:
    workflow.classify_random_features(recipe, FLAGS.data_dir, selection.output_dir, FLAGS.prepared_dir,
                                      FLAGS.num_gpus)


def _of_one_run(requested: str) -> None:
  if requested == 'export_dir' and FLAGS.format != 'tflite' and (FLAGS.modalities or FLAGS.quantize):
    raise errors.UserError('--modalities and --quantize are for --format=tflite: a SavedModel has a signature for '
                           'every subset of the modalities.')
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  if requested == 'export_dir' and FLAGS.format == 'tflite':
    workflow.export_litert(FLAGS.run_dir, pathlib.Path(FLAGS.export_dir), FLAGS.modalities, FLAGS.quantize)
  elif requested == 'export_dir':
    workflow.export(FLAGS.run_dir, pathlib.Path(FLAGS.export_dir))
  elif requested == 'predict':
    workflow.predict(FLAGS.run_dir, FLAGS.predict, FLAGS.out, FLAGS.sheets)
  elif requested == 'noise':
    workflow.sweep_noise(FLAGS.run_dir, FLAGS.data_dir, FLAGS.noise, FLAGS.prepared_dir, FLAGS.num_gpus)
  else:
    workflow.evaluate(FLAGS.run_dir, FLAGS.data_dir, FLAGS.depth_variant, FLAGS.prepared_dir, FLAGS.num_gpus)


def main() -> None:
  """Evaluates, exports, reports or compares runs, as the flags select."""
  requested = _requested()
  if requested == 'report' and FLAGS.report == 'evidence':
    _evidence()
  elif requested == 'report':
    thesis_report.write(FLAGS.report, _selection(), FLAGS.run_missing)
  elif requested == 'compare':
    compare.write(FLAGS.compare, pathlib.Path(FLAGS.output_dir))
  elif requested == 'random_features':
    _random_features()
  else:
    _of_one_run(requested)


if __name__ == '__main__':
  cli.run(main)
