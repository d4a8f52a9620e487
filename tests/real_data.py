"""Small samples of real data that are no part of the repository: TF_PRIVINFO_REALDATA names their folder."""

import os
import pathlib

import pytest

FOLDER = pathlib.Path(os.environ.get('TF_PRIVINFO_REALDATA', 'realdata'))


def needs(name):
  """Skips a test where the folder does not have `name`."""
  return pytest.mark.skipif(
      not (FOLDER / name).exists(), reason=f'TF_PRIVINFO_REALDATA names no folder with {name}')
