"""RGB over depth: exact transforms, the true cameras of the synthetic dataset, and whole prepared datasets."""

import json
import shutil

import cv2
import numpy as np
import pytest

from tests import native_files, prepared
from tf_privinfo.datasets import catalog, video_builder
from tf_privinfo.datasets.config import DataConfig
from tf_privinfo.datasets.nwucla import native, skeletons, spec
from tf_privinfo.datasets.preparation import alignment, depth, flow, frames
from tf_privinfo.datasets.synthetic import rendering
from tf_privinfo.utils import errors

FRAME_SIZE = 128
_OPTIONS = rendering.RenderOptions(subjects=1, episodes=1, min_frames=9, max_frames=10, width=160, height=120)
_ACTIONS = {4: 'walk_around', 5: 'sit_down'}


# Exact transforms.


def _joints(seed=0, frames_=5, scale=.9, offset=(7., -3.)):
  depth_pixels = np.random.default_rng(seed).uniform([20, 10], [120, 110], (frames_, 20, 2))
  return scale * depth_pixels + offset, depth_pixels, np.ones((frames_, 20), bool)


@pytest.mark.parametrize('scale, offset', [(1., (0., 0.)), (.9, (7., -3.)), (3.2, (-200., 40.5))])
def test_similarity_is_recovered_exactly(scale, offset):
  found = alignment.estimate(*_joints(scale=scale, offset=offset))
  np.testing.assert_allclose(found.scale, scale, rtol=1e-9)
  np.testing.assert_allclose(found.offset, offset, atol=1e-7)
  points = np.array([[3., 4.], [50., 60.]])
  np.testing.assert_allclose(found.to_depth(found.to_rgb(points)), points)


def test_outliers_and_untracked_joints_do_not_count():
  rgb_pixels, depth_pixels, tracked = _joints()
  rng = np.random.default_rng(1)
  rgb_pixels[:, 3:6] = rng.uniform(0, 160, (5, 3, 2))  # tracked, but somewhere else
  tracked[:, 8:12] = False
  rgb_pixels[:, 8:12] = np.nan
  tracked[2] = False
  depth_pixels[2] = 0
  found = alignment.estimate(rgb_pixels, depth_pixels, tracked)
  np.testing.assert_allclose([found.scale, *found.offset], [.9, 7, -3], atol=1e-6)


def test_scale_is_the_mean_of_both_dimensions():
  rgb_pixels, depth_pixels, tracked = _joints(scale=1., offset=(0, 0))
  found = alignment.estimate(rgb_pixels * [.8, 1.], depth_pixels, tracked)
  np.testing.assert_allclose(found.scale, .9)


def test_joints_that_tell_nothing():
  rgb_pixels, depth_pixels, tracked = _joints()
  with pytest.raises(alignment.NotAlignable, match='no joint is tracked'):
    alignment.estimate(rgb_pixels, depth_pixels, ~tracked)
  few = np.zeros_like(tracked)
  few[0, :3] = True
  with pytest.raises(alignment.NotAlignable, match='only 3 pairs of tracked joints differ in x'):
    alignment.estimate(rgb_pixels, depth_pixels, few)
  with pytest.raises(alignment.NotAlignable, match='only 0 pairs of tracked joints differ in y'):
    alignment.estimate(rgb_pixels * [1, 0], depth_pixels * [1, 0], tracked)
  with pytest.raises(alignment.NotAlignable, match='only 0 pairs'):
    alignment.estimate(np.ones_like(rgb_pixels), np.ones_like(depth_pixels), tracked)
  with pytest.raises(alignment.NotAlignable, match='do not match'):
    alignment.estimate(-rgb_pixels, depth_pixels, tracked)


# Crops.


def test_crop_boxes_lie_over_each_other():
  found = alignment.Alignment(.5, (10.25, -4.))
  rgb, under = alignment.crop_boxes(found, (100, 90), (240, 320))
  assert rgb == (11, 0, 89, 99)
  np.testing.assert_allclose(found.to_rgb(np.array([under[:2], under[2:]])), [rgb[:2], rgb[2:]])
  assert min(under) >= 0 and under.right <= 319 and under.bottom <= 239


@pytest.mark.parametrize('offset', [(500., 0.), (0., -500.), (75., 0.)])
def test_too_small_an_overlap(offset):
  with pytest.raises(alignment.NotAlignable, match='overlap'):
    alignment.crop_boxes(alignment.Alignment(1., offset), (80, 90), (80, 90))


def _pattern(height, width, scale, offset):
  """A smooth picture [1, height, width, 3] whose content is a function of scale · pixel + offset."""
  y, x = np.mgrid[:height, :width]
  x, y = scale * x + offset[0], scale * y + offset[1]
  picture = 128 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)
  return np.repeat(np.rint(picture).astype(np.uint8)[None, ..., None], 3, axis=-1)


@pytest.mark.parametrize('scale, offset, shape', [
    (1., (0., 0.), (120, 160)), (.9, (7.3, -3.2), (120, 160)), (1.86, (-12.5, 8.), (60, 80)),
    (.45, (3., 2.), (240, 320))])
def test_overlaid_frames_show_the_same(scale, offset, shape):
  rgb, in_depth = _pattern(120, 160, 1, (0, 0)), _pattern(*shape, scale, offset)
  cropped, aligned = alignment.overlay(rgb, in_depth, alignment.Alignment(scale, offset))
  assert cropped.shape == aligned.shape and cropped.dtype == aligned.dtype == np.uint8
  assert np.abs(cropped.astype(int) - aligned).max() <= 3
  if scale == 1:
    np.testing.assert_array_equal(cropped, rgb)
    np.testing.assert_array_equal(aligned, in_depth)


# Both native forms of skeletons.


def test_skeletons_of_the_download(tmp_path):
  """The Kinect's y points up; only state 2 is tracked; of two people the nearer one counts."""
  path = tmp_path / 'frame_0_tc_1_skeletons.txt'
  rng = np.random.default_rng(0)
  near = native_files.kinect_skeleton(rng, 2., (2,) * 12 + (1,) * 4 + (0,) * 4)
  path.write_text(native_files.kinect_skeleton(rng, 3.) + near + native_files.kinect_skeleton(rng, 1., (1,) * 20))
  skeleton = skeletons.read(path)
  assert skeleton.pixels is None
  np.testing.assert_array_equal(skeleton.tracked, [True] * 12 + [False] * 8)
  x, y, z, _ = (float(value) for value in near.splitlines()[1].split(','))
  np.testing.assert_allclose(skeleton.positions[0], [x, -y, z], rtol=1e-6)

  rgb_pixels, depth_pixels, tracked = skeletons.read_joints([None, path], (480, 640), (240, 320))
  np.testing.assert_array_equal(tracked, [[False] * 20, [True] * 12 + [False] * 8])
  np.testing.assert_allclose(depth_pixels[1, 0], [159.5 + 285.63 * x / z, 119.5 - 285.63 * y / z], rtol=1e-5)
  np.testing.assert_allclose(rgb_pixels[1, 0], [319.5 + 531.15 * (x + .025) / z, 239.5 - 531.15 * y / z], rtol=1e-5)
  found = alignment.estimate(rgb_pixels, depth_pixels, tracked)
  np.testing.assert_allclose(found.scale, 531.15 / 285.63, rtol=1e-5)


def test_skeletons_of_the_synthetic_dataset(tmp_path):
  path = tmp_path / 'frame_0_skeletons.txt'
  joints = np.random.default_rng(0).uniform(1, 3, (20, 7)).round(4)
  path.write_text('20,7\n' + ''.join(','.join(f'{value:.4f}' for value in joint) + '\n' for joint in joints))
  skeleton = skeletons.read(path)
  np.testing.assert_allclose(skeleton.positions, joints[:, :3])
  rgb_pixels, depth_pixels, tracked = skeletons.read_joints([path], (48, 64), (48, 64))
  np.testing.assert_allclose(rgb_pixels[0], joints[:, 3:5])
  np.testing.assert_allclose(depth_pixels[0], joints[:, 5:])
  assert tracked.all()


@pytest.mark.parametrize('text', ['', '\n', '0\n'])
def test_skeletons_of_nobody(tmp_path, text):
  (tmp_path / 'file').write_text(text)
  assert skeletons.read(tmp_path / 'file') is None


@pytest.mark.parametrize('text, message', [
    ('60\n1,2,3,2\n', '2 lines'), ('60\n' + 20 * '1,2,3\n', r'\[3\] values'), ('60\n' + 20 * '1;2;3;2\n', 'not lines'),
    ('60\n' + 19 * '1,2,3,2\n' + '1,2,3\n', r'\[3, 4\] values'), (21 * '1,2,3,2\n', '21 lines'),
    ('\u20ac', 'not lines')])
def test_skeletons_of_another_form_are_refused(tmp_path, text, message):
  (tmp_path / 'file').write_text(text, encoding='utf-8')
  with pytest.raises(frames.UnreadableFileError, match=message):
    skeletons.read(tmp_path / 'file')


def test_joints_that_were_never_measured_are_not_tracked(tmp_path):
  (tmp_path / 'file').write_text('60\n' + 20 * '0,0,0,2\n')
  assert skeletons.read(tmp_path / 'file') is None
  with pytest.raises(frames.UnreadableFileError, match='missing'):
    skeletons.read(tmp_path / 'gone')


# Against the true cameras.


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
  """Six synthetic videos of the default size: the folder with `multiview_action`."""
  directory = tmp_path_factory.mktemp('rendered')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(native, 'ACTIONS', _ACTIONS)
    rendering.render(directory, _OPTIONS, workers=1)
  return directory


def _alignment(video):
  shape = _OPTIONS.height, _OPTIONS.width
  return alignment.estimate(*skeletons.read_joints(video.skeletons, shape, shape))


def _figure_pixels(video, cameras):
  """Depth pixels of the figure [N, 2], measured within 0.2 m of a joint, and the RGB pixels that truly show them."""
  (d, r), shown = (cameras['depth'], cameras['rgb']), []
  for path, joints in zip(video.depth, video.skeletons):
    z = frames.read_depth(path) / 1000
    v, u = np.nonzero(z)
    z = z[v, u]
    points = np.stack([(u - d['centre'][0]) / d['focal'] * z, (v - d['centre'][1]) / d['focal'] * z, z], axis=-1)
    near = np.linalg.norm(points[:, None] - skeletons.read(joints).positions, axis=-1).min(axis=1) < .2
    shown.append((np.stack([u, v], axis=-1)[near], points[near]))
  pixels, points = (np.concatenate(parts) for parts in zip(*shown))
  baseline = np.array(r['position']) - d['position']
  in_rgb = points - np.array(r['rotation']) @ baseline
  return pixels, r['focal'] * in_rgb[:, :2] / in_rgb[:, 2:] + r['centre']


def test_error_in_pixels_against_the_true_cameras(rendered):
  """Over the figure it is below one pixel, and in the mean ten times less than without alignment."""
  root = rendered / 'multiview_action'
  cameras = json.loads((root / 'synthetic.json').read_text())['cameras']
  found, _ = native.scan(root, 'depth', with_skeletons=True)
  errors_ = {'aligned': [], 'not aligned': []}
  for video in found:
    found = _alignment(video)
    pixels, true = _figure_pixels(video, cameras[video.name[5]])
    assert len(pixels) > 1000 and found.scale == pytest.approx(525 / 585, abs=.01)
    errors_['aligned'].append(np.linalg.norm(found.to_rgb(pixels) - true, axis=1))
    errors_['not aligned'].append(np.linalg.norm(pixels - true, axis=1))
  for kind, distances in errors_.items():
    distances = np.concatenate(distances)
    print(f'\n{kind}: mean {distances.mean():.3f}, 95 % below {np.quantile(distances, .95):.3f}, '
          f'worst {distances.max():.3f} pixels of {_OPTIONS.width}', end='')
  aligned, unaligned = (np.concatenate(errors_[kind]) for kind in ('aligned', 'not aligned'))
  assert aligned.max() < 1 and aligned.mean() < .2
  assert unaligned.mean() > 10 * aligned.mean()


# Whole datasets.


def _open(data_dir, **config):
  return catalog.open_dataset('nwucla', str(data_dir), DataConfig(**config), FRAME_SIZE)


def test_prepared_videos_are_cropped_alike(rendered, tmp_path):
  """All modalities are resized from the overlay; flow is that of the cropped RGB."""
  shutil.copytree(rendered / 'multiview_action', tmp_path / 'multiview_action')
  source = _open(tmp_path, aligned=True)
  assert source.metadata['aligned'] is True and len(source.names) == 6
  video = native.scan(tmp_path / 'multiview_action', 'depth_vis', with_skeletons=True)[0][3]
  rgb, in_depth = (np.stack([frames.read_jpeg(path) for path in paths]) for paths in (video.rgb, video.depth))
  rgb, in_depth = alignment.overlay(rgb, in_depth, _alignment(video))
  assert rgb.shape == in_depth.shape and rgb.shape[1:3] == pytest.approx((.9 * 120, .9 * 160), abs=3)
  expected = {'rgb': rgb, 'depth': in_depth, 'flow': flow.encode_flow(flow.dense_flow(rgb))}
  encoded = prepared.encoded_frames(source, video.name, tuple(expected))
  for modality, pictures in expected.items():
    assert list(encoded[modality]) == frames.encode_jpeg(frames.resize_bilinear(pictures, FRAME_SIZE))


def _look_up(picture, pixels):
  """The values of a picture [H, W] at the nearest pixels to (x, y) [N, 2]; those outside of it are 0."""
  column, row = np.rint(pixels).astype(int).T
  inside = (0 <= row) & (row < picture.shape[0]) & (0 <= column) & (column < picture.shape[1])
  return np.where(inside, picture[row * inside, column * inside], 0)


def _joints_on_the_body(source, rendered, box_of) -> float:
  """Of the joints that native depth shows, the fraction that stored depth shows where stored RGB has them."""
  hits = []
  for video in native.scan(rendered / 'multiview_action', 'depth_vis', with_skeletons=True)[0]:
    box = box_of(video)
    scale = FRAME_SIZE / np.array([box.right - box.left + 1, box.bottom - box.top + 1])
    pictures, _ = prepared.read_video(source, video.name)
    for stored, path, joints in zip(pictures['depth'][..., 0], video.depth, video.skeletons):
      skeleton = skeletons.read(joints)
      grey = 1 + 254 * (skeleton.positions[:, 2] - .5) / 4  # as `sensors.visualize_depth`
      shown = np.abs(_look_up(frames.read_jpeg(path)[..., 0], skeleton.pixels[:, 2:]) - grey) < 13  # 0.2 m
      in_rgb = (skeleton.pixels[:, :2] - [box.left, box.top]) * scale
      hits.extend((np.abs(_look_up(stored, in_rgb) - grey) < 13)[shown])
  assert len(hits) > 500
  return np.mean(hits)


def test_joints_lie_on_the_body_only_if_aligned(rendered, tmp_path):
  """The joints of stored RGB hit the body in stored depth, down to hands and feet."""
  shutil.copytree(rendered / 'multiview_action', tmp_path / 'multiview_action')
  shape = _OPTIONS.height, _OPTIONS.width
  aligned = _joints_on_the_body(
      _open(tmp_path, aligned=True), rendered, lambda video: alignment.crop_boxes(_alignment(video), shape, shape)[0])
  unaligned = _joints_on_the_body(
      _open(tmp_path), rendered, lambda video: alignment.Box(0, 0, _OPTIONS.width - 1, _OPTIONS.height - 1))
  print(f'\njoints on the body: {aligned:.0%} if aligned, else {unaligned:.0%}', end='')
  assert aligned > .75 > unaligned


def test_without_aligned_nothing_is_new(rendered, tmp_path):
  """The same name, the same metadata, and no skeleton is needed: what was prepared before stays in use."""
  assert video_builder.VideoConfig().name == '256px_depth_vis_opencv_dis_medium'
  assert video_builder.VideoConfig(skip_broken=True).name == '256px_depth_vis_opencv_dis_medium_skip_broken'
  assert video_builder.VideoConfig(aligned=True).name == '256px_depth_vis_opencv_dis_medium_aligned'
  shutil.copytree(rendered / 'multiview_action', tmp_path / 'multiview_action',
                  ignore=shutil.ignore_patterns('*skeletons.txt', 'view_2', 'view_3'))
  source = _open(tmp_path, depth_variant='depth')
  assert set(source.metadata) == {
      'samples', 'skipped', 'cut', 'flow', 'depth_variant', 'frame_size', 'preparation_version', 'files', 'native'}
  found, _ = native.scan(tmp_path / 'multiview_action', 'depth')
  assert all(video.skeletons == () for video in found)
  encoded = prepared.encoded_frames(source, found[0].name, ('depth',))
  pictures = depth.jet(np.stack([frames.read_depth(path) for path in found[0].depth]))
  assert list(encoded['depth']) == frames.encode_jpeg(frames.resize_bilinear(pictures, FRAME_SIZE))


@pytest.mark.parametrize('variant', spec.NWUCLA.depth_variants)
def test_videos_that_cannot_be_aligned_are_listed(tmp_path, variant):
  """NW-UCLA with nobody in one video, a broken skeleton in another and none at all in a third."""
  root = native_files.write_nwucla(tmp_path, views=(1,), actions=(2, 4, 8, 9), subjects=1)
  nobody, broken, missing, kept = sorted(root.glob('view_1/*'))
  for path in nobody.glob('*skeletons.txt'):
    path.write_text('0\n')
  (broken / 'frame_7_skeletons.txt').write_text('60\n1,2\n')
  for path in missing.glob('*skeletons.txt'):
    path.unlink()
  (kept / 'frame_9_skeletons.txt').unlink()
  with pytest.raises(errors.UserError) as error:  # what is missing stops it before anything is decoded
    _open(tmp_path, aligned=True, depth_variant=variant)
  assert f'view_1/{missing.name}: no frame_*_skeletons.txt in the folder' in str(error.value)
  shutil.rmtree(missing)
  with pytest.raises(errors.UserError) as error:
    _open(tmp_path, aligned=True, depth_variant=variant)
  assert str(error.value).startswith('2 videos cannot be used')
  assert f'view_1/{nobody.name}: no joint is tracked in any frame' in str(error.value)
  assert f'view_1/{broken.name}: ' in str(error.value) and 'frame_7_skeletons.txt: 2 lines' in str(error.value)
  source = _open(tmp_path, aligned=True, depth_variant=variant, skip_broken=True)
  assert source.names == [f'view_1/{kept.name}'] and len(source.metadata['skipped']) == 2
  assert {len(kind) for kind in prepared.read_video(source, source.names[0])[0].values()} == {9}


def test_frames_of_different_sizes(tmp_path):
  """Depth of half the size is overlaid all the same, and merely resized without alignment."""
  root = native_files.write_nwucla(tmp_path, views=(1,), actions=(2,), subjects=1, width=96, height=72)
  for path in root.rglob('*_depth_vis.jpg'):
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (48, 36)))
  for aligned in (True, False):
    video = prepared.read_video(_open(tmp_path, aligned=aligned), 'view_1/a02_s01_e00')[0]
    assert {m: kind.shape for m, kind in video.items()} == dict.fromkeys(video, (9, FRAME_SIZE, FRAME_SIZE, 3))
