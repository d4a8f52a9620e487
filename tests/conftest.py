"""Settings of every test process: two logical CPUs, so that distribution is tested without a GPU."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ['CUDA_VISIBLE_DEVICES'] = ''

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True, scope='module')
def seed():
  """Training makes its process deterministic, which then refuses random initial weights without a seed."""
  tf.keras.utils.set_random_seed(0)


@pytest.fixture(scope='session')
def two_devices():
  """The one MirroredStrategy of the process: the collective operations of two would collide."""
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
