"""The synthetic objects: files, determinism, and whether HHA says what the scene is."""

import collections
import dataclasses
import hashlib

import cv2
import numpy as np
import pytest

from tf_privinfo.datasets import catalog
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.preparation import hha
from tf_privinfo.datasets.synthetic import camera as cameras
from tf_privinfo.datasets.synthetic_objects import builder, models, rendering
from tf_privinfo.utils import errors

_OPTIONS = rendering.RenderOptions(train=2, test=1, width=64, height=48)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp('rendered')
  rendering.render(root, _OPTIONS, workers=2)
  return root


def _digests(root):
  return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
          for path in root.rglob('*.*') if path.suffix in ('.jpg', '.png')}


def test_layout_is_that_of_nyud(root):
  names = {str(path.relative_to(root / 'objects')) for path in (root / 'objects').rglob('*') if path.is_file()}
  assert names == {'synthetic.json'} | {
      f'{part}/{folder}/{label}/{index:03d}{ending}' for part, count in (('train', 2), ('test', 1))
      for folder, ending in (('images', '.jpg'), ('depth', '.png')) for label in models.CLASSES
      for index in range(count)}
  for path in root.rglob('*.jpg'):
    partner = path.parents[2] / 'depth' / path.parent.name / f'{path.stem}.png'
    rgb, encoded = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (path, partner))
    assert rgb.shape == encoded.shape and min(rgb.shape[:2]) >= 12 and rgb.dtype == encoded.dtype == np.uint8


def test_bytes_depend_on_the_options_alone(root, tmp_path):
  rendering.render(tmp_path, dataclasses.replace(_OPTIONS, train=1), workers=1)
  first, again = _digests(root), _digests(tmp_path)
  assert len(again) == 40 and all(again[name] == first[name] for name in again)
  crops = [rendering.draw_crops('chair', 64, 48, np.random.default_rng(seed))[0] for seed in (0, 1)]
  assert crops[0].shape != crops[1].shape or (crops[0] != crops[1]).any()


def test_what_is_there_is_kept_or_refused(root):
  rendering.render(root, _OPTIONS)
  with pytest.raises(ValueError, match='other parameters'):
    rendering.render(root, dataclasses.replace(_OPTIONS, seed=7))


@pytest.mark.parametrize('label', models.CLASSES)
def test_objects_stand_on_the_floor(label):
  for seed in range(20):
    parts = models.CLASSES[label](np.random.default_rng(seed))
    lowest = min(part.centre[1] - part.half[1] for part in parts)
    assert lowest == pytest.approx(0, abs=.005)
    assert .3 < max(part.centre[1] + part.half[1] for part in parts) < 2
    assert not parts[0].flat


def test_hha_tells_height_and_angle():
  """Of true depth, floors are at height 0 with angle 0, walls upright, and tops of stools lower than of tables."""
  heights = {}
  for label in ('stool', 'table'):
    view = rendering.draw_view(label, 160, 120, np.random.default_rng(1))
    hits = cameras.cast(view.camera, view.solids, 1)
    image = rendering.encode_depth(view.camera, hits.depth[0]).astype(int)
    floor, wall, top = (cv2.erode((hits.solid[0] == i).astype(np.uint8), np.ones((7, 7)), borderValue=1) > 0
                        for i in (view.parts, view.parts + 1, 0))
    assert floor.sum() > 100 and wall.sum() > 100 and top.any()
    assert image[floor][:, 1].max() <= 1
    np.testing.assert_allclose(image[floor][:, 2], hha.ANGLE_OFFSET, atol=1)
    np.testing.assert_allclose(image[wall][:, 2], hha.ANGLE_OFFSET + 90, atol=1)
    assert np.median(image[top][:, 2]) == hha.ANGLE_OFFSET  # the slab's sides belong to the same solid
    heights[label] = image[top][:, 1].mean()
  assert heights['stool'] < 55 < 65 < heights['table']


def test_what_is_flat_is_seen_in_rgb_alone():
  """The same television with and without its screen: RGB differs, HHA of true depth has no part in it."""
  view = rendering.draw_view('television', 160, 120, np.random.default_rng(2))
  assert len(view.flat.half) == 2
  hits = cameras.cast(view.camera, view.solids, 1)
  with_screen = rendering._radiance(view, hits)
  without = rendering._radiance(view._replace(flat=cameras.Solids(*(array[:0] for array in view.flat))), hits)
  changed = (with_screen != without).any(axis=-1)[0]
  assert 200 < changed.sum() and (hits.solid[0][changed] < view.parts).mean() > .95


def test_through_the_catalog(tmp_path):
  source = catalog.open_dataset('synthetic_objects', str(tmp_path), DataConfig('depth', rendering='tiny'), 32)
  assert source.label_names == sorted(models.CLASSES) == list(models.CLASSES)
  counts = collections.Counter(tuple(name.split('/')[:2]) for name in source.names)
  assert counts == {(part, label): count for part, count in (('train', 6), ('test', 2)) for label in models.CLASSES}
  assert '80 image pairs of 10 classes (60 train, 20 test)' in source.describe()
  default = dataclasses.asdict(builder.RENDERINGS['default'])
  assert default['train'] >= 100 and default['test'] >= 50
  with pytest.raises(errors.UserError, match='Unknown data.rendering'):
    catalog.open_dataset('synthetic_objects', str(tmp_path), DataConfig('depth', rendering='huge'), 32)
  with pytest.raises(errors.UserError, match='other parameters'):
    catalog.open_dataset('synthetic_objects', str(tmp_path), DataConfig('depth'), 32)
