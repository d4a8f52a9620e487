"""SavedModel export for TF Serving."""

import json
import pathlib
import shutil
from typing import Dict, Sequence

import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import clips
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.methods import adversarial, fusion
from tf_privinfo.runs.run import SWITCH
from tf_privinfo.serving import jpeg
from tf_privinfo.utils import atomic, errors

# Servers search the folder of a model for numbered versions.
VERSION = '1'
# Number of JPEG files that are decoded at once for a request, which bounds its memory.
_DECODED_AT_ONCE = 2
# Names in the model's folder that servers ignore, since they are not numbers.
_TEMPORARY, _LOCK = '.export.tmp', '.export.lock'
# Names that a folder may contain before an export, besides hidden files: an earlier export, and the root of a volume.
_OF_AN_EXPORT = {VERSION, f'{VERSION}.old', 'labels.txt', 'preprocessing.txt', 'switch.json', 'lost+found'}


def _one_sample_at_least(inputs):
  """A check that rejects empty batches, for which kernels of convolutions differ, and some fail."""
  return tf.debugging.assert_positive(tf.shape(inputs)[0], 'A request must contain at least one sample.')


class ServedMethod(tf.Module):
  """A trained method as signatures over any subset of its modalities.

  Every signature returns `logits` [B, C] (the mean over its streams),
  `probabilities` [B, C] and `label` [B], the name of the most probable class.
  Inputs of unexpected shapes or of different B are rejected with an
  InvalidArgumentError, since neither TensorFlow nor a server compares them.

  Args:
    method: model that maps {modality: clips} to {stream: logits}.
    recipe: recipe of the run, which determines clips and preparation.
    label_names: C class names.
  """

  def __init__(self, method: tf.keras.Model, recipe: recipes.Recipe, label_names: Sequence[str]):
    super().__init__()
    # Only the variables are attributes. If the method, a Keras model, were one, each of its layers would be traced and
    # saved with separate functions, which takes most of the time and which no signature needs.
    self._variables = method.variables
    self._recipe = recipe
    self._logits = self._logits_of(method)
    self._config = recipe.clips
    self._dataset = recipes.DATASETS[recipe.dataset]
    self._labels = tf.constant(list(label_names))

  def _logits_of(self, method):
    """A function from {modality: clips} to fused logits [B, C]."""
    return lambda clips: fusion.fuse(method(clips, training=False))

  def signatures(self, modalities: Sequence[str]) -> Dict[str, tf.types.experimental.ConcreteFunction]:
    """One signature for each non-empty subset, named as in `rgb_depth`; with `rgb`, also `rgb_jpeg`.

    `serving_default` is the `default_modality` alone.
    """
    result = {'_'.join(subset): self._clips_signature(subset) for subset in fusion.subsets(modalities)}
    if 'rgb' in modalities:
      result['rgb_jpeg'] = self._jpeg_signature()
    return {'serving_default': result[default_modality(self._recipe, modalities)], **result}

  def _clips_signature(self, subset):
    """The signature of a subset: one uint8 tensor [B, T, S, S, 3], pixels 0..255, for each modality, by name."""
    def serve(**clips):
      return self._predict(self._checked(clips))

    return tf.function(serve).get_concrete_function(**{modality: self._spec(modality) for modality in subset})

  def one_sample(self, modalities: Sequence[str]) -> tf.types.experimental.ConcreteFunction:
    """Logits and probabilities [1, C] of one sample, from uint8 [1, T, S, S, 3] for each modality; no checks."""
    def predict(**clips):
      logits = self._logits(clips)
      return {'logits': logits, 'probabilities': tf.nn.softmax(logits)}

    return tf.function(predict).get_concrete_function(
        **{modality: self._spec(modality, samples=1) for modality in modalities})

  def _spec(self, modality, dtype=tf.uint8, samples=None):
    config = self._config
    return tf.TensorSpec([samples, config.frames, config.crop_size, config.crop_size, 3], dtype, modality)

  def _checked(self, clips):
    """The clips, if their shapes fit the signature and the number of samples is equal and at least one."""
    clips = {modality: tf.ensure_shape(clip, self._spec(modality).shape) for modality, clip in clips.items()}
    first, *others = clips
    checks = [_one_sample_at_least(clips[first]), *(
        tf.debugging.assert_equal(tf.shape(clips[first])[0], tf.shape(clips[other])[0],
                                  f'{first} and {other} of a request must contain the same number of samples.')
        for other in others)]
    with tf.control_dependencies(checks):  # the networks must not fail first, with messages of their layers
      return {modality: tf.identity(clip) for modality, clip in clips.items()}

  def _jpeg_signature(self):
    """The signature of `rgb_jpeg`, a string tensor [B, T] of JPEG frames, prepared and cropped as for evaluation.

    Frames may have any size up to `frames.MAX_PIXELS` pixels, and are rotated by
    their EXIF orientation. The result of preparation is reproduced bit by bit.
    If the recipe aligns RGB and depth, frames must show the aligned region:
    alignment needs joints, which a server does not have.
    """
    config, dataset = self._config, self._dataset

    def decode(data):
      image = jpeg.decode(data, dataset.dct_method)
      return clips.crop(frames.as_stored(image, dataset, config.frame_size), clips.centre_window(config), config)

    def serve(rgb_jpeg):
      rgb_jpeg = tf.ensure_shape(rgb_jpeg, [None, config.frames])
      with tf.control_dependencies([_one_sample_at_least(rgb_jpeg)]):
        rgb_jpeg = tf.identity(rgb_jpeg)
      images = tf.map_fn(
          decode, tf.reshape(rgb_jpeg, [-1]), parallel_iterations=_DECODED_AT_ONCE,
          fn_output_signature=tf.TensorSpec([config.crop_size, config.crop_size, 3], tf.uint8))
      return self._predict({'rgb': tf.reshape(images, [-1, config.frames, *images.shape[1:]])})

    return tf.function(serve).get_concrete_function(tf.TensorSpec([None, config.frames], tf.string, 'rgb_jpeg'))

  def _predict(self, clips):
    return self._answer(self._logits(clips))

  def _answer(self, logits):
    return {'logits': logits, 'probabilities': tf.nn.softmax(logits),
            'label': tf.gather(self._labels, tf.argmax(logits, axis=-1))}


class ServedSwitch(ServedMethod):
  """ADMD as signatures, here for RGB and depth, the main and the privileged modality of the thesis.

  `rgb` and `rgb_jpeg` hallucinate depth, `rgb_depth` trusts it, `auto` decides for each sample. With other modalities,
  the signatures and their inputs have their names; the signature of JPEG files exists for RGB only.

  Args:
    switch: trained switch of a run.
    threshold: fake probability above which the privileged modality is hallucinated.
    recipe: recipe of the run.
    label_names: C class names.
  """

  def __init__(self, switch: adversarial.SensorSwitch, threshold: float, recipe: recipes.Recipe,
               label_names: Sequence[str]):
    super().__init__(switch, recipe, label_names)
    self._decide = lambda clips: switch(clips)
    self._threshold = threshold

  def _logits_of(self, method):
    privileged = method.roles.privileged
    return lambda clips: method.trusted(clips) if privileged in clips else method.hallucinated(clips)

  def signatures(self, modalities):
    main, privileged = modalities
    return {**super().signatures((main,)), f'{main}_{privileged}': self._clips_signature(modalities),
            'auto': self._auto_signature(main, privileged)}

  def _auto_signature(self, main: str, privileged: str):
    """The signature of `main` uint8 and `privileged` float32, both [B, T, S, S, 3], pixels 0..255, by their names.

    NaN marks a missing privileged modality: with a value that is not finite, it is hallucinated.

    In addition to the outputs of all signatures, `hallucinated` [B] bool is the
    decision and `fake_probability` [B] float32 its score.
    """
    def serve(**clips):
      outputs = self._decide(self._checked(clips))
      score = outputs['fake_probability']
      hallucinated = score > self._threshold
      logits = tf.where(hallucinated, outputs['hallucinated'], outputs['trusted'])
      return {**self._answer(logits), 'hallucinated': hallucinated[:, 0], 'fake_probability': score[:, 0]}

    return tf.function(serve).get_concrete_function(
        **{main: self._spec(main), privileged: self._spec(privileged, tf.float32)})


def default_modality(recipe: recipes.Recipe, modalities: Sequence[str]) -> str:
  """The modality that a model predicts from by default: the main one; in chapter 5 RGB, or the first one."""
  return 'rgb' if 'rgb' in modalities and not recipe.has_roles else modalities[0]


def describe_preprocessing(recipe: recipes.Recipe) -> str:
  """A text about the frames of the `default_modality`; if it is RGB, the model processes those of `rgb_jpeg` itself."""
  config, dataset = recipe.clips, recipes.DATASETS[recipe.dataset]
  modality = default_modality(recipe, recipe.modalities)
  if modality != 'rgb':
    return (f'{modality}: {config.frames} frames of a sample, prepared as for training, {config.frame_size} x '
            f'{config.frame_size} pixels, of which the centre of {config.crop_size} x {config.crop_size} pixels is '
            'classified.\n')
  region = ('the region that RGB and depth share (the recipe has data.aligned=true, and the model cannot align them)'
            if recipe.data.aligned else 'the whole field of view of the RGB camera')
  shrunk = f'shrunk by areas to at least {dataset.least_rgb_width} pixels of width, ' if dataset.least_rgb_width else ''
  return (f'rgb_jpeg: {config.frames} frames of a sample as JPEG files, each showing {region}. Each frame is {shrunk}'
          f'resized to {config.frame_size} x {config.frame_size} pixels ({dataset.resize}), and the centre of '
          f'{config.crop_size} x {config.crop_size} pixels is classified.\n')


def is_complete(directory: pathlib.Path) -> bool:
  """Whether the folder of a model contains a complete export; the version is written last."""
  return (directory / VERSION / 'saved_model.pb').exists()


def export(run: runs.Run, model: 'tf.keras.Model | adversarial.SensorSwitch', directory: pathlib.Path) -> pathlib.Path:
  """Writes a trained method as a SavedModel that does not need the code of this project.

  The output `label` of the signatures contains class names; `labels.txt` lists
  them. `preprocessing.txt` describes the frames. The threshold of a switch is
  part of the graph, and of `switch.json`.

  All files are written inside the folder, which can be a mount point and keeps
  its owner and mode, and renamed there; the version is written last. Servers
  ignore names that are not numbers.

  Args:
    run: run that trained the model.
    model: trained method of a stage, or the switch of the run.
    directory: folder of the model; the SavedModel is its version `1`, and
      replaces an earlier export.

  Returns:
    The folder of the SavedModel.

  Raises:
    UserError: if the folder contains anything but an earlier export, or is not
      writable.
  """
  _refuse_what_is_no_export(directory)
  label_names, switch = run.manifest()['label_names'], run.read(SWITCH)
  if isinstance(model, adversarial.SensorSwitch):
    served = ServedSwitch(model, switch['threshold'], run.recipe, label_names)
  else:
    served = ServedMethod(model, run.recipe, label_names)
  signatures = served.signatures(model.modalities)
  texts = {'labels.txt': '\n'.join(label_names) + '\n', 'preprocessing.txt': describe_preprocessing(run.recipe),
           'switch.json': json.dumps(switch, indent=1) if switch else None}
  try:
    with atomic.only_process(directory / _LOCK, f'Another process is exporting into {directory}'):
      _write(directory, served, signatures, texts)
  except (OSError, tf.errors.OpError) as error:
    reason = error.strerror if isinstance(error, OSError) else error.message.split('; ')[-1]
    raise errors.UserError(f'Cannot write the SavedModel into {directory} ({reason}): pass a folder that is '
                           'writable and has enough space.') from None
  return directory / VERSION


def _refuse_what_is_no_export(directory):
  if directory.exists() and not directory.is_dir():
    raise errors.UserError(f'{directory} is a file and not an earlier export that could be replaced: pass a new '
                           'folder.')
  others = {path.name for path in directory.glob('[!.]*')} - _OF_AN_EXPORT
  if others:
    raise errors.UserError(f'{directory} contains {min(others)} and is not an earlier export that could be replaced: '
                           'pass a new folder.')


def _write(directory, served, signatures, texts):
  """Writes a SavedModel and {name: text, or None for no file} under temporary names, and renames them."""
  temporary = directory / _TEMPORARY
  shutil.rmtree(temporary, ignore_errors=True)  # left by an interrupted export
  try:
    tf.saved_model.save(served, str(temporary / VERSION), signatures=signatures)
    for name, text in texts.items():
      if text is None:
        (directory / name).unlink(missing_ok=True)
      else:
        atomic.write(temporary / name, text)
        (temporary / name).replace(directory / name)
    atomic.replace_directory(temporary / VERSION, directory / VERSION)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
