"""Speed and memory of a DMCL training step on this machine.

  python benchmarks/dmcl_step.py

Three variants of the step, with RGB, depth and flow networks of the thesis:

  tf_privinfo   training step of this project, float32
  conv3d        the same step with networks of plain Conv3D and BatchNormalization
  bfloat16      as tf_privinfo, with --mixed_precision

With --torch_python, the same step in PyTorch is a fourth one, `pytorch`, float32. PyTorch is not part of the project:
`python3.11 -m venv DIR` and `DIR/bin/pip install torch numpy` give its Python, `DIR/bin/python`.

The variants take turns, so that other load of the machine affects all of
them; compare the ratios rather than the rates. Peak memory is measured in
a new process for each variant. Before timing, both networks are checked to
compute the same. One video of a step consists of a clip of each modality.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore', category=FutureWarning, module='google')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags, logging
import numpy as np
import tensorflow as tf

from benchmarks import reference_r2plus1d, turns
from tf_privinfo.methods import multiple_choice
from tf_privinfo.networks import r2plus1d
from tf_privinfo.networks.config import R2Plus1DConfig
from tf_privinfo.training import optimizers

VARIANTS = ('tf_privinfo', 'bfloat16', 'conv3d')
MODALITIES = ('rgb', 'depth', 'flow')
NUM_CLASSES, FRAMES = 10, 8

FLAGS = flags.FLAGS
flags.DEFINE_integer(
    'batch_size', 2, 'Videos per step. The thesis has 8; two videos take about 3.5 GiB.', lower_bound=1)
flags.DEFINE_integer('steps', 1, 'Number of steps that are timed together.', lower_bound=1)
flags.DEFINE_integer('repeats', 5, 'Number of turns of each variant.', lower_bound=1)
flags.DEFINE_integer('size', 224, 'Side of the clips, in pixels.', lower_bound=16)
flags.DEFINE_integer('width', 64, 'Channels of the first stage.', lower_bound=1)
flags.DEFINE_multi_enum('variants', list(VARIANTS), VARIANTS, 'Variants to measure; may be repeated.')
flags.DEFINE_string('torch_python', None, 'Python with PyTorch, for the variant pytorch.')
flags.DEFINE_enum('memory_of', None, VARIANTS, 'Variant to run alone, to print its peak memory in bytes.')


def build_step(variant: str):
  """A function that runs `--steps` training steps of a variant and returns videos per second."""
  network = reference_r2plus1d.ReferenceR2Plus1D if variant == 'conv3d' else r2plus1d.R2Plus1D
  tf.keras.mixed_precision.set_global_policy('mixed_bfloat16' if variant == 'bfloat16' else 'float32')
  streams = {m: network(NUM_CLASSES, R2Plus1DConfig(width=FLAGS.width)) for m in MODALITIES}
  method = multiple_choice.DMCL(streams, NUM_CLASSES)
  method.compile(optimizers.Momentum(1e-3))
  shape = [FLAGS.batch_size, FRAMES, FLAGS.size, FLAGS.size, 3]
  batch = ({m: tf.random.stateless_uniform(shape, [0, i], 0, 255) for i, m in enumerate(MODALITIES)},
           tf.range(FLAGS.batch_size) % NUM_CLASSES)
  train_step = tf.function(method.train_step)

  def run():
    start = time.perf_counter()
    for _ in range(FLAGS.steps):
      loss = train_step(batch)['loss']
    assert np.isfinite(loss)  # also waits for the last step
    return FLAGS.batch_size * FLAGS.steps / (time.perf_counter() - start)

  return run


def start_torch(directory: str):
  """Starts `torch_step.py`, compares its logits with the reference network, and returns a function that runs it."""
  config = R2Plus1DConfig(width=FLAGS.width)
  reference = reference_r2plus1d.ReferenceR2Plus1D(NUM_CLASSES, config)
  inputs = tf.random.stateless_uniform([2, FRAMES, 64, 64, 3], [1, 2], 0, 255)
  logits = reference(inputs, training=True)
  stored = pathlib.Path(directory) / 'stored.npz'
  np.savez(stored, inputs=inputs, logits=logits, **{
      f'weight{i}': variable.numpy() for i, variable in enumerate(reference.trainable_variables)})
  process = subprocess.Popen(
      [FLAGS.torch_python, str(pathlib.Path(__file__).with_name('torch_step.py')), str(stored), f'--frames={FRAMES}',
       f'--num_classes={NUM_CLASSES}', *(f'--{name}={FLAGS[name].value}' for name in (
           'batch_size', 'steps', 'size', 'width'))],
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
  error = float(process.stdout.readline())
  print(f'Same weights, PyTorch, training mode: relative error of the logits {error:.1e}')
  if not error < 1e-3:
    sys.exit('The network in PyTorch differs (bound 0.001).')

  def run():
    process.stdin.write('\n')
    return float(process.stdout.readline())

  return run


def check_reference() -> None:
  """Exits unless both networks compute the same logits; the weights do not depend on the size of the clips."""
  config = R2Plus1DConfig(width=FLAGS.width)
  ours = r2plus1d.R2Plus1D(NUM_CLASSES, config)
  reference = reference_r2plus1d.ReferenceR2Plus1D(NUM_CLASSES, config)
  inputs = tf.random.stateless_uniform([2, FRAMES, 64, 64, 3], [1, 2], 0, 255)
  ours(inputs), reference(inputs)
  for i, variable in enumerate(ours.variables):  # away from the ones and zeros of batch norm
    variable.assign(variable + 0.1 * tf.abs(variable) * tf.random.stateless_uniform(variable.shape, [3, i]))
  reference_r2plus1d.copy_weights(ours, reference)
  for training, bound in ((False, 1e-5), (True, 1e-3)):
    a, b = ours(inputs, training=training), reference(inputs, training=training)
    error = float(tf.norm(a - b) / tf.norm(b))
    print(f'Same weights, {"training" if training else "inference"} mode: relative error of the logits {error:.1e}')
    if not error < bound:
      sys.exit(f'The reference network differs (bound {bound}).')


def peak_memory(variant: str) -> float:
  """Peak resident memory, in GiB, of a new process that trains a variant for two turns."""
  command = [sys.executable, __file__, f'--memory_of={variant}']
  command += [f'--{name}={FLAGS[name].value}' for name in ('batch_size', 'steps', 'size', 'width')]
  output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
  return int(output.split()[-1]) / 2**30


def print_peak_memory(variant: str) -> None:
  """Trains a variant for two turns and prints the peak resident memory of this process, in bytes."""
  run = build_step(variant)
  run()
  run()
  print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def print_table(rates, memory) -> None:
  """Prints rates and paired ratios to the last variant as median (min - max), and memory in GiB."""
  *_, last = rates
  print(f'\n| variant | videos/s | ratio to {last} | peak memory, GiB |\n|---|---|---|---|')
  for name, values in rates.items():
    used = f'{memory[name]:.2f}' if name in memory else '-'
    print(f'| {name} | {turns.spread(values)} | {turns.spread(values / rates[last])} | {used} |')


def main(_) -> None:
  """Measures and prints speed and memory of all variants."""
  logging.set_verbosity(logging.ERROR)
  if FLAGS.memory_of:
    print_peak_memory(FLAGS.memory_of)
    return
  machine = '\n'.join([
      turns.describe_machine(),
      f'{FLAGS.batch_size} videos per step, {FRAMES} frames of {FLAGS.size}x{FLAGS.size}, width {FLAGS.width}, '
      f'{FLAGS.steps} steps x {FLAGS.repeats} repeats'])
  print(machine, flush=True)
  check_reference()
  memory = {variant: peak_memory(variant) for variant in FLAGS.variants}
  steps = {variant: build_step(variant) for variant in FLAGS.variants}
  with tempfile.TemporaryDirectory() as directory:
    if FLAGS.torch_python:
      steps['pytorch'] = start_torch(directory)
    rates = turns.measure(steps, FLAGS.repeats, 'videos/s')
  print(f'\n{machine}')
  print_table(rates, memory)


if __name__ == '__main__':
  app.run(main)
