"""Reports from run directories that are made up: what is matched, what is not, and the pages."""

import csv
import html.parser
import json
import statistics
import subprocess
import sys

from absl.testing import flagsaver
import cv2
import pytest

from tests import command_line
from tf_privinfo import recipes
from tf_privinfo.recipes import settings
from tf_privinfo.reports import commands, ranking, results, thesis_report, thesis_tables
from tf_privinfo.utils import atomic, errors
import train_main

ACCURACY = {'rgb': 0.5, 'depth': 0.25, 'flow': 0.75, 'sum': 0.625, 'oracle': 0.875}
NOISE = {level: 0.5 for level in ('0', *thesis_tables.NOISE)}


def recipe_of(method='dmcl', seed=0, values=(), *, dataset='synthetic', protocol='cross_view_1', preset='tiny',
              variant='code'):
  return settings.override(recipes.recipe(method, dataset, protocol, preset, variant, seed), dict(values))


def origin(recipe):
  return {**{field: getattr(recipe, field) for field in (
      'method', 'dataset', 'protocol', 'preset', 'variant', 'seed')}, 'split': 'test', 'samples': 40}


def write_run(root, recipe, accuracy=ACCURACY, folder=None, **changed):
  """A run directory with results for every stage, and a noise sweep."""
  directory = root / recipe.dataset / recipe.method / (folder or recipes.run_name(recipe))
  streams = {'rgb': 0.5, 'depth': 0.25, 'hall': 0.375, **accuracy}
  atomic.write(directory / 'recipe.yaml', recipes.to_yaml(recipe))
  atomic.write(directory / 'results.json', json.dumps({
      **origin(recipe), 'stages': {stage: {'accuracy': streams} for stage in recipe.stages}, **changed}))
  return directory


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


@pytest.fixture
def no_pictures(monkeypatch):
  for plot in ('paper_beside_measured', 'curves'):
    monkeypatch.setattr(thesis_report.plots, plot, lambda *_: {'png': b'', 'svg': b''})


def test_what_a_dataset_has_no_recipe_for_is_said(tmp_path, no_pictures):
  selection = results.RunSelection(tmp_path, 'synthetic_objects', 'tiny')
  page = thesis_report.build('table_3_2', selection, results.ResultFiles(tmp_path))
  assert any('has no stage finetune' in note for note in page.notes)
  assert any('connections.direction' in note for note in page.notes)
  rows = page.tables[0].rows
  assert {row[5] for row in rows if row[0] in ('10', '15')} == {'-'} and 'not run' in {row[5] for row in rows}


class Page(html.parser.HTMLParser):
  """Elements of a page, and whether they are closed."""

  def __init__(self, text):
    super().__init__()
    self.elements, self.open = [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    if tag not in ('meta', 'link', 'img'):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def of(self, tag):
    return [attributes for name, attributes in self.elements if name == tag]


def two_seeds(root):
  return results.RunSelection(root, 'synthetic', 'tiny', seeds=(0, 1))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  """Reports of a table and two figures, from runs of two seeds."""
  tmp_path = tmp_path_factory.mktemp('runs')
  for seed in (0, 1):
    for method in ('independent', 'dmcl'):
      directory = write_run(tmp_path, recipe_of(method, seed), {**ACCURACY, 'rgb': 0.5 + seed / 10})
      history = [{f'{quantity}/{stream}': 2 / epoch for quantity in ('loss_hard', 'accuracy') for stream in ACCURACY}
                 for epoch in (1, 2, 4)]
      atomic.write(directory / 'ensemble/history.json', json.dumps(history))
      atomic.write(directory / 'ensemble/finished.json', '{}')
    recipe = recipe_of('admd', seed)
    atomic.write(write_run(tmp_path, recipe) / 'noise.json', json.dumps({
        **origin(recipe), 'stages': {}, 'switch': {'levels': {
            level: {'trusted': 0.5, 'fake_probability': 0.25 * (seed + 1)} for level in NOISE}}}))
  for name in ('table_5_1', 'figure_5_3', 'figure_4_5'):
    thesis_report.write(name, two_seeds(tmp_path), run_missing=False)
  return tmp_path / 'reports/synthetic'


def folder(name):
  return f'{name}-tiny-seeds0,1'


def test_formats(written):
  for name in map(folder, ('table_5_1', 'figure_5_3', 'figure_4_5')):
    text = (written / name / 'report.html').read_text()
    page = Page(text)
    assert not page.open and page.of('html') == [{'lang': 'en'}]
    pictures = list((written / name).glob('*.svg'))
    assert len(page.of('img')) == len(pictures) == 1
    assert all(image['alt'] and image['src'].startswith('data:image/svg+xml;base64,') for image in page.of('img'))
    assert 'http' not in text and not page.of('script') and page.of('link') == [{'rel': 'icon', 'href': 'data:,'}]
    assert cv2.imread(str(pictures[0].with_suffix('.png'))).ndim == 3
    assert f'({pictures[0].stem}.png)' in (written / name / 'report.md').read_text()
  assert not list(written.glob('**/*.tmp'))


def test_a_table_has_the_thesis_beside_the_runs(written):
  with open(written / folder('table_5_1') / 'report.csv', encoding='utf-8') as file:
    records = list(csv.DictReader(file))
  [nwucla] = [record for record in records if record['row'] == 'dmcl, rgb' and 'nwucla' in record['thesis_on']]
  assert [nwucla[column] for column in ('thesis', 'dataset', 'samples', 'seeds')] == ['93.64', 'synthetic', '40', '0 1']
  assert float(nwucla['mean']) == pytest.approx(55)
  assert float(nwucla['standard_deviation']) == pytest.approx(7.0711, rel=1e-4)
  text = (written / folder('table_5_1') / 'report.md').read_text()
  [line] = [line for line in text.splitlines() if line.startswith('| dmcl, rgb ') and 'ensemble, rgb' in line]
  assert '93.64 (nwucla, cross_view_1)' in line and '55.00 ± 7.07' in line and '2 of 2' in line
  assert 'The thesis has no figures on synthetic' in text
  assert 'python train_main.py --method=smcl --dataset=synthetic --protocol=cross_view_1 --preset=tiny' in text


def measured_row(label, figure, *accuracies):
  wanted = results.of_row(label, thesis_tables.Row('dmcl', {}, 'ensemble', 'rgb', {'cross_view_1': figure}))[0]
  return results.MeasuredValue(wanted, values=dict(enumerate(accuracies)))


def test_the_order_of_rows_is_counted_in_pairs():
  measured_values = [measured_row('best', 80, 0.75, 0.875, 0.75), measured_row('middle', 70, 0.5, 0.5, 0.625),
             measured_row('other', 70, 0.625, 0.625), measured_row('worst', 60, 0.5, 0.75, 0.5),
             measured_row('not run', 50)]
  found = {(pair.above.wanted.name, pair.below.wanted.name): pair for pair in ranking.pairs(measured_values)}
  # Not the two with the same figure, and none of what was not run.
  assert list(found) == [('best', 'middle'), ('best', 'other'), ('best', 'worst'), ('middle', 'worst'),
                         ('other', 'worst')]
  assert found['best', 'middle'].measured == {0: 25, 1: 37.5, 2: 12.5} and found['best', 'middle'].thesis == 10
  assert found['best', 'other'].measured == {0: 12.5, 1: 25}
  # Even with one seed, so not decided by all; and as often above as below.
  assert (found['middle', 'worst'].holds, found['middle', 'worst'].decided) == (False, False)
  assert (found['other', 'worst'].mean, found['other', 'worst'].holds) == (0, False)
  assert str(ranking.count([*found.values()])) == '3 of 5; where all seeds agree 3 of 3'
  assert str(ranking.count([found['middle', 'worst']])) == '0 of 1'


def test_one_seed_decides_nothing():
  [pair] = ranking.pairs([measured_row('best', 80, 0.5), measured_row('worst', 60, 0.75)])
  assert not pair.decided and not pair.holds and pair.mean == -25


def test_a_report_names_the_rows_that_are_the_other_way_around(written, no_pictures):
  root = written.parent.parent
  _, order, reversed_ = thesis_report.build('table_5_1', two_seeds(root), results.ResultFiles(root)).tables
  assert len(order.rows) == 4 and order.rows[0][0] == 'nwucla, cross_view_1'
  assert ('dmcl, rgb', 'dmcl, sum', '+0.36 (nwucla, cross_view_1)', '-7.50') in reversed_.rows
  # Both have the same accuracies here, which is no other order.
  assert not any(above.startswith('independent') and below.startswith('dmcl') and above[12:] == below[5:]
                 for above, below, *_ in reversed_.rows)


def test_the_page_of_all_reports_leads_to_each(tmp_path, no_pictures, capsys):
  for seed in (0, 1):
    for method in ('independent', 'dmcl'):
      write_run(tmp_path, recipe_of(method, seed))
  thesis_report.write('all', two_seeds(tmp_path), run_missing=False)
  directory = tmp_path / 'reports/synthetic' / folder('all')
  assert capsys.readouterr().out.strip().splitlines()[-1].startswith(f'Everything is in {directory}: ')
  links = [link['href'] for link in Page((directory / 'report.html').read_text()).of('a')]
  assert links == [f'../{folder(name)}/report.html' for name in thesis_tables.TITLES]
  assert all((directory / link).is_file() for link in links)
  [line] = [line for line in (directory / 'report.md').read_text().splitlines()
            if f'[Table 5.1](../{folder("table_5_1")}/report.md)' in line]
  assert '| 6 of 12 ' in line and 'where all seeds agree' in line
  with open(directory / 'report.csv', encoding='utf-8') as file:
    record = {record['report']: record for record in csv.DictReader(file)}['table_5_1']
  assert (record['rows'], record['measured_rows']) == ('12', '6')
  assert 0 < int(record['decided_pairs_as_in_thesis']) < int(record['decided_pairs']) < int(record['pairs'])


def test_figures_have_the_curves_of_the_runs(written):
  with open(written / folder('figure_5_3') / 'report.csv', encoding='utf-8') as file:
    records = list(csv.DictReader(file))
  loss = [record for record in records if record['row'] == 'flow, cross entropy']
  assert [(record['x'], float(record['mean'])) for record in loss] == [('1', 2), ('2', 1), ('3', 0.5)]
  with open(written / folder('figure_4_5') / 'report.csv', encoding='utf-8') as file:
    records = list(csv.DictReader(file))
  fake = [float(record['mean']) for record in records if record['row'] == 'discriminator']
  assert fake == pytest.approx([0.375] * len(NOISE))
  assert ['47.44'] == [
      record['thesis'] for record in records if record['x'] == 'void' and record['row'] == 'two streams']


def test_methods_are_compared_seed_by_seed_and_stage_by_stage(tmp_path, no_pictures):
  for method, rgb in (('two_stream', (0.5, 0.75)), ('admd', (0.625, 0.5, 0.25))):
    for seed, share in enumerate(rgb):
      recipe = recipe_of(method, seed)
      streams = {'rgb': share, 'sum': share, 'oracle': share}
      write_run(tmp_path, recipe, stages={
          stage: {'reads': ['rgb'], 'accuracy': streams} for stage in recipe.stages if stage != 'watch'})
  selection = results.RunSelection(tmp_path, 'synthetic', 'tiny', seeds=(0, 1, 2), methods=('two_stream', 'admd'))
  page = thesis_report.build('methods', selection, results.ResultFiles(tmp_path))
  final, paired, first, second = page.tables
  assert [row[3] for row in final.rows] == ['2 of 3', '3 of 3'] and final.rows[0][5] == '62.50 ± 17.68'
  assert paired.rows[0][1] == '-6.25 ± 26.52'  # of 12.5 and -25
  assert [row[0] for row in first.rows] == ['rgb', 'depth', 'joint']
  assert [row[0] for row in second.rows] == ['rgb', 'depth', 'joint', 'game', 'fused']
  assert len(page.commands) == 1 and '--method=two_stream' in page.commands[0] and '--seed=2' in page.commands[0]


def test_an_unfinished_stage_gives_no_curve(tmp_path):
  directory = write_run(tmp_path, recipe_of('independent'))
  atomic.write(directory / 'ensemble/history.json', json.dumps([{'loss_hard/rgb': 1.0}]))
  wanted = results.of_curve('rgb', thesis_tables.FIGURES['5.3']['rgb, cross entropy'])
  selection = results.RunSelection(tmp_path, 'synthetic', 'tiny')
  measured = lambda: results.find(
      results.move_to_dataset([wanted], 'synthetic')[0], selection, results.ResultFiles(tmp_path))
  assert not measured().values
  atomic.write(directory / 'ensemble/finished.json', '{}')
  assert measured().values == {0: {'1': 1.0}}


@pytest.mark.parametrize('name', thesis_tables.TITLES)
def test_every_report_of_no_runs_says_how_to_run_it(tmp_path, name, no_pictures):
  dataset = 'synthetic_objects' if name == 'table_4_5' else 'synthetic'
  page = thesis_report.build(name, results.RunSelection(tmp_path, dataset, 'tiny'), results.ResultFiles(tmp_path))
  assert page.title and page.records and page.commands and all(
      line.startswith(('python train_main.py --', 'python eval_main.py --')) for line in page.commands)
  assert len({len(row) for row in (page.tables[0].header, *page.tables[0].rows)}) == 1


def test_the_failure_of_a_run_is_told_when_the_report_is_written(tmp_path, monkeypatch):
  started = []
  monkeypatch.setattr(commands.subprocess, 'run', lambda command, check: (
      started.append(command[2:]) or subprocess.CompletedProcess(command, int('--method=smcl' in command))))
  with pytest.raises(errors.UserError, match='these commands failed.*--method=smcl'):
    thesis_report.write('table_5_1', results.RunSelection(tmp_path, 'synthetic', 'tiny'), run_missing=True)
  assert len(started) == 4 and {command[0] for command in started} == {'train_main'}
  assert (tmp_path / 'reports/synthetic/table_5_1-tiny/report.html').exists()


def test_no_report_overwrites_one_of_something_else(tmp_path, no_pictures, monkeypatch):
  folders = []
  monkeypatch.setattr(thesis_report.pages, 'write', lambda page, folder: folders.append(folder))
  for changed in ({}, {'dataset': ''}, {'preset': ''}, {'variant': 'thesis'}, {'seeds': (0, 1)},
                  {'values': {'loser.temperature': '3'}}):
    selection = results.RunSelection(tmp_path, **{'dataset': 'nwucla', 'preset': 'tiny', **changed})
    thesis_report.write('table_5_2', selection, run_missing=False)
  for methods in (('dmcl', 'smcl'), ('dmcl', 'cmcl')):
    thesis_report.write('methods', results.RunSelection(tmp_path, 'nwucla', methods=methods), run_missing=False)
  assert [str(folder.relative_to(tmp_path / 'reports')) for folder in folders] == [
      'nwucla/table_5_2-tiny', 'thesis/table_5_2-tiny', 'nwucla/table_5_2', 'nwucla/table_5_2-tiny-thesis',
      'nwucla/table_5_2-tiny-seeds0,1', 'nwucla/table_5_2-tiny-loser.temperature=3', 'nwucla/methods-dmcl-smcl',
      'nwucla/methods-dmcl-cmcl']


@pytest.mark.parametrize('flags, words', [
    (['--report=table_9_9'], 'choose one of table_3_1'),
    (['--report=table_5_1', '--dataset=imagenet'], 'Unknown --dataset=imagenet'),
    (['--report=methods', '--dataset=nwucla', '--methods=dmcl,dmlc'], 'Unknown --methods=dmlc'),
    (['--report=table_5_1', '--output_dir=nowhere'], 'There are no runs: nowhere is not a folder'),
    (['--report=methods', '--methods=dmcl'], '--report=methods needs --methods and --dataset'),
    (['--report=table_5_1', '--seeds=a'], '--seeds=a must be numbers'),
    (['--report=table_5_1', '--methods=dmcl', '--output_dir=.'], '--report=table_5_1 does not read --methods'),
    (['--report=table_5_1', '--noise=0', '--run_dir=run'], '--report does not read --noise, --run_dir:'),
    (['--compare=nowhere,there'], 'nowhere has no results.json'),
    (['--compare=nowhere,there', '--run_missing'], '--compare does not read --run_missing:'),
    (['--random_features'], '--random_features needs --dataset'),
    (['--run_dir=run', '--noise=0', '--depth_variant=fcrn'], '--noise does not read --depth_variant:'),
    (['--noise=0'], 'Pass --run_dir'),
    ([], 'Pass --run_dir'),
])
def test_mistakes_end_in_one_sentence(flags, words):
  assert words in command_line.fail('eval_main', *flags)


def test_results_are_read_without_tensorflow():
  code = 'import sys; from tf_privinfo.reports import compare, thesis_report; print(*sys.modules)'
  modules = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout.split()
  assert 'tf_privinfo.reports.thesis_report' in modules
  assert not {'tensorflow', 'matplotlib', 'sklearn', 'scipy'} & set(modules)


@pytest.mark.slow
def test_what_is_missing_is_run_once(tmp_path):
  """Table 5.3 and figure 5.3 from one run of `independent` on a tiny rendering; minutes."""
  def report(name):
    return subprocess.run(
        [sys.executable, 'eval_main.py', f'--report={name}', '--dataset=synthetic', '--preset=tiny', '--run_missing',
         f'--output_dir={tmp_path / "runs"}', f'--data_dir={tmp_path / "data"}'],
        cwd=command_line.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout

  for name in ('table_5_3', 'figure_5_3'):
    out = report(name)
    assert '[1/1] python ' in out and 'not run' not in out
    assert out.strip().splitlines()[-1].startswith(f'Everything is in {tmp_path}')
  assert '[1/1]' not in report('table_5_3') + report('figure_5_3')
