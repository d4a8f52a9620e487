"""Trains a method on a dataset, evaluates it and exports it for serving.

  python train_main.py --method=dmcl --dataset=synthetic

If a run is interrupted, run the same command again to resume.

Several workers: set TF_CONFIG on each (docs/clusters.md). The first line names the number of workers and their devices.
"""

import pathlib
from typing import Any, Dict

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.recipes import recipe_flags
from tf_privinfo.utils import cli, paths

FLAGS = flags.FLAGS


class _MixedPrecisionParser(flags.ArgumentParser):
  """Parses the value of --mixed_precision to a 16-bit type, or '' for float32; true stands for bfloat16."""

  def parse(self, argument):
    value = str(argument).lower()
    if value in ('', *recipes.MIXED_DTYPES):
      return value
    if value not in ('true', 'false'):
      raise ValueError(f'choose one of {", ".join(recipes.MIXED_DTYPES)}, true (bfloat16), false (float32)')
    return 'bfloat16' if value == 'true' else ''


flags.adopt_module_key_flags(recipe_flags)
paths.DEFINE_path(
    'output_dir', 'checkpoints',
    'Root of the run directories; the run is written to <output_dir>/<dataset>/<method>/<run name>.')
flags.DEFINE_integer('epochs', None, "Epochs of every stage. Default: the preset's.", lower_bound=1)
flags.DEFINE_integer('batch_size', None, "Videos per step, all devices together. Default: the preset's.", lower_bound=1)
flags.DEFINE_string(
    'stage', None, 'Stage of the recipe to run, as in --stage=joint; with a colon, as in --stage=joint:, also all '
    'later stages. Default: all stages. Finished stages are not run again.')
paths.DEFINE_path(
    'init_from', None, 'Run directory with the initial weights of the first stages, such as a run on a larger dataset.')
paths.DEFINE_path(
    'stages_from', None, 'Run directory whose finished stages are reused if both recipes share them, such as the '
    'single streams of another method on the same data with the same seed. auto: search all runs under --output_dir.')
flags.DEFINE_bool(
    'new_classifier', False, 'Omit the classifiers of --init_from, for a different set of classes.')
flags.DEFINE_bool('resume', True, 'Resume the run if it was interrupted. --noresume renames the old run and starts '
                  'from scratch.')
flags.DEFINE_flag(flags.Flag(
    _MixedPrecisionParser(), flags.ArgumentSerializer(), 'mixed_precision', '',
    'Compute in 16 bits, with weights in float32: --mixed_precision in bfloat16, --mixed_precision=float16 in float16 '
    'with a scaled loss, for GPUs without bfloat16.', boolean=True))
flags.DEFINE_integer('num_gpus', -1, 'Number of GPUs to use, which divides the batch of every stage; -1: the largest '
                     'such number, 0: none.', lower_bound=-1)
flags.DEFINE_bool('deterministic', None, 'Use deterministic kernels: the same command gives the same weights. '
                  'Default: true on CPUs, where it costs nothing; false on GPUs, where TensorFlow stops at an '
                  'operation that has no deterministic kernel.')
flags.DEFINE_integer('steps_per_execution', None, 'Number of steps between two readings of the loss; the weights do '
                     'not depend on it. Default: 8 on GPUs, 1 on CPUs.', lower_bound=1)


def _overrides(recipe: recipes.Recipe) -> Dict[str, Any]:
  """The overrides of a recipe by the flags of training, {dotted path: value}."""
  values = {'mixed_precision': bool(FLAGS.mixed_precision), 'init_from': FLAGS.init_from or '',
            'new_classifier': FLAGS.new_classifier}
  if FLAGS.mixed_precision:
    values['mixed_dtype'] = FLAGS.mixed_precision
  for field in ('epochs', 'batch_size'):
    if FLAGS[field].value is not None:
      values.update(recipes.training_stages(recipe, field, FLAGS[field].value))
  return values


def resolve_recipe() -> recipes.Recipe:
  """The recipe that the flags select; raises `UserError` if there is none."""
  return recipe_flags.resolve(values=_overrides)


def main() -> None:
  """Trains, evaluates and exports the recipe that the flags select."""
  recipe = resolve_recipe()
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  workflow.train(
      recipe, data_dir=FLAGS.data_dir, output_dir=pathlib.Path(FLAGS.output_dir), resume=FLAGS.resume,
      num_gpus=FLAGS.num_gpus, stage=FLAGS.stage, stages_from=FLAGS.stages_from, prepared_dir=FLAGS.prepared_dir,
      deterministic=FLAGS.deterministic, steps_per_execution=FLAGS.steps_per_execution)


if __name__ == '__main__':
  cli.run(main)
