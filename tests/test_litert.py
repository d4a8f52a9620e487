"""LiteRT files give the numbers of the run in an interpreter without TensorFlow, and contain their labels."""

import dataclasses
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tf_privinfo import recipes, runs
from tf_privinfo.methods import adversarial, fusion
from tf_privinfo.runs import restore
from tf_privinfo.serving import litert
from tf_privinfo.utils import errors

# What a device does, with nothing but NumPy and the interpreter.
CLIENT = '''
import sys, zipfile
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model, inputs, answers = sys.argv[1:]
outputs = Interpreter(model).get_signature_runner()(**np.load(inputs))
labels = zipfile.ZipFile(model).read("labels.txt").decode().splitlines()
np.savez(answers, label=labels[outputs["probabilities"][0].argmax()], **outputs)
assert not any(name.startswith(("tensorflow", "tf_privinfo")) for name in sys.modules)
'''


@pytest.fixture(scope='module', params=['tf2.15/nwucla_dmcl', 'tf2.15/nyud_single_stream'])
def run(request):
  return runs.Run.open(str(command_line.ROOT / 'tests' / 'stored_runs' / request.param))


def clips_of(run, modalities):
  config, rng = run.recipe.clips, np.random.default_rng(0)
  return {modality: rng.integers(0, 256, (1, config.frames, config.crop_size, config.crop_size, 3), np.uint8)
          for modality in modalities}


def answer(path, inputs, folder):
  pytest.importorskip('ai_edge_litert', reason='ai-edge-litert is not installed: pip install it for this test')
  np.savez(folder / 'inputs.npz', **inputs)
  subprocess.run([sys.executable, '-c', CLIENT, str(path), str(folder / 'inputs.npz'), str(folder / 'answers.npz')],
                 check=True, cwd=folder)
  with np.load(folder / 'answers.npz') as file:
    return dict(file)


def logits_of(run, inputs):
  return fusion.fuse(restore.restore_method(run)({name: tf.constant(clip) for name, clip in inputs.items()})).numpy()


def test_numbers_and_labels(run, tmp_path):
  subsets = [(), run.recipe.modalities] if len(run.recipe.modalities) > 1 else [()]
  for subset in subsets:
    path = litert.export(run, tmp_path / 'new', subset)
    inputs = clips_of(run, subset or ('rgb',))
    outputs, expected = answer(path, inputs, tmp_path), logits_of(run, inputs)
    np.testing.assert_allclose(outputs['logits'], expected, atol=1e-5)
    np.testing.assert_allclose(outputs['probabilities'], tf.nn.softmax(expected), atol=1e-5)
    labels = run.manifest()['label_names']
    assert outputs['label'] == labels[expected.argmax()]
    with zipfile.ZipFile(path) as archive:
      assert archive.read('labels.txt').decode().splitlines() == labels
      assert 'pixels is classified' in archive.read('preprocessing.txt').decode()
  assert sorted(p.name for p in (tmp_path / 'new').iterdir()) == sorted(
      f'{"_".join(subset or ("rgb",))}.tflite' for subset in subsets)


def test_quantized_weights(tmp_path):
  """Of a network that is large enough to be quantized: a smaller file, and nearly the same logits."""
  recipe = recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'small')
  recipe = dataclasses.replace(recipe, modalities=('rgb',))
  method = restore.build_method(recipe, 'ensemble', 10)
  run = runs.Run.create_or_resume(tmp_path / 'run', recipe)
  run.write('manifest.json', {'label_names': list('abcdefghij'), 'samples': {}})
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(restore, 'restore_deployed', lambda run: method)
    paths = [litert.export(run, tmp_path, quantize=quantize) for quantize in (False, True)]
  assert [path.name for path in paths] == ['rgb.tflite', 'rgb_int8.tflite']
  assert paths[1].stat().st_size < 0.35 * paths[0].stat().st_size
  inputs = clips_of(run, ('rgb',))
  expected = method({'rgb': tf.constant(inputs['rgb'])})['rgb'].numpy()
  exact, close = (answer(path, inputs, tmp_path)['logits'] for path in paths)
  scale = np.abs(expected).max()  # of random weights, about 40
  np.testing.assert_allclose(exact / scale, expected / scale, atol=1e-5)
  assert 0 < np.abs(close - expected).max() < 0.1 * scale


def test_what_has_no_prediction_is_refused(run, tmp_path):
  for modalities in (('infrared',), ('rgb', 'rgb')):
    with pytest.raises(errors.UserError, match='predicts from any of rgb'):
      litert.export(run, tmp_path, modalities)
  with pytest.raises(errors.UserError, match='Cannot write .*pass a folder'):
    (tmp_path / 'file').write_text('')
    litert.export(run, tmp_path / 'file')
  assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_what_litert_does_not_have_is_refused(run, tmp_path):
  class Unknown(tf.keras.Model):
    modalities = ('rgb',)

    def call(self, clips, training=False):
      pixels = tf.cast(clips['rgb'][:, 0, 0, 0], tf.float32)
      return {'rgb': tf.raw_ops.Betainc(a=tf.ones([1, 3]), b=tf.ones([1, 3]), x=pixels)}

  with pytest.MonkeyPatch.context() as patch, pytest.raises(errors.UserError, match='cannot be converted to LiteRT'):
    patch.setattr(restore, 'restore_deployed', lambda run: Unknown())
    litert.export(run, tmp_path)
  assert not list(tmp_path.iterdir())


def test_a_switch_needs_rgb():
  switch = adversarial.SensorSwitch({}, tf.keras.Model())
  with pytest.raises(errors.UserError, match='pass --modalities=rgb or'):
    litert._check(switch, ('depth',))


def test_options_of_other_formats_are_refused(tmp_path):
  stored = command_line.ROOT / 'tests' / 'stored_runs' / 'tf2.15' / 'nwucla_dmcl'
  assert 'are for --format=tflite' in command_line.fail(
      'eval_main', f'--run_dir={stored}', f'--export_dir={tmp_path}', '--quantize')
