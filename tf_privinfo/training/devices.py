"""The devices of a run, and the division of CPU cores among its networks."""

import math
import os

import tensorflow as tf

from tf_privinfo import recipes
from tf_privinfo.utils import errors, machine

_NO_GPU_LIBRARIES = (
    "Install the CUDA libraries with pip install -c constraints.txt -e '.[gpu]', beside NVIDIA's driver 525.60.13 or "
    'newer; --num_gpus=0 trains on the CPU.')


def divide_cores(recipe: recipes.Recipe) -> None:
  """Divides the CPU cores among the networks of a step, instead of dividing every operation among all cores.

  Operations of different networks are independent. The function must be called
  before anything else uses TensorFlow's devices. The environment variable
  TF_NUM_INTRAOP_THREADS takes precedence.

  Args:
    recipe: recipe of the run; the stage with the fewest networks determines the
      division, so that no stage leaves cores idle.
  """
  if 'TF_NUM_INTRAOP_THREADS' not in os.environ:
    networks = min(len(recipe.streams(stage)) for stage in recipe.stages)
    tf.config.threading.set_intra_op_parallelism_threads(math.ceil(machine.cpu_cores() / networks))


def make_strategy(num_gpus: int) -> tf.distribute.Strategy:
  """The default strategy on one device, MirroredStrategy on several.

  The function must be called before anything else uses TensorFlow's devices.

  Args:
    num_gpus: number of GPUs to use; -1: all, 0: none.

  Raises:
    UserError: if there are fewer GPUs.
  """
  gpus = tf.config.list_physical_devices('GPU')
  if num_gpus > len(gpus):
    raise errors.UserError(f'--num_gpus={num_gpus}, but TensorFlow finds {len(gpus)} on this machine.'
                           + (f' {_NO_GPU_LIBRARIES}' if not gpus and machine.has_nvidia_gpu() else ''))
  if num_gpus and not gpus and machine.has_nvidia_gpu():
    print(f'Warning: this machine has an NVIDIA GPU, and TensorFlow cannot use it. {_NO_GPU_LIBRARIES}', flush=True)
  if num_gpus >= 0:
    tf.config.set_visible_devices(gpus[:num_gpus], 'GPU')
  devices = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
  if len(devices) == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy([device.name for device in devices])


def describe_devices() -> str:
  """The devices of `make_strategy` for the first line of a run, as in 'the CPU: 2 cores of AMD EPYC (AVX2)'."""
  gpus = tf.config.get_visible_devices('GPU')
  if not gpus:
    return f'the CPU: {machine.cpu_cores()} cores of {machine.processor()}'
  details = map(tf.config.experimental.get_device_details, gpus)
  names = sorted({detail.get('device_name', 'of unknown name') for detail in details})
  return f'{len(gpus)} GPU{"s" if len(gpus) > 1 else ""}: {", ".join(names)}'
