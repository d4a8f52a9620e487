"""Writes the synthetic dataset as recordings of two cameras, as an example of a table of your own recordings.

  python -m tf_privinfo.datasets.synthetic.export --out=recordings

renders ten actions in three views: DIR/samples.csv, RGB as videos, depth as folders of 16-bit PNG files in millimetres.
If DIR exists, it must contain this rendering, and is not changed.
"""

from absl import flags

from tf_privinfo.datasets.synthetic import recordings, rendering, storage
from tf_privinfo.utils import cli, errors, paths

FLAGS = flags.FLAGS
paths.DEFINE_path('out', None, 'Folder for the recordings.', required=True)
flags.DEFINE_enum(
    'rendering', 'default', list(rendering.RENDERINGS), 'Size of the dataset. default: 600 videos of ten subjects, '
    '160 x 120 pixels; tiny: 120 videos of four subjects, 64 x 48 pixels.')


def main() -> None:
  """Renders the recordings that the flags select; raises `UserError` for problems."""
  with errors.explaining_os_errors(f'write to {FLAGS.out}', 'choose another --out'):
    storage.generate(FLAGS.out, FLAGS.rendering, rendering.RENDERINGS, recordings.render)
  print(f'Everything is in {FLAGS.out}: python train_main.py --method=dmcl --dataset=recordings --data_dir={FLAGS.out} '
        '--protocol=hold_out:subject=S03 --preset=small')


if __name__ == '__main__':
  cli.run(main)
