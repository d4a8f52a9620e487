"""The rows of the thesis' tables: each is a figure that a recipe gives, and is what the thesis prints."""

import pytest

from tf_privinfo import recipes
from tf_privinfo.recipes import settings, validation
from tf_privinfo.reports import thesis_tables

_DATASETS = {'ntu60', 'ntu60_mini', 'ntu120', 'ntu120_mini', 'nwucla', 'uwa3dii', 'nyud'}
_ROWS = [(table, name) for table, rows in thesis_tables.TABLES.items() for name in rows]


def recipe_of(row):
  """A row's recipe, from the run of the dataset that it starts from."""
  recipe = recipes.recipe(row.method, row.dataset, next(iter(row.reported)))
  return validation.check(settings.override(recipe, {**row.settings, 'init_from': row.init_from}))


@pytest.mark.parametrize('table, name', _ROWS)
def test_rows_are_figures_of_recipes(table, name):
  """Every row is a recipe, or one with overrides, and a stream that predicts after one of its stages."""
  row = thesis_tables.TABLES[table][name]
  recipe = recipe_of(row)
  predicting = set(recipe.streams(row.stage)) - set(recipe.stages[row.stage].frozen)
  assert row.stream in predicting | {'sum', 'oracle'}
  assert (row.accuracies, recipe.stages[row.stage].loss) in (
      ('accuracy', recipe.stages[row.stage].loss), ('accuracy_with_void_depth', 'moddrop'),
      ('accuracy_with_true_depth', 'hallucination'))


@pytest.mark.parametrize('table, name', _ROWS)
def test_rows_have_figures(table, name):
  row = thesis_tables.TABLES[table][name]
  figures = [figure for figure in row.reported.values() if figure is not None]
  assert figures and all(0 < figure < 100 for figure in figures + list(row.noise.values()))
  assert row.dataset in _DATASETS
  if row.dataset in recipes.DATASETS:
    assert set(row.reported) <= set(recipes.DATASETS[row.dataset].protocols)


@pytest.mark.parametrize('table, name', _ROWS)
def test_streams_of_other_classes_get_a_new_classifier(table, name):
  row = thesis_tables.TABLES[table][name]
  assert row.init_from in _DATASETS | {''} and row.init_from != row.dataset
  other_classes = bool(row.init_from) and row.init_from.removesuffix('_mini') != row.dataset.removesuffix('_mini')
  assert recipe_of(row).new_classifier == other_classes


@pytest.mark.parametrize('rows', thesis_tables.TABLES.values(), ids=thesis_tables.TABLES)
def test_rows_of_a_table_are_different_figures(rows):
  figures = [
      (recipes.to_yaml(recipe_of(row)), row.dataset, row.init_from, row.stage, row.stream, row.accuracies,
       row.depth_variant) for row in rows.values()]
  assert len(set(figures)) == len(rows)


def test_noise_levels_are_those_of_the_sweep():
  for row in [*thesis_tables.TABLE_3_3.values(), *thesis_tables.TABLE_4_6.values()]:
    assert tuple(row.noise) in ((), ('1e-3', '1e-2', '1e-1', '1', '10', 'void'))
    assert not row.noise or row.stream == 'sum'  # all that a sweep has


@pytest.mark.parametrize('table, name, protocol, figure', [
    ('3.1', 'step 4', 'cross_view', 77.21),
    ('3.2', '10', 'cross_view', 70.64),
    ('3.2', "11 as in the authors' code", 'cross_subject', 70.47),
    ('3.4', '13', 'cross_view', 74.10),
    ('3.4', '13a', 'cross_subject', 68.47),
    ('4.1', 'hall, 2048, mini', 'cross_subject', 60.95),
    ('4.2', 'spatial conv + 1D conv', 'cross_view', 52.58),
    ('4.3', 'F(x), classes', 'cross_subject', 59.87),
    ('4.4', '18', 'cross_view', 81.43),
    ('4.4', '24', 'cross_view', 71.80),
    ('4.4', '25 nwucla', 'cross_view_3', 91.64),
    ('4.5', 'autoencoder', 'given', 50.52),
    ('5.1', 'ntu120_mini, cmcl, sum', 'cross_subject', 5.28),
    ('5.1', 'uwa3dii, dmcl, oracle', 'cross_view_12_34', 94.96),
    ('5.2', 'nwucla, random_teacher, depth', 'cross_view_1', 57.81),
    ('5.4', 'uwa3dii, dmcl, depth', 'cross_view_12_34', 81.87),
    ('5.5', 'ntu60, dmcl, flow', 'cross_subject', 85.65),
])
def test_figures_are_those_of_the_thesis(table, name, protocol, figure):
  assert thesis_tables.TABLES[table][name].reported[protocol] == figure


def test_figures_under_noise_are_those_of_the_thesis():
  assert thesis_tables.TABLE_3_3['step 2'].noise['1e-1'] == 76.85
  assert thesis_tables.TABLE_4_6['NTU, two-stream'].noise['1e-1'] == 68.99
  assert thesis_tables.TABLE_4_6['NYUD, two-stream'].noise['void'] == 47.44
  assert thesis_tables.TABLE_4_6['NYUD, ModDrop'].noise['10'] == 25.95


def test_neighbours_are_those_of_the_thesis():
  assert thesis_tables.TABLE_5_3['flow'] == {1: 23.23, 5: 23.96, 10: 25.31, 50: 26.35, 120: 24.53}
  assert thesis_tables.TABLE_5_3['depth'][50] == 15.37 and thesis_tables.TABLE_5_3['rgb'][120] == 12.26


@pytest.mark.parametrize(
    'number, name', [(number, name) for number, curves in thesis_tables.FIGURES.items() for name in curves])
def test_curves_are_of_recipes(number, name):
  curve = thesis_tables.FIGURES[number][name]
  recipe = recipe_of(thesis_tables.Row(
      curve.method, curve.settings, curve.stage, '', {curve.protocol: None}, dataset=curve.dataset))
  assert curve.stage in recipe.stages or (curve.stage == 'switch' and recipe.has_switch)


def test_every_table_and_figure_is_a_report():
  assert set(thesis_tables.TITLES) == {
      f'table_{number}'.replace('.', '_') for number in (*thesis_tables.TABLES, '5.3')} | {
      f'figure_{number}'.replace('.', '_') for number in thesis_tables.FIGURES}
