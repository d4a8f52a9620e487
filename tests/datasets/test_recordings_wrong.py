"""Wrong tables of recordings: each ends in one sentence that names the row."""

import pathlib
import shutil

import cv2
import numpy as np
import pytest

from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.utils import errors

HEADER = 'sample,label,subject,rgb,depth\n'
ROWS = ['a1,a,S1,a1/rgb_*.png,a1/depth_*.png', 'a2,a,S2,a2/rgb_*.png,a2/depth_*.png',
        'b1,b,S1,b1/rgb_*.png,b1/depth_*.png', 'b2,b,S2,b2/rgb_*.png,b2/depth_*.png']


def write_frames(root: pathlib.Path) -> None:
  random = np.random.RandomState(0)
  for name in ('a1', 'a2', 'b1', 'b2'):
    (root / name).mkdir(parents=True)
    for frame in range(3):
      cv2.imwrite(str(root / name / f'rgb_{frame}.png'), random.randint(0, 255, (12, 16, 3), np.uint8))
      cv2.imwrite(str(root / name / f'depth_{frame}.png'), random.randint(500, 900, (12, 16)).astype(np.uint16))


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
  root = tmp_path_factory.mktemp('recorded')
  write_frames(root)
  return root


@pytest.fixture
def folder(recorded, tmp_path):
  shutil.copytree(recorded, tmp_path / 'data')
  return tmp_path / 'data'


def message(folder, protocol='hold_out:subject=S2', dataset='recordings', **config) -> str:
  try:
    _, problems = catalog.check_dataset(dataset, str(folder), DataConfig(hold_out=0, **config), 16, protocol=protocol)
  except errors.UserError as error:
    return str(error)
  assert len(problems) == 1, problems
  return problems[0]


def table(*rows, header=HEADER):
  return (header + '\n'.join(rows) + '\n').encode()


def changed(row, old, new):
  return table(*[line.replace(old, new) if number == row else line for number, line in enumerate(ROWS, 2)])


def with_split(*parts):
  return table(*[f'{row},{part}' for row, part in zip(ROWS, parts)], header=HEADER.replace('\n', ',split\n'))


WRONG_TABLES = {
    'empty file': (b'', 'is empty'),
    'header only': (table(), 'has a header only'),
    'no column sample': (table(*ROWS, header=HEADER.replace('sample', 'name')), 'no column sample'),
    'no column label': (table(*ROWS, header=HEADER.replace('label', 'class')), 'no column label'),
    'two equal columns': (table(*ROWS, header=HEADER.replace('depth', 'rgb')), 'several columns named rgb'),
    'column without name': (table(*ROWS, header=HEADER.replace('subject', '')), 'column without a name'),
    'no modality': (table('a1,a', 'b1,b', header='sample,label\n'), 'row 2'),
    'illegal modality': (table(*ROWS, header=HEADER.replace('depth', 'my depth')), "'my depth'"),
    'reserved modality': (table(*ROWS, header=HEADER.replace('depth', 'hall')), "'hall'"),
    'too few values': (changed(3, ',a2/depth_*.png', ''), 'line 3'),
    'too many values': (changed(3, 'S2', 'S2,S3'), 'line 3'),
    'pipes as separators': (table(*ROWS, header=HEADER).replace(b',', b'|'), 'no column sample'),
    'latin-1': (changed(4, 'S1', 'J\u00f6rg').decode().encode('latin-1'), 'UTF-8 (line 4)'),
    'binary': (b'PK\x00\x00' + table(*ROWS), 'binary data'),
    'open quotation': (changed(5, 'b2,b', '"b2,b'), 'not a CSV table'),
    'no sample': (changed(4, 'b1,b,', ',b,'), 'row 4 has no sample'),
    'no label': (changed(4, 'b1,b,', 'b1,,'), 'row 4 has no label'),
    'duplicate sample': (changed(5, 'b2,b', 'a1,b'), 'row 5 has the sample a1 of row 2'),
    'sample above the folder': (changed(3, 'a2,a', '../a2,a'), 'row 3'),
    'absolute sample': (changed(3, 'a2,a', '/a2,a'), 'row 3'),
    'one label': (table(*ROWS[:2]), 'only the label a from row 2'),
    'modality missing in a row': (changed(3, 'a2/depth_*.png', ''), 'row 3 (a2) has no depth'),
    'missing folder': (changed(3, 'a2/rgb_*.png', 'gone/x'), 'row 3: gone/x is missing'),
    'missing video': (changed(3, 'a2/rgb_*.png', 'a2.avi'), 'row 3: a2.avi is missing'),
    'pattern matches nothing': (changed(3, 'a2/rgb_*', 'a2/color_*'), 'row 3: the pattern a2/color_*.png matches'),
    'folder without frames': (changed(3, 'a2/rgb_*.png', 'empty/frames'), 'row 3: the folder empty/frames has no'),
    'pattern of other files': (changed(3, 'a2/rgb_*.png', 'notes/*'), 'row 3: notes/'),
    'absolute path': (changed(3, 'a2/rgb', '/data/a2/rgb'), 'row 3 has an absolute path in rgb'),
    'drive': (changed(3, 'a2/rgb', 'C:/a2/rgb'), 'row 3 has an absolute path in rgb'),
    'path outside': (changed(3, 'a2/rgb', '../a2/rgb'), 'row 3 has a path outside the folder in rgb'),
    'backslashes': (changed(3, 'a2/rgb', 'a2\\rgb'), 'row 3 has backslashes in rgb'),
    'picture among videos': (changed(3, 'a2/rgb_*.png', 'a2/rgb_0.png'), 'row 3 has a single picture'),
    'unknown split': (with_split('train', 'tset', 'train', 'test'), 'row 3 has split=tset'),
    'empty split': (with_split('train', 'test', '', 'test'), 'row 4 has split=(empty)'),
    'class in test only': (with_split('train', 'test', 'test', 'test'), 'class b of row 4 has no row with split=train'),
    'class in training only': (
        with_split('train', 'test', 'train', 'train'), 'class b of row 4 has no row with split=test'),
    'text as a video': (changed(3, 'a2/rgb_*.png', 'notes/text.avi'), 'row 3'),
    'depth where rgb was': (changed(3, 'a2/rgb', 'a2/depth'), 'row 3: rgb has 16 bits'),
    'rgb where depth was': (changed(3, 'a2/depth', 'a2/rgb'), 'row 3: depth has 8 bits'),
    'mixed bit depths': (changed(3, 'a2/depth_*', 'a2/*_*'), 'row 3'),
}


@pytest.mark.parametrize('case', WRONG_TABLES)
def test_wrong_table_names_the_row(case, folder):
  content, expected = WRONG_TABLES[case]
  (folder / 'samples.csv').write_bytes(content)
  (folder / 'empty/frames').mkdir(parents=True)
  (folder / 'notes').mkdir()
  (folder / 'notes/text.avi').write_text('text')
  (folder / 'notes/text.txt').write_text('text')
  found = message(folder)
  assert expected in found
  assert '\n' not in found and not (folder / 'prepared').exists()


def test_frames_of_different_size_and_lengths_are_refused_with_the_row(folder):
  (folder / 'samples.csv').write_bytes(table(*ROWS))
  cv2.imwrite(str(folder / 'b1/rgb_1.png'), np.zeros((12, 18, 3), np.uint8))
  assert 'b1: row 4' in message(folder) and '18x12' in message(folder)
  cv2.imwrite(str(folder / 'b1/rgb_1.png'), np.zeros((12, 16, 3), np.uint8))
  (folder / 'b1/depth_2.png').unlink()
  assert 'row 4: rgb has 3 frames, depth 2' in message(folder)


def test_missing_table_and_missing_protocol_columns(folder):
  assert 'There is no' in message(folder)
  (folder / 'samples.csv').write_bytes(table(*ROWS))
  for protocol in ('split', 'hold_out:person=S1', 'folds:person=2'):
    assert 'near-duplicates' in message(folder, protocol)
  assert 'no row has subject=S9' in message(folder, 'hold_out:subject=S9')
  assert 'has 2' in message(folder, 'folds:subject=3')


def test_ranges_and_encodings_of_columns_that_are_not_measured_are_refused(folder):
  (folder / 'samples.csv').write_bytes(table(*ROWS))
  assert 'rgb is not COLUMN=VALUE' in message(folder, ranges=('rgb=1-2',))
  assert 'depth=hot' in message(folder, encodings=('depth=hot',))
