"""Training steps on bytes with drawn colours, against steps on clips that were distorted before."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_stream
from tf_privinfo.datasets import colour
from tf_privinfo.methods import adversarial, multiple_choice
from tf_privinfo.networks import discriminator
from tf_privinfo.networks.config import DiscriminatorConfig

CLASSES, FRAMES, BATCH = 5, 3, 8


def _batch():
  """Clips as bytes, one for each order of operations, and labels."""
  shape = [BATCH, FRAMES, 16, 16, 3]
  clips = {m: tf.cast(tf.random.stateless_uniform(shape, [1, i], 0, 256, tf.int32), tf.uint8)
           for i, m in enumerate(('rgb', 'depth'))}
  drawn = colour.Draw(tf.range(BATCH) + 2, tf.repeat([[20.0, 1.3, 0.1, 0.7]], BATCH, axis=0))  # the last two: unchanged
  return {**clips, colour.DRAWN: drawn}, tf.range(BATCH) % CLASSES


def _dmcl():
  return multiple_choice.DMCL({m: tiny_stream.TinyStream(CLASSES) for m in ('rgb', 'depth')}, CLASSES)


def _game():
  opponent = discriminator.Discriminator(CLASSES, DiscriminatorConfig(hidden=(8, 6)))
  opponent(tf.zeros([FRAMES, 8]), FRAMES)
  return adversarial.AdversarialDistillation(
      {name: tiny_stream.TinyStream(CLASSES) for name in ('depth', 'hall')}, opponent,
      input_modality={'depth': 'depth', 'hall': 'rgb'}, frozen=('depth',))


def _train(strategy, build, clips, labels):
  """The weights and the means after one epoch of two equal batches."""
  tf.keras.utils.set_random_seed(3)
  with strategy.scope():
    method = build()
    for network in method.streams.values():
      network(tf.zeros([1, FRAMES, 16, 16, 3]))
    method.compile_with(lambda factor: tf.keras.optimizers.SGD(factor * 1e-2))
  batches = tf.data.Dataset.from_tensors((clips, labels)).unbatch().repeat(2).batch(BATCH, drop_remainder=True)
  history = method.fit(batches, verbose=0).history
  return [v.numpy() for network in method.networks.values() for v in network.variables], history


@pytest.mark.parametrize('build, replicas', [(_dmcl, 2), (_game, 1)])
def test_a_step_distorts_the_colours_of_bytes(build, replicas, two_devices):
  strategy = two_devices if replicas == 2 else tf.distribute.get_strategy()
  clips, labels = _batch()
  weights, means = _train(strategy, build, clips, labels)
  expected, expected_means = _train(strategy, build, colour.distort(clips), labels)
  assert means == expected_means
  for one, other in zip(weights, expected, strict=True):
    np.testing.assert_array_equal(one, other)
  plain = {m: clip for m, clip in clips.items() if m != colour.DRAWN}
  assert _train(strategy, build, plain, labels)[1] != means
