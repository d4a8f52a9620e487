"""Preparation on Apache Beam, in one process."""

import sys

import pytest

from tests.datasets.prepare.nwucla_videos import contents, damage, FORM, FRAME_SIZE, NAMES, open_videos
from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.utils import errors


def _open_on_beam(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE,
                              beam_options=['--runner=DirectRunner', '--direct_num_workers=1'])


def test_beam_prepares_the_same(data_dir, finished):
  """Everything is the same to the byte: examples, metadata and checksums."""
  pytest.importorskip('apache_beam')
  _open_on_beam(data_dir)
  assert contents(data_dir / 'prepared' / 'nwucla' / FORM) == contents(finished / 'prepared' / 'nwucla' / FORM)


def test_beam_goes_on_and_tells_of_broken_samples(data_dir, counted):
  pytest.importorskip('apache_beam')
  (data_dir / 'multiview_action' / NAMES[0] / 'frame_6_rgb.jpg').unlink()
  damage(data_dir, NAMES[1])
  for opened in (open_videos, _open_on_beam):
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
