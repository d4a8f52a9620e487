"""Time and disk space for the preparation of a dataset, by a few samples, on one core, for several sizes of frames.

  python benchmarks/preparation.py --dataset=nwucla --data_dir=/data/nwucla --frame_sizes=64,224,256

The flags that select the data are the same as in tf_privinfo.datasets.prepare; nothing is written. Rates are per core;
preparation uses all cores.
"""

import os
import pathlib
import resource
import sys
import time

os.environ['CUDA_VISIBLE_DEVICES'] = ''
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags
import cv2
import tensorflow as tf

from tf_privinfo import recipes
from tf_privinfo.datasets import catalog
from tf_privinfo.recipes import recipe_flags
from tf_privinfo.utils import cli

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(recipe_flags)
flags.DEFINE_list('frame_sizes', ['64', '224', '256'], 'Sides of the stored frames, in pixels.')
flags.DEFINE_integer('samples', 10, 'Number of prepared samples, evenly spaced over the dataset.', lower_bound=1)
flags.DEFINE_integer(
    'total', None, 'Number of samples of the whole dataset. Default: all under --data_dir.', lower_bound=1)


def main() -> None:
  """Measures and prints time and disk space."""
  cv2.setNumThreads(1)
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  recipe = recipe_flags.resolve(lambda dataset: recipes.methods(dataset)[0])
  data_dir = FLAGS.data_dir or catalog.default_data_dir(recipe.dataset, recipe.data)
  print('| frames | s per sample | samples/s | MB per sample | of which rgb, depth, flow | all: core hours | all: GB |')
  print('|---|---|---|---|---|---|---|')
  for size in map(int, FLAGS.frame_sizes):
    builder = catalog.make_builder(recipe.dataset, data_dir, recipe.data, size)
    found, _ = builder.scan(builder.find_root(data_dir))
    chosen = found[::max(1, len(found) // FLAGS.samples)][:FLAGS.samples]
    builder.prepare(chosen[0])  # warms up
    start = time.process_time()
    examples = [builder.prepare(sample).example for sample in chosen]
    seconds = (time.process_time() - start) / len(chosen)
    megabytes = [sum(map(len, sum((example[m] for example in examples), []))) / len(chosen) / 1e6
                 for m in builder.MODALITIES]
    total = FLAGS.total or len(found)
    print(f'| {size} | {seconds:.2f} | {1 / seconds:.3f} | {sum(megabytes):.2f} '
          f'| {", ".join(f"{value:.2f}" for value in megabytes)} | {total * seconds / 3600:.0f} '
          f'| {total * sum(megabytes) / 1e3:.0f} |', flush=True)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20
  frames = sum(len(example[builder.MODALITIES[0]]) for example in examples) / len(chosen)
  print(f'{len(chosen)} of {len(found)} samples, {frames:.0f} frames each; peak memory {peak:.1f} GiB')


if __name__ == '__main__':
  cli.run(main)
