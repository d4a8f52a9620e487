"""Nothing half-written is used: full disks, truncated and missing files, other versions."""

import json
import resource

import pytest

from tests.datasets.prepare.nwucla_videos import check_videos, contents, FORM, NAMES, open_videos
from tf_privinfo.datasets import prepared_samples
from tf_privinfo.utils import errors


@pytest.mark.parametrize('limit, words', [
    (10_000, r'samples/view_\d/a\d\d_s01_e00\.\w+: File too large'),
    (40_000, r'nwucla-view_1_subject_01.tfrecord-\S+; File too large')])
def test_full_disk(data_dir, finished, counted, limit, words):
  """No file may be larger than a sample, then none larger than a file of records."""
  sizes = [len(content) for name, content in contents(finished / 'prepared').items() if 'tfrecord' in name]
  assert min(sizes) > 40_000, sizes
  old = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
  try:
    with pytest.raises(errors.UserError, match=words + r'\. Fix this and rerun the command') as error:
      open_videos(data_dir)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
  assert str(error.value).startswith(str(data_dir))
  assert not (data_dir / 'prepared' / 'nwucla' / FORM / '1.0.0').exists()
  counted.clear()
  open_videos(data_dir)
  assert len(counted) == (0 if limit > 10_000 else 6)
  assert contents(data_dir / 'prepared' / 'nwucla' / FORM) == contents(finished / 'prepared' / 'nwucla' / FORM)


def test_folder_that_cannot_be_written(data_dir):
  (data_dir / 'prepared').write_text('in the way')
  with pytest.raises(errors.UserError, match='prepared.*Not a directory'):
    open_videos(data_dir)


def _refused(data_dir) -> str:
  with pytest.raises(errors.UserError, match='remove .* and rerun the command') as error:
    open_videos(data_dir)
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
  assert open_videos(data_dir).names == NAMES


def test_changed_bytes_are_found_by_checksums_alone(prepared):
  data_dir, form = prepared
  source, problems = check_videos(data_dir)
  assert source.names == NAMES and not problems
  path = max(form.glob('*.tfrecord*'))
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  open_videos(data_dir)
  with pytest.raises(errors.UserError, match=f'{path.name} has changed'):
    check_videos(data_dir)
