"""Runs of ADMD that its tests share: on objects, and on videos."""

import cv2
import numpy as np
import pytest

from tests import native_files, tiny_stream
from tests.admd.tiny_recipes import make_recipe
from tests.in_process import train
from tf_privinfo import recipes
from tf_privinfo.recipes import settings


@pytest.fixture(scope='module', autouse=True)
def tiny_streams():
  """Stages, switch and exports are tested, not the network: see tests/test_every_dataset.py."""
  with tiny_stream.in_place_of_resnet50():
    yield


@pytest.fixture(scope='session')
def nyud_dir(tmp_path_factory):
  """Objects, with a second folder of depth images, `estimated`, all of one grey."""
  directory = native_files.write_nyud(tmp_path_factory.mktemp('nyud'))
  native_files.write_nyud(directory, depth='estimated')
  for path in directory.glob('*/estimated/*/*.png'):
    cv2.imwrite(str(path), np.full_like(cv2.imread(str(path)), 90))
  return directory


@pytest.fixture(scope='session')
def nyud_run(nyud_dir, tmp_path_factory):
  """On objects."""
  with tiny_stream.in_place_of_resnet50():
    return train(make_recipe(), nyud_dir, tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def nwucla_run(tmp_path_factory):
  """On videos of two actions, of whose four training videos one validates."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2), frames=6)
  recipe = recipes.recipe('admd', 'nwucla', 'cross_view_3', 'tiny')
  return train(settings.override(recipe, {'data.hold_out': 0.25}), directory, tmp_path_factory.mktemp('videos'))
