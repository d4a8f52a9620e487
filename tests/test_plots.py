"""Pictures of results: that they can be read as images, show what they are given, and in the right place."""

import cv2
import numpy as np
import pytest

from tf_privinfo.evaluation import plots

LEVELS = ['0', '1e-2', '1', 'void', 'holes:0.1', 'holes:0.3']
TRUSTED, HALLUCINATED = [0.9, 0.8, 0.1, 0.1, 0.7, 0.4], [0.7] * 6
SWITCHED = [0.9, 0.79, 0.7, 0.7, 0.69, 0.7]
ROCS = {
    '1e-2': {'false_positive_rate': [0, 0.5, 1], 'true_positive_rate': [0, 0.6, 1], 'auc': 0.55},
    'void': {'false_positive_rate': [0, 0, 1], 'true_positive_rate': [0, 1, 1], 'auc': 1.0},
}


def _sweep(switched=SWITCHED, probability=0.2, threshold=0.5, quartiles=None, levels=LEVELS):
  regret = np.maximum(TRUSTED, HALLUCINATED) - switched
  accuracies = {'trusted': TRUSTED, 'hallucinated': HALLUCINATED, 'switched': switched}
  accuracies = {name: values[:len(levels)] for name, values in accuracies.items()}
  return plots.switch_sweep(levels, accuracies, regret[:len(levels)], [probability] * len(levels), threshold, 'depth',
                            quartiles)


def _decode(png):
  assert png.startswith(b'\x89PNG')
  return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def _pixels(picture, colour, tolerance=12):
  """Coordinates (rows, columns) of the pixels of a colour '#rrggbb'."""
  wanted = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
  return np.nonzero(np.abs(picture.astype(int) - wanted).max(axis=-1) <= tolerance)


def test_pictures_are_of_a_sensible_size():
  for picture in (_decode(_sweep()), _decode(plots.roc_curves(ROCS, 'depth'))):
    height, width, _ = picture.shape
    assert 300 <= height <= 800 and 500 <= width <= 1600
    assert 0.02 < np.mean(picture.min(axis=-1) < 250) < 0.5  # neither empty nor full


@pytest.mark.parametrize('change', [
    {'switched': [0.8] * 6}, {'probability': 0.3}, {'threshold': 0.6}, {'quartiles': ([0.1] * 6, [0.4] * 6)},
    {'levels': ['0', '1e-2', '1', 'void', 'frozen', 'levels:8']}])
def test_switch_sweep_shows_everything_that_it_is_given(change):
  before, after = _decode(_sweep()), _decode(_sweep(**change))
  assert before.shape != after.shape or (before != after).any()


def test_more_accuracy_is_higher_and_the_same_input_the_same_picture():
  colour = plots._BRANCHES['trusted']['color']
  rows, columns = _pixels(_decode(_sweep()), colour)
  body = rows > 60  # below the legend
  left, right = columns[body] < np.median(columns[body]), columns[body] > np.quantile(columns[body], 0.9)
  assert rows[body][left].mean() < rows[body][right].mean()
  assert _sweep() == _sweep()


def test_only_levels_of_one_kind_are_joined():
  """The line of the hallucinated branch, which is level, has gaps where the kind of noise changes."""
  def length(levels):
    rows, _ = _pixels(_decode(_sweep(levels=levels)), plots._BRANCHES['hallucinated']['color'])
    return np.bincount(rows[rows > 60]).max()  # below the legend

  assert length(LEVELS) < 0.75 * length(['0', '1e-3', '1e-2', '1e-1', '1', '10'])


def test_what_exceeds_the_limit_stands_out():
  within, beyond = (len(_pixels(_decode(_sweep(switched)), plots._EXCESS)[0]) for switched in (SWITCHED, [0.6] * 6))
  assert beyond > within + 500


def test_more_probability_is_higher_and_the_threshold_is_on_its_axis():
  def row(**options):
    rows, columns = _pixels(_decode(_sweep(**options)), plots._FAKE)
    return np.median(rows[(rows > 60) & (columns < 500)])  # neither in the legend nor in the labels of the axis

  assert row(probability=0.9, threshold=0.9) < row(probability=0.5, threshold=0.5) < row(probability=0.1, threshold=0.1)
  assert row(probability=0.5, threshold=0.5) == pytest.approx(
      (row(probability=0.9, threshold=0.9) + row(probability=0.1, threshold=0.1)) / 2, abs=2)


def test_roc_curves_show_every_curve_and_its_area():
  picture = _decode(plots.roc_curves(ROCS, 'depth'))
  assert (picture != _decode(plots.roc_curves({**ROCS, 'void': {**ROCS['void'], 'auc': 0.9}}, 'depth'))).any()
  assert (picture != _decode(plots.roc_curves({'1e-2': ROCS['1e-2'], 'frozen': ROCS['void']}, 'depth'))).any()
  moved = {'false_positive_rate': [0, 0.2, 1], 'true_positive_rate': [0, 0.6, 1], 'auc': 0.55}
  assert (picture != _decode(plots.roc_curves({**ROCS, '1e-2': moved}, 'depth'))).any()


def test_every_level_has_a_curve_of_its_own_look():
  picture = _decode(plots.roc_curves({'void': ROCS['void'], 'holes:0.3': ROCS['1e-2']}, 'depth'))
  assert all(len(_pixels(picture, colour)[0]) > 100 for colour in plots._KINDS[:2])


@pytest.mark.parametrize('level, kind', [
    ('0', 'speckle'), ('1e-3', 'speckle'), ('10', 'speckle'), ('void', 'void'), ('holes:0.3', 'holes')])
def test_kinds_of_noise(level, kind):
  assert plots._noise_kind(level) == kind
