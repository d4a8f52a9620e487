"""Golden numbers of the authors' code: loading, weights from names, comparison."""

import json
import os
import pathlib
import urllib.parse
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / 'golden'
# How far each quantity moves when its kernels change: see `tests.kernels`.
KERNELS = GOLDEN / 'kernels.json'
# Names the folder that `Golden.check` keeps the values in.
VALUES = 'TF_PRIVINFO_PARITY_VALUES'

# The bound of a quantity, as a multiple of the largest difference that was measured between versions and kernels, and
# the smallest difference that counts: rounding of float32, which no single measurement shows in full.
MULTIPLE, ROUNDING = 5, 1e-6


class Golden:
  """One golden file: arrays by key, `meta`, and comparison within bounds that belong to each quantity."""

  def __init__(self, name):
    self.name = name
    self.arrays = np.load(GOLDEN / f'{name}.npz')
    self.meta = json.loads((GOLDEN / f'{name}.json').read_text()).get('meta', {})
    self._crosscheck = json.loads((GOLDEN / 'crosscheck.json').read_text()).get(name, {})
    self._moves = json.loads(KERNELS.read_text()).get(name, {})

  def __getitem__(self, key):
    return self.arrays[key]

  def bound(self, key):
    """`MULTIPLE` of the largest of the cross-check's difference, what a change of kernels moves it by, and rounding."""
    return MULTIPLE * max(self._crosscheck.get(key, {}).get('rel_l2', 0), self._moves.get(key, 0), ROUNDING)

  def check(self, key, value):
    """Asserts that the relative L2 error of `value` is within the quantity's bound; or keeps it for `tests.kernels`."""
    expected = self.arrays[key].astype(np.float64)
    value = np.asarray(value, np.float64).reshape(expected.shape)
    if VALUES in os.environ:
      path = pathlib.Path(os.environ[VALUES], self.name, urllib.parse.quote(key, safe='') + '.npy')
      path.parent.mkdir(parents=True, exist_ok=True)
      np.save(path, value)
      return
    error, bound = relative_error(value, expected), self.bound(key)
    print(f'{self.name} {key}: relative error {error:.1e}, bound {bound:.1e}')
    assert error <= bound, f'{key}: relative error {error:.2e} > {bound:.1e}'


def relative_error(value, expected):
  """In the L2 norm."""
  return np.linalg.norm(value - expected) / max(np.linalg.norm(expected), 1e-30)


def weight(name, shape):
  """The deterministic value of the variable that the authors' graph calls `name`."""
  draw = np.random.RandomState(zlib.crc32(name.encode()) & 0x7fffffff).standard_normal(shape)
  role = name.rsplit('/')[-1]
  if role in ('kernel', 'weights'):
    value = draw * np.sqrt(1 / np.prod(shape[:-1]))
  elif role in ('bias', 'biases'):
    value = 0.05 * draw
  elif role == 'gamma':
    value = 1 + 0.1 * draw
  elif role in ('beta', 'moving_mean'):
    value = 0.1 * draw
  else:
    value = 1 + 0.1 * np.abs(draw)
  return value.astype(np.float32)
