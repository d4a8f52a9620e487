"""The networks for streams, by the values of `network.architecture`."""

import pkgutil
from typing import Any, Dict, NamedTuple, Type


class NetworkSpec(NamedTuple):
  """A network, as 'module:Class', imported only when a recipe selects it.

  Attributes:
    config: dataclass of the sizes, the section `network` of a recipe; the field `architecture` contains the name.
    network: class of the network, a `backbone.Backbone`.
  """
  config: str
  network: str


NETWORKS: Dict[str, NetworkSpec] = {
    'r2plus1d': NetworkSpec('tf_privinfo.networks.config:R2Plus1DConfig', 'tf_privinfo.networks.r2plus1d:R2Plus1D'),
    'resnet50': NetworkSpec('tf_privinfo.networks.config:ResNet50Config', 'tf_privinfo.networks.resnet50:ResNet50'),
}


def config_class(architecture: str) -> Type[Any]:
  """The dataclass with the sizes of an architecture; `architecture` is a key of `NETWORKS`."""
  return pkgutil.resolve_name(NETWORKS[architecture].config)


def build(num_classes: int, config, name: str):
  """Builds the `backbone.Backbone` that `config.architecture` names, for C = `num_classes`; without variables yet."""
  network = pkgutil.resolve_name(NETWORKS[config.architecture].network)
  return network(num_classes, config, name=name)
