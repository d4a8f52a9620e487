"""Names that are passed over and frames that are matched by number, in the native files of every dataset."""

import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from tests import native_files
from tf_privinfo.datasets import catalog, listing
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.utils import errors

DATASETS = {
    'nwucla': lambda folder: native_files.write_nwucla(folder, views=(1,), actions=(1,), subjects=1, frames=3),
    'uwa3dii': lambda folder: native_files.write_uwa3dii(folder, views=(1,), actions=(1,), subjects=1, frames=3),
    'ntu60': lambda folder: native_files.write_ntu(folder, ['S001C001P001R001A001'], frames=3),
    'nyud': lambda folder: native_files.write_nyud(folder, classes=('chair',), train=1, test=1)}
RGB = {'nwucla': 'frame_5_rgb.jpg', 'uwa3dii': '002,.jpg', 'ntu60': 'MDepth-00000002.png'}
VARIANTS = {'nwucla': 'depth_vis', 'uwa3dii': 'depth', 'ntu60': 'depth', 'nyud': 'depth'}


@pytest.fixture(params=DATASETS)
def dataset(request):
  return request.param


@pytest.fixture
def root(dataset, tmp_path):
  DATASETS[dataset](tmp_path)
  return tmp_path


def _check(dataset, root, **config):
  """What the metadata say after everything was read, and the problems."""
  builder = catalog.make_builder(dataset, str(root), DataConfig(depth_variant=VARIANTS[dataset], **config), 32)
  problems = builder.check(str(root))
  return dict(builder.info.metadata), problems


def test_what_systems_leave_behind_is_passed_over(dataset, root):
  expected = _check(dataset, root)[0]
  folders = [pathlib.Path(folder) for folder, _, _ in os.walk(root)]
  for folder in folders:
    for path in list(folder.iterdir()):
      if path.is_file():
        (folder / f'._{path.name}').write_bytes(b'Mac OS X')
        for leftover in ('@eaDir', '.ipynb_checkpoints', '__MACOSX'):
          (folder / leftover).mkdir(exist_ok=True)
          shutil.copy(path, folder / leftover)
    for name in ('.DS_Store', 'Thumbs.db', 'desktop.ini'):
      (folder / name).write_bytes(b'')
    for name in ('@eaDir', '.ipynb_checkpoints', '__MACOSX', 'lost+found', '.Trash-1000', '$RECYCLE.BIN'):
      (folder / name).mkdir(exist_ok=True)
  metadata, problems = _check(dataset, root)
  assert not problems and metadata['samples'] == expected['samples'] != {}


@pytest.mark.parametrize('name', ['a.jpg', 'S001', 'view_1', '@home', '001,.jpg', 'macosx', 'eadir'])
def test_other_names_count(name):
  assert not listing.is_passed_over(name)


@pytest.mark.parametrize('dataset', RGB)
def test_upper_case_endings_count(dataset, root):
  path, = root.rglob(RGB[dataset])
  path.rename(path.with_suffix(path.suffix.upper()))
  metadata, problems = _check(dataset, root)
  assert not problems and set(metadata['samples'].values()) == {3} and not metadata['cut']


@pytest.mark.parametrize('dataset', RGB)
def test_two_frames_of_one_number_are_refused_by_name(dataset, root):
  path, = root.rglob(RGB[dataset])
  double = path.with_name({'nwucla': 'frame_05_rgb.jpg', 'uwa3dii': '0002,.jpg', 'ntu60': 'MDepth-2.png'}[dataset])
  shutil.copy(path, double)
  problem, = _check(dataset, root)[1]
  assert path.name in problem and double.name in problem and 'has the number of' in problem


@pytest.mark.parametrize('dataset', ['ntu60'])
def test_ntu_folders_nested_in_a_folder_of_their_own_name(dataset, root):
  expected = _check(dataset, root)[0]
  for folder in ('nturgb+d_depth_masked', 'nturgb+d_rgb', 'nturgb+d_skeletons'):
    (root / folder).rename(root / 'moved')
    (root / folder).mkdir()
    (root / 'moved').rename(root / folder / folder)
  (root / 'nturgb+d_depth_masked').rename(root / 'NTURGB+D_depth_masked')
  for aligned in (False, True):
    metadata, problems = _check(dataset, root, aligned=aligned)
    assert metadata['samples'] == expected['samples'] != {} or aligned
    assert not any('no ' + kind in problem for problem in problems for kind in ('depth', 'skeleton'))


@pytest.mark.parametrize('dataset', ['ntu60'])
def test_links_that_lead_back_are_not_followed(dataset, root):
  (root / 'nturgb+d_rgb' / 'all').symlink_to(root, target_is_directory=True)
  metadata, problems = _check(dataset, root)
  assert not problems and len(metadata['samples']) == 1


@pytest.mark.parametrize('dataset', ['nyud'])
def test_names_that_are_no_text_are_told(dataset, root):
  folder = os.fsencode(root / 'train' / 'images' / 'chair')
  for name in (b'caf\xe9.jpg', 'caf\u00e9 with spaces\nand lines.jpg'.encode()):
    shutil.copy(os.path.join(folder, b'0000.jpg'), os.path.join(folder, name))
  shutil.copy(root / 'train/depth/chair/0000.png', root / 'train/depth/chair/caf\u00e9 with spaces\nand lines.png')
  metadata, problems = _check(dataset, root)
  problem, = problems
  assert 'is not UTF-8: rename it' in problem and problem.isprintable()
  assert 'train/chair/caf\u00e9 with spaces\nand lines' in metadata['samples']
  (root / 'train' / 'images' / 'chair').rename(os.fsdecode(os.fsencode(root / 'train' / 'images') + b'/\xe9'))
  with pytest.raises(errors.UserError, match='not UTF-8'):
    _check(dataset, root)


def test_empty_and_endless_files_are_named(dataset, root):
  for ending in ('*rgb.jpg', '*,.jpg', '*_rgb.avi', '*/images/*/*.jpg'):
    path = next(iter(sorted(root.rglob(ending))), None)
    if path:
      path.write_bytes(b'')
  problem, = _check(dataset, root)[1]
  assert 'truncated or not' in problem
  for path in root.rglob('*'):
    if path.is_file() and path.stat().st_size == 0:
      path.unlink()
      path.symlink_to(path)
  assert len(_check(dataset, root)[1]) == 1


def test_files_of_the_future_are_prepared(dataset, root):
  for path in root.rglob('*'):
    os.utime(path, (2 ** 33, 2 ** 33))
  config = DataConfig(depth_variant=VARIANTS[dataset])
  source = catalog.open_dataset(dataset, str(root), config, 32)
  assert len(source.metadata['native']) == len(source.names)
  assert not catalog.check_dataset(dataset, str(root), config, 32)[1]


def test_objects_of_16_bit_colour_are_named(tmp_path):
  DATASETS['nyud'](tmp_path)
  path = tmp_path / 'train/images/chair/0000.jpg'
  path.unlink()
  cv2.imwrite(str(path.with_suffix('.png')), np.zeros((30, 30, 3), np.uint16))
  problem, = _check('nyud', tmp_path)[1]
  assert '16-bit PNG' in problem
