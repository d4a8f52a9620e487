"""Native files of six videos of NW-UCLA, and their prepared data."""

import shutil

import pytest

from tests import native_files
from tests.datasets.prepare.nwucla_videos import FORM, open_videos
from tf_privinfo.datasets.nwucla.builder import Nwucla


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
  open_videos(folder)
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
