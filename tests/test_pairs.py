"""Recipes of chapters 3 and 4 with other modalities than RGB and depth: names, round trips, mistakes."""

import pathlib

import pytest

from tf_privinfo import recipes
from tf_privinfo.recipes import validation
from tf_privinfo.runs import search
from tf_privinfo.utils import errors

VIDEOS = ('modality_distillation', 'hoffman', 'admd', 'naive_adversarial', 'two_stream')


def make(method='admd', dataset='recordings', **values):
  recipe = recipes.recipe(method, dataset, 'split', 'tiny')
  return validation.check(recipes.override(recipe, values))


def named(recipe):
  """Every name of a recipe that can be the name of a modality, as one text."""
  return repr([recipe.modalities, recipe.connections, [
      (name, stage.streams, stage.frozen, stage.init) for name, stage in recipe.stages.items()]])


@pytest.mark.parametrize('method, dataset', [
    *((method, 'recordings') for method in VIDEOS), ('moddrop', 'recordings_objects'),
    ('autoencoder', 'recordings_objects')])
@pytest.mark.parametrize('pair', ['rgb,flow', 'thermal,infrared', 'depth,rgb'])
def test_names_of_the_modalities_replace_rgb_and_depth(method, dataset, pair):
  main, privileged = pair.split(',')
  thesis, recipe = make(method, dataset), make(method, dataset, modalities=pair)
  assert (recipe.roles.main, recipe.roles.privileged) == (main, privileged) == recipe.modalities
  expected = named(thesis).replace('rgb', '<>').replace('depth', privileged).replace('<>', main)
  assert named(recipe) == expected
  for name, stage in recipe.stages.items():
    assert stage.epochs == thesis.stages[{main: 'rgb', privileged: 'depth'}.get(name, name)].epochs
    reads = recipe.streams(name)
    assert set(reads.values()) <= {main, privileged}
    assert reads.get('hall', main) == reads.get('autoencoder', main) == main
  assert recipes.from_yaml(recipes.to_yaml(recipe)) == recipe
  assert recipes.run_name(recipe) == f'tiny-split-code-seed0-modalities={pair}'
  assert recipes.override(thesis, recipes.overrides(recipe)) == recipe


def test_privileged_stands_for_the_second_modality():
  assert make(privileged='flow') == make(modalities='rgb,flow')
  assert make(modalities='thermal,depth', privileged='flow') == make(modalities='thermal,flow')
  changed = make(**{'stages.flow.epochs': 7, 'privileged': 'flow'})  # whatever the order
  assert changed.stages['flow'].epochs == 7 and recipes.from_yaml(recipes.to_yaml(changed)) == changed
  assert recipes.overrides(changed) == {'modalities': 'rgb,flow', 'stages.flow.epochs': 7}
  assert make(privileged='depth') == make() and recipes.run_name(make()) == 'tiny-split-code-seed0'


@pytest.mark.parametrize('method', ['single_stream', 'ensemble'])
def test_methods_of_one_modality(method):
  recipe = make(method, modalities='thermal')
  assert recipe.roles.privileged == '' and set(sum(map(list, map(recipe.streams, recipe.stages)), [])) == {
      'single_stream': {'thermal'}, 'ensemble': {'thermal', 'thermal_2'}}[method]
  assert {modality for stage in recipe.stages for modality in recipe.streams(stage).values()} == {'thermal'}
  assert recipes.from_yaml(recipes.to_yaml(recipe)) == recipe


def test_only_rgb_and_depth_are_aligned():
  thesis = recipes.recipe('admd', 'nwucla', 'cross_view_3', 'tiny')
  assert thesis.data.aligned and not recipes.override(thesis, {'privileged': 'flow'}).data.aligned
  assert recipes.override(thesis, {'privileged': 'flow', 'data.aligned': True}).data.aligned
  single = recipes.recipe('single_stream', 'nwucla', 'cross_view_3', 'tiny')
  assert recipes.override(single, {'modalities': 'depth'}).data.aligned


def test_connections_are_named_by_what_they_connect():
  recipe = make('modality_distillation', privileged='infrared')
  assert recipe.connections.direction == 'infrared_to_rgb'
  inverted = make('modality_distillation', **{'privileged': 'infrared', 'connections.direction': 'rgb_to_infrared'})
  assert recipes.from_yaml(recipes.to_yaml(inverted)) == inverted
  with pytest.raises(errors.UserError, match='must be one of infrared_to_rgb, rgb_to_infrared, none'):
    make('modality_distillation', **{'privileged': 'infrared', 'connections.direction': 'depth_to_rgb'})


def test_streams_of_the_main_modality_are_shared():
  assert recipes.shared_stages(make(), make(privileged='flow')) == ['rgb']
  assert not recipes.shared_stages(make(), make(modalities='thermal,depth'))


def test_recipes_of_earlier_versions(tmp_path):
  """Stored before modalities had roles; names of runs and directions of connections are what they were."""
  recipe = make('modality_distillation', **{'connections.direction': 'rgb_to_depth'})
  text = recipes.to_yaml(recipe)
  assert 'modalities:\n- rgb\n- depth\n' in text and 'direction: rgb_to_depth\n' in text and 'privileged' not in text
  assert recipes.run_name(recipe) == 'tiny-split-code-seed0-connections.direction=rgb_to_depth'
  directory = pathlib.Path(recipes.run_directory(recipe, tmp_path))
  directory.mkdir(parents=True)
  (directory / 'recipe.yaml').write_text(text)
  assert search.RunIndex(tmp_path).matching(recipe) == [directory]


@pytest.mark.parametrize('method, values, message', [
    ('dmcl', {'privileged': 'flow'}, 'dmcl has no privileged modality; set modalities'),
    ('ensemble', {'privileged': 'flow'}, 'ensemble has no privileged modality'),
    ('admd', {'modalities': 'rgb'}, 'admd reads the main modality and the privileged one: name two'),
    ('admd', {'modalities': 'rgb,depth,flow'}, 'modalities=rgb,depth,flow: .*name two'),
    ('single_stream', {'modalities': 'rgb,depth'}, 'single_stream reads one modality'),
    ('admd', {'privileged': 'rgb'}, 'must differ from the main one'),
    ('admd', {'privileged': 'hall'}, "'hall' cannot be the name"),
    ('admd', {'privileged': 'joint'}, "'joint' cannot be the name"),
    ('admd', {'privileged': 'discriminator'}, "'discriminator' cannot be the name"),
    ('admd', {'modalities': 'game,depth'}, "'game' cannot be the name"),
    ('two_stream', {'privileged': 'rgb_2'}, "'rgb_2' cannot be the name"),
    ('admd', {'privileged': 'my flow'}, "'my flow' cannot be the name"),
    ('admd', {'privileged': ''}, "'' cannot be the name"),
    ('admd', {'privileged': 'flow', 'stages.depth.epochs': '3'}, "'depth' is none of rgb, flow, joint")])
def test_mistakes(method, values, message):
  with pytest.raises(errors.UserError, match=message) as error:
    make(method, **values)
  assert '\n' not in str(error.value)
