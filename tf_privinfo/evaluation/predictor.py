"""A trained run as a function from new recordings to predictions."""

import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow as tf

from tf_privinfo import recipes, runs
from tf_privinfo.datasets import clips, footage
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.methods import adversarial, fusion
from tf_privinfo.runs import restore
from tf_privinfo.runs.run import SWITCH
from tf_privinfo.utils import errors

# A recording of the first modality, or modality -> recording.
Recordings = Union[footage.Recording, Mapping[str, footage.Recording]]


class Prediction(NamedTuple):
  """The prediction of one sample.

  Attributes:
    label: name of the most probable class.
    probabilities: class -> probability, by the mean of the streams' logits.
    streams: stream -> class -> probability. For ADMD 'trusted' (both modalities)
      and 'hallucinated' (the main one alone): the switch chooses one of them.
    clip: modality -> frames [T, S, S, 3] uint8 of the first test clip.
    fake_probability: score of the privileged modality by which the switch
      chooses; None without a switch or without this modality.
  """
  label: str
  probabilities: Dict[str, float]
  streams: Dict[str, Dict[str, float]]
  clip: Dict[str, np.ndarray]
  fake_probability: Optional[float] = None


class Predictor:
  """The deployed model of a run: the method of its last stage, or its switch.

  Args:
    run: finished run.

  Attributes:
    recipe: recipe of the run.
    label_names: C class names.
    modalities: names of the modalities that the model can read.

  Raises:
    UserError: if the run has not finished, or its checkpoint does not fit.
  """

  def __init__(self, run: runs.Run):
    self.recipe = run.recipe
    self._model = restore.restore_deployed(run)
    self._threshold = (run.read(SWITCH) or {}).get('threshold')
    manifest = run.manifest()
    self.label_names: List[str] = manifest['label_names']
    self.modalities: Tuple[str, ...] = tuple(self._model.modalities)
    self._reader = footage.Reader(recipes.DATASETS[run.recipe.dataset], manifest, run.recipe.clips.frame_size)
    self._functions: Dict[Tuple[str, ...], Callable[..., Any]] = {}

  def predict(self, recordings: Recordings, sample_id: str = '') -> Prediction:
    """Predicts the class of one sample from any subset of the modalities.

    The logits of `clips.test_clips` clips are averaged, as in evaluation.

    Args:
      recordings: recording of the first modality, usually RGB, or modality ->
        recording: the path of a video file, of a folder, pattern or single
        picture, or frames [F, H, W, 3] uint8; for depth in millimetres [F, H, W]
        uint16. Without a recording of flow, flow is computed from RGB.
      sample_id: name from which the frames of the clips are drawn.

    Raises:
      UserError: if there is no modality that the model reads, or an unknown
        one, or a recording cannot be read.
    """
    if isinstance(recordings, (str, os.PathLike, np.ndarray)):
      recordings = {self.modalities[0]: recordings}
    self.check(recordings)
    try:
      encoded = self._reader.read(recordings, self.modalities)
    except frames.UnreadableFileError as problem:
      raise errors.UserError(f'{problem}.') from None
    present = tuple(encoded)
    if present not in self._functions:
      self._functions[present] = self._build(present)
    outputs, clip = self._functions[present](encoded, sample_id)
    return self._prediction({name: values.numpy().astype(np.float64).mean(axis=0) for name, values in outputs.items()},
                            {modality: images.numpy() for modality, images in clip.items()})

  def check(self, given: Sequence[str] | Mapping[str, Any]) -> None:
    """Raises `UserError` if the model cannot predict from the modalities `given`."""
    unknown = [modality for modality in given if modality not in self.modalities]
    if unknown:
      raise errors.UserError(f'This model predicts from {", ".join(self.modalities)}: leave out {", ".join(unknown)}.')
    needed = self.recipe.roles.main if isinstance(self._model, adversarial.SensorSwitch) else None
    if not given or needed and needed not in given:
      raise errors.UserError(f'This model predicts from {", ".join(self.modalities)}: pass '
                             f'{needed or "at least one of them"}.')

  def _build(self, present: Sequence[str]) -> Callable[..., Any]:
    """The graph from encoded frames of the modalities `present` to logits of all clips and to the first clip."""
    config, window = self.recipe.clips, clips.centre_window(self.recipe.clips)
    decoded = tf.TensorSpec([config.frames, config.crop_size, config.crop_size, 3], tf.uint8)

    @tf.function(input_signature=[{modality: tf.TensorSpec([None], tf.string) for modality in present},
                                  tf.TensorSpec([], tf.string)])
    def predict(encoded, sample_id):
      indices = clips.test_indices(tf.size(next(iter(encoded.values()))), sample_id, config)
      images = {modality: tf.map_fn(lambda clip: clips.decode_frames(clip, window, config), tf.gather(frames, indices),
                                    fn_output_signature=decoded)
                for modality, frames in encoded.items()}
      return self._logits(images), {modality: clip[0] for modality, clip in images.items()}

    return predict

  def _logits(self, images: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    """Name -> [N, C] of clips [N, T, S, S, 3]: the streams, or the branches and the score of a switch."""
    if not isinstance(self._model, adversarial.SensorSwitch):
      return self._model(images, training=False)
    if self.recipe.roles.privileged not in images:
      return {'hallucinated': self._model.hallucinated(images)}
    outputs = self._model(images)
    return {name: outputs[name] for name in ('trusted', 'hallucinated', 'fake_probability')}

  def _prediction(self, logits: Dict[str, np.ndarray], clip: Dict[str, np.ndarray]) -> Prediction:
    """The prediction from mean logits [C]; a switch chooses by its mean score."""
    score = logits.pop('fake_probability', None)
    if score is None:
      fused, fake = fusion.fuse(logits), None
    else:
      fake = float(score[0])
      fused = logits['hallucinated' if fake > self._threshold else 'trusted']
    return Prediction(self.label_names[int(np.argmax(fused))], self._named(fused),
                      {stream: self._named(z) for stream, z in logits.items()}, clip, fake)

  def _named(self, logits: np.ndarray) -> Dict[str, float]:
    exponentials = np.exp(logits - np.max(logits))
    return dict(zip(self.label_names, (exponentials / exponentials.sum()).tolist()))
