"""Which results of run directories a report reads, and the commands for those that are missing."""

import json
import statistics

from absl.testing import flagsaver
import pytest

from tests.made_up_runs import ACCURACY, origin, recipe_of, write_run
from tf_privinfo import recipes
from tf_privinfo.reports import results, thesis_tables
from tf_privinfo.utils import atomic
import train_main


def ask(root, method='dmcl', stage='ensemble', stream='rgb', values=(), seeds=(0,), preset='tiny', variant='code',
        **row):
  row = thesis_tables.Row(method, dict(values), stage, stream, {'cross_view_1': 93.64}, **{'dataset': 'nwucla', **row})
  selection = results.RunSelection(root, 'synthetic', preset, variant, seeds)
  [wanted] = results.move_to_dataset(results.of_row('row', row), 'synthetic')
  return results.find(wanted, selection, results.ResultFiles(root))


def test_a_figure_is_found_by_the_recipe_wherever_the_run_lies(tmp_path):
  write_run(tmp_path, recipe_of(), folder='moved')
  measured = ask(tmp_path)
  assert measured.values == {0: 0.5} and measured.samples == (40,) and not measured.commands
  assert measured.wanted.paper == (('nwucla, cross_view_1', 93.64),)
  assert (measured.wanted.dataset, measured.wanted.protocol) == ('synthetic', 'cross_view_1')


def test_step_3_is_asked_without_depth_and_with_depth_injected(tmp_path):
  """Of the same run: what a deployed stream has, and what the authors' code prints."""
  recipe = recipe_of('modality_distillation', values={'hallucination.map_share': 0.5})
  write_run(tmp_path, recipe, stages={'hallucination': {
      'accuracy': {'hall': 0.125}, 'accuracy_with_true_depth': {'hall': 0.75}}})
  selection, known = results.RunSelection(tmp_path, 'synthetic', 'tiny'), results.ResultFiles(tmp_path)
  wanted_values = [wanted for name in ('13', "13 as in the authors' code")
               for wanted in results.of_row(name, thesis_tables.TABLE_3_2[name])]
  alone, injected = (results.find(wanted, selection, known)
                     for wanted in results.move_to_dataset(wanted_values, 'synthetic'))
  assert (alone.values, alone.reads, alone.wanted.condition) == ({0: 0.125}, 'rgb', '')
  assert (injected.values, injected.reads, injected.wanted.condition) == ({0: 0.75}, 'rgb + depth', 'true depth')
  assert alone.wanted.paper == injected.wanted.paper


@pytest.mark.parametrize('changed', [
    {'protocol': 'cross_view_2'}, {'variant': 'thesis'}, {'preset': 'small'}, {'seed': 1}, {'method': 'smcl'},
    {'values': {'loser.temperature': 5}}, {'values': {'mixed_precision': True}},
    {'values': {'init_from': 'elsewhere'}}])
def test_runs_of_other_recipes_are_not_read_even_under_the_right_name(tmp_path, changed):
  other = recipe_of(**changed)
  directory = write_run(tmp_path, other, folder=recipes.run_name(recipe_of()))
  directory.rename(tmp_path / 'run')
  (tmp_path / 'synthetic/dmcl').mkdir(parents=True, exist_ok=True)
  (tmp_path / 'run').rename(tmp_path / 'synthetic/dmcl' / recipes.run_name(recipe_of()))
  measured = ask(tmp_path)
  assert not measured.values and len(measured.commands) == 1


@pytest.mark.parametrize('changed', [
    {'seed': 1}, {'protocol': 'cross_view_2'}, {'variant': 'thesis'}, {'split': 'validation'}, {'stages': {}}])
def test_results_of_another_origin_are_not_read(tmp_path, changed):
  directory = write_run(tmp_path, recipe_of(), **changed)
  measured = ask(tmp_path)
  assert not measured.values
  evaluation = ('eval_main', f'--run_dir={directory}')
  assert measured.commands[-1] == evaluation if changed == {'stages': {}} else measured.commands[0][0] == 'train_main'


def test_mean_and_deviation_are_of_the_seeds_that_were_run(tmp_path):
  for seed, rgb in enumerate((0.5, 0.6, 0.8)):
    write_run(tmp_path, recipe_of(seed=seed), {**ACCURACY, 'rgb': rgb})
  measured = ask(tmp_path, seeds=(0, 2, 7))
  assert measured.values == {0: 0.5, 2: 0.8} and measured.expected_runs == 3
  assert measured.mean() == pytest.approx(65) and measured.deviation() == pytest.approx(
      100 * statistics.stdev((0.5, 0.8)))
  [[_, *flags]] = measured.commands
  assert '--seed=7' in flags
  assert ask(tmp_path).deviation() is None


@pytest.mark.parametrize('method, stage, stream, values', [
    ('dmcl', 'ensemble', 'sum', {}),
    ('modality_distillation', 'hallucination', 'hall', {
        'connections.direction': 'none', 'hallucination.map_share': 0.5}),
    ('two_stream', 'joint', 'sum', {'stages.joint.epochs': 0, 'data.hold_out': 0.2}),
    ('admd', 'game', 'hall', {'network.bottleneck': 'none', 'discriminator.frame_index': False}),
])
@pytest.mark.parametrize('variant', ['code', 'thesis'])
def test_the_command_for_what_is_not_run_runs_exactly_that(tmp_path, method, stage, stream, values, variant):
  measured = ask(tmp_path, method, stage, stream, values, seeds=(3,), variant=variant)
  [command] = measured.commands
  with flagsaver.flagsaver():
    train_main.FLAGS(command)
    recipe = train_main.resolve_recipe()
  assert recipe == recipe_of(method, 3, values, variant=variant)
  write_run(tmp_path, recipe)
  assert ask(tmp_path, method, stage, stream, values, seeds=(3,), variant=variant).values


def test_the_run_that_a_run_starts_from_is_run_first_and_is_the_one(tmp_path, monkeypatch):
  row = thesis_tables.Row('admd', {'new_classifier': True}, 'fused', 'sum', {'cross_view_3': 90.0}, dataset='nwucla',
                   init_from='synthetic')
  [wanted] = results.of_row('row', row)
  selection = results.RunSelection(tmp_path, preset='tiny')
  first, second = results.find(wanted, selection, results.ResultFiles(tmp_path)).commands
  assert '--dataset=synthetic' in first and '--dataset=nwucla' in second
  start = recipe_of('admd', protocol='cross_view_3')
  directory = write_run(tmp_path, start)
  assert f'--init_from={directory}' in second and '--set=new_classifier=True' in second

  def measured(init_from):
    write_run(tmp_path, recipe_of('admd', 0, {'new_classifier': True, 'init_from': str(init_from)}, dataset='nwucla',
                                  protocol='cross_view_3'))
    return results.find(wanted, selection, results.ResultFiles(tmp_path))

  assert not measured(tmp_path / 'another').values
  monkeypatch.chdir(tmp_path)
  assert measured(directory.relative_to(tmp_path)).values == {0: 0.625}


def test_rows_under_noise_are_read_from_the_sweep(tmp_path):
  sweep = {'noise': {'1e-3': 40.0, 'void': 10.0}}
  row = thesis_tables.Row('two_stream', {}, 'joint', 'sum', {'cross_view_1': 80.0}, dataset='synthetic', **sweep)
  selection = results.RunSelection(tmp_path, preset='tiny')

  def measured_values():
    runs = results.ResultFiles(tmp_path)
    return [results.find(wanted, selection, runs) for wanted in results.of_row('row', row)]

  training, sweeping = measured_values()[1].commands
  assert training[0] == 'train_main' and sweeping[0] == 'eval_main' and sweeping[-1].startswith('--noise=0,1e-3')
  recipe = recipe_of('two_stream')
  directory = write_run(tmp_path, recipe)
  assert f'--run_dir={directory}' in sweeping
  assert [measured.values for measured in measured_values()] == [{0: 0.625}, {}, {}]
  atomic.write(directory / 'noise.json', json.dumps({**origin(recipe), 'stages': {'joint': {'1e-3': 0.5}}}))
  clean, light, void = measured_values()
  assert light.values == {0: 0.5} and not void.values and light.wanted.paper == (('synthetic, cross_view_1', 40.0),)
  assert void.commands == (sweeping,)


def test_a_dataset_of_the_thesis_has_its_own_rows_and_another_one_every_question_once():
  wanted_values = [wanted for name, row in thesis_tables.TABLE_5_1.items() for wanted in results.of_row(name, row)]
  own = results.move_to_dataset(wanted_values, 'uwa3dii')
  assert len(own) == 12 and {wanted.protocol for wanted in own} == {'cross_view_12_34'}
  moved = {(wanted.method, wanted.stream): wanted for wanted in results.move_to_dataset(wanted_values, 'synthetic')}
  assert len(moved) == 12 and moved['dmcl', 'rgb'].name == 'dmcl, rgb'
  assert dict(moved['dmcl', 'rgb'].paper) == {
      'nwucla, cross_view_1': 93.64, 'uwa3dii, cross_view_12_34': 78.39, 'ntu120_mini, cross_subject': 81.25,
      'ntu120, cross_subject': 84.31}
