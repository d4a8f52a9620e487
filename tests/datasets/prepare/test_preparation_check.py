"""`prepare --check`, and native files that differ from the prepared data."""

import json
import os
import re
import shutil

from absl.testing import flagsaver
import pytest

from tests.datasets.prepare.nwucla_videos import check_videos, contents, damage, NAMES, open_videos
from tf_privinfo.datasets import prepare
from tf_privinfo.utils import errors


def test_check_reads_everything_and_writes_nothing(data_dir, counted):
  damage(data_dir, NAMES[1])
  (data_dir / 'multiview_action' / NAMES[2] / 'frame_7_depth_vis.jpg').write_bytes(b'')
  (data_dir / 'multiview_action' / 'view_1' / 'notes').mkdir()
  before = contents(data_dir)
  source, problems = check_videos(data_dir)
  assert source.names == [name for name in NAMES if name not in NAMES[1:3]]
  assert source.metadata['samples'] == dict.fromkeys(source.names, 9)
  assert len(problems) == 3
  for expected in (f'{NAMES[1]}: .*frame_6_rgb.jpg', f'{NAMES[2]}: .*frame_7_depth_vis.jpg', 'view_1/notes'):
    assert any(re.search(expected, problem) for problem in problems), expected
  assert contents(data_dir) == before and not counted


def _change_native_files(data_dir):
  """One video more, one less, one of other times."""
  view = data_dir / 'multiview_action' / 'view_1'
  shutil.copytree(view / 'a02_s01_e00', view / 'a03_s01_e00')
  shutil.rmtree(view / 'a09_s01_e00')
  os.utime(view / 'a12_s01_e00' / 'frame_6_rgb.jpg', (0, 0))
  return ['view_1/a03_s01_e00: added', 'view_1/a09_s01_e00: removed', 'view_1/a12_s01_e00: changed']


def test_native_files_that_differ_from_the_prepared_data(prepared, capsys):
  """Training says so in one line and goes on with what was prepared; --check lists all, with exit status 1."""
  data_dir, form = prepared
  open_videos(data_dir)
  assert 'Warning' not in capsys.readouterr().out and not check_videos(data_dir)[1]
  changes = _change_native_files(data_dir)
  source = open_videos(data_dir)
  assert source.names == NAMES and 'native' not in source.manifest()
  line, = [line for line in capsys.readouterr().out.splitlines() if line.startswith('Warning')]
  assert all(part in line for part in ('3 videos', '1 added, 1 removed, 1 changed', changes[0], f'remove {form}'))
  assert check_videos(data_dir)[1] == changes
  with pytest.raises(errors.UserError, match='native files of 3 videos differ') as error:
    _run('--dataset=nwucla', f'--data_dir={data_dir}', '--frame_size=32', '--check')
  assert all(change in str(error.value) for change in changes) and str(form) in str(error.value)


def test_prepared_data_of_earlier_versions_are_compared_by_names(prepared):
  data_dir, form = prepared
  metadata = json.loads((form / 'metadata.json').read_text())
  del metadata['native']
  (form / 'metadata.json').write_text(json.dumps(metadata))
  assert not check_videos(data_dir)[1]
  assert _change_native_files(data_dir)[:2] == check_videos(data_dir)[1]


def test_prepared_data_alone_are_compared_with_nothing(prepared, capsys):
  data_dir, _ = prepared
  shutil.rmtree(data_dir / 'multiview_action')
  open_videos(data_dir)
  assert 'Warning' not in capsys.readouterr().out and not check_videos(data_dir)[1]


def test_a_skipped_sample_that_was_mended_is_told(data_dir):
  path, whole = damage(data_dir, NAMES[1])
  open_videos(data_dir, skip_broken=True)
  assert not check_videos(data_dir, skip_broken=True)[1]
  path.write_bytes(whole)
  assert check_videos(data_dir, skip_broken=True)[1] == [f'{NAMES[1]}: changed']


def test_check_finds_what_cannot_be_aligned(data_dir):
  for path in (data_dir / 'multiview_action' / NAMES[3]).glob('*skeletons.txt'):
    path.write_text('0\n')
  assert not check_videos(data_dir)[1]
  problem, = check_videos(data_dir, aligned=True)[1]
  assert problem == f'{NAMES[3]}: no joint is tracked in any frame'


def _run(*arguments):
  with flagsaver.flagsaver():
    prepare.FLAGS(['prepare', *arguments])
    prepare.main()


def test_command(data_dir, capsys):
  """Checks, refuses, prepares without the broken video, and says what it has."""
  path, _ = damage(data_dir, NAMES[1])
  flags = '--dataset=nwucla', f'--data_dir={data_dir}', '--set=data.depth_variant=depth', '--frame_size=32'
  with pytest.raises(errors.UserError, match='^1 videos cannot be used') as error:
    _run(*flags, '--check')
  assert str(path) in str(error.value)
  capsys.readouterr()
  _run(*flags, '--skip_broken')
  out = capsys.readouterr().out
  folder = data_dir / 'prepared' / 'nwucla' / '32px_depth_opencv_dis_medium_skip_broken' / '1.0.0'
  assert out.splitlines()[-1] == f'Everything is in {folder}'
  for line in ('nwucla: 5 videos, 45 frames, depth from depth, flow by opencv_dis_medium', 'per view: 1: 2, 2: 3',
               'cross_view_1               3         0       2', 'cross_view_2               2         0       3'):
    assert line in out.splitlines()
  size = sum(path.stat().st_size for path in folder.glob('*.tfrecord*'))
  assert f'modalities: rgb, depth, flow; {size / 1e6:.1f} MB in 2 files' in out
  assert '1 videos were skipped' in out and NAMES[1] in out
