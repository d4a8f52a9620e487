"""Runs recipes and the main job in the process of the tests, which spares the imports and most of the tracing."""

import contextlib
import warnings

from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow as tf

from tf_privinfo import workflow
from tf_privinfo.evaluation import plots
from tf_privinfo.serving import export
from tf_privinfo.training import devices, tensorboard
import train_main


@contextlib.contextmanager
def quick():
  """Operation by operation, without graph, pictures and export: these take most of the time of a small run."""
  tf.config.run_functions_eagerly(True)
  try:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
      warnings.filterwarnings('ignore', message='.*does not apply to tf.data functions')
      patch.setattr(plots, 'confusion_matrix', lambda *args: tf.io.encode_png(np.zeros((1, 1, 3), np.uint8)).numpy())
      patch.setattr(export, 'export', lambda *args: None)
      patch.setattr(tensorboard, 'write_graph', lambda *args: None)
      yield
  finally:
    tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def one_device(strategy=None):
  """One device, or another strategy, although the test process has two logical CPUs."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(devices, 'make_strategy', lambda *args: strategy or tf.distribute.get_strategy())
    yield


def train(recipe, data_dir, output_dir, *, slowly=False, strategy=None, **options):
  """Trains, `quick` or, `slowly`, as a user does, on one device if no strategy is given; returns the run."""
  with one_device(strategy), contextlib.nullcontext() if slowly else quick():
    return workflow.train(recipe, data_dir=str(data_dir), output_dir=output_dir,
                          **{'resume': True, 'num_gpus': -1, **options})


def train_main_with(*flags):
  """Does what `python train_main.py <flags>` does; errors stay exceptions."""
  with flagsaver.flagsaver():
    train_main.FLAGS(['train_main.py', *map(str, flags)])
    train_main.main()


def saved_variables(path):
  """Every variable of a checkpoint: name -> value."""
  reader = tf.train.load_checkpoint(str(path))
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
          if name != '_CHECKPOINTABLE_OBJECT_GRAPH'}


def stream(run, stage, name):
  """The values of a network's variables after a stage: name -> value."""
  prefix = f'networks/{name}/'
  return {key.removeprefix(prefix): value for key, value in saved_variables(run.weights(stage)).items()
          if key.startswith(prefix) and 'OPTIMIZER_SLOT' not in key}


def same(one, other):
  """For each variable of both, whether it is the same, bit by bit."""
  assert one and one.keys() == other.keys()
  return [np.array_equal(one[name], other[name]) for name in one]


def assert_same_checkpoints(first, second):
  """Asserts that two training checkpoints hold the same variables, those of optimizers included, bit by bit."""
  one, other = saved_variables(first), saved_variables(second)
  assert all(any(name.startswith(part) for name in one) for part in ('networks/', 'optimizer/'))
  assert all(same(one, other)), [name for name, equal in zip(one, same(one, other)) if not equal]
