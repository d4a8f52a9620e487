"""Why the hallucination stream of ADMD differs from seed to seed.

  python benchmarks/game_seeds.py --run_dir=RUN --run_dir=RUN --out=FOLDER

plays the adversarial game of each run of `admd` again, from the same RGB and depth networks, with one change at a time:

  again            none; on CPUs, the same weights to the bit
  weights          other initial weights of the discriminator
  clips            another order of the samples, other frames and augmentation
  falling rate     a learning rate of the discriminator that falls linearly to zero, instead of in one step
  half as long     half of the epochs, also up to the decay of the learning rate
  twice as long    twice as many

and, without a game,

  batch norm       moving averages of batch norm in `hall`, re-estimated on training clips

If the differences between seeds came from the initial weights of the discriminator alone, then `clips` would change
nothing; if they came from the clips alone, `weights` would change nothing. The test samples of the runs should be ones
that no reported result tests (`leave_out` in --protocol). The accuracy of `hall` in percent, as a table, a plot and
`game_seeds.json`. Results in this file are not measured again.
"""

import dataclasses
import json
import os
import pathlib
import sys
from typing import NamedTuple

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags
import numpy as np
import tensorflow as tf

from benchmarks import trained_runs, turns
from tf_privinfo import runs, workflow
from tf_privinfo.evaluation import metrics, prediction
from tf_privinfo.recipes.stage import Start
from tf_privinfo.reports import statistics
from tf_privinfo.runs import checkpoints, restore
from tf_privinfo.training import loop
from tf_privinfo.utils import atomic, markdown, paths

STAGE, STREAM = 'game', 'hall'
TRAINED, BATCH_NORM = 'as trained', 'batch norm'
OTHER = 1000  # added to a seed


class Game(NamedTuple):
  """Changes of a game.

  Attributes:
    weights: added to the seed of the discriminator's initial weights.
    clips: added to the seed of order, frames and augmentation.
    falls: whether the discriminator's learning rate falls to zero.
    length: factor of the epochs.
  """
  weights: int = 0
  clips: int = 0
  falls: bool = False
  length: float = 1


GAMES = {'again': Game(), 'weights': Game(weights=OTHER), 'clips': Game(clips=OTHER), 'falling rate': Game(falls=True),
         'half as long': Game(length=0.5), 'twice as long': Game(length=2)}

FLAGS = flags.FLAGS
flags.DEFINE_multi_enum('change', [*GAMES, BATCH_NORM], [*GAMES, BATCH_NORM],
                        'Change to measure; may be repeated. Default: all.')
paths.DEFINE_path('out', 'game_seeds', 'Folder for the results.')


def measure(run: runs.Run, change: str) -> float:
  """The accuracy of `hall` after a change."""
  source, split = workflow.reopen(run)
  if change in GAMES:
    method = _played(run, source, split.train, GAMES[change], change)
  else:
    method = restore.restore_method(run, STAGE)
  if change == BATCH_NORM:
    trained_runs.re_estimate(run, STAGE, STREAM, method, source, split.train)
  found = prediction.predict(run, STAGE, method, source, source.index(split.test))
  return metrics.accuracy(found.labels, found.logits[STREAM])


def _played(run, source, names, game: Game, description: str) -> tf.keras.Model:
  """The method of the stage after a game."""
  recipe, stage = run.recipe, run.recipe.stages[STAGE]
  stage = dataclasses.replace(stage, epochs=round(game.length * stage.epochs),
                              decay_epochs=tuple(game.length * epoch for epoch in stage.decay_epochs))
  method = restore.initial_method(
      dataclasses.replace(recipe, seed=recipe.seed + game.weights), STAGE, len(source.label_names))
  for start in map(Start.parse, stage.init):
    checkpoints.load_networks({start.source: method.networks[start.stream]}, run.weights(start.stage))
  method.compile_with(lambda factor: loop.optimizer(stage, len(names), factor))
  if game.falls:
    method.discriminator_optimizer = loop.with_schedule(stage, tf.keras.optimizers.schedules.PolynomialDecay(
        recipe.discriminator.rate * stage.learning_rate, stage.epochs * (len(names) // stage.batch_size), 0.0))
    method.discriminator_optimizer.build(method.discriminator.trainable_variables)
  trained_runs.train(method, recipe, STAGE, stage, source, names, description=description, other_clips=game.clips)
  return method


def _row(change: str, accuracies: np.ndarray, trained: np.ndarray):
  """The row of the table of a change, from the accuracies of N runs in percent, after it and without it."""
  differences, deviation = accuracies - trained, statistics.deviation(accuracies)
  return (change, ', '.join(f'{accuracy:.1f}' for accuracy in accuracies),
          '-' if deviation is None else f'{deviation:.1f}', f'{differences.mean():+.1f}',
          f'{np.sqrt(np.mean(differences ** 2)):.1f}')


def main(_) -> None:
  """Measures and prints the accuracies."""
  of_flag, changes = trained_runs.open_all(), (TRAINED, *FLAGS.change)
  tf.config.experimental.enable_op_determinism()
  file = pathlib.Path(FLAGS.out) / 'game_seeds.json'
  measured = json.loads(file.read_text(encoding='utf-8')) if file.exists() else {}
  for change in changes:
    for name, run in of_flag.items():
      of_run = measured.setdefault(name, {})
      if change not in of_run:
        of_run[change] = measure(run, change)
        atomic.write(file, json.dumps(measured, indent=1) + '\n')
  accuracies = {change: np.array([measured[name][change] for name in of_flag]) for change in changes}
  trained_runs.write_accuracies(file.with_suffix(''), STREAM, 'change of the game', accuracies)
  rows = [_row(change, 100 * of_runs, 100 * accuracies[TRAINED]) for change, of_runs in accuracies.items()]
  print(turns.describe_machine() + '\n')
  print(*markdown.table(('change', f'{STREAM} of each run', 'standard deviation', 'mean difference',
                         'root mean square of the difference'), rows), sep='\n')
  print(f'\nEverything is in {FLAGS.out}')


if __name__ == '__main__':
  app.run(main)
