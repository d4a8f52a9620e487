"""Draws contact sheets of a dataset: samples as they are stored and as a training step reads them.

  python -m tf_privinfo.datasets.show --dataset=nwucla --data_dir=/data/nwucla --out=sheets

writes one PNG for each of --count samples of the training set, spread over the classes. Rows are modalities, columns
are the frames of one clip. There are up to three blocks: whole frames as they are stored; the same frames after the
augmentation of the training pipeline; and, if RGB and depth are aligned, RGB with the edges of depth drawn over it. The
edges of depth must coincide with the edges in RGB. Frames, crops and augmentation follow the recipe that train_main.py
runs with the same flags. A dataset that is not prepared yet is prepared first.
"""

import pathlib

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.datasets import registry
from tf_privinfo.recipes import recipe_flags
from tf_privinfo.utils import atomic, cli, errors, paths

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(recipe_flags)
paths.DEFINE_path('out', None, 'Folder for the sheets.', required=True)
flags.DEFINE_integer('count', 10, 'Number of samples.', lower_bound=1)


def main() -> None:
  """Writes the contact sheets that the flags select; raises `UserError` for problems."""
  recipe = recipe_flags.resolve(lambda dataset: 'admd' if 'dmcl' not in recipes.methods(dataset) else 'dmcl')
  # TensorFlow takes seconds to import: flags are checked first.
  from tf_privinfo.datasets import catalog, contact_sheets

  source = catalog.open_dataset(
      recipe.dataset, FLAGS.data_dir or catalog.default_data_dir(recipe.dataset, recipe.data), recipe.data,
      recipe.clips.frame_size, prepared_dir=FLAGS.prepared_dir, protocol=recipe.protocol,
      modalities=recipe.modalities)
  split = registry.split(recipe.dataset, recipe.protocol, source.names, recipe.data.hold_out,
                         rows=source.metadata.get('rows'), hold_out_by=recipe.data.hold_out_by)
  names = contact_sheets.spread(split.train, source.label_of, FLAGS.count)
  out = pathlib.Path(FLAGS.out)
  with errors.explaining_os_errors(f'write to {FLAGS.out}', 'choose another --out'):
    for sample in contact_sheets.read(source, names, recipe.clips, FLAGS.seed):
      blocks = contact_sheets.blocks(sample, recipe.clips, source.metadata.get('aligned', False))
      sheet = contact_sheets.contact_sheet(f'{sample.name}: {source.label_of(sample.name)}', blocks)
      atomic.write(out / f'{sample.name.replace("/", "_")}.png', sheet)
  print(f'Everything is in {out}: {len(names)} contact sheets, one PNG for each sample')


if __name__ == '__main__':
  cli.run(main)
