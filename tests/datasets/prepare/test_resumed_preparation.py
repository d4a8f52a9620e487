"""Preparation that was killed, stopped by an unreadable sample, or waits for another process."""

import fcntl
import json
import signal
import threading
import time

import pytest

from tests import command_line, native_files
from tests.datasets.prepare.nwucla_videos import contents, damage, FORM, NAMES, open_videos
from tf_privinfo.datasets import prepared_samples
from tf_privinfo.utils import errors


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

  source = open_videos(tmp_path)
  assert sorted(counted) == sorted(everything - kept)
  assert source.names == sorted(everything) == sorted(source.index(source.names)[0])
  assert [path.name for path in samples.parent.glob('*/*')] == ['1.0.0'] and not samples.exists()


def test_what_a_broken_sample_stopped_is_not_repeated(data_dir, finished, counted):
  """One sample is mended, one has changed in the meantime: these two are prepared, and the result is as ever."""
  path, whole = damage(data_dir, NAMES[1])
  with pytest.raises(errors.UserError, match=f'1 videos cannot be used.*\n.*{NAMES[1]}'):
    open_videos(data_dir)
  assert sorted(counted) == NAMES
  path.write_bytes(whole)
  other = data_dir / 'multiview_action' / NAMES[4] / 'frame_4_depth_vis.jpg'
  other.write_bytes(other.read_bytes())
  counted.clear()
  open_videos(data_dir)
  assert sorted(counted) == [NAMES[1], NAMES[4]]
  ours, theirs = (contents(folder / 'prepared' / 'nwucla' / FORM) for folder in (data_dir, finished))
  metadata = [json.loads(files.pop('1.0.0/metadata.json')) for files in (ours, theirs)]
  notes = [content.pop('native') for content in metadata]
  assert ours == theirs and metadata[0] == metadata[1]
  assert sorted(name for name in NAMES if notes[0][name] != notes[1][name]) == [NAMES[1], NAMES[4]]  # their times


def test_skip_broken_goes_on_from_what_was_prepared_without_it(data_dir, counted):
  damage(data_dir, NAMES[1])
  with pytest.raises(errors.UserError, match='--skip_broken'):
    open_videos(data_dir)
  counted.clear()
  source = open_videos(data_dir, skip_broken=True)
  assert counted == [NAMES[1]]
  assert source.names == [name for name in NAMES if name != NAMES[1]]
  assert len(source.metadata['skipped']) == 1 and NAMES[1] in source.metadata['skipped'][0]


def test_another_version_of_the_preparation_takes_nothing_over(data_dir, counted, monkeypatch):
  path, whole = damage(data_dir, NAMES[1])
  with pytest.raises(errors.UserError):
    open_videos(data_dir)
  path.write_bytes(whole)
  counted.clear()
  monkeypatch.setattr(prepared_samples, 'PREPARATION_VERSION', prepared_samples.PREPARATION_VERSION + 1)
  open_videos(data_dir)
  assert sorted(counted) == NAMES


def test_nothing_else_is_left(finished):
  """One form of the dataset, and its lock, which the next process needs."""
  assert {path.name for path in (finished / 'prepared').glob('**/*') if FORM not in path.parts} == {
      'nwucla', f'{FORM}.lock'}


def test_a_second_process_waits_for_the_first(data_dir):
  lock = data_dir / 'prepared' / 'nwucla' / f'{FORM}.lock'
  lock.parent.mkdir(parents=True)
  opened = []
  thread = threading.Thread(target=lambda: opened.append(open_videos(data_dir)))
  with open(lock, 'w', encoding='ascii') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    thread.start()
    time.sleep(.3)
    assert thread.is_alive() and not list(lock.parent.glob('*.samples'))
  thread.join()
  assert opened[0].names == NAMES
