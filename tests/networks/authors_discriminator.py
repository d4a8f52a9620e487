"""Our discriminators with the weights of the golden files, and the authors' names of our variables."""

import numpy as np
import tensorflow as tf

from tests import parity
from tf_privinfo.networks import discriminator
from tf_privinfo.networks.config import DiscriminatorConfig

OBJECTS = DiscriminatorConfig('residual', (1024, 1024, 1024, 2048, 3076), frame_index=False, loss_weight=1.0)
FRAMES = 5
_VIDEO_LAYERS = ('sdisc_fc1', 'sdisc_fc3', 'sdisc_prob')
_OBJECTS_LAYERS = ('disc_fc1', 'disc_res1', 'disc_res2', 'disc_fc2', 'disc_fc3', 'disc_prob')


def build_video():
  """The discriminator of `admd_action`."""
  network = discriminator.Discriminator(10)
  network(tf.zeros([FRAMES, 128]), FRAMES)
  for name, variable in video_variables(network).items():
    value = parity.weight(name, (1, 1, *variable.shape) if name.endswith('weights') else variable.shape)
    variable.assign(fake_last(value, name).reshape(variable.shape))
  return network


def video_variables(network):
  """All variables by the name that the authors' graph gives them."""
  found = {}
  for layer, name in zip([*network.hidden, network.head], _VIDEO_LAYERS, strict=True):
    norm = {part: getattr(layer.norm, part) for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
    found |= {f'disc_e/{name}/weights': layer.dense.kernel}
    found |= {f'disc_e/{name}/BatchNorm/{part}': variable for part, variable in norm.items()}
  return found


def fake_last(values, name='sdisc_prob'):
  """Moves the fake class from the first place of the last axis, as theirs, to the last, in the layer of the logits."""
  return np.roll(values, -1, axis=-1) if 'sdisc_prob' in name else values


def fake_first(values, name='sdisc_prob'):
  """The inverse of `fake_last`."""
  return np.roll(values, 1, axis=-1) if 'sdisc_prob' in name else values


def build_objects(config):
  """The discriminator of `nyud_discriminator`."""
  network = discriminator.Discriminator(19, config)
  network(tf.zeros([1, 128]))
  for name, variable in objects_variables(network).items():
    variable.assign(parity.weight(name, variable.shape))
  return network


def objects_variables(network):
  """All variables by the name that the authors' graph gives them."""
  found = {}
  for layer, name in zip([*network.hidden, network.head], _OBJECTS_LAYERS, strict=True):
    found |= {f'discriminator/{name}/weights': layer.kernel, f'discriminator/{name}/biases': layer.bias}
  return found
