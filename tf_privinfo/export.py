"""SavedModel export for TF Serving."""

import json
import pathlib
import shutil
from typing import Dict, Sequence

import tensorflow as tf

from tf_privinfo import atomic
from tf_privinfo import errors
from tf_privinfo import runs
from tf_privinfo.configs import ClipConfig
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.methods import adversarial
from tf_privinfo.methods import fusion

# Servers look for numbered versions in the model's folder.
VERSION = '1'


class ServedMethod(tf.Module):
  """A trained method as signatures over any subset of its modalities.

  Every signature returns `logits` [B, C] (the mean of the streams it reads),
  `probabilities` [B, C] and `label` [B], the name of the most probable class.

  Args:
    method: maps {modality: clips} to {stream: logits}.
    config: the clips that it was trained with.
    label_names: C class names.
  """

  def __init__(self, method: tf.keras.Model, config: ClipConfig, label_names: Sequence[str]):
    super().__init__()
    # The variables, and the method only inside a function: as a Keras model each of its layers would be traced and
    # saved with functions of its own, which takes most of the time and which no signature needs.
    self._variables = method.variables
    self._logits = self._logits_of(method)
    self._config = config
    self._labels = tf.constant(list(label_names))

  def _logits_of(self, method):
    """A function that gives fused logits [B, C] for {modality: clips}."""
    return lambda clips: fusion.fuse(method(clips, training=False))

  def signatures(self, modalities: Sequence[str]) -> Dict[str, tf.types.experimental.ConcreteFunction]:
    """One signature per non-empty subset, named as in `rgb_depth`; with `rgb`, also `rgb_jpeg`.

    `serving_default` is RGB alone, or the first modality where there is no RGB.
    """
    result = {'_'.join(subset): self._clips_signature(subset) for subset in fusion.subsets(modalities)}
    if 'rgb' in modalities:
      result['rgb_jpeg'] = self._jpeg_signature()
    return {'serving_default': result['rgb' if 'rgb' in modalities else modalities[0]], **result}

  def _clips_signature(self, subset):
    """Takes one uint8 tensor [B, T, S, S, 3] of pixels 0..255 for each modality, by its name."""
    config = self._config
    shape = [None, config.frames, config.crop_size, config.crop_size, 3]
    specs = {modality: tf.TensorSpec(shape, tf.uint8, modality) for modality in subset}

    def serve(**clips):
      return self._predict(clips)

    return tf.function(serve).get_concrete_function(**specs)

  def _jpeg_signature(self):
    """Takes `rgb_jpeg`, a string tensor [B, T] of JPEG frames of any size; resizes and crops as in evaluation."""
    config = self._config

    def decode(data):
      image = tf.io.decode_jpeg(data, channels=3, dct_method='INTEGER_ACCURATE')
      start = (config.frame_size - config.crop_size) // 2
      resized = frames.resize_bilinear(image[tf.newaxis], config.frame_size)[0]
      return resized[start:start + config.crop_size, start:start + config.crop_size]

    def serve(rgb_jpeg):
      images = tf.map_fn(decode, tf.reshape(rgb_jpeg, [-1]), fn_output_signature=tf.TensorSpec(
          [config.crop_size, config.crop_size, 3], tf.float32))
      return self._predict({'rgb': tf.reshape(images, [-1, config.frames, *images.shape[1:]])})

    return tf.function(serve).get_concrete_function(tf.TensorSpec([None, config.frames], tf.string, 'rgb_jpeg'))

  def _predict(self, clips):
    return self._answer(self._logits(clips))

  def _answer(self, logits):
    return {'logits': logits, 'probabilities': tf.nn.softmax(logits),
            'label': tf.gather(self._labels, tf.argmax(logits, axis=-1))}


class ServedSwitch(ServedMethod):
  """ADMD as signatures: `rgb` and `rgb_jpeg` hallucinate depth, `rgb_depth` trusts it, `auto` decides for each sample.

  Args:
    switch: the networks.
    threshold: fake probability above which depth is hallucinated.
    config: the clips that they were trained with.
    label_names: C class names.
  """

  def __init__(self, switch: adversarial.Switch, threshold: float, config: ClipConfig, label_names: Sequence[str]):
    super().__init__(switch, config, label_names)
    self._decide = lambda clips: switch(clips)
    self._threshold = threshold

  def _logits_of(self, method):
    return lambda clips: method.trusted(clips) if 'depth' in clips else method.hallucinated(clips)

  def signatures(self, modalities):
    rgb, depth = modalities
    return {**super().signatures((rgb,)), 'rgb_depth': self._clips_signature(modalities),
            'auto': self._auto_signature()}

  def _auto_signature(self):
    """Takes `rgb` uint8 and `depth` float32, both [B, T, S, S, 3] of 0..255; depth may have NaN where it is missing.

    Beside what all signatures return, `hallucinated` [B] bool is the decision
    and `fake_probability` [B] the score that it rests on.
    """
    config = self._config
    shape = [None, config.frames, config.crop_size, config.crop_size, 3]

    def serve(rgb, depth):
      outputs = self._decide({'rgb': rgb, 'depth': depth})
      score = outputs['fake_probability']
      hallucinated = score > self._threshold
      logits = tf.where(hallucinated, outputs['hallucinated'], outputs['trusted'])
      return {**self._answer(logits), 'hallucinated': hallucinated[:, 0], 'fake_probability': score[:, 0]}

    return tf.function(serve).get_concrete_function(
        tf.TensorSpec(shape, tf.uint8, 'rgb'), tf.TensorSpec(shape, tf.float32, 'depth'))


def export(run: runs.Run, model: 'tf.keras.Model | adversarial.Switch', directory: pathlib.Path) -> pathlib.Path:
  """Writes a trained method as a SavedModel that needs none of this project's code.

  The labels travel in the signatures' `label` output, and in `labels.txt`
  beside the model; the threshold of a switch in its graph, and in
  `switch.json`.

  Args:
    run: the run that trained it.
    model: with its weights: the method of a stage, or the run's switch.
    directory: the model's folder; the SavedModel is its version `1`. An earlier
      export is replaced as a whole.

  Returns:
    The folder of the SavedModel.

  Raises:
    UserError: if the folder holds anything but an earlier export.
  """
  others = {path.name for path in directory.glob('*')} - {VERSION, 'labels.txt', 'switch.json'}
  if others or directory.is_file():
    raise errors.UserError(f'{directory} is there and is no earlier export that could be replaced: pass a new one.')
  label_names, switch = run.read('manifest.json')['label_names'], run.read('switch.json')
  if isinstance(model, adversarial.Switch):
    served = ServedSwitch(model, switch['threshold'], run.recipe.clips, label_names)
  else:
    served = ServedMethod(model, run.recipe.clips, label_names)
  temporary = directory.with_name(directory.name + '.tmp')
  shutil.rmtree(temporary, ignore_errors=True)  # of a killed export
  temporary.mkdir(parents=True)
  tf.saved_model.save(served, str(temporary / VERSION), signatures=served.signatures(model.modalities))
  atomic.write(temporary / 'labels.txt', '\n'.join(label_names) + '\n')
  if switch:
    atomic.write(temporary / 'switch.json', json.dumps(switch, indent=1))
  atomic.replace_directory(temporary, directory)
  return directory / VERSION
