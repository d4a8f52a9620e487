"""The native layout of the NYUD objects: finds images and pairs them.

    train/images/chair/0001.jpg     RGB crop of an object
    train/depth/chair/0001.png      HHA-encoded depth of the same size
    test/images/...                 test/depth/...

Images are JPEG or PNG files. Labels are the ranks of the sorted class folders. Depth from another source, such as an
estimator, is in a folder of its own beside `images`, which `data.depth_variant` selects.
"""

import dataclasses
import os
import pathlib
from typing import Dict, List, Tuple

from tf_privinfo.datasets import listing
from tf_privinfo.utils import errors

PARTS = ('train', 'test')
IMAGES = 'images'
ENDINGS = ('.jpg', '.jpeg', '.png')

HOW_TO_GET_IT = """\
Download the RGB-D object crops of NYU Depth v2 with HHA-encoded depth (2186 training and 2401 test images of 19
classes; J. Hoffman et al., "Learning with Side Information through Modality Hallucination", CVPR 2016, and E. Tzeng et
al., "Adversarial Discriminative Domain Adaptation", CVPR 2017, link to them or send them), unpack them, and pass
--data_dir=DIR with the folders DIR/train/images/CLASS, DIR/train/depth/CLASS, DIR/test/images/CLASS and
DIR/test/depth/CLASS. RGB and depth are paired by file name. To convert crops with metric depth to this layout, run
python -m tf_privinfo.datasets.nyud.convert (see its --help). --dataset=synthetic_objects needs no download."""


@dataclasses.dataclass(frozen=True)
class Pair:
  """The two images of an object.

  Attributes:
    name: sample name, such as `train/chair/0001`.
    label: name of the class.
    rgb: path of the RGB image.
    depth: path of the depth image.
  """
  name: str
  label: str
  rgb: str
  depth: str


def find_root(data_dir: str) -> pathlib.Path:
  """The folder with `train/images` at or under `data_dir`; raises `UserError` with download instructions."""
  base = pathlib.Path(data_dir)
  for root in (base / 'objects', base):
    if (root / 'train' / IMAGES).is_dir():
      return root
  raise errors.UserError(f'No object images under {base} (looked for train/{IMAGES}).\n{HOW_TO_GET_IT}')


def classes(root: pathlib.Path, depth_folder: str) -> List[str]:
  """Sorted class names; they must be the same in both modalities.

  Args:
    root: folder from `find_root`.
    depth_folder: name of the folder of depth.

  Raises:
    UserError: if a folder is missing, or a class exists in only one modality
      or only in the test set.
  """
  for part in PARTS:
    for folder in (IMAGES, depth_folder):
      if not (root / part / folder).is_dir():
        raise errors.UserError(f'{root / part} has no folder {folder!r}: add one with the crops of every class'
                               + (', or select another one, as in --set data.depth_variant=depth.'
                                  if folder != IMAGES and depth_folder != 'depth' else '.'))
    rgb, depth = (_folders(root / part / folder) for folder in (IMAGES, depth_folder))
    if rgb != depth:
      only = [f'{name} in {folder}' for folder, names in ((IMAGES, rgb - depth), (depth_folder, depth - rgb))
              for name in sorted(names)]
      raise errors.UserError(f'Classes of {root / part} exist in one modality only ({", ".join(only)}): add the '
                             'missing folders or move these away.')
  train, test = (_folders(root / part / IMAGES) for part in PARTS)
  if test - train:
    raise errors.UserError(f'Classes of {root / "test"} are not in {root / "train"} ({", ".join(sorted(test - train))})'
                           ': add training images or move these folders away.')
  return sorted(train)


def scan(root: pathlib.Path, depth_folder: str) -> Tuple[List[Pair], List[str]]:
  """Finds all pairs: the complete ones, and one sentence for each problem.

  Pairs are sorted by part, class and name. Arguments as for `classes`.

  Raises:
    UserError: see `classes`.
  """
  known, pairs, problems = classes(root, depth_folder), [], []
  for part in PARTS:
    for label in known:
      rgb = _images(root / part / IMAGES / label, problems)
      depth = _images(root / part / depth_folder / label, problems)
      pairs += [Pair(f'{part}/{label}/{stem}', label, rgb[stem], depth[stem]) for stem in sorted(rgb.keys() & depth)]
      problems += [f'{path}: no image of that name in {part}/{other}/{label}'
                   for images, partners, other in ((rgb, depth, depth_folder), (depth, rgb, IMAGES))
                   for stem, path in sorted(images.items()) if stem not in partners]
  return pairs, problems


def _folders(parent: pathlib.Path):
  names = {path.name for path in listing.folders(parent)}
  for name in sorted(names):
    if not listing.is_text(name):
      raise errors.UserError(f'The name of the folder {name!r} in {parent} is not UTF-8: rename it.')
  return names


def _images(folder: pathlib.Path, problems: List[str]) -> Dict[str, str]:
  """File name without extension -> path; appends names with two extensions to `problems`."""
  found = {}
  names = listing.names(folder) if folder.is_dir() else []
  for stem, ending in map(os.path.splitext, names):
    if ending.lower() not in ENDINGS:
      continue
    path = str(folder / (stem + ending))
    if not listing.is_text(stem):
      problems.append(f'{folder}: the file name {stem + ending!r} is not UTF-8: rename it')
    elif stem in found:
      problems.append(f'{path}: {found[stem]} has the same name')
    else:
      found[stem] = path
  return found
