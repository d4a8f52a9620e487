"""Accuracies by hand, and multi-clip prediction."""

import numpy as np
import pytest
import tensorflow as tf

from tests import native_files
from tf_privinfo import recipes, runs
from tf_privinfo.datasets import catalog, clips
from tf_privinfo.evaluation import evaluate, metrics, prediction, tables
from tf_privinfo.methods import fusion
from tf_privinfo.runs import provenance, restore

# Three videos, three classes. Right: rgb 0; depth 0, 1; nobody gets video 2 alone, but the sum does.
LABELS = np.array([0, 1, 2])
LOGITS = {
    'rgb': np.array([[3.0, 0, 0], [3, 0, 0], [2, 0, 1.9]]),
    'depth': np.array([[1.0, 0, 0], [0, 5, 0], [0, 2, 1.9]]),
}


def test_accuracies_by_hand():
  accuracies = metrics.ensemble_accuracies(LABELS, LOGITS)
  assert accuracies == pytest.approx({'rgb': 1 / 3, 'depth': 2 / 3, 'sum': 1.0, 'oracle': 2 / 3})


def test_confusion_rows_are_labels():
  confusion = metrics.confusion_matrix(LABELS, LOGITS['rgb'])
  np.testing.assert_array_equal(confusion, [[1, 0, 0], [1, 0, 0], [1, 0, 0]])
  np.testing.assert_array_equal(metrics.per_class_accuracy(confusion), [1, 0, 0])
  assert np.isnan(metrics.per_class_accuracy(np.diag([0, 2]))[0])


def test_summary_has_every_subset_and_names_every_class():
  results = evaluate.summarise(prediction.Predictions(['a', 'b', 'c'], LABELS, LOGITS), ['x', 'y', 'z'])
  assert results['subset_accuracy'] == pytest.approx({'rgb': 1 / 3, 'depth': 2 / 3, 'rgb+depth': 1.0})
  assert results['class_accuracy']['depth'] == {'x': 1.0, 'y': 1.0, 'z': 0.0}
  assert results['predictions']['predicted']['sum'] == [0, 1, 2]


def test_fuse_needs_a_stream():
  with pytest.raises(ValueError):
    fusion.fuse({})


@pytest.fixture(scope='module')
def method_and_source(tmp_path_factory):
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, views=(1,), actions=(1, 2), frames=12)
  recipe = recipes.recipe('dmcl', 'nwucla', 'cross_view_1', 'tiny')
  source = catalog.open_dataset('nwucla', str(directory), recipe.data, recipe.clips.frame_size)
  return recipe, restore.build_method(recipe, 'ensemble', 10), source


def predict(recipe, method, source, names, batch_size):
  fixed = clips.evaluation_clips(source.videos(names, recipe.modalities), recipe.clips, batch_size=batch_size)
  ids, labels = source.index(names)
  return prediction.predict_videos(method, fixed, ids, labels, recipe.clips.test_clips)


def test_result_does_not_depend_on_the_micro_batch(method_and_source):
  recipe, method, source = method_and_source
  whole = predict(recipe, method, source, source.names, 40)
  for batch_size in (1, 7):
    cut = predict(recipe, method, source, source.names, batch_size)
    assert cut.names == whole.names
    for stream in recipe.modalities:
      np.testing.assert_allclose(cut.logits[stream], whole.logits[stream], atol=1e-5)


class _Echo(tf.keras.Model):
  """Returns the clips, which are numbers here, [b, 1]."""

  def call(self, inputs):
    return {'rgb': tf.cast(inputs['rgb'], tf.float32)}


def test_two_replicas_keep_the_order_of_clips_that_do_not_fill_a_batch(two_devices):
  with two_devices.scope():
    method = _Echo()
    assert prediction.batch_size(method) == 2 * clips.MICRO_BATCH == 32
    for count in (1, 33, 64, 75):
      numbers = np.arange(count)
      batches = tf.data.Dataset.from_tensor_slices(({'rgb': numbers[:, np.newaxis]}, numbers)).batch(32)
      predictions = prediction.predict_videos(method, batches, numbers, numbers, 1)
      np.testing.assert_array_equal(predictions.logits['rgb'][:, 0], numbers)


def test_logits_are_the_mean_of_ten_clips_in_the_order_of_the_names(method_and_source):
  recipe, method, source = method_and_source
  predictions = predict(recipe, method, source, source.names, 16)
  name = source.names[2]
  fixed = clips.evaluation_clips(source.videos([name], recipe.modalities), recipe.clips, batch_size=10)
  [(ten, label, sample_id)] = list(fixed)
  row = predictions.names.index(name)
  assert predictions.labels[row] == label[0] and sample_id[0] == name.encode()
  for stream, logits in method(ten).items():
    assert np.ptp(logits, axis=0).max() > 0  # ten different clips
    np.testing.assert_allclose(predictions.logits[stream][row], tf.reduce_mean(logits, axis=0), atol=1e-5)


def test_origin_names_the_cores_also_where_a_process_is_not_told_which_it_may_use(tmp_path, monkeypatch):
  """As on macOS."""
  monkeypatch.delattr('os.sched_getaffinity')
  monkeypatch.setattr('os.cpu_count', lambda: 7)
  assert provenance.describe(runs.Run(tmp_path, recipes.recipe('dmcl', 'nwucla', 'cross_view_1')))['cpu_cores'] == 7


def test_noise_table_says_where_the_lines_cross():
  """Only where one line really crosses another: step 1 is worse than the last stage everywhere, which says nothing."""
  table = tables.noise_table({'stages': {
      'rgb': {'0': 0.5, '1': 0.5, 'void': 0.5}, 'joint': {'0': 0.9, '1': 0.6, 'void': 0.1},
      'finetune': {'0': 0.7, '1': 0.7, 'void': 0.7}}})
  assert '| joint | 90.00% | 60.00% | 10.00% |' in ' '.join(table.split())
  assert table.endswith('finetune is better than joint at 1, void.') and 'better than rgb' not in table
