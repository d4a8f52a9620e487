"""Pages of reports from run directories that are made up."""

import csv
import html.parser
import json
import subprocess
import sys

import cv2
import pytest

from tests import command_line
from tests.made_up_runs import ACCURACY, origin, recipe_of, write_run
from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.reports import commands, ranking, results, thesis_report, thesis_tables
from tf_privinfo.utils import atomic, errors

NOISE = dict.fromkeys(NOISE_LEVELS, 0.5)


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
          stage: {'reads': ['rgb'], 'accuracy': streams} for stage in recipe.stages if stage != 'watch'},
                predictions={'names': list(range(8)), 'labels': [0] * 8, 'predicted': {
                    'rgb': [0] * int(8 * share) + [1] * int(8 - 8 * share)}})
  selection = results.RunSelection(tmp_path, 'synthetic', 'tiny', seeds=(0, 1, 2), methods=('two_stream', 'admd'))
  page = thesis_report.build('methods', selection, results.ResultFiles(tmp_path))
  final, paired, first, second = page.tables
  assert [row[3] for row in final.rows] == ['2 of 3', '3 of 3'] and final.rows[0][5] == '62.50 ± 17.68'
  assert paired.rows[0][:3] == ('admd - two_stream', 'rgb', '-6.2')  # of 12.5 and -25
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
    (['--compare=nowhere', '--compare=there'], 'nowhere has no results.json'),
    (['--compare=nowhere', '--run_missing'], '--compare does not read --run_missing:'),
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
