"""The report of docs/evidence.md: its cells, commands and tables, from made-up and from the committed results."""

import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from tests import made_up_runs
from tests.test_pooling import predictions
from tf_privinfo import recipes
from tf_privinfo.reports import evidence, pages, results
from tf_privinfo.utils import errors

KEPT = pathlib.Path(__file__).parents[1] / 'docs/evidence'
A, B = evidence.STUDIES['asl_clips'].protocols


def write(root, method, seed, protocol, *right):
  recipe = made_up_runs.recipe_of(method, seed, {
      'modalities': 'rgb,depth', 'data.hold_out': 0.0, 'data.samples_per_class': 5,
      'clips.test_clips': 1}, dataset='recordings',
                                  protocol=protocol, preset='small')
  made_up_runs.write_run(root / 'asl_clips', recipe, predictions=predictions(*right), confusion={}, class_accuracy={})


@pytest.fixture
def selection(tmp_path, monkeypatch):
  """The first question alone. Two seeds of one protocol, one of the other, and a seed of which one arm is missing."""
  monkeypatch.setattr(evidence, 'QUESTIONS', {'Q1': evidence.QUESTIONS['Q1']})
  root = tmp_path / 'runs'
  for seed, protocol in ((0, A), (1, A), (0, B)):
    write(root, 'independent', seed, protocol, 1, 0, 0, 0)
    write(root, 'dmcl', seed, protocol, 1, 1, 0, seed)
  write(root, 'dmcl', 2, A, 0, 0, 0, 0)
  return results.RunSelection(root, data_dir='/native')


def test_only_pairs_count(selection):
  page = evidence.build(selection)
  [table] = page.tables
  assert table.caption.startswith('Q1') and list(page.plots) == ['Q1']
  rgb, fused = table.rows
  assert rgb[:6] == ('asl_clips', '5', 'rgb', '25.0', '58.3', '+33.3') and rgb[8] == '3'
  assert fused[:7] == ('asl_clips', '5', 'sum', '100.0', '100.0', '+0.0', '+0.0 to +0.0') and fused[7] == 'no'


def test_commands_follow_the_plan(selection):
  """The fewest samples first, and the runs of a pair one after the other."""
  found = evidence.missing(selection)
  flags = [dict(flag.split('=', 1) for flag in command[1:]) for command in found]
  assert {flag['--data_dir'] for flag in flags if flag['--dataset'] == 'recordings'} == {
      '/native/asl_clips', '/native/mouths'}
  first, second = flags[:2]
  assert (first['--method'], second['--method']) == ('independent', 'dmcl')
  assert {**first, '--method': 'dmcl'} == second
  assert '--set=data.samples_per_class=2' in found[0] and len(found) == len(set(found))
  five = [command for command in found if '--set=data.samples_per_class=5' in command and '--method=dmcl' in command]
  assert len(five) == 2 * 5 - 4  # two protocols, five seeds, four runs that are there


def test_what_is_kept_makes_the_same_page(selection, tmp_path):
  evidence.keep(selection, tmp_path / 'kept')
  kept = list((tmp_path / 'kept').rglob('*.[jy]*'))
  assert {path.name for path in kept} == {'recipe.yaml', 'results.json'} and len(kept) == 14
  shutil.rmtree(selection.output_dir)
  page = evidence.build(results.RunSelection(tmp_path / 'kept'))
  assert page.tables[0].rows[0][5] == '+33.3'


def test_no_results_are_said(tmp_path, monkeypatch):
  monkeypatch.setattr(evidence, 'QUESTIONS', {'Q1': evidence.QUESTIONS['Q1']})
  with pytest.raises(errors.UserError, match='no results of the plan'):
    evidence.build(results.RunSelection(tmp_path))


def test_every_arm_of_the_plan_has_a_recipe():
  for cell in evidence.cells():
    question = evidence.QUESTIONS[cell.question]
    for wanted in [wanted for arm in question.arms for wanted in cell.wanted(arm)]:
      recipe = results.recipe_of(cell.selection(results.RunSelection(KEPT)), wanted.method, wanted.dataset,
                                 wanted.protocol, 0, wanted.settings)
      assert recipe.data.samples_per_class == cell.per_class
      if wanted.method == 'ensemble' and cell.question == 'Q3':
        steps = sum(stage.epochs for stage in recipe.stages.values())
        distillation = recipes.recipe('modality_distillation', wanted.dataset, wanted.protocol, 'small')
        assert steps == sum(stage.epochs for stage in distillation.stages.values())


def test_the_committed_page_is_that_of_the_committed_results():
  page = evidence.build(results.RunSelection(KEPT))
  stored = (KEPT / 'reports/evidence/report.md').read_text(encoding='utf-8')
  assert [line for line in pages.text(page).splitlines() if line.startswith('| ')] == [
      line for line in stored.splitlines() if line.startswith('| ')]


def test_the_table_of_the_games_is_that_of_the_committed_results():
  """Seeds 0 to 4 of each discriminator, in the order of the options of the page."""
  page = (KEPT.parent / 'evidence.md').read_text(encoding='utf-8')
  games = {'none': '', 'discriminator.form=spectral': 'discriminator.form=spectral-discriminator.hidden=2048,1024-',
           'discriminator.form=plain': 'discriminator.form=plain-discriminator.hidden=2048,1024-',
           'discriminator.rate=0.3': 'discriminator.rate=0.3-', 'commit': 'stages.game.weight_average=0.995-'}
  measured = {}
  for option, changed in games.items():
    kept = sorted((KEPT / 'admd_game/recordings/admd').glob(f'*-seed?-{changed}stages.watch.epochs=0/results.json'))
    stages = [json.loads(path.read_text(encoding='utf-8'))['stages'] for path in kept]
    measured[option] = {
        int(path.parent.name.partition('-seed')[2][0]): [
            100 * of['game']['accuracy']['hall'], 100 * of['fused']['accuracy']['sum']]
        for path, of in zip(kept, stages)}
    row, = [line for line in page.splitlines() if line.startswith('|') and option in line.split('|')[2]]
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells[2] == ', '.join(
        f'{measured[option][seed][0]:.1f}' if seed in measured[option] else '-' for seed in range(5))
    if option != 'none':
      pairs = [(np.array(of_seed) - measured['none'][seed]) for seed, of_seed in measured[option].items()]
      assert cells[3:] == [f'{difference:+.1f}' for difference in np.mean(pairs, 0)]


def test_the_table_of_the_games_on_real_clips_is_that_of_the_committed_results():
  page = (KEPT.parent / 'evidence.md').read_text(encoding='utf-8')
  for pattern, name in (('*=5-stages.watch*', 'batch norm, as in the authors'), ('*form=spectral*', 'spectral norm')):
    kept = sorted((KEPT / 'admd_game_asl_clips/recordings/admd').glob(f'{pattern}/results.json'))
    halls = [json.loads(path.read_text(encoding='utf-8'))['stages']['game']['accuracy']['hall'] for path in kept]
    *_, row = [line for line in page.splitlines() if line.startswith(f'| {name}')]
    assert row.split('|')[2].strip() == ', '.join(f'{100 * hall:.1f}' for hall in halls) and len(halls) == 5


def test_the_table_of_changed_games_is_that_of_the_committed_results():
  page = (KEPT.parent / 'evidence.md').read_text(encoding='utf-8')
  of_runs = json.loads((KEPT / 'game_seeds/game_seeds.json').read_text(encoding='utf-8')).values()
  for change in next(iter(of_runs)):
    row, = [line for line in page.splitlines() if re.match(rf'\| {change}( \||:)', line)]
    assert row.split('|')[2].strip() == ', '.join(f'{100 * of_run[change]:.1f}' for of_run in of_runs)
