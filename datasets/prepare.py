"""Prepares a dataset for training: reads its native files, computes optical flow, stores frames of one size.

  python -m tf_privinfo.datasets.prepare --dataset=nwucla --data_dir=/data/nwucla

train_main.py prepares a dataset in the same way when it first opens it. The flags --method, --preset and --set select
the form of the data, as in train_main.py: the methods of chapter 5 (default) read RGB, depth and flow as recorded, the
methods of chapters 3 and 4 read spatially aligned RGB and depth; all methods for objects read the same form.
Preparation temporarily needs twice the final disk space. If interrupted, run the same command again to resume.
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
flags.DEFINE_integer(
    'frame_size', None, 'Side of the stored frames in pixels. Default: clips.frame_size of the recipe.', lower_bound=1)
flags.DEFINE_bool(
    'check', False, 'Check of all files; nothing is written. If the data are prepared, their checksums are compared, '
    'and names, sizes and times of the native files. Otherwise all native files are read and all problems are listed. '
    'The exit status is 1 if there are problems.')
flags.DEFINE_string(
    'beam_options', None, 'Options of an Apache Beam pipeline that prepares the data, such as "--runner=FlinkRunner '
    '--flink_master=HOST:8081". --data_dir and --prepared_dir must have the same paths on all workers.')


def _overrides(recipe: recipes.Recipe) -> Dict[str, Any]:
  """Fields of the recipe that --frame_size overrides."""
  size = FLAGS.frame_size
  return {'clips.frame_size': size, 'clips.crop_size': min(size, recipe.clips.crop_size)} if size else {}


def table(dataset: str, source, hold_out: float, protocol: str, hold_out_by: str = '') -> str:
  """Text table of the training, validation and test samples of every protocol, with modalities and size on disk.

  Args:
    dataset: name in `registry.DATASETS`.
    source: the `catalog.PreparedDataset`.
    hold_out: fraction of the training set that is held out for validation.
    protocol: name of the protocol, if the dataset is a table.
    hold_out_by: as in `registry.split`.
  """
  lines = [f'{"protocol":<20}{"train":>8}{"validate":>10}{"test":>8}']
  for name in registry.DATASETS[dataset].protocols or [protocol]:
    train, validation, test = map(len, registry.parts(
        dataset, name, source.names, hold_out, rows=source.metadata.get('rows'), hold_out_by=hold_out_by))
    lines.append(f'{name:<20}{train:>8}{validation:>10}{test:>8}')
  files = source.metadata.get('files', {})
  stored = f'; {sum(file["bytes"] for file in files.values()) / 1e6:.1f} MB in {len(files)} files' if files else ''
  return '\n'.join([*lines, f'modalities: {", ".join(source.modalities)}{stored}'])


def main() -> None:
  """Prepares or checks the dataset that the flags select; raises `UserError` for problems."""
  # The default is the form that the first method reads: videos as recorded.
  recipe = recipe_flags.resolve(lambda dataset: recipes.methods(dataset)[0], _overrides)
  from tf_privinfo.datasets import catalog  # TensorFlow takes seconds to import: flags are checked first

  # Workers of Beam have other working directories.
  data_dir = os.path.abspath(FLAGS.data_dir or catalog.default_data_dir(recipe.dataset, recipe.data))
  prepared_dir = FLAGS.prepared_dir and os.path.abspath(FLAGS.prepared_dir)
  form = recipe.dataset, data_dir, recipe.data, recipe.clips.frame_size
  needed = {'prepared_dir': prepared_dir, 'protocol': recipe.protocol, 'modalities': recipe.modalities}
  if FLAGS.check:
    source, problems = catalog.check_dataset(*form, **needed)
  else:
    beam_options = None if FLAGS.beam_options is None else shlex.split(FLAGS.beam_options)
    source, problems = catalog.open_dataset(
        *form, beam_options=beam_options, **needed), []
  print(table(recipe.dataset, source, recipe.data.hold_out, recipe.protocol, recipe.data.hold_out_by))
  if problems:
    headline = (f'native files of {len(problems)} {source.unit}s differ from the prepared data; to use the current '
                f'files, remove {source.directory} and rerun the command without --check:'
                if os.path.isdir(source.directory) else f'{len(problems)} {source.unit}s cannot be used:')
    raise errors.UserError('\n  '.join([headline, *problems]))
  print(f'Everything is in {source.directory}' if os.path.isdir(source.directory) else
        'All native files are readable: rerun the command without --check to prepare the data.')


if __name__ == '__main__':
  cli.run(main)
