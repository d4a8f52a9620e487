"""The networks that a stream can have, by the names that `network.architecture` takes."""

import pkgutil
from typing import Any, Dict, NamedTuple, Type

from tf_privinfo.networks.config import R2Plus1DConfig, ResNet50Config


class NetworkSpec(NamedTuple):
  """A network.

  Attributes:
    config: dataclass of its sizes, the section `network` of a recipe; its field `architecture` has the network's name.
    network: 'module:Class' of its `backbone.Backbone`; imported only when it is built.
  """
  config: Type[Any]
  network: str


NETWORKS: Dict[str, NetworkSpec] = {
    'r2plus1d': NetworkSpec(R2Plus1DConfig, 'tf_privinfo.networks.r2plus1d:R2Plus1D'),
    'resnet50': NetworkSpec(ResNet50Config, 'tf_privinfo.networks.resnet50:ResNet50'),
}


def build(num_classes: int, config, name: str):
  """A `backbone.Backbone` of the architecture that its config names, without variables yet."""
  network = pkgutil.resolve_name(NETWORKS[config.architecture].network)
  return network(num_classes, config, name=name)
