"""Nearest neighbours by hand; the networks' features are in the slow test of the reports."""

import numpy as np

from tf_privinfo.evaluation import nearest_neighbours


def test_accuracy_of_nearest_neighbours_by_hand():
  train, labels = np.array([[0.0], [1], [2], [10], [11]]), np.array([0, 0, 0, 1, 1])
  test = np.array([[0.4], [10.4], [5.9], [12]])
  wanted = np.array([0, 1, 0, 1])
  # 5.9 is nearest to 2 (3.9), then to 10 (4.1) and 1 (4.9); of all five, three are of class 0.
  assert nearest_neighbours.accuracy(train, labels, test, wanted, 1) == 1
  assert nearest_neighbours.accuracy(train, labels, test, np.array([0, 1, 1, 1]), 3) == 0.75
  assert nearest_neighbours.accuracy(train, labels, test, wanted, 5) == 0.5
