"""Question 5 of the evidence, the switch of ADMD under noise, from made-up sweeps."""

import json

import pytest

from tests import made_up_runs
from tests.test_evidence import A, B
from tf_privinfo import recipes
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.reports import evidence, results
from tf_privinfo.utils import atomic, errors

SAMPLES = 8
# Level -> number of hits: of trusted depth in three runs, and of the switch in all. Hallucinated depth always has 6.
HITS = {level: ((8, 8, 8), 8) for level in NOISE_LEVELS} | {
    '1e-1': ((8, 8, 8), 7), '1': ((8, 0, 4), 6), '10': ((0, 0, 0), 0), 'void': ((1, 1, 1), 6)}


def admd(protocol, seed):
  return made_up_runs.recipe_of('admd', seed, {
      'modalities': 'rgb,depth', 'data.hold_out': 0.1, 'data.samples_per_class': 2, 'clips.test_clips': 1},
                                dataset='recordings', protocol=protocol, preset='small')


def classes(protocol, **hits):
  names = [f'{protocol}_{number}' for number in range(SAMPLES)]
  return {'names': names[::-1], 'labels': [0] * SAMPLES, 'predicted': {
      stream: [0 if number < count else 1 for number in range(SAMPLES)][::-1] for stream, count in hits.items()}}


def sweep(protocol, run):
  streams = {f'{name}/{level}': count for level, (trusted, switched) in HITS.items()
             for name, count in (('trusted', trusted[run]), ('switched', switched))}
  return classes(protocol, hallucinated=6, **streams)


def write(root, recipe, **noise):
  directory = made_up_runs.write_run(root / 'asl_clips', recipe, predictions=classes(recipe.protocol, sum=6),
                                     confusion={})
  curve = {'auc': 0.5, 'thresholds': [0.5] * 100}
  atomic.write(directory / 'noise.json', json.dumps({
      **made_up_runs.origin(recipe), 'stages': {}, 'switch': {
          'levels': {level: {'switched': 0.5} for level in NOISE_LEVELS}, 'roc': {'void': curve}}, **noise}))
  return directory


@pytest.fixture
def selection(tmp_path, monkeypatch):
  """Three runs with sweeps, and one whose sweep is of an earlier version."""
  monkeypatch.setattr(evidence, 'QUESTIONS', {name: evidence.QUESTIONS[name] for name in ('Q4a', 'Q5')})
  root = tmp_path / 'runs'
  for run, (protocol, seed) in enumerate(((A, 0), (A, 1), (B, 0))):
    write(root, admd(protocol, seed), predictions=sweep(protocol, run))
  write(root, admd(A, 2))
  return results.RunSelection(root)


def test_switch_beside_its_better_branch(selection):
  """The better branch of '1' is hallucinated on average, although one run has the other one."""
  page = evidence.build(selection)
  [table] = page.tables
  assert table.caption == 'Q5: The switch of ADMD under noise against its better branch'
  assert {row[:2] + row[-1:] for row in table.rows} == {('asl_clips', '2', '3')}
  of_levels = {row[2]: row[3:-1] for row in table.rows}
  assert list(of_levels) == list(NOISE_LEVELS)
  same = '+0.0', '+0.0 to +0.0', 'holds'
  assert of_levels['0'] == ('100.0', '75.0', '100.0', 'trusted', *same)
  assert of_levels['1'] == ('50.0', '75.0', '75.0', 'hallucinated', *same)
  assert of_levels['void'] == ('12.5', '75.0', '75.0', 'hallucinated', *same)
  assert of_levels['1e-1'][2:5] == ('87.5', 'trusted', '-12.5') and of_levels['1e-1'][-1] == 'open'
  assert of_levels['10'][2:5] == ('0.0', 'hallucinated', '-75.0') and of_levels['10'][-1] == 'fails'
  record = page.records[NOISE_LEVELS.index('1e-1')]
  assert (record['stream'], record['baseline_stream']) == ('switched/1e-1', 'trusted/1e-1')
  assert (record['baseline'], record['arm'], record['difference']) == pytest.approx((100, 87.5, -12.5))
  assert list(page.plots) == ['Q5_asl_clips']


def test_levels_without_a_sweep_have_no_row(selection):
  predictions = classes(A, **{'hallucinated': 6, 'trusted/0': 8, 'switched/0': 8})
  write(selection.output_dir, admd(A, 0), predictions=predictions)
  runs = {row[2]: (row[4], row[-1]) for row in evidence.build(selection).tables[0].rows}
  assert runs == {level: ('75.0', '3' if level == '0' else '2') for level in NOISE_LEVELS}


def test_sweeps_of_earlier_versions_have_no_row(tmp_path, monkeypatch):
  monkeypatch.setattr(evidence, 'QUESTIONS', {'Q5': evidence.QUESTIONS['Q5']})
  write(tmp_path, admd(A, 0))
  with pytest.raises(errors.UserError, match='no results of the plan'):
    evidence.build(results.RunSelection(tmp_path))


def test_commands_sweep_each_run_right_after_its_training(selection):
  found = evidence.missing(selection)
  assert len(found) == len(set(found))
  noise = f'--noise={",".join(NOISE_LEVELS)}'
  swept = {command[1].partition('=')[2]: place for place, command in enumerate(found) if command[-1] == noise}
  root = selection.output_dir / 'asl_clips'
  for protocol, seed in ((A, 0), (A, 1), (B, 0)):
    assert str(recipes.run_directory(admd(protocol, seed), root)) not in swept
  assert found[swept[str(recipes.run_directory(admd(A, 2), root))]][0] == 'eval_main'
  trained = {(flags['--protocol'], flags['--seed']): place for place, command in enumerate(found)
             if '--method=admd' in command and '--set=data.samples_per_class=2' in command
             for flags in [dict(flag.split('=', 1) for flag in command[1:])]}
  assert set(trained) == {(B, '1'), (B, '2')}
  for (protocol, seed), place in trained.items():
    assert swept[str(recipes.run_directory(admd(protocol, int(seed)), root))] == place + 1
  assert len(swept) == 3 * (4 * 2 + 2 * 5 + 3 * 3) - 3  # seeds, sizes and protocols of the studies; three are there


def test_what_is_kept_makes_the_same_page(selection, tmp_path):
  """Sweeps without ROC curves; runs that are not of the plan are not copied."""
  other = recipes.override(admd(A, 0), {'data.samples_per_class': 3})
  write(selection.output_dir, other, predictions=sweep(A, 0))
  evidence.keep(selection, tmp_path / 'kept')
  kept = sorted((tmp_path / 'kept').rglob('*.[jy]*'))
  assert sorted(path.name for path in kept) == 3 * ['noise.json'] + 4 * ['recipe.yaml'] + 4 * ['results.json']
  noise, = [json.loads(path.read_text()) for path in kept if path.name == 'noise.json' and 'seed1' in str(path)]
  assert noise['switch']['roc'] == {'void': {'auc': 0.5}} and noise['predictions'] == sweep(A, 1)
  assert evidence.build(results.RunSelection(tmp_path / 'kept')) == evidence.build(selection)
