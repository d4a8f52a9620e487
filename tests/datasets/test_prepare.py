"""Preparation of whole datasets: killed, resumed, refused, checked; every test with the files of NW-UCLA."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import sys
import threading
import time

from absl.testing import flagsaver
import pytest

from tests import command_line, native_files
from tf_privinfo.datasets import catalog, prepare, prepared_samples
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nwucla.builder import Nwucla
from tf_privinfo.utils import errors

FRAME_SIZE = 32
NAMES = [f'view_{view}/a{action:02d}_s01_e00' for view in (1, 2) for action in (2, 9, 12)]
FORM = f'{FRAME_SIZE}px_depth_vis_opencv_dis_medium'


def _open(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


def _check(data_dir, **config):
  return catalog.check_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


def _files(folder):
  """All files, by their paths in it -> content."""
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def native(tmp_path_factory):
  """Native files of six videos in two partitions; not to be changed."""
  return native_files.write_nwucla(tmp_path_factory.mktemp('native'), views=(1, 2), actions=(2, 9, 12), subjects=1)


@pytest.fixture
def data_dir(native, tmp_path):
  """A folder of one's own with these files; nothing is prepared."""
  shutil.copytree(native, tmp_path / 'multiview_action')
  return tmp_path


@pytest.fixture(scope='module')
def finished(native, tmp_path_factory):
  """A folder with these files in which they are prepared; not to be changed."""
  folder = tmp_path_factory.mktemp('finished')
  shutil.copytree(native, folder / 'multiview_action')
  _open(folder)
  return folder


@pytest.fixture
def prepared(finished, tmp_path):
  """A copy of `finished`: the folder, and that of the prepared form in it."""
  shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
  return tmp_path, tmp_path / 'prepared' / 'nwucla' / FORM / '1.0.0'


@pytest.fixture
def counted(monkeypatch):
  """The names of the samples that were prepared, in any order."""
  names, prepare = [], Nwucla.prepare

  def counting(self, sample):
    names.append(sample.name)
    return prepare(self, sample)

  monkeypatch.setattr(Nwucla, 'prepare', counting)
  return names


def _break(data_dir, name):
  path = data_dir / 'multiview_action' / name / 'frame_6_rgb.jpg'
  whole = path.read_bytes()
  path.write_bytes(whole[:200])
  return path, whole


# Resumed.


def test_killed_command_goes_on(tmp_path, counted):
  """SIGKILL in the middle: what was prepared is not prepared again, and nothing else of it is left."""
  native_files.write_nwucla(tmp_path, actions=(1, 2, 3, 4, 5, 6), subjects=3)
  process = command_line.start('datasets/prepare', '--dataset=nwucla', f'--data_dir={tmp_path}', '--frame_size=32')
  samples = tmp_path / 'prepared' / 'nwucla' / f'{FORM}.samples'

  def kept_samples():
    return {path.relative_to(samples).with_suffix('').as_posix()
            for path in samples.glob('*/*') if path.suffix != '.tmp'}

  while len(kept_samples()) < 3:
    assert process.poll() is None, process.communicate()
    time.sleep(.005)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  kept = kept_samples()
  everything = {path.relative_to(tmp_path / 'multiview_action').as_posix()
                for path in tmp_path.glob('multiview_action/*/*')}
  assert len(everything) == 54 and 3 <= len(kept) < 54
  (samples / 'view_1' / 'a01_s01_e00.0123.tmp').write_text('half a sample')
  (samples.parent / FORM / 'incomplete.KILLED_1.0.0').mkdir(parents=True)

  source = _open(tmp_path)
  assert sorted(counted) == sorted(everything - kept)
  assert source.names == sorted(everything) == sorted(source.index(source.names)[0])
  assert [path.name for path in samples.parent.glob('*/*')] == ['1.0.0'] and not samples.exists()


def test_what_a_broken_sample_stopped_is_not_repeated(data_dir, finished, counted):
  """One sample is mended, one has changed in the meantime: these two are prepared, and the result is as ever."""
  path, whole = _break(data_dir, NAMES[1])
  with pytest.raises(errors.UserError, match=f'1 videos cannot be used.*\n.*{NAMES[1]}'):
    _open(data_dir)
  assert sorted(counted) == NAMES
  path.write_bytes(whole)
  other = data_dir / 'multiview_action' / NAMES[4] / 'frame_4_depth_vis.jpg'
  other.write_bytes(other.read_bytes())
  counted.clear()
  _open(data_dir)
  assert sorted(counted) == [NAMES[1], NAMES[4]]
  ours, theirs = (_files(folder / 'prepared' / 'nwucla' / FORM) for folder in (data_dir, finished))
  metadata = [json.loads(files.pop('1.0.0/metadata.json')) for files in (ours, theirs)]
  notes = [content.pop('native') for content in metadata]
  assert ours == theirs and metadata[0] == metadata[1]
  assert sorted(name for name in NAMES if notes[0][name] != notes[1][name]) == [NAMES[1], NAMES[4]]  # their times


def test_skip_broken_goes_on_from_what_was_prepared_without_it(data_dir, counted):
  _break(data_dir, NAMES[1])
  with pytest.raises(errors.UserError, match='--skip_broken'):
    _open(data_dir)
  counted.clear()
  source = _open(data_dir, skip_broken=True)
  assert counted == [NAMES[1]]
  assert source.names == [name for name in NAMES if name != NAMES[1]]
  assert len(source.metadata['skipped']) == 1 and NAMES[1] in source.metadata['skipped'][0]


def test_another_version_of_the_preparation_takes_nothing_over(data_dir, counted, monkeypatch):
  path, whole = _break(data_dir, NAMES[1])
  with pytest.raises(errors.UserError):
    _open(data_dir)
  path.write_bytes(whole)
  counted.clear()
  monkeypatch.setattr(prepared_samples, 'PREPARATION_VERSION', prepared_samples.PREPARATION_VERSION + 1)
  _open(data_dir)
  assert sorted(counted) == NAMES


def test_nothing_else_is_left(finished):
  """One form of the dataset, and its lock, which the next process needs."""
  assert {path.name for path in (finished / 'prepared').glob('**/*') if FORM not in path.parts} == {
      'nwucla', f'{FORM}.lock'}


def test_a_second_process_waits_for_the_first(data_dir):
  lock = data_dir / 'prepared' / 'nwucla' / f'{FORM}.lock'
  lock.parent.mkdir(parents=True)
  opened = []
  thread = threading.Thread(target=lambda: opened.append(_open(data_dir)))
  with open(lock, 'w', encoding='ascii') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    thread.start()
    time.sleep(.3)
    assert thread.is_alive() and not list(lock.parent.glob('*.samples'))
  thread.join()
  assert opened[0].names == NAMES


# Nothing half-written is used.


@pytest.mark.parametrize('limit, words', [
    (10_000, r'samples/view_\d/a\d\d_s01_e00\.\w+: File too large'),
    (40_000, r'nwucla-view_1_subject_01.tfrecord-\S+; File too large')])
def test_full_disk(data_dir, finished, counted, limit, words):
  """No file may be larger than a sample, then none larger than a file of records."""
  sizes = [len(content) for name, content in _files(finished / 'prepared').items() if 'tfrecord' in name]
  assert min(sizes) > 40_000, sizes
  old = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
  try:
    with pytest.raises(errors.UserError, match=words + r'\. Fix this and rerun the command') as error:
      _open(data_dir)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
  assert str(error.value).startswith(str(data_dir))
  assert not (data_dir / 'prepared' / 'nwucla' / FORM / '1.0.0').exists()
  counted.clear()
  _open(data_dir)
  assert len(counted) == (0 if limit > 10_000 else 6)
  assert _files(data_dir / 'prepared' / 'nwucla' / FORM) == _files(finished / 'prepared' / 'nwucla' / FORM)


def test_folder_that_cannot_be_written(data_dir):
  (data_dir / 'prepared').write_text('in the way')
  with pytest.raises(errors.UserError, match='prepared.*Not a directory'):
    _open(data_dir)


def _refused(data_dir) -> str:
  with pytest.raises(errors.UserError, match='remove .* and rerun the command') as error:
    _open(data_dir)
  return str(error.value)


def test_truncated_and_missing_files(prepared):
  data_dir, form = prepared
  first, second = sorted(form.glob('*.tfrecord*'))
  first.write_bytes(first.read_bytes()[:-1])
  second.unlink()
  message = _refused(data_dir)
  assert f'{first.name} has {first.stat().st_size} bytes, not {first.stat().st_size + 1}' in message
  assert f'{second.name} is missing' in message and str(form) in message


def test_truncated_and_missing_metadata(prepared):
  data_dir, form = prepared
  path = form / 'metadata.json'
  path.write_bytes(path.read_bytes()[:100])
  assert FORM in _refused(data_dir)
  path.unlink()
  assert 'metadata are missing' in _refused(data_dir)


def test_data_of_another_version(prepared, monkeypatch):
  data_dir, form = prepared
  monkeypatch.setattr(prepared_samples, 'PREPARATION_VERSION', 2)
  message = _refused(data_dir)
  assert 'version 1 of the preparation, and this is version 2' in message and str(form) in message


def test_data_from_before_there_were_checksums(prepared):
  data_dir, form = prepared
  metadata = json.loads((form / 'metadata.json').read_text())
  (form / 'metadata.json').write_text(json.dumps(
      {key: value for key, value in metadata.items() if key not in ('files', 'preparation_version')}))
  assert _open(data_dir).names == NAMES


def test_changed_bytes_are_found_by_checksums_alone(prepared):
  data_dir, form = prepared
  source, problems = _check(data_dir)
  assert source.names == NAMES and not problems
  path = max(form.glob('*.tfrecord*'))
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  _open(data_dir)
  with pytest.raises(errors.UserError, match=f'{path.name} has changed'):
    _check(data_dir)


# On Apache Beam.


def _open_on_beam(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE,
                              beam_options=['--runner=DirectRunner', '--direct_num_workers=1'])


def test_beam_prepares_the_same(data_dir, finished):
  """Everything is the same to the byte: examples, metadata and checksums."""
  pytest.importorskip('apache_beam')
  _open_on_beam(data_dir)
  assert _files(data_dir / 'prepared' / 'nwucla' / FORM) == _files(finished / 'prepared' / 'nwucla' / FORM)


def test_beam_goes_on_and_tells_of_broken_samples(data_dir, counted):
  pytest.importorskip('apache_beam')
  (data_dir / 'multiview_action' / NAMES[0] / 'frame_6_rgb.jpg').unlink()
  _break(data_dir, NAMES[1])
  for opened in (_open, _open_on_beam):
    with pytest.raises(errors.UserError, match=f'1 videos cannot be used.*\n.*{NAMES[1]}.*frame_6_rgb.jpg'):
      opened(data_dir)
  counted.clear()
  source = _open_on_beam(data_dir, skip_broken=True)
  assert not set(counted) - {NAMES[1]}
  assert source.metadata['samples'] == {name: 8 if name == NAMES[0] else 9 for name in NAMES if name != NAMES[1]}
  assert source.metadata['cut'] == {NAMES[0]: 1}
  assert len(source.metadata['skipped']) == 1 and NAMES[1] in source.metadata['skipped'][0]


def test_beam_is_an_extra(data_dir, monkeypatch):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  with pytest.raises(errors.UserError, match=r"pip install -c constraints.txt -e '\.\[beam\]'"):
    _open_on_beam(data_dir)


# Checked.


def test_check_reads_everything_and_writes_nothing(data_dir, counted):
  _break(data_dir, NAMES[1])
  (data_dir / 'multiview_action' / NAMES[2] / 'frame_7_depth_vis.jpg').write_bytes(b'')
  (data_dir / 'multiview_action' / 'view_1' / 'notes').mkdir()
  before = _files(data_dir)
  source, problems = _check(data_dir)
  assert source.names == [name for name in NAMES if name not in NAMES[1:3]]
  assert source.metadata['samples'] == dict.fromkeys(source.names, 9)
  assert len(problems) == 3
  for expected in (f'{NAMES[1]}: .*frame_6_rgb.jpg', f'{NAMES[2]}: .*frame_7_depth_vis.jpg', 'view_1/notes'):
    assert any(re.search(expected, problem) for problem in problems), expected
  assert _files(data_dir) == before and not counted


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
  _open(data_dir)
  assert 'Warning' not in capsys.readouterr().out and not _check(data_dir)[1]
  changes = _change_native_files(data_dir)
  source = _open(data_dir)
  assert source.names == NAMES and 'native' not in source.manifest()
  line, = [line for line in capsys.readouterr().out.splitlines() if line.startswith('Warning')]
  assert all(part in line for part in ('3 videos', '1 added, 1 removed, 1 changed', changes[0], f'remove {form}'))
  assert _check(data_dir)[1] == changes
  with pytest.raises(errors.UserError, match='native files of 3 videos differ') as error:
    _run('--dataset=nwucla', f'--data_dir={data_dir}', '--frame_size=32', '--check')
  assert all(change in str(error.value) for change in changes) and str(form) in str(error.value)


def test_prepared_data_of_earlier_versions_are_compared_by_names(prepared):
  data_dir, form = prepared
  metadata = json.loads((form / 'metadata.json').read_text())
  del metadata['native']
  (form / 'metadata.json').write_text(json.dumps(metadata))
  assert not _check(data_dir)[1]
  assert _change_native_files(data_dir)[:2] == _check(data_dir)[1]


def test_prepared_data_alone_are_compared_with_nothing(prepared, capsys):
  data_dir, _ = prepared
  shutil.rmtree(data_dir / 'multiview_action')
  _open(data_dir)
  assert 'Warning' not in capsys.readouterr().out and not _check(data_dir)[1]


def test_a_skipped_sample_that_was_mended_is_told(data_dir):
  path, whole = _break(data_dir, NAMES[1])
  _open(data_dir, skip_broken=True)
  assert not _check(data_dir, skip_broken=True)[1]
  path.write_bytes(whole)
  assert _check(data_dir, skip_broken=True)[1] == [f'{NAMES[1]}: changed']


def test_check_finds_what_cannot_be_aligned(data_dir):
  for path in (data_dir / 'multiview_action' / NAMES[3]).glob('*skeletons.txt'):
    path.write_text('0\n')
  assert not _check(data_dir)[1]
  problem, = _check(data_dir, aligned=True)[1]
  assert problem == f'{NAMES[3]}: no joint is tracked in any frame'


def _run(*arguments):
  with flagsaver.flagsaver():
    prepare.FLAGS(['prepare', *arguments])
    prepare.main()


def test_command(data_dir, capsys):
  """Checks, refuses, prepares without the broken video, and says what it has."""
  path, _ = _break(data_dir, NAMES[1])
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
