"""Crops with metric depth, converted to the layout of the NYUD objects."""

import csv
import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests import native_files, real_data
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nyud import crops
from tf_privinfo.datasets.preparation import depth, hha
from tf_privinfo.utils import errors

SAME_NAMES = {name: name for name in crops.COLUMNS}
# The finger-spelling crops of a Kinect, with split_temporal_blocks.csv.
ASL = real_data.FOLDER / 'asl_rgbd'


@pytest.fixture
def table(tmp_path):
  return native_files.write_depth_crops(tmp_path / 'crops')


def _run(*flags):
  """Runs the command as a user does; returns (exit status, standard output, standard error)."""
  done = subprocess.run([sys.executable, '-m', 'tf_privinfo.datasets.nyud.convert', *map(str, flags)],
                        capture_output=True, text=True)
  return done.returncode, done.stdout, done.stderr


def _convert(table, output, name='jet', folder='depth', columns=SAME_NAMES, **options):
  pairs, _ = crops.read_pairs(table, columns)
  return crops.convert(pairs, output, folder, crops.Encoding(name, **options))


def _files(root):
  return sorted(str(path.relative_to(root)) for path in root.rglob('*') if path.is_file())


def _read(path):
  return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _refused(table, output, *words, **options):
  """Asserts that a conversion is refused with these words and writes nothing."""
  before = _files(output) if output.exists() else None
  with pytest.raises(errors.UserError) as error:
    _convert(table, output, **options)
  assert all(word in str(error.value) for word in words), error.value
  assert (_files(output) if output.exists() else None) == before


def _replace(table, old, new):
  text = table.read_text()
  assert old in text
  table.write_text(text.replace(old, new))


# What is written.


def test_the_command_converts_and_says_what_to_run_next(table, tmp_path):
  status, out, err = _run(f'--pairs={table}', f'--output={tmp_path / "out"}', '--encoding=jet')
  assert status == 0, err
  lines = out.strip().splitlines()
  assert lines[0] == "6 training and 4 test pairs of 2 classes; 2 rows of part 'gap' left out"
  assert re.fullmatch(r'jet, depth range \d+-\d+ mm; [12]\.\d% of depth is missing', lines[1])
  assert lines[-1] == (f'Everything is in {tmp_path / "out"}: python train_main.py --method=admd --dataset=nyud '
                       f'--data_dir={tmp_path / "out"} --preset=small')
  assert _files(tmp_path / 'out') == ['depth.json'] + sorted(
      f'{part}/{folder}/{label}/{line:05d}_color_{part}_{index}.png' for folder in ('images', 'depth')
      for part, label, line, index in [
          ('train', 'bowl', 2, 0), ('train', 'bowl', 3, 1), ('train', 'bowl', 4, 2), ('train', 'cap', 5, 0),
          ('train', 'cap', 6, 1), ('train', 'cap', 7, 2), ('test', 'bowl', 8, 0), ('test', 'bowl', 9, 1),
          ('test', 'cap', 10, 0), ('test', 'cap', 11, 1)])


def test_jet_beside_hha_through_the_catalog(table, tmp_path):
  output = tmp_path / 'out'
  status, out, err = _run(f'--pairs={table}', f'--output={output}', '--encoding=hha', '--depth_folder=hha',
                          '--gravity=0,1,0.2', '--camera_height=1.1', '--focal_length=500', '--depth_range=600,1000')
  assert status == 0 and out.endswith(' --preset=small --set data.depth_variant=hha\n'), err
  record = json.loads((output / 'hha.json').read_text())
  assert record['gravity'] == [0, 1, .2] and record['camera_height'] == 1.1 and record['focal_length'] == 500
  assert record['depth_range'] == [600, 1000] and record['pairs'] == {'train': 6, 'test': 4}
  _convert(table, output)
  for variant in ('depth', 'hha'):
    source = catalog.open_dataset('nyud', str(output), DataConfig(variant), 32)
    assert len(source.names) == 10 and source.label_names == ['bowl', 'cap']
    assert f'(6 train, 4 test), depth from {variant}' in source.describe()


def test_rgb_is_the_same_file_and_depth_is_encoded(table, tmp_path):
  record = _convert(table, tmp_path / 'out')
  _convert(table, tmp_path / 'out', 'hha', 'hha')
  source, written = table.parent / 'cap', tmp_path / 'out' / 'train'
  assert (written / 'images/cap/00005_color_train_0.png').read_bytes() == (source / 'color_train_0.png').read_bytes()
  measured = cv2.imread(str(source / 'depth_train_0.png'), cv2.IMREAD_UNCHANGED)
  nearest, farthest = record['depth_range']
  assert 700 < nearest < 720 and 800 < farthest < 3000  # the ball is in the middle
  jet = _read(written / 'depth/cap/00005_color_train_0.png')
  np.testing.assert_array_equal(jet, depth.jet(measured, nearest, farthest))
  np.testing.assert_array_equal((jet == 0).all(axis=-1), measured == 0)
  encoded = _read(written / 'hha/cap/00005_color_train_0.png').astype(int)
  # The nearest depth has the highest disparity; the centre is at the camera's height.
  known = measured > 0
  np.testing.assert_allclose(encoded[known][:, 0], np.minimum(255 * nearest / measured[known], 255), atol=.51)
  np.testing.assert_array_equal((encoded == 0).all(axis=-1), ~known)
  height, width = measured.shape
  assert abs(encoded[height // 2, width // 2, 1] - 130) <= 2
  ball = encoded[known & (measured < 1000)][:, 2]
  assert ball.min() < hha.ANGLE_OFFSET + 80 and ball.max() > hha.ANGLE_OFFSET + 100


def test_far_crops_have_the_usual_disparity():
  far = np.full((9, 9), 2000, np.uint16)
  encoded = crops.Encoding('hha', (1500, 4000)).encode(far)
  assert (encoded[..., 0] == hha.DISPARITY / 2).all()


def test_test_crops_do_not_matter_for_the_range(table, tmp_path):
  expected = _convert(table, tmp_path / 'out')['depth_range']
  for path in table.parent.glob('*/depth_test_*.png'):
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 3)
  assert _convert(table, tmp_path / 'again')['depth_range'] == expected


def test_columns_of_other_names_and_rgb_as_jpeg(table, tmp_path):
  image = cv2.imread(str(table.parent / 'bowl' / 'color_train_0.png'))
  cv2.imwrite(str(table.parent / 'bowl' / 'photo.JPG'), image)
  _replace(table, 'part,class,rgb,depth', 'block,class,color,depth')
  _replace(table, 'bowl/color_train_0.png', 'bowl/photo.JPG')
  table.write_text('\ufeff' + table.read_text(), encoding='utf-8')  # as spreadsheets write it
  _convert(table, tmp_path / 'out', columns={**SAME_NAMES, 'part': 'block', 'rgb': 'color'})
  assert (tmp_path / 'out/train/images/bowl/00002_photo.JPG').is_file()
  assert (tmp_path / 'out/train/depth/bowl/00002_photo.png').is_file()


# A killed conversion, and a second one.


def test_a_killed_conversion_leaves_nothing_that_is_trusted(table, tmp_path, monkeypatch):
  output, write = tmp_path / 'out', crops._write

  def killed(pair, *args):
    if 'test' in pair.name:
      raise KeyboardInterrupt
    write(pair, *args)

  with monkeypatch.context() as patch:
    patch.setattr(crops, '_write', killed)
    with pytest.raises(KeyboardInterrupt):
      _convert(table, output)
  assert _files(output) and all(name.startswith('depth.incomplete/') for name in _files(output))
  with pytest.raises(errors.UserError, match='No object images'):
    catalog.open_dataset('nyud', str(output), DataConfig('depth'), 32)
  _convert(table, output)
  _convert(table, tmp_path / 'at once')
  assert _files(output) == _files(tmp_path / 'at once')


def test_what_is_there_is_not_overwritten(table, tmp_path):
  output = tmp_path / 'out'
  _convert(table, output)
  _refused(table, output, str(output / 'train' / 'depth'), 'exist already', '--output', '--depth_folder')
  (table.parent / 'cap' / 'color_test_1.png').write_bytes((table.parent / 'cap' / 'color_test_0.png').read_bytes())
  _refused(table, output, 'images of other pairs', '00011_color_test_1.png', folder='other')


def test_what_was_prepared_of_an_earlier_conversion_is_not_trusted(table, tmp_path):
  output = tmp_path / 'out'
  (output / 'prepared' / 'nyud' / '32px_depth').mkdir(parents=True)
  (output / 'prepared' / 'nyud' / '32px_other_depth').mkdir()
  _refused(table, output, str(output / 'prepared' / 'nyud' / '32px_depth') + ' exist already')


# What a user can get wrong.


# Command lines in one process, since most of the time of one goes into imports; what main prints goes to the caller.
MANY = """
import contextlib, io, json, sys
from tf_privinfo.utils import cli
from tf_privinfo.datasets.nyud import convert
ends = []
for flags in json.loads(sys.argv[1]):
  sys.argv = ['convert', *flags]
  convert.FLAGS.unparse_flags()
  errors = io.StringIO()
  with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
    try:
      cli.run(convert.main)
    except SystemExit as end:
      ends.append([str(end.code), errors.getvalue()])
    else:
      ends.append(['0', errors.getvalue()])
print(json.dumps(ends))
"""
WRONG = {
    '--columns=part:block': ['part:block', 'part=block'],
    '--columns=colour=rgb': ['colour=rgb', 'part, class, rgb, depth'],
    '--depth_range=500': ['--depth_range=500', '2 numbers'],
    '--depth_range=900,800': ['--depth_range=900,800', 'nearest'],
    '--gravity=0,down,0': ['--gravity=0,down,0', '3 numbers'],
    '--gravity=0,0,0': ['--gravity'],
    '--depth_folder=images': ['--depth_folder=images'],
    '--pairs=nowhere.csv': ['nowhere.csv', 'No such file'],
    '--encoding=grey': ['--encoding=grey', 'jet|hha'],
}


def test_wrong_flags(table, tmp_path):
  output = tmp_path / 'out'
  lines = [[f'--pairs={table}', f'--output={output}', '--encoding=jet', flag] for flag in WRONG]
  done = subprocess.run([sys.executable, '-c', MANY, json.dumps(lines)], check=True, capture_output=True, text=True)
  ends = json.loads(done.stdout.splitlines()[-1])
  for (code, printed), (flag, words) in zip(ends, WRONG.items(), strict=True):
    assert code != '0' and 'Traceback' not in printed, (flag, printed)
    assert all(word in code + printed for word in words), (flag, code, printed)
  assert not output.exists()


def test_an_output_that_cannot_be_written(table):
  status, _, err = _run(f'--pairs={table}', f'--output={table}/out', '--encoding=jet')
  assert status == 1 and 'Traceback' not in err and f'Error: Cannot convert {table}' in err and '--output' in err


def test_help_explains_every_flag_without_importing_tensorflow():
  code = ('import sys, runpy\nsys.argv = ["convert", "--help"]\n'
          'try:\n  runpy.run_module("tf_privinfo.datasets.nyud.convert", run_name="__main__", alter_sys=True)\n'
          'except SystemExit: pass\nassert "tensorflow" not in sys.modules')
  text = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout
  for flag in ('pairs', 'output', 'encoding', 'columns', 'depth_folder', 'depth_range', 'focal_length', 'gravity',
               'camera_height'):
    assert f'--{flag}: ' in text, text
  assert 'Missing pixels are black' in text


@pytest.mark.parametrize('old, new, words', [
    ('part,class,rgb,depth', 'block,class,color,depth', ['no column part, rgb', 'block, class, color', '--columns=']),
    ('train,bowl,bowl/color_train_1.png', 'train,,bowl/color_train_1.png', ['line 3: no class given']),
    ('train,bowl,bowl/color_train_1.png', 'train,a/b,bowl/color_train_1.png', ["line 3: class 'a/b'", 'folder']),
    ('train,cap,cap/color_train_0.png,cap/depth_train_0.png', 'train,cap,cap/color_train_0.png',
     ['3 values in line 5', '4 columns']),
    ('cap/depth_train_0.png', 'cap/gone.png', ['1 image pairs cannot', 'line 5: ', 'cap/gone.png missing']),
    ('cap/color_train_0.png', 'cap/color.bmp', ['line 5: ', 'color.bmp', '.jpg, .jpeg, .png']),
    ('cap/color_test_0.png', 'cap/color_train_0.png', ['line 10: ', 'is in line 5 already']),
    ('train,cap', 'gap,cap', ['test rows only (cap)', 'training rows']),
    ('test,', 'val,', ["no row with 'test' in column 'part' but", "'val'", "'gap'"]),
])
def test_wrong_tables(old, new, words, table, tmp_path):
  _replace(table, old, new)
  _refused(table, tmp_path / 'out', *words)


def _columns_of(table):
  pairs, left_out = crops.read_pairs(table, {name: name for name in crops.COLUMNS})
  return [(pair.name, pair.label) for pair in pairs], left_out


@pytest.mark.parametrize('save', [
    lambda text: text.replace(',', ';').encode(), lambda text: text.replace(',', '\t').encode(),
    lambda text: text.encode('utf-8-sig'), lambda text: text.encode('utf-16'),
    lambda text: text.replace('\n', '\r\n').encode(), lambda text: ('\n' + text.replace('part,', 'part, ')).encode()])
def test_tables_as_spreadsheets_save_them(save, table):
  expected = _columns_of(table)
  table.write_bytes(save(table.read_text()))
  names = [(name.split('/')[:2], label) for name, label in _columns_of(table)[0]]
  assert names == [(name.split('/')[:2], label) for name, label in expected[0]]


@pytest.mark.parametrize('content, words', [
    (b'', 'is empty'), (b' \n\n', 'is empty'), (b'\xef\xbb\xbf', 'is empty'), (b'\xff\xfe', 'is empty'),
    (b'part,class,rgb,depth\ntrain,caf\xe9,a.png,b.png\n', r'not a CSV table in UTF-8 \(line 2\)'),
    (b'part,class,rgb,depth\ntrain,a,a.png,b.png,c.png\n', '5 values in line 2, but 4 columns'),
    (b'part,class,rgb,depth,rgb\n', 'several columns named rgb'),
    (b'part,class,rgb,depth\ntrain,"a,b,c\n', 'not a CSV table: line 2'),
    (b'part,class\0', 'binary data'), (None, 'is a folder')])
def test_a_table_that_cannot_be_read_is_one_sentence(content, words, tmp_path):
  path = tmp_path / 'pairs.csv'
  if content is None:
    path.mkdir()
  else:
    path.write_bytes(content)
  with pytest.raises(errors.UserError, match=words):
    _columns_of(path)


def test_a_table_that_is_none(table, tmp_path):
  _refused(table.parent / 'cap' / 'color_train_0.png', tmp_path / 'out', 'color_train_0.png', 'not a CSV table')


def test_all_broken_images_are_listed(table, tmp_path):
  folder = table.parent / 'cap'
  cv2.imwrite(str(folder / 'depth_train_0.png'), np.full((40, 40), 90, np.uint8))
  cv2.imwrite(str(folder / 'color_train_1.png'), np.zeros((7, 9, 3), np.uint8))
  cv2.imwrite(str(folder / 'color_train_2.png'), np.zeros((7, 9), np.uint16))
  (folder / 'depth_test_0.png').write_bytes((folder / 'depth_test_1.png').read_bytes()[:99])
  _refused(table, tmp_path / 'out', '4 image pairs cannot be converted', 'depth_train_0.png: not a 16-bit PNG',
           'color_train_1.png: RGB is 9x7', 'equal sizes', 'color_train_2.png: a 16-bit PNG, where',
           'depth_test_0.png: truncated')


def test_crops_without_depth_need_a_range(table, tmp_path):
  for path in table.parent.glob('*/depth_*.png'):
    cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
  _refused(table, tmp_path / 'out', 'has no depth', '--depth_range')
  record = _convert(table, tmp_path / 'out', depth_range=(500, 1000))
  assert record['missing'] == 1
  assert not any(_read(path).any() for path in (tmp_path / 'out').glob('*/depth/*/*.png'))


# Real crops.


@real_data.needs('asl_rgbd')
def test_real_crops_of_a_kinect(tmp_path):
  """Every eighth pair of the table, which lies elsewhere, so its paths are absolute."""
  with open(ASL / 'split_temporal_blocks.csv', newline='') as file:
    rows = list(csv.DictReader(file))[::8]
  table = tmp_path / 'some.csv'
  with open(table, 'w', newline='') as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    for row in rows:
      writer.writerow({**row, **{kind: (ASL / row[kind]).absolute() for kind in ('color', 'depth')}})
  columns = {'part': 'block', 'class': 'class', 'rgb': 'color', 'depth': 'depth'}
  for name in ('jet', 'hha'):
    record = _convert(table, tmp_path / 'out', name, name, columns)
    assert .15 < record['missing'] < .2 and 600 < record['depth_range'][0] < 750 < 900 < record['depth_range'][1]
    source = catalog.open_dataset('nyud', str(tmp_path / 'out'), DataConfig(name), 64)
    assert len(source.label_names) == 24
    assert len(source.names) == sum(row['block'] != 'gap' for row in rows) == sum(record['pairs'].values())
