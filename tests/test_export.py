"""The SavedModel, loaded in another process without the project's code."""

import errno
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import native_files, prepared
from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog, clips
from tf_privinfo.datasets.preparation import frames, video
from tf_privinfo.methods import fusion
from tf_privinfo.recipes import settings
from tf_privinfo.runs import restore
from tf_privinfo.serving import export
from tf_privinfo.utils import errors

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
                   "label": [text.decode() for text in answer["label"].numpy()], "refusals": {}}
  # One input after the other has another shape; the last has only fewer samples, which the others do not.
  for key, spec in keywords.items():
    shape = [2, *spec.shape[1:]]
    wrong = [[3, 2 * shape[1], *shape[2:]], [2, shape[1] // 2, *shape[2:]], [2], [2, *shape]]
    if len(shape) > 2:
      wrong += [shape[:2] + [56, 56, 3], shape[:2] + [3, 28, 28], shape[:4] + [4], shape[1:]]
    for changed in wrong + [[1, *shape[1:]]] * (len(keywords) > 1):
      request = {other: tf.zeros([2, *keywords[other].shape[1:]], keywords[other].dtype) for other in keywords}
      try:
        signature(**{**request, key: tf.zeros(changed, spec.dtype)})
      except tf.errors.InvalidArgumentError as error:
        answers[name]["refusals"][f"{key} {changed}"] = error.message
      else:
        answers[name]["refusals"][f"{key} {changed}"] = "was answered"
  try:
    signature(**{key: tf.zeros([0, *spec.shape[1:]], spec.dtype) for key, spec in keywords.items()})
  except tf.errors.InvalidArgumentError as error:
    answers[name]["empty"] = error.message
assert not any(name.startswith("tf_privinfo") for name in sys.modules)
json.dump(answers, open(sys.argv[3], "w"))
'''


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """A method with random weights, its export over an older one, inputs and what another process answered to them."""
  directory = tmp_path_factory.mktemp('export')
  recipe = settings.override(recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'tiny'), {'modalities': 'rgb,depth'})
  method = restore.build_method(recipe, 'ensemble', len(LABELS))
  run = runs.Run.create_or_resume(directory / 'run', recipe)
  run.write('manifest.json', {'label_names': LABELS, 'samples': {}})
  (directory / 'served' / '1').mkdir(parents=True)
  (directory / 'served' / '1' / 'stale').write_text('')
  saved = export.export(run, method, directory / 'served')
  rng = np.random.default_rng(0)
  config = recipe.clips
  inputs = {m: rng.integers(0, 256, (2, config.frames, config.crop_size, config.crop_size, 3)).astype(np.uint8)
            for m in recipe.modalities}
  pictures = cv2.blur(rng.integers(0, 256, (48, 64, 3 * 2 * config.frames)).astype(np.uint8), (5, 5))
  pictures = np.moveaxis(pictures.reshape(48, 64, 2, config.frames, 3), (2, 3), (0, 1))
  inputs['rgb_jpeg'] = np.array(
      [[tf.io.encode_jpeg(picture).numpy() for picture in video] for video in pictures], dtype=object)
  np.savez(directory / 'inputs.npz', **inputs)
  subprocess.run([sys.executable, '-c', CLIENT, str(saved), str(directory / 'inputs.npz'),
                  str(directory / 'answers.json')], check=True, cwd=directory)
  return recipe, method, saved, inputs, json.loads((directory / 'answers.json').read_text())


def test_every_subset_has_a_signature_with_the_methods_numbers(exported):
  recipe, method, _, inputs, answers = exported
  assert set(answers) == {'serving_default', 'rgb_jpeg', *('_'.join(s) for s in fusion.subsets(recipe.modalities))}
  assert all(answers['serving_default'][key] == answers['rgb'][key] for key in ('inputs', 'logits', 'label'))
  for subset in fusion.subsets(recipe.modalities):
    answer = answers['_'.join(subset)]
    assert answer['inputs'] == sorted(subset)
    logits = fusion.fuse(method({m: tf.cast(inputs[m], tf.float32) for m in subset})).numpy()
    np.testing.assert_allclose(answer['logits'], logits, atol=1e-5)
    np.testing.assert_allclose(np.sum(answer['probabilities'], axis=1), 1, rtol=1e-5)
    assert answer['label'] == [LABELS[k] for k in logits.argmax(axis=1)]


def test_every_signature_refuses_other_shapes(exported):
  """Twice and half the frames, other sizes, channels first, a channel more, other ranks, other numbers of samples."""
  _, _, _, _, answers = exported
  assert [len(answers[name]['refusals']) for name in ('rgb_jpeg', 'rgb', 'rgb_depth')] == [4, 8, 18]
  for name, answer in answers.items():
    assert 'must contain at least one sample' in answer['empty']
    for request, message in answer['refusals'].items():
      key, shape = request.split(' ', 1)
      expected = r'\[\?,8\]' if name == 'rgb_jpeg' else r'\[\?,8,28,28,3\]'
      given = re.escape(shape.replace(' ', ''))
      different = '(rgb and depth|depth and rgb) of a request must contain the same number of samples'
      assert re.search(different if shape == '[1, 8, 28, 28, 3]' else
                       fr'Shape of tensor {key} {given} is not compatible with expected shape {expected}', message), (
                           name, request, message)


def test_jpeg_signature_prepares_and_crops_as_for_evaluation(exported):
  """Bit by bit, through the JPEG files that preparation stores."""
  recipe, method, _, inputs, answers = exported
  window = clips.centre_window(recipe.clips)
  served = np.stack([clips.decode_frames(tf.constant([
      frames.encode_jpeg(frames.resize_bilinear(tf.io.decode_jpeg(data, dct_method='INTEGER_ACCURATE')[None],
                                                recipe.clips.frame_size))[0] for data in video]), window, recipe.clips)
                     for video in inputs['rgb_jpeg']])
  np.testing.assert_array_equal(answers['rgb_jpeg']['logits'], method({'rgb': tf.constant(served)})['rgb'])


@pytest.mark.parametrize('width, height', [(96, 54), (97, 55), (64, 48), (40, 30)])
def test_shrinking_in_the_graph_is_that_of_videos(width, height):
  image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
  expected = video._shrink(image, 32)
  np.testing.assert_array_equal(tf.function(frames.shrink)(tf.constant(image), 32), expected)
  assert expected.shape[1] == width // (width // 32)


@pytest.mark.parametrize('dataset', ['nwucla', 'nyud', 'ntu60'])
def test_original_frames_give_what_evaluation_predicts(dataset, tmp_path, monkeypatch):
  """Native files through preparation and clips, and as JPEG files through the signature: the same logits."""
  data_dir = tmp_path / 'data'
  if dataset == 'nwucla':
    native_files.write_nwucla(data_dir, actions=(1,), subjects=1, views=(1,), episodes=1)
  elif dataset == 'nyud':
    native_files.write_nyud(data_dir, train=1, test=1)
  else:
    native_files.write_ntu(data_dir, ['S001C001P001R001A001'], rgb_shape=(576, 1024))
  method_name = 'single_stream' if dataset == 'nyud' else 'dmcl'
  recipe = recipes.override(recipes.recipe(method_name, dataset, 'any', 'tiny'), {'modalities': 'rgb'})
  source = catalog.open_dataset(dataset, str(data_dir), recipe.data, recipe.clips.frame_size)
  method = restore.build_method(recipe, next(iter(recipe.stages)), 3)
  names = source.names[:1]
  encoded = prepared.encoded_frames(source, names[0], ('rgb',))
  count = recipe.clips.frames
  window = clips.centre_window(recipe.clips)
  stored = clips.decode_frames(encoded['rgb'][:count], window, recipe.clips)[None]
  served = export.ServedMethod(method, recipe, ['a', 'b', 'c']).signatures(('rgb',))['rgb_jpeg']
  answer = served(rgb_jpeg=tf.constant([_original_frames(dataset, data_dir, names[0], count)]))
  expected = method({'rgb': stored})['rgb']
  if dataset == 'ntu60':  # frames of a video have no JPEG files of their own
    monkeypatch.setattr(frames, 'shrink', lambda image, width: image)
    served = export.ServedMethod(method, recipe, ['a', 'b', 'c']).signatures(('rgb',))['rgb_jpeg']
    unlike = served(rgb_jpeg=tf.constant([_original_frames(dataset, data_dir, names[0], count)]))
    error, error_without = (np.abs(x['logits'] - expected).max() for x in (answer, unlike))
    assert error < 0.25 * error_without
  else:
    np.testing.assert_allclose(answer['logits'], expected, rtol=1e-6, atol=1e-6)


def _original_frames(dataset, data_dir, name, count):
  """The first JPEG files of a sample."""
  if dataset == 'ntu60':
    images = video.read_video(str(next(data_dir.rglob('*.avi'))), 10**6)[:count]
    return [tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False).numpy() for image in images]
  if dataset == 'nyud':
    part, label, number = name.split('/')
    return [next((data_dir / part / 'images' / label).glob(f'{number}.*')).read_bytes()]
  folder = next(data_dir.rglob(name.rpartition('/')[2]))
  paths = sorted(folder.glob('*_rgb.jpg'), key=lambda path: int(path.name.split('_')[1]))
  return [path.read_bytes() for path in paths[:count]]


def test_the_export_says_what_frames_must_show(exported, tmp_path):
  """Where RGB and depth are aligned, which a server cannot do, the frames are of the aligned region."""
  assert 'the whole field of view' in (exported[2].parent / 'preprocessing.txt').read_text()
  aligned = recipes.recipe('modality_distillation', 'ntu60', 'any', 'paper')
  text = export.describe_preprocessing(aligned)
  assert 'the region that RGB and depth share' in text and 'at least 512 pixels' in text and '224 x 224' in text


def test_labels_travel_with_the_model(exported):
  saved = exported[2]
  assert saved.name == '1'
  assert (saved.parent / 'labels.txt').read_text().split() == LABELS


def test_export_does_not_replace_what_is_none(exported):
  _, method, saved, _, _ = exported
  directory = saved.parents[1]
  before = sorted(directory.iterdir())
  for taken in (directory, directory / 'inputs.npz'):
    with pytest.raises(errors.UserError, match='not an earlier export.*pass a new'):
      export.export(runs.Run.open(str(directory / 'run')), method, taken)
  assert sorted(directory.iterdir()) == before


def test_export_replaces_an_older_one_as_a_whole(exported):
  saved = exported[2]
  assert not (saved / 'stale').exists() and export.is_complete(saved.parent)
  assert sorted(path.name for path in saved.parent.glob('[!.]*')) == ['1', 'labels.txt', 'preprocessing.txt']
  assert not list(saved.parents[1].rglob('*.tmp'))


@pytest.fixture
def model(exported, monkeypatch):
  """(run, method) whose SavedModel is one file with the number of the export, which spares the tracing."""
  run, method = runs.Run.open(str(exported[2].parents[1] / 'run')), exported[1]
  numbers = itertools.count()

  def save(served, path, signatures):
    pathlib.Path(path).mkdir(parents=True)
    (pathlib.Path(path) / 'saved_model.pb').write_text(str(next(numbers)))

  monkeypatch.setattr(export.ServedMethod, 'signatures', lambda self, modalities: {})
  monkeypatch.setattr(tf.saved_model, 'save', save)
  return run, method


@pytest.fixture
def mounted(tmp_path, monkeypatch):
  """A folder that cannot be renamed, as a mount point, whose parent cannot be written; with what ext4 has there."""
  folder = tmp_path / 'models'
  (folder / 'lost+found').mkdir(parents=True)
  folder.chmod(0o2770)
  rename = pathlib.Path.rename

  def busy(path, target):
    if folder in (path, pathlib.Path(target)) or folder.parent == pathlib.Path(target).parent:
      raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    return rename(path, target)

  monkeypatch.setattr(pathlib.Path, 'rename', busy)
  monkeypatch.setattr(pathlib.Path, 'replace', busy)
  return folder


def served(folder):
  return (folder / '1' / 'saved_model.pb').read_text()


def test_export_into_a_mount_point(model, mounted):
  """The folder stays what it was; an earlier export in it is replaced."""
  before = mounted.stat()
  for number in '01':
    assert export.export(*model, mounted) == mounted / '1' and served(mounted) == number
  after = mounted.stat()
  assert all(getattr(before, field) == getattr(after, field) for field in ('st_ino', 'st_mode', 'st_uid', 'st_gid'))
  assert (mounted / 'labels.txt').read_text().split() == LABELS
  assert {path.name for path in mounted.iterdir()} == {
      '1', 'labels.txt', 'preprocessing.txt', 'lost+found', '.export.lock'}
  assert [path.name for path in mounted.parent.iterdir()] == ['models']


@pytest.mark.parametrize('error', [
    OSError(errno.ENOSPC, 'No space left on device'), tf.errors.ResourceExhaustedError(None, None, 'No space left')])
def test_export_that_fails(model, tmp_path, monkeypatch, error):
  """The earlier one stays, and nothing else."""
  export.export(*model, tmp_path / 'served')

  def save(served, path, signatures):
    pathlib.Path(path).mkdir(parents=True)
    (pathlib.Path(path) / 'saved_model.pb').write_text('half')
    raise error

  monkeypatch.setattr(tf.saved_model, 'save', save)
  for name in ('served', 'new'):
    with pytest.raises(errors.UserError, match=f'Cannot write.*{name}.*No space left.*pass a folder'):
      export.export(*model, tmp_path / name)
  assert served(tmp_path / 'served') == '0' and not export.is_complete(tmp_path / 'new')
  assert {path.name for path in tmp_path.rglob('*')} == {
      'served', 'new', '1', 'saved_model.pb', 'labels.txt', 'preprocessing.txt', '.export.lock'}


def test_the_version_is_renamed_last_and_put_back_if_that_fails(model, tmp_path, monkeypatch):
  export.export(*model, tmp_path)
  rename = pathlib.Path.rename

  def fail(path, target):
    if target == tmp_path / '1' and '.export.tmp' in str(path):
      raise OSError(errno.EIO, os.strerror(errno.EIO))
    return rename(path, target)

  monkeypatch.setattr(pathlib.Path, 'rename', fail)
  with pytest.raises(errors.UserError, match='Input/output error'):
    export.export(*model, tmp_path)
  assert served(tmp_path) == '0' and {path.name for path in tmp_path.iterdir()} == {
      '1', 'labels.txt', 'preprocessing.txt', '.export.lock'}


def test_export_over_what_a_killed_one_left(model, tmp_path):
  """Its temporary folder, and an earlier version that was being replaced; a switch that is none of this model."""
  for name in ('.export.tmp/1', '1.old'):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / 'saved_model.pb').write_text('half')
  (tmp_path / 'switch.json').write_text('{}')
  assert not export.is_complete(tmp_path)
  export.export(*model, tmp_path)
  assert served(tmp_path) == '0' and {path.name for path in tmp_path.iterdir()} == {
      '1', 'labels.txt', 'preprocessing.txt', '.export.lock'}
