"""Paths that a user gives."""

import re

from absl import flags
import pytest

from tests import command_line
from tf_privinfo.recipes import settings
from tf_privinfo.utils import paths

PATHS = {
    'train_main.py': {'output_dir', 'init_from', 'stages_from'},
    'tf_privinfo/recipes/recipe_flags.py': {'data_dir', 'prepared_dir'},
    'eval_main.py': {'run_dir', 'data_dir', 'prepared_dir', 'export_dir', 'output_dir', 'compare', 'keep_results',
                     'out'},
    'datasets/show.py': {'out'},
    'datasets/nyud/convert.py': {'pairs', 'output'},
    'datasets/synthetic/export.py': {'out'},
}


@pytest.mark.parametrize('path, expanded', [
    ('~', '/home/me'), ('~/x', '/home/me/x'), ('./~/x', './~/x'), ('a~/x', 'a~/x'), ('auto', 'auto')])
def test_the_home_folder(path, expanded, monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert paths.expand(path) == expanded


@pytest.mark.parametrize('path, words', [
    ('', 'empty'), (' ', 'empty'), ('~nobody-of-this-name/x', './~nobody'), ('gs://bucket/ntu', 'mount the storage')])
def test_no_path(path, words):
  with pytest.raises(ValueError, match=words):
    paths.expand(path)


@pytest.mark.parametrize('main', PATHS)
def test_every_flag_that_is_a_path(main):
  """The flags of two mains cannot be defined in one process."""
  source = (command_line.ROOT / main).read_text()
  assert set(re.findall(r"paths\.DEFINE_(?:multi_)?path\(\s*'(\w+)'", source)) == PATHS[main]


def test_flags(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  values = flags.FlagValues()
  paths.DEFINE_path('out', 'sheets', 'Where.', flag_values=values)
  paths.DEFINE_multi_path('compare', None, 'What.', flag_values=values)
  values(['main'])
  assert (values.out, values.compare) == ('sheets', None)
  values(['main', '--out=~/x', '--compare=~/a', '--compare=b,c'])
  assert (values.out, values.compare) == ('/home/me/x', ['/home/me/a', 'b,c'])
  for flag in ('--out=', '--compare='):
    with pytest.raises(flags.IllegalFlagValueError, match=f'{flag}: it is empty: name a path'):
      values(['main', flag])


def test_fields_of_the_recipe(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert settings.parse_settings(['network.pretrained=~/a.ckpt', 'init_from=~/run', 'data.depth_variant=~x']) == {
      'network.pretrained': '/home/me/a.ckpt', 'init_from': '/home/me/run', 'data.depth_variant': '~x'}
