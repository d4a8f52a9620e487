"""Our ResNet-50 streams with the weights of the golden files, and the authors' names of our variables."""

import contextlib

import tensorflow as tf

from tests import parity
from tf_privinfo.configs import ResNet50Config
from tf_privinfo.networks import resnet50, slim_checkpoint

# The golden inputs are normal noise.
CONFIG = ResNet50Config(input_mean=(0.0, 0.0, 0.0))
FRAMES = 5


def build(scope):
  """The authors' stream `scope`, as 'resnet_v1_50_rgb', in our layers."""
  network = resnet50.ResNet50(10, CONFIG)
  network(tf.zeros([1, FRAMES, 32, 32, 3]))
  for name, variable in variables(network, scope).items():
    variable.assign(parity.weight(name, variable.shape))
  return network


def variables(network, scope):
  """All variables of `network` by the name that the authors' graph gives them."""
  found = slim_checkpoint.slim_variables(network, scope)
  for block in network.blocks:
    found |= slim_checkpoint.conv_variables(
        block.units[1].temporal, f'{scope}/{block.name}/unit_2/bottleneck_v1/conv_temp')
  classifier = network.classifier
  return found | {f'{scope}/logits/weights': classifier.kernel, f'{scope}/logits/biases': classifier.bias}


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
