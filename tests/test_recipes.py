"""Recipes as data: overrides, checks, round trips."""

import pytest

from tf_privinfo import errors
from tf_privinfo import recipes


def make(**names):
  return recipes.recipe(**{'method': 'dmcl', 'dataset': 'nwucla', 'protocol': 'cross_view_1', **names})


def test_defaults_are_those_of_the_authors():
  recipe = make()
  stage = recipe.stages['ensemble']
  assert (stage.epochs, stage.batch_size, stage.learning_rate) == (220, 8, 1.28e-3)
  assert (recipe.clips.frames, recipe.clips.frame_size, recipe.clips.crop_size) == (8, 256, 224)
  assert (recipe.network.width, recipe.network.units) == (64, (2, 2, 2, 2))


def test_thesis_variant_sets_all_its_fields():
  recipe = make(variant='thesis')
  assert recipe.stages['ensemble'].learning_rate == pytest.approx(1e-3)
  assert recipe.clips.crop_shift == 0.5
  assert recipe.loser.hard_weight == recipe.loser.soft_weight == 0.5
  assert not recipe.loser.squared_temperature and not recipe.loser.student_at_temperature


@pytest.mark.parametrize('preset', recipes.PRESETS)
def test_yaml_round_trip(preset):
  recipe = recipes.override(make(preset=preset, seed=7), {'modalities': 'rgb,depth', 'loser.temperature': '5'})
  assert recipes.from_yaml(recipes.to_yaml(recipe)) == recipe


def test_override_converts_text_to_the_type_of_the_field():
  recipe = recipes.override(make(), {
      'stages.ensemble.learning_rate': '1e-3', 'stages.ensemble.decay_epochs': '3,4.5', 'clips.augment': 'false',
      'network.units': '1,1', 'data.depth_variant': 'depth'})
  assert recipe.stages['ensemble'].learning_rate == 1e-3
  assert recipe.stages['ensemble'].decay_epochs == (3.0, 4.5)
  assert recipe.clips.augment is False
  assert recipe.network.units == (1, 1)
  assert recipe.data.depth_variant == 'depth'


@pytest.mark.parametrize('settings, words', [
    ({'loser.temprature': '5'}, ['temprature', 'temperature']),
    ({'stages.first.epochs': '5'}, ['first', 'ensemble']),
    ({'seed.x': '5'}, ['seed.x']),
    ({'loser': '5'}, ['section', 'temperature']),
    ({'loser.temperature': 'hot'}, ['hot', 'float']),
    ({'stages.ensemble.epochs': '2.5'}, ['2.5', 'int']),
    ({'stages.ensemble.epochs': 2.5}, ['2.5', 'int']),
    ({'clips.augment': 'maybe'}, ['maybe', 'bool']),
])
def test_bad_overrides_say_what_is_wrong(settings, words):
  with pytest.raises(errors.UserError) as error:
    recipes.override(make(), settings)
  assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize('settings', [
    {'clips.crop_size': '300'}, {'modalities': ''}, {'modalities': 'rgb,rgb'}, {'loser.temperature': '0'},
    {'clips.crop_shift': '0.7'}, {'stages.ensemble.selection': 'worst'}, {'stages.ensemble.decay_epochs': '5,3'}, {'network.units': '2,0'}])
def test_recipes_that_cannot_run_are_refused(settings):
  with pytest.raises(errors.UserError):
    recipes.check(recipes.override(make(), settings))


def test_unknown_names_list_the_known_ones():
  with pytest.raises(errors.UserError, match='dmcl, smcl'):
    make(method='dmlc')
