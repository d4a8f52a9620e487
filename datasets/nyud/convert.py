"""Converts RGB crops with 16-bit metric depth to the layout of the NYUD objects, for training with --dataset=nyud.

  python -m tf_privinfo.datasets.nyud.convert --pairs=pairs.csv --output=data/nyud --encoding=jet

A pair is an RGB crop (JPEG or PNG) and a depth crop of the same size (16-bit PNG in millimetres, 0 = missing). RGB and
depth are not registered: if they are shifted, they remain so. RGB is copied. Depth is encoded as an image:

  jet  the jet colour map over --depth_range, from blue (near) to red (far);
  hha  disparity, height and angle with gravity. The position of the crop in the view is unknown, so only disparity is
       exact. Height is relative to the centre of the crop, which is assumed to be --camera_height above the ground.
       Angles are meaningful if the camera was held as --gravity specifies.

Missing pixels are black in both encodings.

For both encodings side by side, run the command again with --depth_folder=hha, and select one with
--set data.depth_variant=hha.
"""

import math
import pathlib

from absl import flags

from tf_privinfo.utils import cli, errors, paths

FLAGS = flags.FLAGS
paths.DEFINE_path(
    'pairs', None, 'CSV table with a header and the columns part (train or test; other rows are left out and '
    'counted), class, rgb and depth. The last two are paths relative to the table.', required=True)
paths.DEFINE_path(
    'output', None, 'Folder for the output: train|test/images/CLASS and train|test/<depth_folder>/CLASS.',
    required=True)
flags.DEFINE_enum('encoding', None, ['jet', 'hha'], 'Encoding of depth as an image; see above.', required=True)
flags.DEFINE_list('columns', [], 'Column names that differ, as in --columns=part=block,rgb=color.')
flags.DEFINE_string(
    'depth_folder', 'depth', 'Folder for depth, beside images. Its name is the value of data.depth_variant.')
flags.DEFINE_list(
    'depth_range', None, 'Nearest and farthest depth that the encoding resolves, in millimetres, as in 600,1200. HHA '
    'uses the nearest only. Default: the 1 % and 95 % quantiles of depth in the middle half of the training crops.')
flags.DEFINE_float(
    'focal_length', 585, 'Focal length of the depth camera, in pixels at the resolution of the crops (HHA only). The '
    'default is the nominal value of the first Kinect at 640 x 480.', lower_bound=1)
flags.DEFINE_list(
    'gravity', ['0', '1', '0'], 'Direction of gravity in the coordinates of the camera: x right, y down, z forward '
    '(HHA only). Default: straight down, for a level camera.')
flags.DEFINE_float('camera_height', 1.3, 'Height of the camera above the ground, in metres (HHA only).')


def resolve_columns(known) -> dict:
  """Name of every column -> its name in the header of the table, from --columns; raises `UserError`."""
  columns = {name: name for name in known}
  for item in FLAGS.columns:
    key, _, name = item.partition('=')
    if key not in columns or not name:
      raise errors.UserError(f'--columns has {item!r}, which is not of the form part=block: write one of '
                             f'{", ".join(known)} before = and a column of the table after it.')
    columns[key] = name
  return columns


def numbers(flag: str, kind: type, count: int) -> tuple:
  """The values of a flag that is a list of `count` finite numbers of type `kind`; raises `UserError` for others."""
  try:
    values = tuple(map(kind, FLAGS[flag].value))
  except ValueError:
    values = ()
  if len(values) != count or not all(map(math.isfinite, values)):
    raise errors.UserError(f'--{flag}={",".join(FLAGS[flag].value)} must be {count} numbers separated by commas.')
  return values


def main() -> None:
  """Converts the crops that the flags select and prints a summary; raises `UserError` for problems."""
  if pathlib.Path(FLAGS.depth_folder).name != FLAGS.depth_folder or FLAGS.depth_folder == 'images':
    raise errors.UserError(
        f'--depth_folder={FLAGS.depth_folder} must be a folder name, without a path, other than images.')
  depth_range = FLAGS.depth_range and numbers('depth_range', int, 2)
  if depth_range and not 0 < depth_range[0] < depth_range[1]:
    raise errors.UserError(f'--depth_range={",".join(FLAGS.depth_range)} must be the nearest depth, then the farthest.')
  gravity = numbers('gravity', float, 3)
  if not any(gravity):
    raise errors.UserError('--gravity is the zero vector: pass a direction such as 0,1,0.')
  for flag in ('focal_length', 'camera_height'):
    if not math.isfinite(FLAGS[flag].value):
      raise errors.UserError(f'--{flag}={FLAGS[flag].value} must be a finite number.')
  from tf_privinfo.datasets.nyud import crops  # TensorFlow takes seconds to import: flags are checked first

  encoding = crops.Encoding(FLAGS.encoding, depth_range, FLAGS.focal_length, gravity, FLAGS.camera_height)
  with errors.explaining_os_errors(f'convert {FLAGS.pairs}',
                                   'fix this and rerun the command, or choose another --pairs or --output'):
    pairs, left_out = crops.read_pairs(pathlib.Path(FLAGS.pairs), resolve_columns(crops.COLUMNS))
    summary = crops.convert(pairs, pathlib.Path(FLAGS.output), FLAGS.depth_folder, encoding)
  print('{train} training and {test} test pairs of {} classes'.format(len(summary['classes']), **summary['pairs'])
        + ''.join(f'; {count} rows of part {part!r} left out' for part, count in left_out.items()))
  print('{name}, depth range {}-{} mm; {missing:.1%} of depth is missing'.format(*summary['depth_range'], **summary))
  variant = '' if FLAGS.depth_folder == 'depth' else f' --set data.depth_variant={FLAGS.depth_folder}'
  print(f'Everything is in {FLAGS.output}: python train_main.py --method=admd --dataset=nyud '
        f'--data_dir={FLAGS.output} --preset=small{variant}')


if __name__ == '__main__':
  cli.run(main)
