"""Protocols against the authors' lists and by their definitions."""

import collections
import gzip
import json

import pytest

from tests import parity
from tf_privinfo import errors
from tf_privinfo.datasets import protocols

SPLITS = json.loads(gzip.decompress((parity.GOLDEN / 'splits.json.gz').read_bytes()))


def _names(views=(1, 2, 3), actions=range(1, 11), subjects=range(1, 11), episodes=range(2)):
  return [f'view_{v}/a{a:02d}_s{s:02d}_e{e:02d}' for v in views for a in actions for s in subjects for e in episodes]


@pytest.mark.parametrize('key, protocol', [
    ('train_1_2', 'cross_view_3'), ('train_1_3', 'cross_view_2'), ('train_2_3', 'cross_view_1')])
def test_cross_view_equals_the_authors_lists(key, protocol):
  names = [f'{view}/{name}' for view, members in SPLITS['nwucla_input'].items() for name in members]
  split = protocols.split('nwucla', protocol, names)
  authors = SPLITS['nwucla_dmcl_lists'][key]
  assert split.train == authors['train']
  assert split.validation == authors['val']
  assert split.test == authors['test']


@pytest.mark.parametrize('protocol', protocols.PROTOCOLS['synthetic'])
def test_split_depends_on_the_set_of_names_alone(protocol):
  names = _names()
  assert protocols.split('synthetic', protocol, names[::-1]) == protocols.split('synthetic', protocol, names)


def test_cross_subject_separates_subjects():
  names = _names()
  split = protocols.split('synthetic', 'cross_subject', names)
  subjects = [{name[name.index('_s') + 2:][:2] for name in part} for part in split]
  assert subjects[0] == subjects[1] == {'01', '03', '05', '07', '09'}
  assert subjects[2] == {'02', '04', '06', '08', '10'}
  assert sorted(split.train + split.validation + split.test) == sorted(names)


def test_validation_is_balanced_and_held_out():
  split = protocols.split('synthetic', 'cross_subject', _names())
  held_out = collections.Counter(name[7:10] for name in split.validation)
  # 300 videos train: int(300 / 10 · 0.05) of each of the ten classes.
  assert held_out == {f'a{action:02d}': 1 for action in range(1, 11)}
  assert not set(split.validation) & set(split.train)


def test_validation_follows_the_number_of_classes():
  train, validation = protocols.hold_out_balanced([f'{label}{i}' for label in 'ab' for i in range(50)],
                                                  lambda name: name[0], 0.1)
  assert collections.Counter(name[0] for name in validation) == {'a': 5, 'b': 5}
  assert len(train) == 90


@pytest.mark.parametrize('protocol', ['cross_view_4', 'cross_subject', ''])
def test_unknown_protocol_names_the_known_ones(protocol):
  with pytest.raises(errors.UserError, match='cross_view_1, cross_view_2, cross_view_3'):
    protocols.resolve('nwucla', protocol)


def test_default_protocol_is_that_of_the_authors_code():
  """DMCL's code trains on views 2 and 3 (METHODS 4)."""
  assert protocols.resolve('nwucla', None) == protocols.resolve('synthetic', None) == 'cross_view_1'


@pytest.mark.parametrize('views, part', [((1,), 'train'), ((2, 3), 'test'), ((), 'train')])
def test_a_protocol_without_videos_is_a_user_error(views, part):
  with pytest.raises(errors.UserError, match=f'no video to {part} on'):
    protocols.split('nwucla', 'cross_view_1', _names(views))


def test_parses_a_name():
  assert protocols.parse_multiview_name('view_2/a11_s04_e01') == (2, 11, 4, 1)


@pytest.mark.parametrize('name', [
    'a01_s04_e01', 'view_2/a1_s04_e01', 'view_2/a01_s04_e01_depth', 'view_2/a01_s04', 'view_2\\a01_s04_e01',
    ' view_2/a01_s04_e01', 'view_12/a01_s04_e01', 'view_2/a01_s04_e01\n', ''])
def test_malformed_names_are_told(name):
  with pytest.raises(ValueError, match='not of the form view_2/a01_s04_e01'):
    protocols.parse_multiview_name(name)
