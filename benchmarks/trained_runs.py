"""What benchmarks of trained runs share: the flag --run_dir, training in memory, a plot of accuracies, batch norm."""

import math
import pathlib
from typing import Dict, List, Mapping, Sequence

from absl import flags, logging
import numpy as np
import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import clips, colour
from tf_privinfo.recipes.stage import StageConfig
from tf_privinfo.reports import plots
from tf_privinfo.reports.statistics import Estimate
from tf_privinfo.runs import restore
from tf_privinfo.training import callbacks, devices
from tf_privinfo.utils import atomic, paths, progress_bars

# Steps of re-estimation as a multiple of the memory 1 / (1 - momentum) of the moving averages.
MEMORIES = 5

FLAGS = flags.FLAGS
paths.DEFINE_multi_path('run_dir', None, 'Run directory; may be repeated.', required=True)
flags.register_validator(
    'run_dir', lambda found: len({pathlib.Path(path).name for path in found or ()}) == len(found or ()),
    'results are stored by the names of the run directories, which must differ')


def open_all() -> Dict[str, runs.Run]:
  """The runs of --run_dir by name; cores are divided as in the training of the first one."""
  logging.set_verbosity(logging.ERROR)
  found = {run.directory.name: run for run in map(runs.Run.open, FLAGS.run_dir)}
  devices.divide_cores(next(iter(found.values())).recipe)
  return found


def train(method: tf.keras.Model, recipe: recipes.Recipe, name: str, stage: StageConfig, source, names, *,
          description: str, other_clips: int = 0) -> Dict[str, List[float]]:
  """Trains a compiled method in memory, with the clips of a stage, and returns its history.

  Args:
    method: method with its optimizers.
    recipe: recipe of the run.
    name: name of the stage, which determines order, frames and augmentation.
    stage: configuration of the stage, with the number of epochs.
    source: prepared dataset.
    names: ids of training samples.
    description: text of the progress bar.
    other_clips: added to the seed of the clips.
  """
  batches = clips.training_clips(
      source.videos(names, method.training_modalities), recipe.clips,
      seed=restore.stage_seed(recipe, name) + other_clips, epochs=range(stage.epochs),
      batch_size=stage.batch_size).map(lambda clip, label, sample_id: (clip, label))
  steps = len(names) // stage.batch_size
  with progress_bars.bar(total=stage.epochs * steps, desc=description, unit='step') as bar:
    return method.fit(batches, epochs=stage.epochs, steps_per_epoch=steps, verbose=0,
                      callbacks=[callbacks.Progress(bar, name)]).history


def write_accuracies(path: pathlib.Path, stream: str, over: str, accuracies: Mapping[str, Sequence[float]]) -> None:
  """Plots the mean, lowest and highest accuracy of several runs.

  Args:
    path: path of the plot without its ending.
    stream: name of the stream, for the legend.
    over: label of the x axis.
    accuracies: position on the x axis -> accuracies of the runs, between 0 and 1.
  """
  estimates = {position: Estimate(*(float(f(of_runs)) for f in (np.mean, np.min, np.max)), len(of_runs), None)
               for position, of_runs in accuracies.items()}
  plot = plots.intervals({'': {stream: estimates}}, over, 'accuracy, % (mean, lowest and highest run)')
  for ending, content in plot.items():
    atomic.write(path.with_suffix(f'.{ending}'), content)


def re_estimate(run: runs.Run, stage: str, stream: str, method: tf.keras.Model, source, names) -> None:
  """Runs a stream on training clips until the moving averages of its batch norm follow them.

  Args:
    run: run of the method.
    stage: name of the stage that determines the batch size.
    stream: name of a stream of `method`, which reads clips of its modality, without connections.
    method: restored method; its moving averages change.
    source: prepared dataset.
    names: ids of training samples.
  """
  batch_size = run.recipe.stages[stage].batch_size
  epochs = math.ceil(MEMORIES / (1 - run.recipe.network.norm_momentum) / (len(names) // batch_size))
  batches = clips.training_clips(
      source.videos(names, method.modalities), run.recipe.clips, seed=run.recipe.seed, epochs=range(epochs),
      batch_size=batch_size)
  network, modality = method.streams[stream], method.input_modality[stream]
  step = tf.function(lambda clip: network.end_points(clip, training=True)['logits'])
  for batch, *_ in batches:
    step(colour.distort(batch)[modality])
