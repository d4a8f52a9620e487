"""What the hallucination stream of step 3 (chapter 3) takes from the depth that is injected into it.

  python benchmarks/injected_depth.py --run_dir=RUN --run_dir=RUN --out=FOLDER

The runs are finished ones of `modality_distillation` with connections, on the same data. The stream `hall` of the stage
`hallucination` is tested with

  own            the depth of the sample, as in its training
  other          the depth of another test sample
  followed       the same, and right is the class of the other sample
  blank          blank depth
  none           nothing injected, as in step 4
  re-estimated   nothing injected, and the moving averages of batch norm re-estimated on training clips without depth

If the stream lacks no more than the scale that injection gives to its activations, then `other` is as good as `own`,
and `re-estimated` repairs `none`. If it passes on what depth shows, then `other` is near chance, and `followed` is not.
Accuracies in percent, as a table, a plot and `injected_depth.json`.
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
from tf_privinfo.datasets import clips
from tf_privinfo.datasets.noise import Noise
from tf_privinfo.evaluation import metrics, prediction
from tf_privinfo.runs import restore
from tf_privinfo.utils import atomic, markdown, paths

STAGE, STREAM = 'hallucination', 'hall'
CONDITIONS = ('own', 'other', 'followed', 'blank', 'none', 're-estimated')

FLAGS = flags.FLAGS
paths.DEFINE_path('out', 'injected_depth', 'Folder for the results.')


def measure(run: runs.Run):
  """Condition -> accuracy of `hall`."""
  source, split = workflow.reopen(run)
  method, index = restore.restore_method(run, STAGE), source.index(split.test)
  privileged = run.recipe.roles.privileged

  def tested(**how):
    found = prediction.predict(run, STAGE, method, source, index, **how)
    return metrics.accuracy(found.labels, found.logits[STREAM])

  both = (*method.modalities, privileged)
  accuracies = {'own': tested(modalities=both), **_with_other_depth(run, method, source, index, privileged),
                'blank': tested(modalities=both, noise=Noise.parse('void')), 'none': tested()}
  trained_runs.re_estimate(run, STAGE, STREAM, method, source, split.train)
  return {**accuracies, 're-estimated': tested()}


def _with_other_depth(run, method, source, index, privileged):
  """`other` and `followed`; the other test sample is drawn without regard to its class."""
  (names, labels), config = index, run.recipe.clips
  size = prediction.batch_size(method)
  own = clips.evaluation_clips(source.videos(names, method.modalities), config, batch_size=size)
  videos = source.videos(names, (privileged,))
  order = np.random.default_rng(run.recipe.seed).permutation(len(names))
  others = np.empty_like(order)
  others[order] = np.roll(order, 1)  # never the sample itself
  injected = clips.evaluation_clips(videos._replace(
      names=[names[other] for other in others], lengths=videos.lengths[others],
      read=lambda number, positions: videos.read(others[number], positions)), config, batch_size=size)
  batches = tf.data.Dataset.zip((own, injected)).map(lambda one, other: ({**one[0], **other[0]},))
  logits = prediction.predict_videos(method, batches, names, labels, config.test_clips).logits[STREAM]
  return {'other': metrics.accuracy(labels, logits), 'followed': metrics.accuracy(labels[others], logits)}


def main(_) -> None:
  """Measures and prints the accuracies."""
  out = pathlib.Path(FLAGS.out)
  measured = {name: measure(run) for name, run in trained_runs.open_all().items()}
  accuracies = {name: np.array([of_run[name] for of_run in measured.values()]) for name in CONDITIONS}
  atomic.write(out / 'injected_depth.json', json.dumps(measured, indent=1) + '\n')
  trained_runs.write_accuracies(out / 'injected_depth', STREAM, 'injected depth', accuracies)
  print(turns.describe_machine())
  print(f'{len(measured)} runs\n')
  print(*markdown.table(('injected depth', 'accuracy, mean (lowest - highest)'), [
      (name, f'{100 * of_runs.mean():.1f} ({100 * of_runs.min():.1f} - {100 * of_runs.max():.1f})')
      for name, of_runs in accuracies.items()]), sep='\n')
  print(f'\nEverything is in {out}')


if __name__ == '__main__':
  app.run(main)
