"""The origin of a result: recipe, software, hardware, date."""

import datetime
from importlib import metadata
import os
import platform
from typing import Any, Dict

import tensorflow as tf
from tensorflow.python.framework import config as tf_config  # what enables determinism is public, its state is not

import tf_privinfo
from tf_privinfo.runs.run import ORIGIN, Run
from tf_privinfo.utils import machine

# The package behind tf.keras: keras, or tf_keras beside a newer TensorFlow.
_KERAS = tf.keras.Model.__module__.partition('.')[0]
_VERSIONS = ('tensorflow', 'tf-models-official', 'tensorflow-datasets', 'numpy')


def describe(run: Run) -> Dict[str, Any]:
  """The recipe, software, hardware and date of a result, as plain values for JSON."""
  recipe = run.recipe
  return {
      **{field: getattr(recipe, field) for field in ORIGIN},
      'initial_weights': recipe.init_from or getattr(recipe.network, 'pretrained', '') or 'random',
      'versions': {'tf_privinfo': tf_privinfo.__version__, 'python': platform.python_version(),
                   'keras': metadata.version(_KERAS),
                   **{package: metadata.version(package) for package in _VERSIONS}},
      'devices': [device.device_type for device in tf.config.list_logical_devices()],
      # TF32 has 10 bits of a mantissa in products of float32, on GPUs since Ampere.
      'deterministic': tf_config.is_op_determinism_enabled(),
      'tensor_float_32': tf.config.experimental.tensor_float_32_execution_enabled(),
      # Rounding depends on the kernels of the processor, and on the number of threads that share a sum.
      'processor': machine.processor(),
      'cpu_cores': machine.cpu_cores(),
      'threads_of_an_operation': (tf.config.threading.get_intra_op_parallelism_threads()
                                  or int(os.environ.get('TF_NUM_INTRAOP_THREADS', machine.cpu_cores()))),
      'date': datetime.date.today().isoformat(),
  }
