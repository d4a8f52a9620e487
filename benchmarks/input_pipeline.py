"""Speed of the input pipeline of DMCL and of the authors' pipeline on this machine.

  python benchmarks/input_pipeline.py

Both make batches of training clips, eight frames of 224 x 224 of each of three modalities, from the same videos:

  tf_privinfo   frames are stored once, as JPEG of 256 x 256, in the files of TensorFlow Datasets; for the frames of a
                clip, the region of the crop is decoded
  authors       a record contains the paths of a video's frames, in the size of the sensors; the frames of a clip are
                read, decoded, resized to 256 x 256 and cropped, every modality frame by frame (docs/fidelity.md, B 5)

The authors' pipeline is reimplemented after their `codebase/parsers.py` and `dmcl.py`, operation by operation: `map_fn`
over reading, decoding and mirroring, eight videos at once, ten batches ahead. Colour distortion is this project's,
which computes the same. In this project the training step distorts RGB, and all clips are bytes until then; in the
authors' code they are floats. The time of the distortion counts for both. Sizes and length correspond to NW-UCLA, the
only dataset with published records: images of a Kinect, on average 40 frames per video. RGB of 1920 x 1080, as in NTU,
would take the authors' pipeline several times as long.

Both pipelines take turns in one process. Compare ratios rather than rates, and ratios of CPU time if other processes
compete for the cores. All files are in the system's cache, so the result does not include that reading one record is
cheaper for a disk than opening 24 files. Every epoch of this project's pipeline has a start-up cost. An epoch therefore
passes through the videos several times; with only a few videos, the start would dominate.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time
from typing import List
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore', category=FutureWarning, module='google')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags, logging
import cv2
import numpy as np
import tensorflow as tf

from benchmarks import simulated_ntu, turns
from tf_privinfo.datasets import catalog, clips, colour
from tf_privinfo.datasets.config import ClipConfig, DataConfig
from tf_privinfo.datasets.preparation import flow

MODALITIES = ('rgb', 'depth', 'flow')
CONFIG = ClipConfig()  # the thesis' sizes
_RECORDS = {'rgb': 'rgb_frames', 'depth': 'depth_frames', 'flow': 'oflow_frames'}

FLAGS = flags.FLAGS
flags.DEFINE_integer('videos', 8, 'Number of videos.', lower_bound=2)
flags.DEFINE_integer('length', 40, 'Frames per video.', lower_bound=9)
flags.DEFINE_integer('width', 640, 'Width of RGB and flow, in pixels; depth has half of it.', lower_bound=8)
flags.DEFINE_integer('height', 480, 'Height of RGB and flow, in pixels; depth has half of it.', lower_bound=8)
flags.DEFINE_integer('batch_size', 8, 'Clips per batch.', lower_bound=1)
flags.DEFINE_integer('passes', 8, 'Passes through the videos in an epoch.', lower_bound=1)
flags.DEFINE_integer('epochs', 2, 'Epochs per turn, after one epoch of warm-up.', lower_bound=1)
flags.DEFINE_integer('repeats', 5, 'Number of turns of each pipeline.', lower_bound=1)
flags.DEFINE_bool('simulated', False, 'Measure order and reading of simulated records at the size of NTU RGB+D 60.')
flags.DEFINE_integer('tiny', 60_120, 'Number of tiny simulated records.', lower_bound=8)
flags.DEFINE_integer('full', 300, 'Number of simulated records of full size.', lower_bound=8)
flags.DEFINE_float('rate', 40.0, 'Clips per second that the consumer of simulated records takes.', lower_bound=1)


def texture() -> np.ndarray:
  """A random image [H, W, 3] uint8 whose amplitudes fall with frequency, with the JPEG size of a photograph."""
  rng = np.random.default_rng(0)
  frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(FLAGS.height), np.fft.fftfreq(FLAGS.width), indexing='ij'))
  white = np.fft.fft2(rng.normal(size=(3, FLAGS.height, FLAGS.width)))
  picture = np.fft.ifft2(white / np.maximum(frequency, 1 / FLAGS.width) ** 1.6).real
  return np.clip(128 + 45 * picture / picture.std(), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def write_videos(directory: pathlib.Path) -> None:
  """Writes videos of a moving random texture in the layout of NW-UCLA, with flow files for the authors' records.

  All videos are copies of one, which does not affect the cost of a frame.
  """
  folders = [directory / 'multiview_action' / 'view_1' / f'a01_s{index:02d}_e00' for index in range(FLAGS.videos)]
  folders[0].mkdir(parents=True)
  image = texture()
  rgb = np.stack([np.roll(image, (number, 2 * number), (0, 1)) for number in range(FLAGS.length)])
  for number, (image, motion) in enumerate(zip(rgb, flow.encode_flow(flow.dense_flow(rgb)))):
    cv2.imwrite(str(folders[0] / f'frame_{number}_rgb.jpg'), image)
    cv2.imwrite(str(folders[0] / f'frame_{number}_depth_vis.jpg'), image[::2, ::2, 0])
    cv2.imwrite(str(folders[0] / f'frame_{number}_flow.jpg'), motion)
  for folder in folders[1:]:
    shutil.copytree(folders[0], folder)


def project(directory: pathlib.Path) -> tf.data.Dataset:
  """Endless batches of training clips from the prepared dataset, by `clips` and `colour`."""
  source = catalog.open_dataset('nwucla', str(directory), DataConfig(), CONFIG.frame_size)
  once = source.videos(source.names, MODALITIES)
  videos = once._replace(
      names=list(once.names) * FLAGS.passes, labels=np.tile(once.labels, FLAGS.passes),
      lengths=np.tile(once.lengths, FLAGS.passes), read=lambda number, *rest: once.read(number % FLAGS.videos, *rest))
  batches = clips.training_clips(videos, CONFIG, seed=0, epochs=range(10**4), batch_size=FLAGS.batch_size)
  return batches.map(lambda clip, *rest: (colour.distort(clip), *rest), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def authors(directory: pathlib.Path) -> tf.data.Dataset:
  """Endless batches of training clips from the authors' records, as in their code."""
  records = [_write_record(folder) for folder in sorted(directory.glob('multiview_action/view_1/*'))]
  dataset = tf.data.TFRecordDataset(records, compression_type='GZIP').shuffle(100).repeat()
  return dataset.map(_parse, num_parallel_calls=8).batch(FLAGS.batch_size, drop_remainder=True).prefetch(10)


def _write_record(folder: pathlib.Path) -> str:
  """Writes the authors' record of a video, with label, name, length, and paths of frames, and returns its path."""
  example, path = tf.train.SequenceExample(), str(folder.with_suffix('.tfrecord'))
  example.context.feature['label'].int64_list.value.append(0)
  example.context.feature['video_id'].bytes_list.value.append(folder.name.encode())
  example.context.feature['length'].int64_list.value.append(FLAGS.length)
  for modality, ending in zip(MODALITIES, ('rgb', 'depth_vis', 'flow')):
    for number in range(FLAGS.length):
      example.feature_lists.feature_list[_RECORDS[modality]].feature.add().bytes_list.value.append(
          str(folder / f'frame_{number}_{ending}.jpg').encode())
  with tf.io.TFRecordWriter(path, 'GZIP') as writer:
    writer.write(example.SerializeToString())
  return path


def _parse(record):
  """A record as ({modality: [8, 224, 224, 3] float32}, label, name); frames are drawn before they are read."""
  context, paths = tf.io.parse_single_sequence_example(
      record,
      {'label': tf.io.FixedLenFeature([], tf.int64), 'video_id': tf.io.FixedLenFeature([], tf.string),
       'length': tf.io.FixedLenFeature([], tf.int64)},
      {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in _RECORDS.values()})
  part = tf.cast(context['length'], tf.float64) / CONFIG.frames
  indices = tf.map_fn(lambda j: tf.random.uniform(
      [], tf.cast(tf.math.ceil(tf.cast(j, tf.float64) * part), tf.int32),
      tf.cast(tf.math.ceil(tf.cast(j + 1, tf.float64) * part), tf.int32), tf.int32), tf.range(CONFIG.frames))
  mirrored = tf.random.uniform([]) > .5
  margin = (CONFIG.frame_size - CONFIG.crop_size) / 2
  shift = tf.cond(tf.random.uniform([]) > .5, lambda: tf.random.uniform([2], -margin, margin), lambda: tf.zeros([2]))
  offsets = tf.tile(shift[tf.newaxis], [CONFIG.frames, 1])
  clip = {m: _read(tf.gather(paths[name], indices), mirrored, offsets) for m, name in _RECORDS.items()}
  drawn = colour.draw(tf.random.uniform([2], maxval=2**30, dtype=tf.int32))
  clip['rgb'] = colour.distort_clip(clip['rgb'], drawn)
  return clip, context['label'], context['video_id']


def _read(paths, mirrored, offsets):
  """The frames of a clip [8, 224, 224, 3] float32, 0..255."""
  images = tf.map_fn(tf.io.read_file, paths)
  images = tf.map_fn(lambda data: tf.io.decode_jpeg(data, channels=3), images, fn_output_signature=tf.uint8)
  images = tf.compat.v1.image.resize_images(images, [CONFIG.frame_size] * 2)
  images = tf.compat.v1.image.extract_glimpse(images, [CONFIG.crop_size] * 2, offsets, normalized=False)
  return tf.cond(mirrored, lambda: tf.map_fn(tf.image.flip_left_right, images), lambda: images)


def check_same(ours: tf.data.Dataset, reference: tf.data.Dataset) -> None:
  """Exits unless batches of both have equal shapes and, since the videos are the same, similar colours."""
  batches = [next(iter(dataset))[0] for dataset in (ours, reference)]
  for modality in MODALITIES:
    one, other = (batch[modality] for batch in batches)
    if one.shape != other.shape:
      sys.exit(f'{modality}: {one.shape}, the reference has {other.shape}.')
    # RGB is distorted, and each pipeline draws different frames.
    means = [tf.reduce_mean(tf.cast(clips_of, tf.float32)) for clips_of in (one, other)]
    if modality != 'rgb' and abs(means[0] - means[1]) > 5:
      sys.exit(f'{modality}: a mean of {means[0]:.0f}, the reference has {means[1]:.0f}.')


def build_run(batches: tf.data.Dataset, cpu: List[float]):
  """A function that reads the batches of a turn and returns clips per second; it appends CPU ms per clip to `cpu`."""
  per_epoch = FLAGS.passes * FLAGS.videos // FLAGS.batch_size
  clips_in_turn = FLAGS.epochs * per_epoch * FLAGS.batch_size

  def run():
    iterator = iter(batches)  # a new one, so that nothing is computed during the turn of the other pipeline
    for _ in range(per_epoch):
      next(iterator)
    start, cpu_start = time.perf_counter(), time.process_time()
    for _ in range(FLAGS.epochs * per_epoch):
      next(iterator)
    cpu.append(1e3 * (time.process_time() - cpu_start) / clips_in_turn)
    return clips_in_turn / (time.perf_counter() - start)

  return run


def main(_) -> None:
  """Measures and prints the speed of both pipelines."""
  logging.set_verbosity(logging.ERROR)
  if FLAGS.simulated:
    with tempfile.TemporaryDirectory() as directory:
      rows = [simulated_ntu.measure(pathlib.Path(directory), name, count, FLAGS.rate)
              for name, count in (('tiny', FLAGS.tiny), ('full', FLAGS.full))]
    print('\n'.join([turns.describe_machine(), f'consumer of {FLAGS.rate:.0f} clips/s', simulated_ntu.HEAD, *rows]))
    return
  if FLAGS.videos < FLAGS.batch_size:
    raise app.UsageError('--videos must fill a batch.')
  with tempfile.TemporaryDirectory() as directory:
    directory = pathlib.Path(directory)
    write_videos(directory)
    pipelines = {'tf_privinfo': project(directory), 'authors': authors(directory)}
    check_same(*pipelines.values())
    cpu = {name: [] for name in pipelines}
    rates = turns.measure(
        {name: build_run(batches, cpu[name]) for name, batches in pipelines.items()}, FLAGS.repeats, 'clips/s')
  print(f'\n{turns.describe_machine()}\n{FLAGS.videos} videos of {FLAGS.length} frames, RGB and flow of '
        f'{FLAGS.width}x{FLAGS.height}, depth of {FLAGS.width // 2}x{FLAGS.height // 2}; clips of {CONFIG.frames} '
        f'frames x {len(MODALITIES)} modalities, {FLAGS.batch_size} in a batch; median (min - max) of {FLAGS.repeats} '
        'turns\n')
  print("| pipeline | clips/s | ratio to the authors' | CPU time of a clip, ms | authors' in relation to it |")
  print('|---|---|---|---|---|')
  cpu = {name: np.array(values[1:]) for name, values in cpu.items()}
  for name, values in rates.items():
    print(f'| {name} | {turns.spread(values)} | {turns.spread(values / rates["authors"])} | {turns.spread(cpu[name])} '
          f'| {turns.spread(cpu["authors"] / cpu[name])} |')


if __name__ == '__main__':
  app.run(main)
