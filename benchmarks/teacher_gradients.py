"""How much the gradient of DMCL depends on who teaches.

  python benchmarks/teacher_gradients.py --run_dir=RUN --run_dir=RUN --out=FOLDER

trains the recipe of each run of `dmcl` once more, in memory. At every step, it compares the gradient of the loss by the
logits of all networks, with the winner as the teacher of each sample, with the gradient

  random       if a random network teaches, as in `random_teacher`; one of two networks is the winner half of the time
  loser        if a random network teaches that did not win
  other        if the teacher is the winner's prediction for another sample, which says nothing about this one
  alone        without imitation: cross entropy alone, as in `independent`

by the cosine of both. If all networks teach the same, `loser` is near 1, and `other` and `alone` are not. If labels
decide, whoever teaches, `alone` is near 1, and if imitation of anything does, `other`. In addition, the share of
training samples on which the teacher's most likely class is right. Means over the first tenth of the epochs, the first
half and the second one, as a table; every epoch in `teacher_gradients.json`, and the mean of all runs in a plot.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags
import numpy as np
import tensorflow as tf

from benchmarks import trained_runs, turns
from tf_privinfo import runs, workflow
from tf_privinfo.methods import base, losses, multiple_choice
from tf_privinfo.reports import plots
from tf_privinfo.runs import restore
from tf_privinfo.training import loop
from tf_privinfo.utils import atomic, markdown, paths

STAGE = 'ensemble'
COSINES = {name: f'cosine/{name}' for name in ('random', 'loser', 'other', 'alone')}
RIGHT = {name: f'right/{name}' for name in ('winner', 'random', 'loser')}

FLAGS = flags.FLAGS
paths.DEFINE_path('out', 'teacher_gradients', 'Folder for the results.')


class Measured(multiple_choice.DMCL):
  """DMCL that reports the cosines of `COSINES` and the shares of `RIGHT`."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self.epoch_means.update({name: tf.keras.metrics.Mean(name) for name in (*COSINES.values(), *RIGHT.values())})

  def objective(self, clips, labels):
    """The objective of DMCL, with the measurements as further terms that do not train."""
    result = super().objective(clips, labels)
    logits = tf.stop_gradient(tf.stack([result.logits[m] for m in self.modalities]))
    networks, step = len(self.modalities), tf.cast(self.optimizer.iterations, tf.int32)
    winners = self.choose(losses.cross_entropy(labels, logits), logits)
    randoms = base.draw_for_batch(winners.shape, tf.stack([0, step]), 0, networks, tf.int32)
    ahead = 1 + base.draw_for_batch(winners.shape, tf.stack([1, step]), 0, networks - 1, tf.int32)
    losers = (winners + ahead) % networks
    own = losses.winner_logits(logits, winners)
    of_others = tf.concat([logits, tf.roll(own, 1, axis=0)[tf.newaxis]], 0)  # one more network, which teaches all
    gradients = {
        **{name: self._with_teachers(labels, logits, teachers)
           for name, teachers in (('winner', winners), ('random', randoms), ('loser', losers))},
        'alone': _gradient(lambda x: losses.cross_entropy(labels, x), logits)}
    all_imitate = self._with_teachers(labels, of_others, tf.fill(tf.shape(winners), networks))[:-1]
    won = tf.transpose(tf.one_hot(winners, networks, True, False))[..., tf.newaxis]
    gradients['other'] = tf.where(won, gradients['alone'], all_imitate)  # winners do not imitate
    cosines = {COSINES[name]: _cosine(gradients[name], gradients['winner']) for name in COSINES}
    right = {RIGHT[name]: tf.argmax(losses.winner_logits(logits, teachers), -1, labels.dtype) == labels
             for name, teachers in (('winner', winners), ('random', randoms), ('loser', losers))}
    return result._replace(loss_terms={**result.loss_terms, **cosines, **right})

  def _with_teachers(self, labels, logits, teachers):
    """The gradient of the loss by logits [M, B, C], with labels and teachers [B]."""
    return _gradient(lambda x: tf.add_n(list(losses.distillation_terms(labels, x, teachers, self.loser).values())),
                     logits)


def _gradient(loss, logits):
  """The gradient of `loss(logits)` by logits [M, B, C]."""
  with tf.GradientTape() as tape:
    tape.watch(logits)
    value = loss(logits)
  return tape.gradient(value, logits)


def _cosine(one, other):
  """The cosine of two tensors, as vectors."""
  return tf.reduce_sum(one * other) / (tf.norm(one) * tf.norm(other))


def measure(run: runs.Run):
  """Name -> values of all epochs, for the recipe of a run."""
  source, split = workflow.reopen(run)
  recipe, stage, classes = run.recipe, run.recipe.stages[STAGE], len(source.label_names)
  method = Measured.from_recipe(recipe, STAGE, restore.initial_method(recipe, STAGE, classes).streams, classes)
  method.built = True
  method.compile_with(lambda factor: loop.optimizer(stage, len(split.train), factor))
  history = trained_runs.train(method, recipe, STAGE, stage, source, split.train, description=run.directory.name)
  return {name: [float(value) for value in history[name]] for name in (*COSINES.values(), *RIGHT.values())}


def main(_) -> None:
  """Measures and prints the cosines."""
  out = pathlib.Path(FLAGS.out)
  measured = {name: measure(run) for name, run in trained_runs.open_all().items()}
  atomic.write(out / 'teacher_gradients.json', json.dumps(measured, indent=1) + '\n')
  rows = []
  for name, values in measured.items():
    epochs = len(next(iter(values.values())))
    for part, of_part in {'first tenth': slice(-(-epochs // 10)), 'first half': slice(epochs // 2),
                          'second half': slice(epochs // 2, None)}.items():
      rows.append((name, part, *(f'{np.mean(of_epochs[of_part]):.2f}' for of_epochs in values.values())))
  shared = min(len(values[RIGHT['winner']]) for values in measured.values())
  curves = [plots.Curve(name, [str(epoch + 1) for epoch in range(shared)],
                        np.mean([values[cosine][:shared] for values in measured.values()], axis=0))
            for name, cosine in COSINES.items()]
  for ending, content in plots.curves({'cosine with the gradient of DMCL': curves}, 'epochs').items():
    atomic.write(out / f'teacher_gradients.{ending}', content)
  print(turns.describe_machine() + '\n')
  print(*markdown.table(('run', 'epochs', *COSINES.values(), *RIGHT.values()), rows), sep='\n')
  print(f'\nEverything is in {out}')


if __name__ == '__main__':
  app.run(main)
