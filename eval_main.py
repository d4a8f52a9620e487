"""Evaluates a trained run with ten clips per video, or exports it for serving.

  python eval_main.py --run_dir=checkpoints/synthetic/dmcl/small-cross_view_1-code-seed0
  python eval_main.py --run_dir=... --export_dir=/models/dmcl
"""

import pathlib

from absl import flags

from tf_privinfo import cli

FLAGS = flags.FLAGS
flags.DEFINE_string('run_dir', None, 'The run directory, as train_main.py printed it.', required=True)
flags.DEFINE_string('data_dir', None, 'Folder of the native files. Default: data/<dataset>.')
flags.DEFINE_string(
    'export_dir', None, 'Write the SavedModel for TF Serving into this folder, as its version 1, instead of evaluating.')


def main() -> None:
  from tf_privinfo import workflow  # TensorFlow takes seconds to import: flags are checked first

  if FLAGS.export_dir:
    workflow.export(FLAGS.run_dir, pathlib.Path(FLAGS.export_dir))
  else:
    workflow.evaluate(FLAGS.run_dir, FLAGS.data_dir)


if __name__ == '__main__':
  cli.run(main)
