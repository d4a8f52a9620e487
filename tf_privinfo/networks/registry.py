"""The networks that a stream can have, by the names that `network.architecture` takes."""

import pkgutil
from typing import Any, Dict, NamedTuple, Type


class NetworkSpec(NamedTuple):
  """A network, as 'module:Class'; nothing is imported before a recipe selects it.

  Attributes:
    config: dataclass of its sizes, the section `network` of a recipe; its field `architecture` has the network's name.
    network: its `backbone.Backbone`.
  """
  config: str
  network: str


NETWORKS: Dict[str, NetworkSpec] = {
    'r2plus1d': NetworkSpec('tf_privinfo.networks.config:R2Plus1DConfig', 'tf_privinfo.networks.r2plus1d:R2Plus1D'),
    'resnet50': NetworkSpec('tf_privinfo.networks.config:ResNet50Config', 'tf_privinfo.networks.resnet50:ResNet50'),
}


def config_class(architecture: str) -> Type[Any]:
  """The dataclass of a network's sizes."""
  return pkgutil.resolve_name(NETWORKS[architecture].config)


def build(num_classes: int, config, name: str):
  """A `backbone.Backbone` of the architecture that its config names, without variables yet."""
  network = pkgutil.resolve_name(NETWORKS[config.architecture].network)
  return network(num_classes, config, name=name)
