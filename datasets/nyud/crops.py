"""Conversion of RGB crops with metric depth to the native layout of the NYUD objects.

A table lists the pairs. RGB files are copied, depth is encoded as images. RGB and depth are not registered: if they are
shifted, they remain so.
"""

import collections
import concurrent.futures
import dataclasses
import filecmp
import json
import pathlib
import shutil
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

from tf_privinfo.datasets import tables
from tf_privinfo.datasets.nyud import native
from tf_privinfo.datasets.preparation import depth as depths
from tf_privinfo.datasets.preparation import frames, hha
from tf_privinfo.utils import errors, machine, progress_bars

# Columns of the table of pairs.
COLUMNS = ('part', 'class', 'rgb', 'depth')

# Objects are in the middle of their crops: the default depth range spans these quantiles of depth in the middle half.
# The upper quantile is farther from 1, since background is also visible in the middle of objects.
_QUANTILES = 0.01, 0.95
_SHOWN_PROBLEMS = 20


@dataclasses.dataclass(frozen=True)
class Encoding:
  """Encoding of the depth of a crop as an image.

  The position of the crop in the view is unknown. For HHA its centre is assumed
  to be on the optical axis. Heights are then correct up to an offset, and
  angles are correct if the camera was held as `gravity` specifies.

  Attributes:
    name: name of the encoding, `jet` or `hha`.
    depth_range: nearest and farthest depth that the encoding resolves, mm. HHA
      uses only the nearest depth, and its standard disparity if that depth is
      1.2 m or more.
      None: the range of the training crops.
    focal_length: focal length of the depth camera in pixels of the crops; HHA only.
    gravity: direction of gravity in camera coordinates (x right, y down, z forward); HHA only.
    camera_height: height of the camera above the ground in metres; HHA only.
  """
  name: str
  depth_range: Optional[Tuple[int, int]] = None
  focal_length: float = 585.
  gravity: Tuple[float, float, float] = (0., 1., 0.)
  camera_height: float = 1.3

  def encode(self, depth: np.ndarray) -> np.ndarray:
    """Encodes depth [H, W] uint16 in mm as an image [H, W, 3] uint8; missing pixels are black."""
    if self.name == 'jet':
      return depths.jet(depth, *self.depth_range)
    height, width = depth.shape
    camera = hha.Intrinsics(self.focal_length, self.focal_length, (width - 1) / 2, (height - 1) / 2)
    image = hha.encode(depth / 1000, camera, gravity=np.array(self.gravity), camera_height=self.camera_height,
                       disparity=min(hha.DISPARITY, 255 * self.depth_range[0] / 1000))
    image[depth == 0] = 0  # filled shadows beside an object would hide its outline
    return image


def read_pairs(path: pathlib.Path, columns: Mapping[str, str]) -> Tuple[List[native.Pair], Dict[str, int]]:
  """Reads the table of pairs.

  Args:
    path: path of a CSV table with a header; paths in it are relative to its folder.
    columns: name of each of `COLUMNS` in the header.

  Returns:
    The training and test pairs, named by part, class, line of the table and RGB
    file, and the number of rows for every other value of `part`.

  Raises:
    UserError: if the table cannot be read, contains files that cannot be
      converted, or has no training or no test rows.
  """
  pairs, problems, left_out, lines = [], [], collections.Counter(), {}
  for line, named in tables.rows(path, tuple(columns.values()), 'Name them as in --columns=part=block,rgb=color.'):
    row = {key: named[name] for key, name in columns.items()}
    if row['part'] not in native.PARTS:
      left_out[row['part']] += 1
      continue
    rgb, depth = (path.parent / row[modality] for modality in ('rgb', 'depth'))
    problem = _problem(row, rgb, depth)
    if not problem and lines.setdefault(rgb, line) != line:
      problem = f'{rgb} is in line {lines[rgb]} already'
    if problem:
      problems.append(f'line {line}: {problem}')
    name = f'{row["part"]}/{row["class"]}/{line:05d}_{rgb.stem}'
    pairs.append(native.Pair(name, row['class'], str(rgb), str(depth)))
  _refuse(problems)
  classes = {part: {pair.label for pair in pairs if _part(pair) == part} for part in native.PARTS}
  for part, found in classes.items():
    if not found:
      raise errors.UserError(f'{path} has no row with {part!r} in column {columns["part"]!r}'
                             f'{" but " + ", ".join(map(repr, left_out)) if left_out else ""}.')
  unlearnt = sorted(classes['test'] - classes['train'])
  if unlearnt:
    raise errors.UserError(f'Classes of {path} have test rows only ({", ".join(unlearnt)}): add training rows or leave '
                           'them out.')
  return pairs, dict(left_out)


def convert(pairs: Sequence[native.Pair], output: pathlib.Path, depth_folder: str, encoding: Encoding
            ) -> Dict[str, Any]:
  """Writes pairs in the native layout, and the parameters of the encoding to <depth_folder>.json.

  All pairs are checked before anything is written, and folders get their final
  names when they are complete. If `output` already contains the images of the
  same pairs with another encoding of depth, the images are kept.

  Args:
    pairs: pairs from `read_pairs`.
    output: folder of the result.
    depth_folder: name of the folder of depth, beside `images`.
    encoding: encoding of depth.

  Returns:
    Content of the JSON file.

  Raises:
    UserError: if a pair is unusable, or `output` contains other data.
  """
  _refuse_to_overwrite(pairs, output, depth_folder)
  counts, missing = _check(pairs)
  if encoding.depth_range is None:
    encoding = dataclasses.replace(encoding, depth_range=_robust_range(counts))
  incomplete = output / f'{depth_folder}.incomplete'
  if incomplete.exists():
    shutil.rmtree(incomplete)
  for _ in _for_each(lambda pair: _write(pair, incomplete, depth_folder, encoding), pairs, f'Encoding {encoding.name}'):
    pass
  summary = {**dataclasses.asdict(encoding), 'missing': missing, 'classes': sorted({pair.label for pair in pairs}),
             'pairs': dict(collections.Counter(map(_part, pairs)))}
  for part in native.PARTS:
    for folder in (native.IMAGES, depth_folder):
      if not (output / part / folder).exists():
        (output / part).mkdir(exist_ok=True)
        (incomplete / part / folder).rename(output / part / folder)
  record = incomplete / f'{depth_folder}.json'
  record.write_text(json.dumps(summary, indent=1), encoding='utf-8')
  record.replace(output / record.name)
  shutil.rmtree(incomplete)
  return summary


def _problem(row: Mapping[str, str], rgb: pathlib.Path, depth: pathlib.Path) -> Optional[str]:
  """Reason why a row is unusable, as far as known without opening its files; None if there is none."""
  empty = [column for column in COLUMNS if not row[column]]
  if empty:
    return f'no {" and no ".join(empty)} given'
  if row['class'].startswith('.') or pathlib.Path(row['class']).name != row['class']:
    return f'class {row["class"]!r} cannot be the name of a folder'
  if rgb.suffix.lower() not in native.ENDINGS:
    return f'{rgb}: RGB must be one of {", ".join(native.ENDINGS)}'
  gone = [str(file) for file in (rgb, depth) if not file.is_file()]
  return f'{" and ".join(gone)} missing' if gone else None


def _refuse(problems: List[str]) -> None:
  if problems:
    rest = len(problems) - _SHOWN_PROBLEMS
    raise errors.UserError(
        f'{len(problems)} image pairs cannot be converted; fix them or leave them out of the table:\n  '
        + '\n  '.join(problems[:_SHOWN_PROBLEMS]) + (f'\n  ... and {rest} more' if rest > 0 else ''))


def _refuse_to_overwrite(pairs, output: pathlib.Path, depth_folder: str) -> None:
  there = [output / part / depth_folder for part in native.PARTS if (output / part / depth_folder).exists()]
  # Training would use data that were prepared from a former folder of this name.
  there += [path for ending in ('', '_skip_broken') for path in output.glob(f'prepared/*/*px_{depth_folder}{ending}')]
  if there:
    raise errors.UserError(f'{" and ".join(map(str, there))} exist already: remove them, or choose another --output or '
                           '--depth_folder.')
  for pair in pairs:
    image = _image(pair, output)
    if image.parents[1].exists() and not (image.is_file() and filecmp.cmp(pair.rgb, image, shallow=False)):
      raise errors.UserError(f'{image.parents[1]} holds images of other pairs ({image} is not {pair.rgb}): choose '
                             'another --output.')


def _check(pairs) -> Tuple[np.ndarray, float]:
  """Reads all pairs: histogram [65536] of depth in the middle of training crops, and mean fraction of missing depth."""
  counts, missing, problems = np.zeros(2 ** 16, np.int64), [], []

  def read(pair):
    try:
      return _read_depth(pair)
    except frames.UnreadableFileError as problem:
      return problem

  for depth, pair in zip(_for_each(read, pairs, 'Checking'), pairs):
    if isinstance(depth, frames.UnreadableFileError):
      problems.append(str(depth))
      continue
    missing.append(np.mean(depth == 0))
    if _part(pair) == 'train':
      height, width = depth.shape
      counts += np.bincount(depth[height // 4:height - height // 4, width // 4:width - width // 4].ravel(),
                            minlength=len(counts))
  _refuse(problems)
  return counts, float(np.mean(missing))


def _read_depth(pair: native.Pair) -> np.ndarray:
  """Depth [H, W] uint16 in mm; raises `UnreadableFileError` if depth or RGB is unusable."""
  rgb, depth = frames.read_picture(pair.rgb), frames.read_depth(pair.depth)
  if rgb.shape[:2] != depth.shape:
    raise frames.UnreadableFileError('{}: RGB is {}x{}, depth ({}) {}x{}: the crops must have equal sizes'.format(
        pair.rgb, *rgb.shape[1::-1], pair.depth, *depth.shape[::-1]))
  return depth


def _robust_range(counts: np.ndarray) -> Tuple[int, int]:
  """Nearest and farthest depth in mm, the `_QUANTILES` of a histogram [65536] of depth; raises `UserError`."""
  below = np.cumsum(counts[1:])
  nearest, farthest = (int(np.searchsorted(below, part * below[-1])) + 1 for part in _QUANTILES)
  if nearest >= farthest:
    raise errors.UserError('The middle of the training crops has no depth, or constant depth: pass the range to encode '
                           'as --depth_range=NEAREST,FARTHEST, in millimetres.')
  return nearest, farthest


def _write(pair: native.Pair, root: pathlib.Path, depth_folder: str, encoding: Encoding) -> None:
  image = _image(pair, root)
  picture = root / _part(pair) / depth_folder / pair.label / f'{image.stem}.png'
  for path in (image, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
  shutil.copyfile(pair.rgb, image)
  encoded = cv2.cvtColor(encoding.encode(_read_depth(pair)), cv2.COLOR_RGB2BGR)
  picture.write_bytes(cv2.imencode('.png', encoded)[1].tobytes())


def _part(pair: native.Pair) -> str:
  return pair.name.split('/')[0]


def _image(pair: native.Pair, root: pathlib.Path) -> pathlib.Path:
  """Path of the copy of the RGB file of a pair."""
  part, label, name = pair.name.split('/')
  return root / part / native.IMAGES / label / (name + pathlib.Path(pair.rgb).suffix)


def _for_each(job: Callable[[native.Pair], Any], pairs, description: str) -> Iterator[Any]:
  """Yields the results of a job for all pairs, run in threads, with a progress bar."""
  with concurrent.futures.ThreadPoolExecutor(machine.cpu_cores()) as pool:  # OpenCV and TensorFlow release the GIL
    yield from progress_bars.bar(pool.map(job, pairs), total=len(pairs), desc=description, unit='image pair')
