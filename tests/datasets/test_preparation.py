"""Preparation of frames: optical flow, depth colours, decoding."""

import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import real_data
from tf_privinfo.datasets import catalog, registry
from tf_privinfo.datasets.preparation import depth, flow, frames

FLOW_PAIR = real_data.FOLDER / 'flow_pairs'
BOUND = 4  # pixels per frame that are stored as 255, in images 128 wide


# Optical flow.


def _moving_texture(right, down, count=3, height=96, width=128):
  """Frames [T, H, W, 3] of a texture whose content moves by (right, down) pixels per frame."""
  texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (200, 240)), (0, 0), 2)
  texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
  starts = [(50 - down * t, 50 - right * t) for t in range(count)]
  return np.stack([np.stack([texture[y:y + height, x:x + width]] * 3, -1) for y, x in starts])


def _interior(images):
  return images[:, 16:-16, 16:-16]


@pytest.mark.parametrize('right, down', [(3, 0), (0, 2), (-2, 1), (1, -3)])
def test_flow_of_a_known_motion(right, down):
  estimate = flow.dense_flow(_moving_texture(right, down))
  assert estimate.shape == (3, 96, 128, 2)
  np.testing.assert_allclose(np.median(_interior(estimate), axis=(1, 2)), [[right, down]] * 3, atol=0.1)
  encoded = _interior(flow.encode_flow(estimate))
  length = np.hypot(right, down) / BOUND
  expected = [128 + 127 * right / BOUND, 128 + 127 * down / BOUND, 255 * length]
  np.testing.assert_allclose(np.median(encoded, axis=(1, 2)), [expected] * 3, atol=4)


def test_flow_belongs_to_the_frame_where_the_motion_starts():
  images = _moving_texture(3, 0, count=4)
  images = np.stack([images[0], images[0], images[1], images[2]])
  motion = np.median(_interior(flow.dense_flow(images)), axis=(1, 2))
  # Rest, then two moves; the last frame repeats the flow of the one before it.
  np.testing.assert_allclose(motion[:, 0], [0, 3, 3, 3], atol=0.1)


def test_flow_of_a_single_frame_is_zero():
  estimate = flow.dense_flow(_moving_texture(0, 0, count=1))
  assert estimate.shape == (1, 96, 128, 2) and not estimate.any()


def test_flow_encoding():
  """Horizontal, vertical, magnitude; 128 and 0 at rest; clipped at 1/32 of the width."""
  motion = np.zeros((1, 1, 128, 2), np.float32)
  motion[0, 0, :6] = [(0, 0), (4, 0), (0, -4), (-2, 0), (100, -100), (0, 2)]
  np.testing.assert_array_equal(flow.encode_flow(motion)[0, 0, :6], [
      (128, 128, 0), (255, 128, 255), (128, 1, 255), (64, 128, 128), (255, 1, 255), (128, 192, 128)])


def test_flow_bound_is_a_fraction_of_the_width():
  assert flow.ENCODING.bound == 1 / 32
  motion = np.full((1, 4, 320, 2), (5, 0), np.float32)
  np.testing.assert_array_equal(flow.encode_flow(motion), np.broadcast_to([192, 128, 128], (1, 4, 320, 3)))


@real_data.needs('flow_pairs')
def test_flow_of_a_real_pair():
  """Most pixels are right to a fraction of a pixel, which no other sign or order of the components gives."""
  images = [cv2.cvtColor(cv2.imread(str(FLOW_PAIR / f'0000000-img{i}.ppm')), cv2.COLOR_BGR2RGB) for i in (0, 1)]
  truth = cv2.readOpticalFlow(str(FLOW_PAIR / '0000000-gt.flo'))
  estimate = flow.dense_flow(np.stack(images))[0]

  def error(candidate):
    return np.linalg.norm(candidate - truth, axis=-1)

  print(f'end-point error: median {np.median(error(estimate)):.2f}, mean {error(estimate).mean():.2f} px')
  assert np.median(error(estimate)) < 0.75
  for wrong in (-estimate, estimate * [-1, 1], estimate * [1, -1], estimate[..., ::-1], np.zeros_like(estimate)):
    assert np.median(error(wrong)) > 1.5 * np.median(error(estimate))


# Depth.


def test_jet_of_near_and_far():
  colours = depth.jet(np.array([[depth.NEAREST, (depth.NEAREST + depth.FARTHEST) // 2, depth.FARTHEST, 0]], np.uint16))
  near, middle, far, nothing = colours[0].astype(int)
  assert near[2] >= 128 and near[0] == near[1] == 0  # blue
  assert far[0] >= 128 and far[1] == far[2] == 0  # red
  assert middle[1] == 255  # green
  np.testing.assert_array_equal(nothing, [0, 0, 0])


def test_jet_is_monotone_over_the_range_and_constant_beyond():
  millimetres = np.arange(depth.NEAREST, depth.FARTHEST + 1, dtype=np.uint16)
  colours = depth.jet(millimetres[None])
  hues = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[0, :, 0]
  assert hues[0] == 240 and hues[-1] == 0
  assert (np.diff(hues) <= 0).all()
  assert len(set(map(tuple, colours[0]))) == 256
  beyond = depth.jet(np.array([[1, depth.NEAREST, depth.FARTHEST, 10000]], np.uint16))[0]
  np.testing.assert_array_equal(beyond[0], beyond[1])
  np.testing.assert_array_equal(beyond[2], beyond[3])


def test_jet_of_another_range():
  levels = np.array([[depth.NEAREST, depth.FARTHEST]], np.uint16)
  np.testing.assert_array_equal(depth.jet(np.array([[650, 950]], np.uint16), 650, 950), depth.jet(levels))


def test_jet_keeps_the_shape():
  assert depth.jet(np.ones((2, 5, 7), np.uint16)).shape == (2, 5, 7, 3)


# Decoding and encoding.


@pytest.fixture
def picture():
  rows, columns = np.mgrid[:40, :60]
  return np.stack([4 * columns, 6 * rows, 255 - 4 * columns], -1).astype(np.uint8)


def test_reads_colour_jpeg_in_rgb_order(tmp_path, picture):
  path = str(tmp_path / 'frame_1_rgb.jpg')
  cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 100])
  np.testing.assert_allclose(frames.read_jpeg(path).astype(int), picture, atol=12)


def test_reads_grey_jpeg_as_three_channels(tmp_path, picture):
  path = str(tmp_path / 'frame_1_depth_vis.jpg')
  cv2.imwrite(path, picture[..., 0])
  image = frames.read_jpeg(path)
  assert image.shape == (40, 60, 3)
  np.testing.assert_array_equal(image[..., 1:], image[..., :2])


def test_reads_millimetres(tmp_path):
  path = str(tmp_path / 'frame_1_depth.png')
  millimetres = np.array([[0, 1, 499, 65535], [4500, 256, 255, 3000]], np.uint16)
  cv2.imwrite(path, millimetres)
  image = frames.read_depth(path)
  assert image.dtype == np.uint16
  np.testing.assert_array_equal(image, millimetres)


@pytest.mark.parametrize('kept', [0, 20, 300])
def test_truncated_jpeg_is_named(tmp_path, picture, kept):
  path = tmp_path / 'frame_7_rgb.jpg'
  cv2.imwrite(str(path), picture)
  path.write_bytes(path.read_bytes()[:kept])
  with pytest.raises(frames.UnreadableFileError, match='frame_7_rgb.jpg: truncated'):
    frames.read_jpeg(str(path))


def test_jpeg_without_its_last_bytes_is_broken(tmp_path, picture):
  path = tmp_path / 'frame_7_rgb.jpg'
  cv2.imwrite(str(path), picture)
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(frames.UnreadableFileError, match='frame_7_rgb.jpg'):
    frames.read_jpeg(str(path))


@pytest.mark.parametrize('image', [np.ones((4, 5), np.uint8), np.ones((4, 5, 3), np.uint8)])
def test_8_bit_png_is_not_metric_depth(tmp_path, image):
  path = str(tmp_path / 'frame_7_depth.png')
  cv2.imwrite(path, image)
  with pytest.raises(frames.UnreadableFileError, match='frame_7_depth.png: not a 16-bit PNG'):
    frames.read_depth(path)


def test_truncated_png_is_named(tmp_path):
  path = tmp_path / 'frame_7_depth.png'
  cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 2**16, (40, 60), np.uint16))
  path.write_bytes(path.read_bytes()[:1000])
  with pytest.raises(frames.UnreadableFileError, match='frame_7_depth.png: truncated'):
    frames.read_depth(str(path))


def _with_orientation(jpeg: bytes, value: int, order: str) -> bytes:
  """A JPEG with an EXIF header that has a tag before the orientation, in one of the two byte orders."""
  tags = struct.pack(f'{order}HHHIHHHHIHHI', 2, 0x010f, 3, 1, 0, 0, 0x0112, 3, 1, value, 0, 0)
  exif = b'Exif\0\0' + (b'II' if order == '<' else b'MM') + struct.pack(f'{order}HI', 42, 8) + tags
  return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('read', [frames.read_jpeg, frames.read_picture])
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, picture, read, order):
  """OpenCV turns them by the same header; 0 and 9 are no orientations."""
  path = tmp_path / 'phone.jpg'
  jpeg = cv2.imencode('.jpg', picture[..., ::-1])[1].tobytes()
  path.write_bytes(jpeg)
  plain = read(str(path))
  for value in range(10):
    path.write_bytes(_with_orientation(jpeg, value, order))
    expected = cv2.imread(str(path))[..., ::-1].astype(int)
    image = read(str(path))
    assert image.shape == expected.shape == ((60, 40, 3) if 5 <= value <= 8 else (40, 60, 3))
    np.testing.assert_allclose(image, expected, atol=12)
    if value in (0, 1, 9):
      np.testing.assert_array_equal(image, plain)


@pytest.mark.parametrize('cut', range(2, 60, 3))
def test_a_damaged_exif_header_turns_nothing(picture, cut):
  jpeg = _with_orientation(cv2.imencode('.jpg', picture)[1].tobytes(), 6, '<')
  assert frames.orientation(jpeg[:cut]) in (1, 6)
  assert frames.orientation(jpeg[:cut] + b'\xff' * 60) in (1, 6)


@pytest.mark.parametrize('ending, read', [
    ('.jpg', frames.read_jpeg), ('.jpg', frames.read_picture), ('.png', frames.read_picture),
    ('.png', frames.read_depth)])
def test_pictures_of_too_many_pixels_are_named_before_they_are_decoded(tmp_path, ending, read, monkeypatch):
  path = str(tmp_path / f'scan{ending}')
  cv2.imwrite(path, np.zeros((30, 40), np.uint16 if read == frames.read_depth else np.uint8))
  read(path)
  monkeypatch.setattr(frames, 'MAX_PIXELS', 1199)
  for name in ('decode_jpeg', 'decode_png', 'decode_image'):
    monkeypatch.setattr(tf.io, name, None)
  with pytest.raises(frames.UnreadableFileError, match=f'scan{ending}: 40x30 pixels, more than'):
    read(path)


@pytest.mark.parametrize('read', [frames.read_jpeg, frames.read_picture, frames.read_depth])
def test_a_folder_of_a_frames_name_is_named(tmp_path, read):
  with pytest.raises(frames.UnreadableFileError, match=f'{tmp_path.name}: Is a directory'):
    read(str(tmp_path))


@pytest.mark.parametrize('read', [frames.read_jpeg, frames.read_depth])
def test_missing_file_is_named(tmp_path, read):
  with pytest.raises(frames.UnreadableFileError, match='frame_9: missing'):
    read(str(tmp_path / 'frame_9'))


def test_encoding_rounds_and_clips(picture):
  images = np.stack([picture + 0.4, np.full(picture.shape, 300.0), np.full(picture.shape, -5.0)])
  decoded = [tf.io.decode_jpeg(data, dct_method='INTEGER_ACCURATE').numpy().astype(int)
             for data in frames.encode_jpeg(images)]
  assert abs(decoded[0] - picture).mean() < 1
  assert decoded[1].min() == 255 and decoded[2].max() == 0


def test_grey_images_are_stored_with_one_channel_and_decode_to_the_same(picture):
  grey = np.repeat(picture[..., :1], 3, axis=-1).astype(np.uint8)
  stored, = frames.encode_jpeg(grey[None])
  assert tf.io.extract_jpeg_shape(stored)[-1] == 1
  coloured = tf.io.encode_jpeg(grey, quality=frames.JPEG_QUALITY, chroma_downsampling=False)
  np.testing.assert_array_equal(*(
      tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE') for data in (stored, coloured)))


@pytest.mark.parametrize('dataset', registry.DATASETS)
def test_builders_store_frames_by_the_specification_that_serving_reads(dataset):
  spec, of_builder = registry.DATASETS[dataset], catalog.builder_class(dataset).SPEC
  for field in ('resize', 'dct_method', 'least_rgb_width', 'depth_variants', 'metric_depth', 'alignable'):
    assert getattr(of_builder, field) == getattr(spec, field), field


@pytest.mark.parametrize('dataset', ['nwucla', 'nyud', 'ntu60'])
def test_pixels_as_stored_are_those_of_the_stored_file(dataset):
  """In a graph, as a server has it; NTU's wide frames are shrunk first, which its builder does while it reads."""
  spec = registry.DATASETS[dataset]
  image = np.random.default_rng(0).integers(0, 256, (60, 1100, 3), np.uint8)
  read = frames.shrink(image, spec.least_rgb_width).numpy() if spec.least_rgb_width else image
  stored = tf.io.decode_jpeg(frames.store(read, spec, 32), channels=3, dct_method='INTEGER_ACCURATE')
  in_graph = tf.function(lambda x: frames.as_stored(x, spec, 32))(tf.constant(image))
  np.testing.assert_array_equal(in_graph, stored)
