"""The SavedModel, loaded in another process without the project's code."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo import errors
from tf_privinfo import export
from tf_privinfo import recipes
from tf_privinfo import runs
from tf_privinfo import settings
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.methods import fusion

LABELS = ['walk', 'throw', 'carry']

# What a server does: no import of this project, and numbers in a file as answer.
CLIENT = '''
import json, sys
import numpy as np, tensorflow as tf
assert "tf_privinfo" not in sys.modules
model = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2], allow_pickle=True)
answers = {}
for name, signature in model.signatures.items():
  _, keywords = signature.structured_input_signature
  answer = signature(**{
      key: tf.constant(inputs[key].tolist() if key == "rgb_jpeg" else inputs[key]) for key in keywords})
  answers[name] = {"inputs": sorted(keywords), "logits": answer["logits"].numpy().tolist(),
                   "probabilities": answer["probabilities"].numpy().tolist(),
                   "label": [text.decode() for text in answer["label"].numpy()]}
assert not any(name.startswith("tf_privinfo") for name in sys.modules)
json.dump(answers, open(sys.argv[3], "w"))
'''


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """A method with random weights, its export over an older one, inputs and what another process answered to them."""
  directory = tmp_path_factory.mktemp('export')
  recipe = settings.override(recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'tiny'), {'modalities': 'rgb,depth'})
  method = runs.build_method(recipe, 'ensemble', len(LABELS))
  run = runs.Run.create_or_resume(directory / 'run', recipe)
  run.write('manifest.json', {'label_names': LABELS})
  (directory / 'served' / '1').mkdir(parents=True)
  (directory / 'served' / '1' / 'stale').write_text('')
  saved = export.export(run, method, directory / 'served')
  rng = np.random.default_rng(0)
  clips = recipe.clips
  inputs = {m: rng.integers(0, 256, (2, clips.frames, clips.crop_size, clips.crop_size, 3)).astype(np.uint8)
            for m in recipe.modalities}
  pictures = cv2.blur(rng.integers(0, 256, (48, 64, 3 * 2 * clips.frames)).astype(np.uint8), (5, 5))
  pictures = np.moveaxis(pictures.reshape(48, 64, 2, clips.frames, 3), (2, 3), (0, 1))
  inputs['rgb_jpeg'] = np.array(
      [[tf.io.encode_jpeg(picture).numpy() for picture in video] for video in pictures], dtype=object)
  np.savez(directory / 'inputs.npz', **inputs)
  subprocess.run([sys.executable, '-c', CLIENT, str(saved), str(directory / 'inputs.npz'),
                  str(directory / 'answers.json')], check=True, cwd=directory)
  return recipe, method, saved, inputs, json.loads((directory / 'answers.json').read_text())


def test_every_subset_has_a_signature_with_the_methods_numbers(exported):
  recipe, method, _, inputs, answers = exported
  assert set(answers) == {'serving_default', 'rgb_jpeg', *('_'.join(s) for s in fusion.subsets(recipe.modalities))}
  assert answers['serving_default'] == answers['rgb']
  for subset in fusion.subsets(recipe.modalities):
    answer = answers['_'.join(subset)]
    assert answer['inputs'] == sorted(subset)
    logits = fusion.fuse(method({m: tf.cast(inputs[m], tf.float32) for m in subset})).numpy()
    np.testing.assert_allclose(answer['logits'], logits, atol=1e-5)
    np.testing.assert_allclose(np.sum(answer['probabilities'], axis=1), 1, rtol=1e-5)
    assert answer['label'] == [LABELS[k] for k in logits.argmax(axis=1)]


def test_jpeg_signature_resizes_and_crops_as_evaluation_does(exported):
  recipe, method, _, inputs, answers = exported
  config = recipe.clips
  start = (config.frame_size - config.crop_size) // 2
  window = slice(start, start + config.crop_size)
  clips = np.stack([
      frames.resize_bilinear(np.stack([tf.io.decode_jpeg(data, dct_method='INTEGER_ACCURATE') for data in video]),
                             config.frame_size).numpy()[:, window, window] for video in inputs['rgb_jpeg']])
  np.testing.assert_allclose(answers['rgb_jpeg']['logits'], method({'rgb': tf.constant(clips)})['rgb'], atol=1e-5)


def test_labels_travel_with_the_model(exported):
  saved = exported[2]
  assert saved.name == '1'
  assert (saved.parent / 'labels.txt').read_text().split() == LABELS


def test_export_does_not_replace_what_is_none(exported):
  _, method, saved, _, _ = exported
  directory = saved.parents[1]
  before = sorted(directory.iterdir())
  for taken in (directory, directory / 'inputs.npz'):
    with pytest.raises(errors.UserError, match='no earlier export.*pass a new one'):
      export.export(runs.Run.open(str(directory / 'run')), method, taken)
  assert sorted(directory.iterdir()) == before


def test_export_replaces_an_older_one_as_a_whole(exported):
  saved = exported[2]
  assert not (saved / 'stale').exists() and (saved / 'saved_model.pb').exists()
  assert not saved.parent.with_name('served.tmp').exists()
