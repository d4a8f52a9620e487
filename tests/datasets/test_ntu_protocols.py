"""Protocols of NTU RGB+D against the authors' lists and the published counts."""

import collections
import gzip
import json
import pathlib

import pytest

from tests import parity, real_data
from tf_privinfo.datasets import registry
from tf_privinfo.datasets.ntu_rgbd import builder, native
from tf_privinfo.datasets.ntu_rgbd import protocols as ntu_protocols

SPLITS = json.loads(gzip.decompress((parity.GOLDEN / 'splits.json.gz').read_bytes()))


def _stems(paths):
  return [pathlib.PurePath(path).stem for path in paths]


@pytest.mark.parametrize('key', ['ntu_cross_subj', 'ntu_cross_view', 'ntu-mini_cross_subj', 'ntu-mini_cross_view'])
def test_ntu60_equals_the_authors_lists(key):
  dataset = 'ntu60_mini' if 'mini' in key else 'ntu60'
  protocol = 'cross_view' if 'view' in key else 'cross_subject'
  split = registry.split(dataset, protocol, _stems(SPLITS['ntu_input_sorted'])[::-1])
  authors = SPLITS[key]
  assert [len(part) for part in split] == [len(authors[part]) for part in ('train', 'val', 'test')]
  assert [set(part) for part in split] == [set(_stems(authors[part])) for part in ('train', 'val', 'test')]
  if 'mini' in key:  # drawn in their order
    assert split.train == _stems(authors['train'])


def test_half_of_ntu120_equals_the_authors_list():
  train = SPLITS['dmcl_read']['ntu120_input']['train']
  halves = [ntu_protocols.half_of_each_class(train, version) for version in (1, 2, 3)]
  assert set(halves[0]) == set(_stems(SPLITS['dmcl_read']['ntu120_mini']['train']))
  first_actions = {name for name in halves[0] if int(name[-3:]) <= 60}
  assert first_actions == set(_stems(SPLITS['dmcl_read']['ntu_mini']['train']))
  for half in halves:
    assert set(collections.Counter(name[-3:] for name in half).values()) == {int(len(train) / 2 / 120)}
  assert len({frozenset(half) for half in halves}) == 3


def _ntu120_names():
  return [f'S{setup:03d}C001P{performer:03d}R00{r}A{action:03d}' for setup in (1, 2, 18, 19)
          for performer in (1, 3, 45, 103, 106) for r in (1, 2) for action in range(1, 121)]


@pytest.mark.parametrize('protocol', registry.DATASETS['ntu120_mini'].protocols)
def test_half_of_ntu120_trains_and_all_of_it_tests(protocol):
  names = _ntu120_names()
  whole = registry.split('ntu120', 'cross_subject', names)
  mini = registry.split('ntu120_mini', protocol, names)
  assert set(mini.train) < set(whole.train) and mini[1:] == whole[1:]
  assert len(mini.train) == len(set(mini.train)) == 120 * int(len(whole.train) / 2 / 120)
  version = 1 + list(registry.DATASETS['ntu120_mini'].protocols).index(protocol)
  assert mini.train == ntu_protocols.half_of_each_class(sorted(whole.train), version)  # in any order


def test_ntu120_cross_subject_trains_on_the_published_performers():
  names = [f'S001C001P{performer:03d}R001A{action:03d}' for performer in range(1, 107) for action in (1, 120)]
  split = registry.split('ntu120', 'cross_subject', names, 0)
  assert sorted({ntu_protocols.parse_ntu_name(name).performer for name in split.train}) == [
      1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50, 52, 53, 54, 55, 56,
      57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103]
  assert len(split.train) == 2 * 53 and len(split.test) == 2 * 53


@pytest.mark.parametrize('dataset', ['ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini'])
def test_default_protocol_is_cross_subject(dataset):
  assert registry.resolve_protocol(dataset, None) == 'cross_subject'


def test_ntu120_cross_setup():
  split = registry.split('ntu120', 'cross_setup', _ntu120_names())
  assert {name[:4] for name in split.train + split.validation} == {'S002', 'S018'}
  assert {name[:4] for name in split.test} == {'S001', 'S019'}
  assert set(collections.Counter(name[-3:] for name in split.validation).values()) == {1}


@pytest.mark.parametrize('dataset, protocol', [
    (dataset, protocol) for dataset in ('ntu60', 'ntu120') for protocol in registry.DATASETS[dataset].protocols])
def test_nothing_held_out_leaves_the_whole_training_set(dataset, protocol):
  names = _stems(SPLITS['ntu_input_sorted']) if dataset == 'ntu60' else _ntu120_names()
  some, none = registry.split(dataset, protocol, names, 1e-2), registry.split(dataset, protocol, names, 0)
  assert none.validation == [] and sorted(none.train) == sorted(some.train + some.validation)
  assert none.test == some.test and not set(some.train) & set(some.validation)


@pytest.mark.parametrize('dataset', ['ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini'])
def test_no_partition_trains_and_tests(dataset):
  names = _stems(SPLITS['ntu_input_sorted']) if '60' in dataset else _ntu120_names()
  for protocol in registry.DATASETS[dataset].protocols:
    split = registry.split(dataset, protocol, names)
    partitions = [{builder.Ntu120.partition(name) for name in part} for part in split]
    assert not (partitions[0] | partitions[1]) & partitions[2]


def test_counts_of_the_samples_without_skeleton():
  """What the published counts before and after their removal differ by: 40,320 - 40,091 and so on."""
  assert len(native.MISSING_SKELETONS) == 535
  first = [name for name in native.MISSING_SKELETONS if ntu_protocols.parse_ntu_name(name).action <= 60]
  cross_subject, cross_view, of_120 = (registry.split(dataset, protocol, names, 0) for dataset, protocol, names in (
      ('ntu60', 'cross_subject', first), ('ntu60', 'cross_view', first),
      ('ntu120', 'cross_subject', native.MISSING_SKELETONS)))
  assert (len(cross_subject.train), len(cross_subject.test)) == (40320 - 40091, 16560 - 16487)
  assert (len(cross_view.train), len(cross_view.test)) == (37920 - 37646, 18960 - 18932)
  assert len(of_120.train) + len(of_120.test) == 535


@real_data.needs('lists')
def test_published_counts():
  lists = real_data.FOLDER / 'lists' / 'ntu'
  with_skeleton, all_with_skeleton = (
      (lists / f'ntu{count}_skes_available_name.txt').read_text().split() for count in (60, 120))
  first = [name for name in native.MISSING_SKELETONS if ntu_protocols.parse_ntu_name(name).action <= 60]
  for dataset, protocol, names, counts in (
      ('ntu60', 'cross_subject', with_skeleton, (40091, 16487)),
      ('ntu60', 'cross_view', with_skeleton, (37646, 18932)),
      ('ntu60', 'cross_subject', with_skeleton + first, (40320, 16560)),
      ('ntu120', 'cross_subject', [*all_with_skeleton, *native.MISSING_SKELETONS], (63360, 51120)),
      ('ntu120', 'cross_setup', all_with_skeleton, (54468, 59477))):
    split = registry.split(dataset, protocol, names)
    assert (len(split.train) + len(split.validation), len(split.test)) == counts
    assert split.validation
  assert len(registry.split('ntu60', 'cross_view', with_skeleton).validation) == 60 * 31


def test_parses_a_name():
  assert ntu_protocols.parse_ntu_name('S017C002P103R001A060') == ntu_protocols.NtuName(
      setup=17, camera=2, performer=103, replication=1, action=60)


@pytest.mark.parametrize('name', [
    'S001C002P003R002A013_rgb', 'S001C002P003R002', 'S01C002P003R002A013', 's001c002p003r002a013',
    ' S001C002P003R002A013', 'S001C002P003R002A013\n', 'S001P003C002R002A013', ''])
def test_malformed_names_are_told(name):
  with pytest.raises(ValueError, match='not of the form S001C002P003R002A013'):
    ntu_protocols.parse_ntu_name(name)
