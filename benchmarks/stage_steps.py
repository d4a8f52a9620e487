"""Time and memory of the training steps of every stage of recipes at full size, on made-up clips.

  python benchmarks/stage_steps.py
  python benchmarks/stage_steps.py --methods=dmcl --settings=float32,without_tf32,bfloat16,deterministic --steps=20

Each stage runs in a process of its own, one after the other. Stages with the same networks, loss and batch are run
once. Memory is the peak of TensorFlow's allocator on a GPU, and the peak resident memory of the process on a CPU.

Settings:

  float32            the recipe as it is
  without_tf32       convolutions of a GPU in full float32
  bfloat16           with mixed precision
  deterministic      with --deterministic
  compiled_optimizer each variable's update compiled by XLA, as Keras does by default on GPUs
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags
import tensorflow as tf

from benchmarks import turns
from tf_privinfo import recipes
from tf_privinfo.runs import restore
from tf_privinfo.training import devices, loop

SETTINGS = ('float32', 'without_tf32', 'bfloat16', 'deterministic', 'compiled_optimizer')
TRAINING_SAMPLES = 10_000  # determines the rate of learning rates' decay, no cost
GIB = 2**30

FLAGS = flags.FLAGS
flags.DEFINE_list('methods', ','.join(recipes.METHODS), 'Methods whose recipes are measured.')
flags.DEFINE_list('datasets', 'ntu120,nyud', 'Datasets of the recipes; methods that a dataset has not are left out.')
flags.DEFINE_list('stages', [], 'Stages to measure. Default: all that train.')
flags.DEFINE_list('settings', 'float32', f'Any of {", ".join(SETTINGS)}.')
flags.DEFINE_string('preset', 'paper', 'Preset of sizes.')
flags.DEFINE_integer('batch_size', None, 'Batch of all stages. Default: of the recipe.', lower_bound=1)
flags.DEFINE_integer('steps', 1, 'Steps that are timed, after the first one.', lower_bound=1)
flags.DEFINE_integer('num_classes', 120, 'Number of classes.', lower_bound=2)
flags.DEFINE_string('only', None, 'Method, dataset, stage and setting to measure in this process; prints JSON.')


def cases():
  """(method, dataset, stage, setting) of all measurements; costs that are equal are measured once."""
  for dataset in FLAGS.datasets:
    seen = set()
    for method in FLAGS.methods:
      if recipes.form(method, dataset) is None:
        continue
      recipe = make_recipe(method, dataset)
      for name, stage in recipe.stages.items():
        cost = (recipe.network, len(recipe.streams(name)), len(stage.frozen), stage.loss, stage.batch_size)
        if stage.epochs and (name in FLAGS.stages or not FLAGS.stages) and str(cost) not in seen:
          seen.add(str(cost))
          yield from ((method, dataset, name, setting) for setting in FLAGS.settings)


def make_recipe(method: str, dataset: str, **values) -> recipes.Recipe:
  """The recipe of a preset, with the batch of the flags."""
  recipe = recipes.recipe(method, dataset, recipes.default_protocol(method, dataset), FLAGS.preset)
  if FLAGS.batch_size:
    values.update({f'stages.{name}.batch_size': FLAGS.batch_size for name in recipe.stages})
  return recipes.override(recipe, values)


def measure(method: str, dataset: str, stage: str, setting: str) -> dict:
  """Seconds of the first step and of later ones, peak memory in bytes, and the loss of the last step."""
  if setting == 'deterministic':
    tf.config.experimental.enable_op_determinism()
  tf.config.experimental.enable_tensor_float_32_execution(setting != 'without_tf32')
  recipe = make_recipe(method, dataset, mixed_precision=setting == 'bfloat16')
  devices.divide_cores(recipe)
  devices.make_strategy(-1)
  model = restore.initial_method(recipe, stage, FLAGS.num_classes)
  config = recipe.stages[stage]
  model.compile_with(lambda factor: loop.optimizer(config, TRAINING_SAMPLES, factor))
  for optimizer in model.optimizers.values():
    optimizer.jit_compile = setting == 'compiled_optimizer'
  names = (*model.training_modalities, *([f'noisy_{model.noisy_modality}'] if model.noisy_modality else []))
  side = recipe.clips.crop_size
  shape = [config.batch_size, recipe.clips.frames, side, side, 3]
  clips = {name: tf.cast(tf.random.stateless_uniform(shape, [0, i], 0, 255, tf.int32), tf.uint8)
           for i, name in enumerate(names)}
  labels = tf.range(config.batch_size) % FLAGS.num_classes
  step = tf.function(lambda: model.train_step((clips, labels)))
  seconds, loss = [], None
  for count in (1, FLAGS.steps):
    start = time.perf_counter()
    for _ in range(count):
      logs = step()
    loss = float(logs['loss'])  # waits for the last step
    seconds.append((time.perf_counter() - start) / count)
  if tf.config.list_logical_devices('GPU'):
    peak = tf.config.experimental.get_memory_info('GPU:0')['peak']
  else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return {'batch': config.batch_size, 'first': seconds[0], 'step': seconds[1], 'peak': peak, 'loss': loss}


def in_own_process(case) -> dict:
  """`measure` in a new process, or {'failed': last line of its error}."""
  command = [sys.executable, __file__, f'--only={",".join(case)}', f'--steps={FLAGS.steps}',
             f'--preset={FLAGS.preset}', f'--num_classes={FLAGS.num_classes}']
  if FLAGS.batch_size:
    command.append(f'--batch_size={FLAGS.batch_size}')
  done = subprocess.run(command, capture_output=True, text=True)
  if done.returncode:
    return {'failed': (done.stderr.strip() or f'status {done.returncode}').splitlines()[-1]}
  return json.loads(done.stdout.splitlines()[-1])


def row(case, result) -> str:
  """A row of the table."""
  cells = ' | '.join(case)
  if 'failed' in result:
    return f'| {cells} | failed: {result["failed"]} | | | | | |'
  return (f'| {cells} | {result["batch"]} | {result["first"]:.1f} | {result["step"]:.3f} | '
          f'{result["batch"] / result["step"]:.2f} | {result["peak"] / GIB:.2f} | {result["loss"]:.9g} |')


def main(_) -> None:
  """Prints a table of all measurements, row by row."""
  if FLAGS.only:
    print(json.dumps(measure(*FLAGS.only.split(','))))
    return
  print(f'{turns.describe_machine()}\n\n'
        '| method | dataset | stage | setting | batch | first step, s | step, s | samples/s | peak, GiB | last loss |\n'
        '|---|---|---|---|---|---|---|---|---|---|', flush=True)
  for case in cases():
    print(row(case, in_own_process(case)), flush=True)


if __name__ == '__main__':
  app.run(main)
