"""ImageNet weights from the public slim checkpoint `resnet_v1_50` (docs/methods.md, section 1.1)."""

from typing import Dict, List

import numpy as np
import tensorflow as tf

from tf_privinfo.networks.config import ResNet50Config
from tf_privinfo.utils.errors import UserError

SCOPE = 'resnet_v1_50'

# Errors of TensorFlow's reader for missing files, files of a different format, and truncated ones.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)


def load_pretrained(network: tf.keras.Model, path: str) -> str:
  """Loads a slim checkpoint into `network`, except classifier, bottleneck and temporal convolutions.

  Args:
    network: `resnet50.ResNet50`, built if necessary; unchanged unless everything fits.
    path: path of a TensorFlow 1 checkpoint of `resnet_v1_50`.

  Returns:
    Text that names the loaded and the omitted parts.

  Raises:
    UserError: if the checkpoint cannot be read or does not fit the network.
  """
  reader = _open(path)
  if not network.built:
    network(tf.zeros([1, 1, 224, 224, 3]))
  targets = slim_variables(network)
  shapes = reader.get_variable_to_shape_map()
  _check(targets, shapes, path)
  values = {name: _read(reader, name, path) for name in targets}
  for name, variable in targets.items():
    variable.assign(values[name])
  unused = sorted(set(shapes) - set(targets))
  return (f'Loaded {len(targets)} variables from {path}. Left as they are: {_left(network.config)}. '
          f'Not used from the checkpoint: {_first(unused)}.')


def slim_variables(network: tf.keras.Model, scope: str = SCOPE) -> Dict[str, tf.Variable]:
  """Name in slim's checkpoint -> variable of a built `resnet50.ResNet50`, without the classifier."""
  convs = {'conv1': network.stem}
  for block in network.blocks:
    for unit in block.units:
      for name in ('shortcut', 'conv1', 'conv2', 'conv3'):
        convs[f'{block.name}/{unit.name}/bottleneck_v1/{name}'] = getattr(unit, name)
  variables = {}
  for name, layer in convs.items():
    if layer is not None:
      variables |= conv_variables(layer, f'{scope}/{name}')
  return variables


def conv_variables(layer, name: str) -> Dict[str, tf.Variable]:
  """Name in slim's checkpoint -> variable of a `resnet50.ConvNorm`; `name` is the scope in the checkpoint."""
  norm = {part: getattr(layer.norm, part) for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
  return {f'{name}/weights': layer.conv.kernel} | {f'{name}/BatchNorm/{part}': v for part, v in norm.items()}


def _left(config: ResNet50Config) -> str:
  """The parts of a network that a checkpoint has no weights for, as text."""
  parts = []
  if config.temporal:
    parts.append('the temporal convolutions, which start as the identity')
  if config.bottleneck != 'none':
    parts.append("the bottleneck, which ImageNet's network does not have")
  parts.append(('and ' if parts else '') + 'the classifier, which has different classes')
  return ', '.join(parts)


def _open(path: str):
  try:
    return tf.train.load_checkpoint(path)
  except _READ_ERRORS as error:
    raise UserError(f'There is no readable TensorFlow checkpoint at {path}: pass the path of {SCOPE}.ckpt.') from error


def _read(reader, name: str, path: str) -> np.ndarray:
  try:
    return reader.get_tensor(name)
  except _READ_ERRORS as error:
    raise UserError(f'{name} cannot be read from the checkpoint {path}: the file is damaged or incomplete.') from error


def _check(targets: Dict[str, tf.Variable], shapes: Dict[str, List[int]], path: str):
  missing = [name for name in targets if name not in shapes]
  if missing:
    raise UserError(f'The checkpoint {path} lacks {len(missing)} of the {len(targets)} variables of the network: '
                    f'{_first(missing)}.')
  for name, variable in targets.items():
    if list(variable.shape) != list(shapes[name]):
      raise UserError(
          f'The checkpoint {path} does not fit: {name} has the shape {list(shapes[name])} there and '
          f'{list(variable.shape)} here, as when network.width or network.units differ from the ImageNet network.')


def _first(names: List[str], count: int = 4) -> str:
  if not names:
    return 'nothing'
  return ', '.join(names[:count]) + (f' and {len(names) - count} more' if len(names) > count else '')
