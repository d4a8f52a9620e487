"""Mistakes of a user: one clear sentence, exit status 1, no traceback."""

import errno
import json
import shutil
from unittest import mock

import pytest
import tensorflow as tf
import yaml

from tests import command_line, in_process, native_files
from tests.command_line import flags
from tf_privinfo import runs, workflow
from tf_privinfo.utils import cli, errors


def refused(*flags):
  """The error of a main job in this process, which `command_line.fail` sees as a message and an exit status."""
  with in_process.one_device(), pytest.raises(errors.UserError) as error:
    in_process.train_main_with(*flags)
  return str(error.value)


@pytest.mark.parametrize('flag, words', [
    ('--method=dmlc', ['--method=dmlc', 'independent']),
    ('--dataset=ucla', ['--dataset=ucla', 'nwucla']),
    ('--preset=large', ['--preset=large', 'small']),
    ('--protocol=cross_subject', ['cross_subject', 'cross_view_1']),
    ('--set=loser.temprature=3', ['loser.temprature', 'temperature']),
    ('--set=loser.temperature', ['key=value']),
    ('--set=stages.ensemble.epochs=ten', ['ten', 'int']),
    ('stray', ['stray']),
])
def test_wrong_flags(flag, words, data_dir, tmp_path):
  message = command_line.fail('train_main', *flags(data_dir, tmp_path, flag))
  assert all(word in message for word in words), message


@pytest.mark.parametrize('flag, words', [
    ('--stage=joint', ['--stage=joint', 'ensemble']),
    ('--init_from=/nowhere', ['/nowhere', 'recipe.yaml']),
    ('--set=modalities=rgb,thermal', ['thermal', 'rgb, depth, flow']),
    ('--batch_size=100', ['--batch_size']),
])
def test_what_does_not_fit_the_data_or_other_runs(flag, words, data_dir, tmp_path):
  message = refused(*flags(data_dir, tmp_path, flag))
  assert all(word in message for word in words), message


def test_missing_data(tmp_path):
  message = command_line.fail('train_main', *flags(tmp_path / 'nowhere', tmp_path))
  assert 'multiview_action/view_1' in message and 'Download' in message and '--dataset=synthetic' in message


def test_truncated_jpeg_and_empty_folder(tmp_path, capsys):
  """Both are listed, or left out with --skip_broken; a shorter modality is cut and told."""
  root = native_files.write_nwucla(tmp_path / 'data', actions=(1, 2, 12), subjects=3)
  broken = root / 'view_2' / 'a01_s01_e00' / 'frame_5_rgb.jpg'
  broken.write_bytes(broken.read_bytes()[:300])
  (root / 'view_3' / 'a12_s02_e00' / 'frame_12_depth_vis.jpg').unlink()
  message = refused(*flags(tmp_path / 'data', tmp_path / 'out'))
  assert 'view_2/a01_s01_e00' in message and 'frame_5_rgb.jpg' in message and '--skip_broken' in message
  (root / 'view_1' / 'a02_s02_e01').mkdir()
  message = refused(*flags(tmp_path / 'data', tmp_path / 'out'))
  assert 'view_1/a02_s02_e01' in message
  assert '--batch_size' in refused(*flags(tmp_path / 'data', tmp_path / 'out', '--skip_broken', '--batch_size=100'))
  printed = capsys.readouterr().out
  assert 'view_2/a01_s01_e00' in printed and 'view_1/a02_s02_e01' in printed and 'skipped' in printed
  assert 'view_3/a12_s02_e00' in printed and 'cut' in printed


def test_unwritable_output_directory(data_dir, tmp_path):
  file = tmp_path / 'file'
  file.write_text('')
  message = refused(*flags(data_dir, file / 'out'))
  assert '--output_dir' in message and str(file) in message


@pytest.mark.parametrize('error, message', [
    (OSError(errno.EACCES, 'Permission denied', '/out/recipe.yaml'), "Permission denied: '/out/recipe.yaml'. Fix"),
    (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device. Fix'),
    (tf.errors.ResourceExhaustedError(None, None, '/out/epoch-1; No space left on device'),
     '/out/epoch-1; No space left on device. Fix')])
def test_what_the_machine_gets_wrong(error, message, monkeypatch):
  monkeypatch.setattr(cli.app, 'run', lambda main: main(['main']))
  with pytest.raises(SystemExit) as end:
    cli.run(mock.Mock(side_effect=error))
  assert str(end.value).startswith(f'Error: {message}')


def test_errors_of_the_program_stay_loud(monkeypatch):
  monkeypatch.setattr(cli.app, 'run', lambda main: main(['main']))
  with pytest.raises(tf.errors.ResourceExhaustedError):
    cli.run(mock.Mock(side_effect=tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating a tensor')))


def test_more_gpus_than_there_are(data_dir, tmp_path):
  with pytest.raises(errors.UserError, match='--num_gpus=3'):
    in_process.train_main_with(*flags(data_dir, tmp_path, '--num_gpus=3'))


def test_run_directory_of_another_recipe(finished_run, data_dir):
  path = finished_run / 'recipe.yaml'
  original = path.read_text()
  path.write_text(original.replace('temperature: 2.0', 'temperature: 3.0'))
  try:
    message = refused(*flags(data_dir, finished_run.parents[2]))
  finally:
    path.write_text(original)
  assert 'loser.temperature was 3.0, now 2.0' in message and '--noresume' in message


def test_no_run_directory(tmp_path):
  with pytest.raises(errors.UserError, match='recipe.yaml'):
    workflow.evaluate(str(tmp_path), None, None)


def test_checkpoint_of_another_architecture(finished_run, data_dir):
  path = finished_run / 'recipe.yaml'
  original = path.read_text()
  recipe = yaml.safe_load(original)
  recipe['network']['width'] = 8
  path.write_text(yaml.safe_dump(recipe))
  try:
    with pytest.raises(errors.UserError, match='does not fit'):
      workflow.evaluate(str(finished_run), str(data_dir), None)
  finally:
    path.write_text(original)


def test_evaluation_on_other_samples(finished_run, data_dir):
  """The results stay those of the data that the run was made with."""
  run, before = runs.Run.open(str(finished_run)), (finished_run / 'results.json').read_text()
  manifest = run.read('manifest.json')
  run.write('manifest.json', {**manifest, 'samples': {**manifest['samples'], 'view_1/a12_s01_e00': 9}})
  try:
    with pytest.raises(errors.UserError, match='different classes or samples.*original --data_dir'):
      workflow.evaluate(str(finished_run), str(data_dir), None)
  finally:
    run.write('manifest.json', manifest)
  assert (finished_run / 'results.json').read_text() == before


def test_evaluation_of_a_run_gives_its_results_again(finished_run, data_dir, tmp_path):
  before = json.loads((finished_run / 'results.json').read_text())
  printed = command_line.succeed('eval_main', f'--run_dir={finished_run}', f'--data_dir={data_dir}')
  assert 'Σ' in printed and str(finished_run / 'results.json') in printed
  assert json.loads((finished_run / 'results.json').read_text()) == {
      **before, 'devices': ['CPU'], 'tensor_float_32': True, 'deterministic': False}  # of that process
  command_line.succeed('eval_main', f'--run_dir={finished_run}', f'--export_dir={tmp_path / "served"}')
  assert (tmp_path / 'served' / '1' / 'saved_model.pb').exists()


def test_a_damaged_file_of_a_run_is_named(finished_run, tmp_path):
  shutil.copytree(finished_run, tmp_path / 'run')
  (tmp_path / 'run' / 'manifest.json').write_text('{"label_')
  with pytest.raises(errors.UserError, match='run/manifest.json is damaged'):
    workflow.evaluate(str(tmp_path / 'run'), None, None)


def test_a_run_remembers_where_its_data_are(data_dir, finished_run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  run = runs.Run.open(str(finished_run))
  assert run.find_data(None, None) == (str(data_dir), None)
  assert run.find_data('other', None) == ('other', None)
  run = runs.Run(tmp_path, run.recipe)
  assert run.find_data(None, None) == (None, None)  # of an earlier version
  run.remember_data(None, None)
  assert run.find_data(None, None) == (None, None)
  run.remember_data('native', 'prepared')
  with pytest.raises(errors.UserError, match=f'{tmp_path}/prepared, which is no longer there: pass --prepared_dir'):
    run.find_data('native', None)
  assert run.find_data(None, 'there') == (str(tmp_path / 'native'), 'there')
  assert run.find_data('other', None) == ('other', None)
  (tmp_path / 'prepared').mkdir()
  assert run.find_data('native', None) == ('native', str(tmp_path / 'prepared'))
  run.remember_data('native', None)
  with pytest.raises(errors.UserError, match=f'{tmp_path}/native, which is no longer there: pass --data_dir'):
    run.find_data(None, None)
