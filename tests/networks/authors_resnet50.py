"""Our ResNet-50 streams with the weights of the golden files, and the authors' names of our variables."""

import contextlib
import dataclasses

import tensorflow as tf

from tests import parity
from tf_privinfo.networks import resnet50, slim_checkpoint
from tf_privinfo.networks.config import ResNet50Config

# The golden inputs are normal noise, or have lost their mean before.
CONFIG = ResNet50Config(input_mean=(0.0, 0.0, 0.0))
ADMD = dataclasses.replace(CONFIG, bottleneck='pool_then_conv')
OBJECTS = dataclasses.replace(CONFIG, bottleneck='conv7x7', temporal=False)
FRAMES = 5
# The authors' names of bottleneck and classifier.
_HEADS = {'none': (None, 'logits'), 'pool_then_conv': ('conv_bott', 'logits'), 'conv7x7': ('f_repr', '_logits_')}


def build(scope, config=CONFIG, num_classes=10, size=32):
  """The authors' stream `scope`, as 'resnet_v1_50_rgb', in our layers, for frames of `size` pixels."""
  network = resnet50.ResNet50(num_classes, config)
  network(tf.zeros([1, 1, size, size, 3]))
  for name, variable in variables(network, scope).items():
    variable.assign(parity.weight(name, variable.shape))
  return network


def variables(network, scope):
  """All variables of `network` by the name that the authors' graph gives them."""
  found = slim_checkpoint.slim_variables(network, scope)
  if network.config.temporal:
    for block in network.blocks:
      found |= slim_checkpoint.conv_variables(
          block.units[1].temporal, f'{scope}/{block.name}/unit_2/bottleneck_v1/conv_temp')
  bottleneck, classifier = _HEADS[network.config.bottleneck]
  if network.config.bottleneck == 'pool_then_conv':
    found |= slim_checkpoint.conv_variables(network.bottleneck.conv, f'{scope}/{bottleneck}')
  elif network.config.bottleneck == 'conv7x7':
    found |= _with_bias(network.bottleneck.conv, f'{scope}/{bottleneck}')
  return found | _with_bias(network.classifier, f'{scope}/{classifier}')


def _with_bias(layer, name):
  return {f'{name}/weights': layer.kernel, f'{name}/biases': layer.bias}


def clips(images):
  """[B, T, H, W, 3] for the golden images [B*T, H, W, 3]."""
  return images.reshape([-1, FRAMES, *images.shape[1:]])


@contextlib.contextmanager
def keep_statistics(*networks):
  """Undoes what runs in training mode do to the moving averages."""
  before = [(v, v.numpy()) for network in networks for v in network.non_trainable_variables]
  try:
    yield
  finally:
    for variable, value in before:
      variable.assign(value)
