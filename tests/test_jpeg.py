"""JPEG files decoded in a graph, as a server does it, against `frames.read_jpeg` and Pillow."""

import io
import struct

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from tf_privinfo.datasets.preparation import frames
from tf_privinfo.serving import jpeg

PIXELS = cv2.blur(np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8), (5, 5))


def encode(mode='RGB', **options):
  file = io.BytesIO()
  PIL.Image.fromarray(PIXELS).convert(mode).save(file, 'JPEG', quality=95, subsampling=0, **options)
  return file.getvalue()


PLAIN = encode()


def with_exif(order, orientation, *, offset=8, before=b''):
  """The file with an EXIF header of one other entry and the orientation, in a byte order, after another segment."""
  exif = b'Exif\0\0' + (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(
      f'{order}IHHHIIHHIHHI', offset, 2, 0x010f, 2, 4, 0x61616100, 0x0112, 3, 1, orientation, 0, 0)
  return PLAIN[:2] + before + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + PLAIN[2:]


XMP = b'\xff\xe1' + struct.pack('>H', 12) + b'http://ns/'
UPRIGHT = {'plain': PLAIN, 'grey': encode('L'), 'progressive': encode(progressive=True), 'CMYK': encode('CMYK'),
           'EXIF beyond the end': with_exif('<', 6, offset=2**32 - 1), 'EXIF of nothing': with_exif('<', 6, offset=9),
           **{f'orientation {held}': with_exif('>', held) for held in (0, 1, 9)}}
TURNED = {**{f'{order}{held}': with_exif(order, held) for order in '<>' for held in range(2, 9)},
          'after XMP': with_exif('>', 6, before=XMP)}


@pytest.fixture(scope='module')
def decode():
  return tf.function(jpeg.decode, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize('data', UPRIGHT.values(), ids=UPRIGHT)
def test_kinds_of_files(data, decode, tmp_path):
  (tmp_path / 'x.jpg').write_bytes(data)
  image = decode(data).numpy()
  np.testing.assert_array_equal(image, frames.read_jpeg(str(tmp_path / 'x.jpg')))
  expected = PIL.ImageOps.grayscale(PIL.Image.fromarray(PIXELS)).convert('RGB') if data == UPRIGHT['grey'] else PIXELS
  assert image.shape == PIXELS.shape and np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize('data', TURNED.values(), ids=TURNED)
def test_orientation(data, decode):
  plain = PIL.Image.fromarray(decode(PLAIN).numpy())
  plain.getexif()[0x0112] = PIL.Image.open(io.BytesIO(data)).getexif()[0x0112]
  expected = np.asarray(PIL.ImageOps.exif_transpose(plain))
  np.testing.assert_array_equal(decode(data).numpy(), expected)
  assert not np.array_equal(expected, np.asarray(plain))


@pytest.mark.parametrize('data, message', [
    (b'', 'one is empty or has another format'), (b'hello', 'another format'),
    (tf.io.encode_png(PIXELS).numpy(), 'must be the content of a JPEG file'),
    *((PLAIN[:length], 'Invalid JPEG data') for length in (2, 100, len(PLAIN) // 2))])
def test_no_jpeg_file(data, message, decode):
  with pytest.raises(tf.errors.InvalidArgumentError, match=message):
    decode(data)


@pytest.mark.parametrize('side', [8000, 65500])
def test_too_many_pixels(side, decode):
  """By what the header says: these files have no more pixels than the plain one."""
  data = PLAIN.replace(struct.pack('>HH', *PIXELS.shape[:2]), struct.pack('>HH', side, side))
  with pytest.raises(tf.errors.InvalidArgumentError, match=f'more than 50000000 pixels.*{side} {side} 3'):
    decode(data)
