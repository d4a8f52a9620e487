"""Export as a LiteRT (TensorFlow Lite) file, for phones and other small devices."""

import dataclasses
import io
import pathlib
from typing import Sequence
import zipfile

import tensorflow as tf
from tensorflow.lite.python.convert import ConverterError

from tf_privinfo import runs
from tf_privinfo.methods import adversarial
from tf_privinfo.runs import restore
from tf_privinfo.serving import export as saved_model
from tf_privinfo.utils import atomic, errors


def export(run: runs.Run, directory: pathlib.Path, modalities: Sequence[str] = (), quantize: bool = False
           ) -> pathlib.Path:
  """Writes the deployed model of a run for one subset of its modalities as a LiteRT file.

  The file has one signature. Its inputs are uint8 [1, T, S, S, 3], pixels 0..255, by the names of the modalities, its
  outputs `logits` and `probabilities` [1, C] float32. Like the associated files of TensorFlow Lite Metadata,
  `labels.txt` and `preprocessing.txt` are a ZIP archive at the end of the file, which interpreters ignore. Computation
  is in float32, also for a run with mixed precision.

  Args:
    run: finished run.
    directory: folder of the file, created if missing; an earlier file of the same name is replaced.
    modalities: names of the subset; by default `saved_model.default_modality`.
    quantize: whether weights are stored as int8.

  Returns:
    Path of the file: the names of the modalities joined by `_`, with `_int8` if quantized, and `.tflite`.

  Raises:
    UserError: if the run has not finished, if the model has no prediction from these modalities or cannot be
      converted, or if the folder is not writable.
  """
  in_float32 = runs.Run(run.directory, dataclasses.replace(run.recipe, mixed_precision=False))
  model = restore.restore_deployed(in_float32)
  modalities = tuple(modalities or (saved_model.default_modality(run.recipe, model.modalities),))
  _check(model, modalities)
  label_names = run.manifest()['label_names']
  served = saved_model.ServedMethod(model, run.recipe, label_names)
  if isinstance(model, adversarial.SensorSwitch):
    served = saved_model.ServedSwitch(model, 1.0, run.recipe, label_names)  # without its decision
  content = _convert(served, modalities, quantize)
  path = directory / f'{"_".join(modalities)}{"_int8" if quantize else ""}.tflite'
  with errors.explaining_os_errors(f'write {path}', 'pass a folder that is writable and has enough space'):
    atomic.write(path, _with_files(content, {
        'labels.txt': '\n'.join(label_names) + '\n',
        'preprocessing.txt': saved_model.describe_preprocessing(run.recipe).replace('rgb_jpeg: ', 'rgb: ', 1)}))
  return path


def _check(model, modalities: Sequence[str]) -> None:
  unknown = set(modalities) - set(model.modalities)
  if unknown or len(set(modalities)) < len(modalities):
    raise errors.UserError(f'--modalities={",".join(modalities)}: this model predicts from any of '
                           f'{", ".join(model.modalities)}, each named once.')
  if isinstance(model, adversarial.SensorSwitch) and model.roles.main not in modalities:
    main, privileged = model.modalities
    raise errors.UserError(f'A switch predicts from {main}, or from {main} and {privileged}: pass --modalities={main} '
                           f'or --modalities={main},{privileged}.')


def _convert(served: saved_model.ServedMethod, modalities: Sequence[str], quantize: bool) -> bytes:
  """The LiteRT file of one sample; batches of unknown size would make all shapes dynamic."""
  converter = tf.lite.TFLiteConverter.from_concrete_functions([served.one_sample(modalities)], served)
  if quantize:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  try:
    return converter.convert()
  except ConverterError as error:
    lines = [line for line in str(error).splitlines() if line.strip()]
    raise errors.UserError(f'This model cannot be converted to LiteRT, which has no counterpart of an operation of its '
                           f'network ({lines[0][:200]}): export it as --format=saved_model.') from None


def _with_files(content: bytes, texts) -> bytes:
  """The content of a LiteRT file with {name: text} appended as a ZIP archive."""
  buffer = io.BytesIO(content)
  with zipfile.ZipFile(buffer, 'a') as archive:
    for name, text in texts.items():
      archive.writestr(zipfile.ZipInfo(name), text)
  return buffer.getvalue()
