"""Evaluates a trained run on its test set, with clean or noisy depth, or exports it for serving.

  python eval_main.py --run_dir=checkpoints/synthetic/dmcl/small-cross_view_1-code-seed0
  python eval_main.py --run_dir=... --export_dir=/models/dmcl
  python eval_main.py --run_dir=... --noise=0,1e-3,1e-2,1e-1,1,10,void
"""

import pathlib

from absl import flags

from tf_privinfo import cli

FLAGS = flags.FLAGS
flags.DEFINE_string('run_dir', None, 'The run directory, as train_main.py printed it.', required=True)
flags.DEFINE_string('data_dir', None, 'Folder of the native files. Default: data/<dataset>.')
flags.DEFINE_string(
    'export_dir', None, 'Write the SavedModel for TF Serving into this folder, as its version 1, instead of evaluating.')
flags.DEFINE_string(
    'depth_variant', None, 'Evaluate with depth of another variant, such as a folder of images that an estimator made of '
    'RGB; the results go to a folder of their own in the run directory.')
flags.DEFINE_string(
    'noise', None, 'Evaluate under noise on depth instead; levels are separated by commas. A number is the variance of '
    'multiplicative speckle: tables 3.3 and 4.6 have 0,1e-3,1e-2,1e-1,1,10,void. void: no depth; holes:0.3: that part of '
    'the pixels is missing; levels:8: so many values are left; shift:0.1: displaced by that part of the side; frozen: '
    'the first frame stays.')


def main() -> None:
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  if FLAGS.export_dir:
    workflow.export(FLAGS.run_dir, pathlib.Path(FLAGS.export_dir))
  elif FLAGS.noise:
    workflow.sweep_noise(FLAGS.run_dir, FLAGS.data_dir, FLAGS.noise)
  else:
    workflow.evaluate(FLAGS.run_dir, FLAGS.data_dir, FLAGS.depth_variant)


if __name__ == '__main__':
  cli.run(main)
