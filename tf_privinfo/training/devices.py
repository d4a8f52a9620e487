"""The devices of a run, and the division of CPU cores among its networks."""

import math
import os
from typing import Mapping, Optional

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


def make_strategy(num_gpus: int, batches: Optional[Mapping[str, int]] = None,
                  workers: int = 1) -> tf.distribute.Strategy:
  """The default strategy on one device, MirroredStrategy on several, MultiWorkerMirroredStrategy on several machines.

  The function must be called before anything else uses TensorFlow's devices. GPUs
  reserve their memory as it is needed.

  Args:
    num_gpus: number of GPUs of this machine to use; -1: as many as divide all batches, 0: none.
    batches: stage -> batch size of all devices together; None: no batch has to be divided.
    workers: number of workers in TF_CONFIG.

  Raises:
    UserError: if there are fewer GPUs, or if their number does not divide a batch.
  """
  gpus = tf.config.list_physical_devices('GPU')
  if num_gpus > len(gpus):
    raise errors.UserError(f'--num_gpus={num_gpus}, but TensorFlow finds {len(gpus)} on this machine.'
                           + (f' {_NO_GPU_LIBRARIES}' if not gpus and machine.has_nvidia_gpu() else ''))
  if num_gpus and not gpus and machine.has_nvidia_gpu():
    print(f'Warning: this machine has an NVIDIA GPU, and TensorFlow cannot use it. {_NO_GPU_LIBRARIES}', flush=True)
  if gpus:
    used = divide_batches(batches or {}, num_gpus, len(gpus), workers) if num_gpus else 0
    tf.config.set_visible_devices(gpus[:used], 'GPU')
    for gpu in gpus[:used]:
      tf.config.experimental.set_memory_growth(gpu, True)
  if workers > 1:
    divide_batches(batches or {}, -1, 1, workers)
    return tf.distribute.MultiWorkerMirroredStrategy()
  devices = tf.config.list_logical_devices('GPU')
  if not devices:
    cpus = tf.config.list_logical_devices('CPU')
    devices = cpus[:divide_batches(batches, -1, len(cpus)) if batches else 1]  # several logical CPUs are for tests
  if len(devices) == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy([device.name for device in devices])


def divide_batches(batches: Mapping[str, int], wanted: int, available: int, workers: int = 1) -> int:
  """The number of devices of each worker that share every batch equally.

  Args:
    batches: stage -> batch size.
    wanted: number of devices; -1: the largest that divides all batches.
    available: number of devices of this machine.
    workers: number of workers with as many devices each.

  Raises:
    UserError: if the wanted number, or the number of workers, does not divide a batch.
  """
  common = math.gcd(*batches.values())  # 0 without batches, which every number divides
  possible = [count for count in range(1, available + 1) if common % (count * workers) == 0]
  if not possible:
    stage, size = next((stage, size) for stage, size in batches.items() if size % workers)
    raise errors.UserError(f'The batch of {size} of stage {stage} cannot be divided among {workers} workers: choose a '
                           f'--batch_size that is a multiple of {workers}, or fewer workers.')
  if wanted == -1:
    return possible[-1]
  if wanted not in possible:
    stage, size = next((stage, size) for stage, size in batches.items() if size % (wanted * workers))
    numbers = ', '.join(map(str, possible))
    of_each = f' of {workers} workers' if workers > 1 else ''
    raise errors.UserError(f'--num_gpus={wanted}{of_each} does not divide the batch of {size} of stage {stage}: choose '
                           f'from {numbers}, or another --batch_size.')
  return wanted


def steps_per_execution() -> int:
  """The default number of training steps between which the host waits for the devices.

  On GPUs, where a step can be shorter than the wait, 8. On CPUs, where a step is
  long, 1: the progress bar moves after every step.
  """
  return 8 if tf.config.list_logical_devices('GPU') else 1


def prefetched(batches: tf.data.Dataset, strategy: tf.distribute.Strategy) -> tf.data.Dataset:
  """Batches that are copied to the only GPU during the step before; MirroredStrategy does so by itself."""
  gpus = tf.config.list_logical_devices('GPU')
  if len(gpus) != 1 or strategy.num_replicas_in_sync > 1:
    return batches
  return batches.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, buffer_size=2))


def describe_devices(workers: int = 1) -> str:
  """The devices of `make_strategy` for the first line of a run, as in 'the CPU: 2 cores of AMD EPYC (AVX2)'."""
  if workers > 1:
    return f'{workers} workers; worker 0 on {describe_devices()}'
  gpus = tf.config.get_visible_devices('GPU')
  if not gpus:
    return f'the CPU: {machine.cpu_cores()} cores of {machine.processor()}'
  details = map(tf.config.experimental.get_device_details, gpus)
  names = sorted({detail.get('device_name', 'of unknown name') for detail in details})
  found = len(tf.config.list_physical_devices('GPU'))
  count = f'{len(gpus)} of {found} GPUs' if len(gpus) < found else f'{found} GPU{"s" if found > 1 else ""}'
  return f'{count}: {", ".join(names)}'


def warn_about_precision(recipe: recipes.Recipe) -> None:
  """Prints a warning if a recipe computes in bfloat16 on GPUs that do not have it: NVIDIA's before Ampere (8.0)."""
  if recipe.mixed_precision and recipe.mixed_dtype == 'bfloat16':
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices('GPU'))
    older = sorted({detail.get('device_name', 'a GPU') for detail in details
                    if detail.get('compute_capability', (8, 0)) < (8, 0)})
    if older:
      print(f'Warning: {", ".join(older)} has no bfloat16: pass --mixed_precision=float16.', flush=True)
