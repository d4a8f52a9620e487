"""Several workers: one process on each machine, listed in TF_CONFIG, that train one run together.

Worker 0 is the chief: it alone prepares the data and writes files.
"""

import contextlib
import json
import os
import sys
from typing import Dict, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_privinfo.utils import errors

_EXAMPLE = ('{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}')
# Errors of collective operations whose peer has ended.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
         tf.errors.InternalError)


def workers_of_environment() -> int:
  """The number of workers in TF_CONFIG; 1 without it.

  Raises:
    UserError: if TF_CONFIG is not readable, has tasks other than workers, or does not name the task of this process.
  """
  text = os.environ.get('TF_CONFIG')
  if not text:
    return 1
  try:
    config = json.loads(text)
    jobs, task = config['cluster'], config['task']
    kinds, kind, index = set(jobs), task['type'], int(task['index'])
    workers = list(jobs.get('worker', ()))
  except (ValueError, KeyError, TypeError, AttributeError):
    raise errors.UserError(f'TF_CONFIG={text} is not readable: it has the form {_EXAMPLE}.') from None
  if kinds != {'worker'} or kind != 'worker':
    others = ', '.join(sorted((kinds | {kind}) - {'worker'}))
    raise errors.UserError(f'TF_CONFIG has the task {others}, but a run has workers only, and worker 0 is its chief: '
                           f'{_EXAMPLE}.')
  if not 0 <= index < len(workers):
    raise errors.UserError(f'TF_CONFIG has {len(workers)} workers, and none with the index {index}: indices start at '
                           '0.')
  return len(workers)


def size(strategy: tf.distribute.Strategy) -> int:
  """The number of workers of a strategy."""
  resolver = strategy.cluster_resolver
  return len(resolver.cluster_spec().job_tasks('worker')) if resolver else 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Whether this process prepares the data and writes files; true without further workers."""
  return size(strategy) == 1 or strategy.cluster_resolver.task_id == 0


def rows(strategy: tf.distribute.Strategy, batch_size: int) -> slice:
  """The rows of each global batch that this worker reads; the replicas of all workers share it in their order."""
  share = batch_size // size(strategy)
  first = strategy.cluster_resolver.task_id * share if size(strategy) > 1 else 0
  return slice(first, first + share)


def from_chief(strategy: tf.distribute.Strategy, values: Sequence[float]) -> np.ndarray:
  """The chief's values [N] float64, on all workers, which must all call this; it waits for the last one.

  Args:
    strategy: strategy of the run.
    values: N numbers; only the chief's count.
  """
  values = np.asarray(values, np.float64)
  if size(strategy) == 1:
    return values
  mine = tf.constant(values if is_chief(strategy) else np.zeros_like(values))

  def of_replica():
    first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
    return tf.where(first, mine, tf.zeros_like(mine))

  return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(of_replica), axis=None).numpy()


def wait(strategy: tf.distribute.Strategy) -> None:
  """Waits until all workers have called this."""
  from_chief(strategy, [0.0])


@contextlib.contextmanager
def member(strategy: tf.distribute.Strategy) -> Iterator[None]:
  """Runs the part of a worker: only the chief prints, and the loss of a worker ends in one sentence.

  Raises:
    UserError: if another worker has ended.
  """
  if size(strategy) == 1:
    yield
    return
  with contextlib.ExitStack() as stack:
    if not is_chief(strategy):
      print(f'Worker {strategy.cluster_resolver.task_id} of {size(strategy)}: worker 0 prints what happens', flush=True)
      stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, 'w', encoding='utf-8'))))
    try:
      yield
    except _LOST as error:
      if not isinstance(error, tf.errors.UnavailableError):
        print(str(error).splitlines()[0], file=sys.stderr)
      raise errors.UserError(
          'Another worker has ended, or cannot be reached: its own output says why. Run the same command on all '
          'nodes again to resume after the last finished epoch.') from None


class LocalPredictor:
  """Predicts with the weights of this worker alone; `predict` of Keras would need all workers at once.

  Args:
    method: method in the scope of the strategy of all workers.
  """

  def __init__(self, method: tf.keras.Model):
    self._logits = tf.function(lambda clips: method(clips, training=False), reduce_retracing=True)

  def predict(self, batches: tf.data.Dataset, **options) -> Dict[str, np.ndarray]:
    """Logits {stream: [N, C]} of all clips of micro-batches; options of Keras are ignored."""
    del options
    outputs = [self._logits(clips) for clips in batches]
    return {stream: np.concatenate([output[stream] for output in outputs]) for stream in outputs[0]}
