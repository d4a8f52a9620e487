"""RGB crops with metric depth, converted to the native layout of the NYUD objects.

A table names the pairs. RGB files are copied as they are, depth becomes pictures. RGB and depth are not registered: if
they are shifted against each other, they stay so.
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

# What the table tells of a pair.
COLUMNS = ('part', 'class', 'rgb', 'depth')

# Objects are in the middle of their crops: the pictures tell apart these quantiles of the depths in the middle half.
# The upper one is lower, since what is behind an object shows through in its middle, too.
_QUANTILES = 0.01, 0.95
_SHOWN_PROBLEMS = 20


@dataclasses.dataclass(frozen=True)
class Encoding:
  """How a crop's depth becomes a picture.

  Where the crop lay in the view is not known. For HHA its centre is taken to
  be on the optical axis, so heights are right but for an offset, and angles
  if the camera was held as `gravity` says.

  Attributes:
    name: `jet` or `hha`.
    depth_range: the nearest and the farthest depth that are told apart, mm;
      HHA has the nearest alone, and keeps its usual disparity beyond 1.2 m.
      None for what the training crops span.
    focal_length: of the depth camera, pixels of the crops; HHA alone, like all that follows.
    gravity: its direction in the camera's frame (x right, y down, z forward).
    camera_height: above the ground, metres.
  """
  name: str
  depth_range: Optional[Tuple[int, int]] = None
  focal_length: float = 585.
  gravity: Tuple[float, float, float] = (0., 1., 0.)
  camera_height: float = 1.3

  def encode(self, depth: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] uint8 of depth [H, W] uint16 in mm; black where nothing was measured."""
    if self.name == 'jet':
      return depths.jet(depth, *self.depth_range)
    height, width = depth.shape
    camera = hha.Intrinsics(self.focal_length, self.focal_length, (width - 1) / 2, (height - 1) / 2)
    image = hha.encode(depth / 1000, camera, gravity=np.array(self.gravity), camera_height=self.camera_height,
                       disparity=min(hha.DISPARITY, 255 * self.depth_range[0] / 1000))
    image[depth == 0] = 0  # filled, the shadow beside an object would hide its outline
    return image


def read_pairs(path: pathlib.Path, columns: Mapping[str, str]) -> Tuple[List[native.Pair], Dict[str, int]]:
  """Reads the table of pairs.

  Args:
    path: CSV with a header; the paths in it are relative to its folder.
    columns: each of `COLUMNS` -> its name in the header.

  Returns:
    The pairs that train or test, named by part, class, line of the table and
    RGB file; how many rows have each other value of `part`.

  Raises:
    UserError: if the table cannot be read, names files that cannot be
      converted, or leaves nothing to train or test on.
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
  """Writes pairs in the native layout, and <depth_folder>.json beside it: what depth of later crops is encoded with.

  All pairs are checked before anything is written, and folders get their names
  when they are complete. Depth of another encoding may be there already: the
  images of the same pairs are kept.

  Returns:
    What the JSON file holds.

  Raises:
    UserError: if a pair cannot be used, or `output` holds something else.
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
  """What makes a row unusable, as far as that is seen without opening its files."""
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
  # Training would trust what it once prepared of a folder of that name.
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
  """Reads all pairs: how often each depth [65536] is in the middle of training crops, and the part that is missing."""
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
  """Depth [H, W] uint16 in mm; raises `UnreadableFileError` if it or RGB cannot be used."""
  rgb, depth = frames.read_picture(pair.rgb), frames.read_depth(pair.depth)
  if rgb.shape[:2] != depth.shape:
    raise frames.UnreadableFileError('{}: RGB is {}x{}, depth ({}) {}x{}: the crops must have equal sizes'.format(
        pair.rgb, *rgb.shape[1::-1], pair.depth, *depth.shape[::-1]))
  return depth


def _robust_range(counts: np.ndarray) -> Tuple[int, int]:
  """The nearest and the farthest depth that are told apart, of how often each one was measured."""
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
  """Where the RGB file of a pair is copied to."""
  part, label, name = pair.name.split('/')
  return root / part / native.IMAGES / label / (name + pathlib.Path(pair.rgb).suffix)


def _for_each(job: Callable[[native.Pair], Any], pairs, description: str) -> Iterator[Any]:
  """Results of a job for every pair, done in threads, with a progress bar."""
  with concurrent.futures.ThreadPoolExecutor(machine.cpu_cores()) as pool:  # OpenCV and TensorFlow release the GIL
    yield from progress_bars.bar(pool.map(job, pairs), total=len(pairs), desc=description, unit='image pair')
