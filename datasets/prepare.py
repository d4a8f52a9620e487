"""Prepares a dataset for training: reads its native files, computes optical flow, stores frames of one size.

  python -m tf_privinfo.datasets.prepare --dataset=nwucla --data_dir=/data/nwucla

train_main.py does the same when it first meets a dataset. Which form of the data is prepared is said as it is there, by
method, preset and --set: chapter 5 (default) reads RGB, depth and flow as they are recorded, the others RGB and depth
laid over each other; of objects all read the same. A killed preparation is resumed by the same command.
"""

import os
import shlex
from typing import Any, Dict

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.datasets import registry
from tf_privinfo.recipes import recipe_flags
from tf_privinfo.utils import cli, errors

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(recipe_flags)
flags.DEFINE_integer('frame_size', None, "Side of the stored frames in pixels. Default: the recipe's.", lower_bound=1)
flags.DEFINE_bool(
    'check', False, 'Write nothing. Of data that have been prepared, compare the checksums of all files, and names, '
    'sizes and times of the native files; of others, read all native files and list all problems. The exit '
    'status is 1 if there are any.')
flags.DEFINE_string(
    'beam_options', None, 'Prepare on Apache Beam, with these options of the pipeline, such as "--runner=FlinkRunner '
    '--flink_master=HOST:8081". Every worker must see --data_dir and --prepared_dir under the same paths.')


def _overrides(recipe: recipes.Recipe) -> Dict[str, Any]:
  """What --frame_size changes in a recipe."""
  size = FLAGS.frame_size
  return {'clips.frame_size': size, 'clips.crop_size': min(size, recipe.clips.crop_size)} if size else {}


def table(dataset: str, source, hold_out: float) -> str:
  """The numbers of training, validation and test samples of a `catalog.PreparedDataset` by protocol, and its size."""
  lines = [f'{"protocol":<20}{"train":>8}{"validate":>10}{"test":>8}']
  for name, protocol in registry.DATASETS[dataset].protocols.items():
    train, validation, test = map(len, protocol(source.names, hold_out))
    lines.append(f'{name:<20}{train:>8}{validation:>10}{test:>8}')
  files = source.metadata.get('files', {})
  stored = f'; {sum(file["bytes"] for file in files.values()) / 1e6:.1f} MB in {len(files)} files' if files else ''
  return '\n'.join([*lines, f'modalities: {", ".join(source.modalities)}{stored}'])


def main() -> None:
  # Without a method, the form of the data that the first one reads: videos as they are recorded.
  recipe = recipe_flags.resolve(lambda dataset: recipes.methods(dataset)[0], _overrides)
  from tf_privinfo.datasets import catalog  # TensorFlow takes seconds to import: flags are checked first

  # Workers of Beam are started elsewhere.
  data_dir = os.path.abspath(FLAGS.data_dir or catalog.default_data_dir(recipe.dataset, recipe.data))
  prepared_dir = FLAGS.prepared_dir and os.path.abspath(FLAGS.prepared_dir)
  form = recipe.dataset, data_dir, recipe.data, recipe.clips.frame_size
  if FLAGS.check:
    source, problems = catalog.check_dataset(*form, prepared_dir=prepared_dir)
  else:
    beam_options = None if FLAGS.beam_options is None else shlex.split(FLAGS.beam_options)
    source, problems = catalog.open_dataset(*form, beam_options=beam_options, prepared_dir=prepared_dir), []
  print(table(recipe.dataset, source, recipe.data.hold_out))
  if problems:
    headline = (f'native files of {len(problems)} {source.unit}s differ from what was prepared; to use them as they '
                f'are now, remove {source.directory} and run the same command without --check:'
                if os.path.isdir(source.directory) else f'{len(problems)} {source.unit}s cannot be used:')
    raise errors.UserError('\n  '.join([headline, *problems]))
  print(f'Everything is in {source.directory}' if os.path.isdir(source.directory) else
        'Everything can be read: run the same command without --check to prepare it.')


if __name__ == '__main__':
  cli.run(main)
