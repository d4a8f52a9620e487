"""Every system on every dataset: what train_main.py does with native files, from preparation to results."""

import math

import pytest

from tests import in_process, native_files
from tf_privinfo import recipes, runs
from tf_privinfo.datasets import registry

SYSTEMS = ('modality_distillation', 'admd', 'dmcl')
# The rest takes minutes. There, both forms of other datasets are trained on (test_training, test_stages, tests/admd),
# and one step of each system is taken with these (test_ntu_rgbd, test_uwa3dii).
QUICK = [('dmcl', 'ntu60'), ('dmcl', 'uwa3dii')]
CELLS = [pytest.param(method, dataset, marks=[] if (method, dataset) in QUICK else pytest.mark.slow)
         for dataset in recipes.DATASETS for method in SYSTEMS if method in recipes.methods(dataset)]
# Performers 2 and 4 train, 3 tests, and 1 validates or trains; the larger dataset has an action more.
NTU_NAMES = [f'S{setup:03d}C001P{performer:03d}R00{replication}A{action:03d}'
             for setup, action in ((1, 2), (1, 9), (18, 61)) for performer in (1, 2, 3, 4) for replication in (1, 2)]


@pytest.fixture(scope='module')
def data_dirs(tmp_path_factory):
  """Dataset -> folder of its native files, which rendered ones write themselves."""
  folder = tmp_path_factory.mktemp('native')
  native_files.write_ntu(folder / 'ntu', NTU_NAMES, frames=6)
  native_files.write_nwucla(folder / 'nwucla', actions=(1, 2), frames=6)
  native_files.write_uwa3dii(folder / 'uwa3dii', frames=6)
  native_files.write_nyud(folder / 'nyud')
  native_files.write_recordings(folder / 'recordings')
  native_files.write_picture_table(folder / 'recordings_objects')
  return {dataset: folder / ('ntu' if dataset.startswith('ntu') else dataset) for dataset in recipes.DATASETS}


@pytest.mark.parametrize('method, dataset', CELLS)
def test_trains_from_native_files(method, dataset, data_dirs, tmp_path):
  """One epoch of every stage, two samples a step."""
  hold_out = 0.05 if recipes.DATASETS[dataset].hold_outs else 0.25
  with in_process.one_device(), in_process.quick():
    in_process.train_main_with(
        f'--method={method}', f'--dataset={dataset}', f'--data_dir={data_dirs[dataset]}', f'--output_dir={tmp_path}',
        '--preset=tiny', '--epochs=1', '--batch_size=2', f'--set=data.hold_out={hold_out}', '--set=clips.test_clips=1')
  directory, = tmp_path.glob(f'{dataset}/{method}/*')
  run = runs.Run.open(str(directory))
  for name, stage in run.recipe.stages.items():
    assert run.read(f'{name}/finished.json')['epochs'] == stage.epochs
    assert all(math.isfinite(entry['loss']) for entry in run.read(f'{name}/history.json') or [])
  manifest = run.read('manifest.json')
  split = registry.split(
      dataset, run.recipe.protocol, manifest['samples'], run.recipe.data.hold_out, rows=manifest.get('rows'))
  assert sorted(run.read('results.json')['predictions']['names']) == split.test
