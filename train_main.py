"""Trains a method on a dataset, evaluates it and exports it for serving.

  python train_main.py --method=dmcl --dataset=synthetic

A killed run is resumed by the same command.
"""

import dataclasses
import pathlib

from absl import flags

from tf_privinfo import checks
from tf_privinfo import cli
from tf_privinfo import recipes
from tf_privinfo import settings
from tf_privinfo.datasets import protocols


def _choices(known):
  return '; '.join(f'{name}: {text}' for name, text in known.items())


FLAGS = flags.FLAGS
flags.DEFINE_string('method', None, f'How the streams are trained. {_choices(recipes.METHODS)}.', required=True)
flags.DEFINE_string('dataset', None, f'What they are trained on. {_choices(recipes.DATASETS)}.', required=True)
flags.DEFINE_string(
    'protocol', None, 'Which samples train and test. cross_view_V: view V tests, the two others train; cross_subject '
    '(synthetic only): odd subjects train, even ones test; of uwa3dii also cross_view_12_34 and so on: two '
    'views train and two test. Default: cross_view_1; of uwa3dii cross_view_4; for the methods of chapters 3 and 4 '
    'on nwucla cross_view_3, as in the authors\' code; for objects given, their training and test folders. Of NTU: '
    'cross_subject (default); ntu60 and ntu60_mini also cross_view, ntu120 also cross_setup, ntu120_mini also '
    'cross_subject_2 and cross_subject_3, which train on other halves.')
flags.DEFINE_string(
    'data_dir', None, 'Folder of the native files; the prepared form is kept in its subfolder "prepared". '
    'Default: data/<dataset>.')
flags.DEFINE_string(
    'output_dir', 'checkpoints', 'Root of run directories: the run goes to <output_dir>/<dataset>/<method>/<run name>.')
flags.DEFINE_string(
    'preset', None, f'Sizes. {_choices(recipes.PRESETS)}. Default: small for synthetic data, otherwise paper.')
flags.DEFINE_string('variant', 'code', f'Where text and code of the authors differ. {_choices(recipes.VARIANTS)}.')
flags.DEFINE_integer('seed', 0, 'Of weights, data order, frame sampling, augmentation and random teachers.')
flags.DEFINE_integer('epochs', None, "Epochs of every stage. Default: the preset's.", lower_bound=1)
flags.DEFINE_integer('batch_size', None, "Videos per step, all devices together. Default: the preset's.", lower_bound=1)
flags.DEFINE_multi_string(
    'set', [], 'Any field of the recipe, as key=value; may be repeated: --set loser.temperature=5 '
    '--set modalities=rgb,depth. The recipe is printed at the start and lists all keys.')
flags.DEFINE_string(
    'stage', None, 'Run this stage of the recipe only, as in --stage=joint; with a colon, as in --stage=joint:, also '
    'those that follow. Default: all stages. Finished stages are never run again.')
flags.DEFINE_string(
    'init_from', None, 'Run directory whose streams the first stages start from, such as a run on a larger dataset.')
flags.DEFINE_string(
    'stages_from', None, 'Run directory whose finished stages are taken over where this recipe has the same, such as '
    'the single streams of another method on the same data with the same seed. auto: of any run under --output_dir.')
flags.DEFINE_bool(
    'new_classifier', False, 'Start from --init_from without its classifiers: for another set of classes.')
flags.DEFINE_bool('resume', True, 'Continue the run if it was interrupted. --noresume keeps the old one aside.')
flags.DEFINE_bool('skip_broken', False, 'Prepare the dataset without the videos that cannot be read.')
flags.DEFINE_bool('mixed_precision', False, 'Compute in bfloat16, with weights in float32.')
flags.DEFINE_integer('num_gpus', -1, 'How many GPUs to use; -1: all, 0: none.', lower_bound=-1)


def resolve_recipe() -> recipes.Recipe:
  """The recipe that the flags ask for."""
  preset = FLAGS.preset or recipes.default_preset(FLAGS.dataset)
  recipe = recipes.recipe(FLAGS.method, FLAGS.dataset, FLAGS.protocol, preset, FLAGS.variant, FLAGS.seed)
  protocol = FLAGS.protocol or recipes.default_protocol(recipe.method, recipe.dataset)
  recipe = dataclasses.replace(recipe, protocol=protocols.resolve(recipe.dataset, protocol))
  values = {'mixed_precision': FLAGS.mixed_precision, 'data.skip_broken': FLAGS.skip_broken,
            'init_from': FLAGS.init_from or '', 'new_classifier': FLAGS.new_classifier}
  for field in ('epochs', 'batch_size'):
    if FLAGS[field].value is not None:
      values.update(recipes.training_stages(recipe, field, FLAGS[field].value))
  return checks.check(settings.override(recipe, {**values, **settings.parse_settings(FLAGS.set)}))


def main() -> None:
  recipe = resolve_recipe()
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  workflow.train(
      recipe, data_dir=FLAGS.data_dir, output_dir=pathlib.Path(FLAGS.output_dir), resume=FLAGS.resume,
      num_gpus=FLAGS.num_gpus, stage=FLAGS.stage, stages_from=FLAGS.stages_from)


if __name__ == '__main__':
  cli.run(main)
