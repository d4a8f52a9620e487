"""Settings of every test process: two logical CPUs, so that distribution is tested without a GPU."""

import gc
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ['CUDA_VISIBLE_DEVICES'] = ''
# Two processes share the cores; and with one thread for each operation sums do not depend on how many there are.
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')

import pytest

import tf_privinfo  # noqa: F401  # chooses Keras before TensorFlow is imported

# isort: split
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)


# The garbage collector looks at everything that is alive, again and again while functions are traced.
gc.collect()
gc.freeze()


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
