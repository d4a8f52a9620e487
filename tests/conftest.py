"""Settings of every test process: two logical CPUs, so that distribution is tested without a GPU."""

import gc
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
if 'TF_PRIVINFO_TEST_GPU' not in os.environ:
  os.environ['CUDA_VISIBLE_DEVICES'] = ''
# Two processes share the cores; and with one thread for each operation sums do not depend on how many there are.
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')

import pytest

import tf_privinfo  # noqa: F401  # chooses Keras before TensorFlow is imported

# isort: split
import tensorflow as tf

from tests import command_line, in_process, native_files

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
# Where these tests run on a GPU, they compare in float32.
tf.config.experimental.enable_tensor_float_32_execution(False)

# The garbage collector looks at everything that is alive, again and again while functions are traced.
gc.collect()
gc.freeze()


# The files that take longest. Files are handed to the two processes in order: with these first, both end together.
LONGEST = (
    'test_every_dataset', 'test_workers', 'test_recordings', 'test_stages_from', 'test_whole_run', 'test_switch',
    'test_training', 'test_stages', 'test_pairs_trained', 'test_stored_runs', 'test_extending_page', 'test_docs_flags',
    'test_sixty_bad_inputs', 'test_readme', 'test_processes_at_once', 'test_locks', 'test_bad_input',
    'test_adversarial', 'test_resnet50_parity', 'test_resnet50', 'test_predict', 'test_serving_page', 'test_litert',
    'test_augmentation', 'test_training_clips', 'test_two_stream', 'test_multiple_choice', 'test_resumed_preparation',
    'test_preparation_check', 'test_incomplete_preparation', 'test_show', 'test_export', 'test_conversion',
    'test_benchmarks', 'test_reports', 'test_report_results', 'test_slim_checkpoint', 'test_optimizers', 'test_nyud',
    'test_ntu_rgbd', 'test_package', 'test_discriminator', 'test_uwa3dii', 'test_alignment')


def pytest_collection_modifyitems(items):
  """Sorts the tests, file by file."""
  rank = {name: number for number, name in enumerate(LONGEST)}
  items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True, scope='module')
def clean_process():
  """A seed, since training makes its process deterministic, and random weights are then refused without one.

  What a module leaves behind is removed: networks and traced functions of all
  modules would slow the garbage collector down.
  """
  tf.keras.utils.set_random_seed(0)
  yield
  tf.keras.backend.clear_session()
  gc.collect()


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Native files of NW-UCLA: 2 of 10 actions, 3 views, 8 training videos."""
  directory = tmp_path_factory.mktemp('nwucla')
  native_files.write_nwucla(directory, actions=(1, 2))
  return directory


@pytest.fixture(scope='module')
def finished_run(data_dir, tmp_path_factory):
  """The directory of a run on them, trained in this process with `command_line.flags`."""
  output_dir = tmp_path_factory.mktemp('out')
  with in_process.one_device(), in_process.quick():
    in_process.train_main_with(*command_line.flags(data_dir, output_dir))
  [path] = output_dir.glob('nwucla/dmcl/*')
  return path


@pytest.fixture(scope='session')
def two_devices():
  """The one MirroredStrategy of the process: the collective operations of two would collide."""
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])


@pytest.fixture(scope='session')
def bfloat16():
  """Skips where oneDNN is told to use instructions (ONEDNN_MAX_CPU_ISA) that have no convolution in bfloat16."""
  try:
    tf.nn.conv2d(tf.zeros([1, 4, 4, 1], tf.bfloat16), tf.zeros([3, 3, 1, 1], tf.bfloat16), 1, 'SAME')
  except tf.errors.AbortedError:
    pytest.skip('no convolution in bfloat16 with these instructions')
