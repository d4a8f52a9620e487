"""Protocols against the authors' lists and by their definitions."""

import collections
import gzip
import json

import pytest

from tests import parity
from tf_privinfo.datasets import protocols, registry
from tf_privinfo.datasets.uwa3dii import protocols as uwa_protocols
from tf_privinfo.utils import errors

SPLITS = json.loads(gzip.decompress((parity.GOLDEN / 'splits.json.gz').read_bytes()))


def _names(views=(1, 2, 3), actions=range(1, 11), subjects=range(1, 11), episodes=range(2)):
  return [f'view_{v}/a{a:02d}_s{s:02d}_e{e:02d}' for v in views for a in actions for s in subjects for e in episodes]


@pytest.mark.parametrize('key, protocol', [
    ('train_1_2', 'cross_view_3'), ('train_1_3', 'cross_view_2'), ('train_2_3', 'cross_view_1')])
def test_cross_view_equals_the_authors_lists(key, protocol):
  names = [f'{view}/{name}' for view, members in SPLITS['nwucla_input'].items() for name in members]
  split = registry.split('nwucla', protocol, names)
  authors = SPLITS['nwucla_dmcl_lists'][key]
  assert split.train == authors['train']
  assert split.validation == authors['val']
  assert split.test == authors['test']


def _stems(names):
  return [name[:-len('.tfrecords')] for name in names if name.endswith('.tfrecords')]


def _assert_same_samples(split, authors):
  """The authors' readers shuffle their lists, so orders differ."""
  assert [len(part) for part in split] == [len(authors[part]) for part in ('train', 'val', 'test')]
  assert [set(part) for part in split] == [set(_stems(authors[part])) for part in ('train', 'val', 'test')]


def test_nwucla_without_validation_is_the_split_of_chapters_3_and_4():
  names = [f'{view}/{name}' for view, members in SPLITS['nwucla_input'].items() for name in members]
  _assert_same_samples(registry.split('nwucla', 'cross_view_3', names, 0), SPLITS['nwucla_md'])


def test_uwa3d_equals_the_split_of_the_authors():
  names = _stems(SPLITS['uwa3dii_input_sorted'])
  assert len(names) == 1200
  assert registry.resolve_protocol('uwa3dii', None) == 'cross_view_4'
  _assert_same_samples(registry.split('uwa3dii', 'cross_view_4', names, 0.0), SPLITS['uwa3dii_cross_view_md'])


@pytest.mark.parametrize('train, test', [
    ('12', '34'), ('13', '24'), ('14', '23'), ('23', '14'), ('24', '13'), ('34', '12')])
def test_uwa3d_two_views_train_and_two_test(train, test):
  names = _stems(SPLITS['uwa3dii_input_sorted'])
  split = registry.split('uwa3dii', f'cross_view_{train}_{test}', names)
  views = [sorted({name[10] for name in part}) for part in split]
  assert views == [list(train), list(train), list(test)]
  # 600 videos train: int(600 / 30 · 0.05) of each class are held out.
  assert collections.Counter(name[:3] for name in split.validation) == {f'a{a:02d}': 1 for a in range(1, 31)}
  assert sorted(split.train + split.validation + split.test) == names


def test_uwa3d_has_seven_protocols():
  assert len(registry.DATASETS['uwa3dii'].protocols) == 7


@pytest.mark.parametrize('dataset, protocol, names', [
    ('synthetic', protocol, _names()) for protocol in registry.DATASETS['synthetic'].protocols] + [
        ('uwa3dii', 'cross_view_4', _stems(SPLITS['uwa3dii_input_sorted']))])
def test_nothing_held_out_leaves_the_whole_training_set(dataset, protocol, names):
  some, none = registry.split(dataset, protocol, names), registry.split(dataset, protocol, names, 0)
  assert some.validation and none.validation == []
  assert sorted(none.train) == sorted(some.train + some.validation)
  assert none.test == some.test


def test_more_can_be_held_out():
  split = registry.split('synthetic', 'cross_view_1', _names(), 0.25)
  # 400 videos train: int(400 / 10 · 0.25) of each class.
  assert collections.Counter(name[7:10] for name in split.validation) == {f'a{a:02d}': 10 for a in range(1, 11)}


def test_a_small_class_keeps_one_sample_to_train_on():
  train, validation = protocols.hold_out_balanced(['a0', 'b0', 'b1'] + [f'c{i}' for i in range(27)],
                                                  lambda name: name[0], 0.5)
  assert collections.Counter(name[0] for name in validation) == {'b': 1, 'c': 5}
  assert collections.Counter(name[0] for name in train) == {'a': 1, 'b': 1, 'c': 22}


@pytest.mark.parametrize('protocol', registry.DATASETS['synthetic'].protocols)
def test_split_depends_on_the_set_of_names_alone(protocol):
  names = _names()
  assert registry.split('synthetic', protocol, names[::-1]) == registry.split('synthetic', protocol, names)


def test_cross_subject_separates_subjects():
  names = _names()
  split = registry.split('synthetic', 'cross_subject', names)
  subjects = [{name[name.index('_s') + 2:][:2] for name in part} for part in split]
  assert subjects[0] == subjects[1] == {'01', '03', '05', '07', '09'}
  assert subjects[2] == {'02', '04', '06', '08', '10'}
  assert sorted(split.train + split.validation + split.test) == sorted(names)


def test_validation_is_balanced_and_held_out():
  split = registry.split('synthetic', 'cross_subject', _names())
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
    registry.resolve_protocol('nwucla', protocol)


def test_default_protocol_is_that_of_the_authors_code():
  """DMCL's code trains on views 2 and 3 (METHODS 4)."""
  assert registry.resolve_protocol('nwucla', None) == registry.resolve_protocol('synthetic', None) == 'cross_view_1'


@pytest.mark.parametrize('views, part', [((1,), 'train'), ((2, 3), 'test'), ((), 'train')])
def test_a_protocol_without_samples_is_a_user_error(views, part):
  with pytest.raises(errors.UserError, match=f'no sample to {part} on'):
    registry.split('nwucla', 'cross_view_1', _names(views))


def test_parses_a_name():
  assert protocols.parse_multiview_name('view_2/a11_s04_e01') == (2, 11, 4, 1)


@pytest.mark.parametrize('name', [
    'a01_s04_e01', 'view_2/a1_s04_e01', 'view_2/a01_s04_e01_depth', 'view_2/a01_s04', 'view_2\\a01_s04_e01',
    ' view_2/a01_s04_e01', 'view_12/a01_s04_e01', 'view_2/a01_s04_e01\n', ''])
def test_malformed_names_are_told(name):
  with pytest.raises(ValueError, match='not of the form view_2/a01_s04_e01'):
    protocols.parse_multiview_name(name)


def test_parses_a_uwa3d_name():
  assert uwa_protocols.parse_uwa3d_name('a30_s10_v04_e00') == protocols.MultiviewName(
      view=4, action=30, subject=10, episode=0)


@pytest.mark.parametrize('name', [
    'a01_s01_v04_e00.tfrecords', 'readme.txt', 'a1_s01_v04_e00', 'view_2/a01_s04_e01', 'a01_v04_s01_e00',
    'a01_s01_v04', ' a01_s01_v04_e00', 'a01_s01_v04_e00\n', ''])
def test_malformed_uwa3d_names_are_told(name):
  with pytest.raises(ValueError, match='not of the form a01_s04_v02_e00'):
    uwa_protocols.parse_uwa3d_name(name)


def test_classes_without_samples_are_named():
  parts = protocols.Split(train=['a1', 'a2', 'b1'], validation=[], test=['a3', 'c1'])
  assert not protocols.missing_classes('given', parts._replace(test=['a3', 'b2']), ['a', 'b'], lambda name: name[0])
  training, testing = protocols.missing_classes('given', parts, ['a', 'b', 'c', 'd'], lambda name: name[0])
  assert 'protocol given has no sample to train on for 2 of 4 classes (c, d): they cannot be learned' in training
  assert 'no sample to test on for 2 of 4 classes (b, d)' in testing


def test_few_samples_of_each_class_are_nested_and_follow_the_seed():
  names = _names(views=(2, 3), actions=(1, 2), subjects=range(1, 5)) + ['view_2/a03_s01_e00']

  def label_of(name):
    return protocols.parse_multiview_name(name).action

  few, more = (protocols.at_most_per_class(names, label_of, count, seed=7) for count in (2, 5))
  assert collections.Counter(map(label_of, few)) == {1: 2, 2: 2, 3: 1}
  assert collections.Counter(map(label_of, more)) == {1: 5, 2: 5, 3: 1}
  assert set(few) < set(more) < set(names)
  assert protocols.at_most_per_class(names[::-1], label_of, 2, seed=7) == few
  assert protocols.at_most_per_class(names, label_of, 2, seed=8) != few
