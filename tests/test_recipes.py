"""Recipes as data: overrides, checks, round trips."""

import dataclasses
import pkgutil

import pytest

from tf_privinfo import recipes
from tf_privinfo.datasets import clips, registry
from tf_privinfo.datasets.config import SAMPLINGS
from tf_privinfo.datasets.synthetic import rendering as synthetic
from tf_privinfo.datasets.synthetic_objects import builder as synthetic_objects
from tf_privinfo.datasets.synthetic_objects import models
from tf_privinfo.methods.config import CONNECTION_FORMS
from tf_privinfo.networks import resnet50
from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.recipes import objects, settings, two_stream, validation
from tf_privinfo.recipes.stage import LOSSES
from tf_privinfo.utils import errors


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


def test_steps_of_chapter_3_are_those_of_the_authors():
  recipe = make(method='modality_distillation')
  assert list(recipe.stages) == ['rgb', 'depth', 'joint', 'hallucination', 'finetune']
  for stage in recipe.stages.values():
    assert (stage.epochs, stage.batch_size, stage.optimizer, stage.learning_rate) == (40, 5, 'adam', 1e-3)
    assert stage.weight_decay == 0 and not stage.decay_epochs and not stage.warmup_epochs
  assert recipe.streams('hallucination') == {'rgb': 'rgb', 'depth': 'depth', 'hall': 'rgb'}
  assert recipe.stages['hallucination'].frozen == ('rgb', 'depth')
  assert (recipe.clips.frames, recipe.clips.crop_size, recipe.clips.test_clips) == (5, 224, 1)
  assert recipe.network.units == (3, 4, 6, 3) and recipe.data.aligned and recipe.data.hold_out == 0
  assert recipes.default_protocol('modality_distillation', 'nwucla') == 'cross_view_3'
  assert recipes.default_protocol('dmcl', 'nwucla') is None


def test_thesis_variant_of_chapter_3():
  recipe = make(method='modality_distillation', variant='thesis')
  assert recipe.connections.form == 'multiplicative' and recipe.clips.sampling == 'uniform'
  assert not recipe.hallucination.student_at_temperature


def offered():
  """Every method with a dataset that has it."""
  for dataset in ('nwucla', 'nyud'):
    for method in recipes.METHODS:
      try:
        recipes.recipe(method, dataset, 'any')
      except errors.UserError:
        continue
      yield method, dataset


@pytest.mark.parametrize('method, dataset', offered())
def test_stages_start_from_streams_that_earlier_stages_have(method, dataset):
  recipe = validation.check(make(method=method, dataset=dataset))
  done = {}
  for name in recipe.stages:
    stage = recipe.stages[name]
    for item in stage.init:
      stream, source = item.split('=')
      stage_before, stream_before = source.split('/')
      assert stream in recipe.networks(name) and stream_before in done[stage_before]
    assert set(stage.frozen) < set(recipe.networks(name))
    done[name] = set(recipe.networks(name)) - set(stage.frozen)


def test_every_method_is_offered_for_some_dataset():
  assert {method for method, _ in offered()} == set(recipes.METHODS)
  with pytest.raises(errors.UserError, match='dmcl is not one for nyud: choose one of modality_distillation'):
    make(dataset='nyud')


def test_games_of_chapter_4_are_those_of_the_authors():
  """On video: FIDELITY rows 11, 12, 14; on objects rows 15 and 16, and run.sh."""
  video = make(method='admd')
  assert video.network.bottleneck == 'pool_then_conv' and video.network.bottleneck_width == 128
  assert (video.discriminator.form, video.discriminator.hidden) == ('batch_norm', (256, 128))
  assert video.discriminator.frame_index and video.discriminator.loss_weight == 0.5
  assert (video.stages['joint'].epochs, video.stages['game'].epochs) == (0, 40)
  assert video.stages['game'].frozen == ('depth',) and video.data.hold_out == 0.1
  objects = make(method='admd', dataset='nyud')
  assert objects.network.bottleneck == 'conv7x7' and not objects.network.temporal and objects.clips.frames == 1
  assert objects.discriminator.hidden == (1024, 1024, 1024, 2048, 3076) and objects.discriminator.loss_weight == 1
  steps = {name: round(stage.epochs * (2091 // stage.batch_size), -2) for name, stage in objects.stages.items()}
  assert steps == {'rgb': 2000, 'depth': 2000, 'joint': 1000, 'game': 5000, 'watch': 1000, 'fused': 0}
  rates = {name: stage.learning_rate for name, stage in objects.stages.items() if stage.epochs}
  assert rates == {'rgb': 1e-4, 'depth': 1e-4, 'joint': 1e-6, 'game': 1e-6, 'watch': 1e-4}
  naive = make(method='naive_adversarial', dataset='nyud')
  assert naive.stages['game'].epochs == 312 and naive.discriminator.task == 'real_or_fake'


@pytest.mark.parametrize('preset', recipes.PRESETS)
def test_no_preset_trains_a_stage_that_takes_weights_as_they_are(preset):
  ensemble = make(method='ensemble', dataset='nyud', preset=preset)
  assert ensemble.stages['joint'].epochs == 0 and ensemble.stages['rgb_2'].epochs > 0
  assert make(method='admd', dataset='nyud', preset=preset).stages['fused'].epochs == 0


def test_thesis_variant_of_chapter_4():
  thesis_variant = make(method='admd', variant='thesis')
  assert thesis_variant.stages['watch'].epochs == 0  # the text has no such stage
  video = thesis_variant.discriminator
  assert (video.form, video.hidden, video.loss_weight) == ('plain', (2048, 1024), 1.0)
  assert make(method='admd', dataset='nyud', variant='thesis').discriminator.hidden[-1] == 3072
  assert make(method='modality_distillation', dataset='nyud').hallucination.form == 'sum'
  assert make(method='modality_distillation', dataset='nyud', variant='thesis').hallucination.form == 'shares'


def test_epochs_of_all_stages_leave_those_alone_that_do_not_train():
  recipe = make(method='ensemble')
  recipe = settings.override(recipe, recipes.training_stages(recipe, 'epochs', 3))
  assert [stage.epochs for stage in recipe.stages.values()] == [3, 3, 0]


@pytest.mark.parametrize('preset', recipes.PRESETS)
@pytest.mark.parametrize('method', ['dmcl', 'cmcl', 'modality_distillation', 'ensemble'])
def test_yaml_round_trip(method, preset):
  recipe = recipes.override(make(method=method, preset=preset, seed=7), {
      'modalities': 'flow' if method == 'ensemble' else 'rgb,flow', 'network.units': '2,2,3,2', 'init_from': 'a/b'})
  assert recipes.from_yaml(recipes.to_yaml(recipe)) == recipe


def test_override_converts_text_to_the_type_of_the_field():
  recipe = settings.override(make(), {
      'stages.ensemble.learning_rate': '1e-3', 'stages.ensemble.decay_epochs': '3,4.5', 'clips.colour': 'false',
      'network.units': '1,1', 'data.depth_variant': 'depth'})
  assert recipe.stages['ensemble'].learning_rate == 1e-3
  assert recipe.stages['ensemble'].decay_epochs == (3.0, 4.5)
  assert recipe.clips.colour is False
  assert recipe.network.units == (1, 1)
  assert recipe.data.depth_variant == 'depth'


@pytest.mark.parametrize('values, words', [
    ({'loser.temprature': '5'}, ['temprature', 'temperature']),
    ({'stages.first.epochs': '5'}, ['first', 'ensemble']),
    ({'seed.x': '5'}, ['seed.x']),
    ({'loser': '5'}, ['section', 'temperature']),
    ({'hallucination.temperature': '5'}, ['hallucination', 'loser']),
    ({'loser.temperature': 'hot'}, ['hot', 'float']),
    ({'stages.ensemble.epochs': '2.5'}, ['2.5', 'int']),
    ({'stages.ensemble.epochs': 2.5}, ['2.5', 'int']),
    ({'clips.colour': 'maybe'}, ['maybe', 'bool']),
])
def test_bad_overrides_say_what_is_wrong(values, words):
  with pytest.raises(errors.UserError) as error:
    settings.override(make(), values)
  assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize('values', [
    {'clips.crop_size': '300'}, {'modalities': ''}, {'modalities': 'rgb,rgb'}, {'loser.temperature': '0'},
    {'clips.crop_shift': '0.7'}, {'stages.ensemble.selection': 'worst'}, {'stages.ensemble.decay_epochs': '5,3'},
    {'network.units': '2,0'}, {'data.hold_out': '1'}, {'clips.sampling': 'dense'},
    {'stages.ensemble.optimizer': 'sgd'}, {'new_classifier': 'True'}])
def test_recipes_that_cannot_run_are_refused(values):
  with pytest.raises(errors.UserError):
    validation.check(settings.override(make(), values))


@pytest.mark.parametrize('values', [
    {'connections.direction': 'both'}, {'connections.form': 'sum'}, {'hallucination.layer': 'block5'},
    {'hallucination.map_share': '1.5'}, {'hallucination.temperature': '0'}, {'network.units': '3,4,6'},
    {'stages.joint.loss': 'hinge'}, {'stages.joint.frozen': 'hall'}, {'stages.joint.init': 'rgb'},
    {'stages.joint.init': 'rgb=finetune/rgb'}, {'stages.joint.init': 'rgb=rgb/depth'},
    {'hallucination.form': 'product'}])
def test_two_stream_recipes_that_cannot_run_are_refused(values):
  with pytest.raises(errors.UserError, match=next(iter(values)).split('.')[-1]):
    validation.check(settings.override(make(method='modality_distillation'), values))


@pytest.mark.parametrize('values', [
    {'discriminator.form': 'deep'}, {'discriminator.task': 'regression'}, {'discriminator.hidden': ''},
    {'discriminator.form': 'residual', 'discriminator.hidden': '8,8,4'},
    {'discriminator.form': 'residual', 'discriminator.hidden': '8,8'}, {'discriminator.loss_weight': '0'},
    {'network.bottleneck': 'mean'}, {'network.bottleneck_width': '0'}, {'stages.fused.epochs': '2'}])
def test_games_that_cannot_run_are_refused(values):
  with pytest.raises(errors.UserError, match='discriminator|bottleneck|fused.epochs must be 0'):
    validation.check(settings.override(make(method='admd'), values))


def test_unknown_names_list_the_known_ones():
  with pytest.raises(errors.UserError, match='dmcl, smcl'):
    make(method='dmlc')


@pytest.mark.parametrize('method, values, shared', [
    ('modality_distillation', {}, ['rgb', 'depth', 'joint', 'hallucination', 'finetune']),
    ('modality_distillation', {'hallucination.map_share': 1.0}, ['rgb', 'depth', 'joint']),
    ('modality_distillation', {'stages.finetune.epochs': 1}, ['rgb', 'depth', 'joint', 'hallucination']),
    ('modality_distillation', {'connections.direction': 'none'}, ['rgb', 'depth']),
    ('two_stream', {}, ['rgb', 'depth']),
    ('hoffman', {}, ['rgb', 'depth']),
    ('modality_distillation', {'network.width': 24}, []),
    ('modality_distillation', {'seed': 1}, [])])
def test_stages_that_recipes_share(method, values, shared):
  """Those whose weights cannot differ: of a stream alone also with other connections."""
  distillation = make(method='modality_distillation', dataset='synthetic')
  other = settings.override(make(method=method, dataset='synthetic'), values)
  assert recipes.shared_stages(distillation, other) == recipes.shared_stages(other, distillation) == shared


@pytest.mark.parametrize('preset', recipes.PRESETS)
@pytest.mark.parametrize('dataset', ['synthetic', 'synthetic_objects'])
def test_defaults_can_run_on_rendered_data(dataset, preset):
  """Every recipe has a batch to train on and samples to test on; a switch also some to choose its threshold on."""
  for method in recipes.methods(dataset):
    protocol = registry.resolve_protocol(dataset, recipes.default_protocol(method, dataset))
    recipe = validation.check(recipes.recipe(method, dataset, protocol, preset))
    split = registry.split(dataset, protocol, _rendered_names(dataset, recipe.data.rendering), recipe.data.hold_out)
    largest = max(stage.batch_size for stage in recipe.stages.values() if stage.epochs)
    assert len(split.train) >= largest, (method, len(split.train))
    assert split.validation or not recipe.has_switch, method


def _rendered_names(dataset, rendering):
  """The names of the samples that a rendering has."""
  if dataset == 'synthetic':
    options = synthetic.RENDERINGS[rendering]
    return [f'view_{view}/{performance.name}' for view in synthetic.VIEWS
            for performance in synthetic.performances(options)]
  options = synthetic_objects.RENDERINGS[rendering]
  return [f'{part}/{label}/{index:04d}' for part, count in (('train', options.train), ('test', options.test))
          for label in models.CLASSES for index in range(count)]


@pytest.mark.parametrize('seed, fits', [
    (0, True), (2**31 - 1, True), (2**31, False), (-1, False), (20261125201500, False)])
def test_seeds_have_bounds(seed, fits):
  recipe = recipes.recipe('admd', 'synthetic', 'cross_view_1', 'tiny', seed=seed)
  if fits:
    assert validation.check(recipe) == recipe
  else:
    with pytest.raises(errors.UserError, match='seed must be from 0 to 2147483647'):
      validation.check(recipe)


def test_stages_are_shared_only_between_recipes_that_agree_on_everything_before_them():
  """A field or section that is added to recipes later counts, too, unless it is listed as one of other losses."""
  base = recipes.recipe('two_stream', 'nwucla', 'cross_view_3')
  names_only = {'preset', 'variant', 'method', 'modalities', 'stages'}
  of_other_losses = {'loser', 'hallucination', 'discriminator', 'moddrop', 'connections'}
  for field in dataclasses.fields(recipes.Recipe):
    if field.name not in names_only | of_other_losses:
      other = dataclasses.replace(base, **{field.name: object()})
      assert recipes.shared_stages(base, other) == [], field.name
  assert recipes.shared_stages(base, dataclasses.replace(base, preset='tiny')) == ['rgb', 'depth', 'joint']


def test_a_published_validation_set_is_there_or_not():
  """Of NTU RGB+D 60 another fraction would silently be the same samples."""
  recipe = recipes.recipe('dmcl', 'ntu60', 'cross_subject')
  for fraction in (0.0, 0.05):
    validation.check(recipes.override(recipe, {'data.hold_out': fraction}))
  with pytest.raises(errors.UserError, match='data.hold_out must be one of 0.0, 0.05.*ntu60'):
    validation.check(recipes.override(recipe, {'data.hold_out': 0.2}))
  validation.check(recipes.override(recipes.recipe('dmcl', 'ntu120', 'cross_subject'), {'data.hold_out': 0.2}))


def test_an_object_stage_of_a_new_name_has_its_own_schedule(monkeypatch):
  form = objects.SINGLE_STREAM._replace(stages={'again': two_stream.step('rgb', epochs=7)})
  monkeypatch.setitem(recipes.METHODS, 'longer', recipes.METHODS['single_stream']._replace(objects=form))
  assert recipes.recipe('longer', 'nyud', 'given').stages['again'].epochs == 7


def test_another_architecture_has_its_own_fields():
  recipe = recipes.override(make(), {'network.width': '8', 'network.architecture': 'resnet50'})
  assert recipe.network == ResNet50Config(width=8)
  assert recipes.from_yaml(recipes.to_yaml(recipe)) == recipe and 'architecture=resnet50' in recipes.run_name(recipe)
  with pytest.raises(errors.UserError, match='network.architecture=vgg: choose one of r2plus1d, resnet50'):
    recipes.override(make(), {'network.architecture': 'vgg'})


def test_legal_values_are_those_that_are_implemented():
  assert set(SAMPLINGS) == set(clips._TRAINING_SAMPLERS) == set(clips._TEST_SAMPLERS)
  assert set(CONNECTION_FORMS) == set(resnet50.CONNECTIONS)
  for loss in LOSSES.values():
    assert not loss.method or pkgutil.resolve_name(loss.method).from_recipe
  for method in recipes.METHODS.values():
    assert not (method.videos and method.videos.method) or pkgutil.resolve_name(method.videos.method).from_recipe
  for name, dataset in recipes.DATASETS.items():
    assert pkgutil.resolve_name(dataset.builder).UNIT, name


def test_the_expected_time_is_that_of_the_recipe_as_it_is():
  quick_start = make(dataset='synthetic', preset='small')
  assert recipes.expected_minutes(quick_start) > 0
  assert recipes.expected_minutes(recipes.override(quick_start, {'clips.test_clips': 1})) is None
  assert recipes.expected_minutes(make(dataset='synthetic', preset='paper')) is None


def test_paper_recipes_without_imagenet_weights_say_where_they_are():
  paper = recipes.recipe('admd', 'ntu60', 'cross_subject', 'paper')
  [line] = validation.advice(paper)
  assert 'resnet_v1_50' in line and '--set network.pretrained=' in line
  for key in ('network.pretrained', 'init_from'):
    assert not validation.advice(settings.override(paper, {key: 'weights'}))
  assert not validation.advice(recipes.recipe('dmcl', 'ntu60', 'cross_subject', 'paper'))  # random in the thesis, too
  assert not validation.advice(recipes.recipe('admd', 'synthetic', 'cross_view_1', 'small'))
