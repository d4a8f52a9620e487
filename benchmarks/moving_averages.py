"""Re-estimation of the moving averages of batch norm."""

import tensorflow as tf

from tf_privinfo.datasets import clips, colour

# Steps of re-estimation as a multiple of the memory 1 / (1 - momentum) of the moving averages.
MEMORIES = 5


def re_estimate(run, stage: str, stream: str, method: tf.keras.Model, source, names) -> None:
  """Runs a stream on training clips until the moving averages of its batch norm follow them.

  Args:
    run: run of the method.
    stage: name of a stage, whose batch size the clips have.
    stream: name of a stream of `method`, which reads training clips of its modality, without connections.
    method: restored method; its moving averages change.
    source: prepared dataset.
    names: training samples.
  """
  batch_size = run.recipe.stages[stage].batch_size
  epochs = -(-int(MEMORIES / (1 - run.recipe.network.norm_momentum)) // (len(names) // batch_size))
  batches = clips.training_clips(
      source.videos(names, method.modalities), run.recipe.clips, seed=run.recipe.seed, epochs=range(epochs),
      batch_size=batch_size)
  network, modality = method.streams[stream], method.input_modality[stream]
  step = tf.function(lambda clip: network.end_points(clip, training=True)['logits'])
  for batch, *_ in batches:
    step(colour.distort(batch)[modality])
