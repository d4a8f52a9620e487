"""Our R(2+1)D-18 with the weights of the golden files."""

from tests import parity
from tf_privinfo.networks import r2plus1d


def build(golden, modality):
  """The authors' network of one modality ('rgb', 'depth' or 'oflow') in our layers."""
  network = r2plus1d.R2Plus1D(10)
  network(golden['images_rgb'][:1])
  ours = iter(_in_creation_order(network))
  for variable in golden.meta['variables']:
    name = variable['name'].replace('resnet_rgb', f'resnet_{modality}')
    value = parity.weight(name, variable['shape'])
    target = next(ours)
    target.assign(value.reshape(target.shape))
  assert next(ours, None) is None
  return network


def _in_creation_order(network):
  """The variables in the order in which the authors' graph creates them."""
  convs = [network.stem_spatial, network.stem_temporal]
  for unit in network.units:
    convs += [layer for layer in (unit.shortcut, unit.spatial1, unit.temporal1, unit.spatial2, unit.temporal2) if layer]
  for layer in convs:
    norm = layer.norm
    yield from (layer.conv.kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
  yield from (network.classifier.kernel, network.classifier.bias)
