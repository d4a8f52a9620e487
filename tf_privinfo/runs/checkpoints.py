"""Loading of networks from checkpoints, with all variables or none."""

from typing import Dict, List, Tuple

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tf_privinfo.utils import errors

_SHOWN = 5


def load_networks(networks: Dict[str, tf.keras.Model], path: str, without: Tuple[str, ...] = ()) -> None:
  """Restores networks from a checkpoint of a method.

  Args:
    networks: name in the checkpoint -> network.
    path: path of the checkpoint.
    without: parts of the networks that are not restored, such as 'classifier'.

  Raises:
    UserError: if the checkpoint cannot be read, or if variables are missing,
      unexpected or of different shapes. Nothing is restored then.
  """
  parts = {name: tf.train.Checkpoint(**_children(network, without)) for name, network in networks.items()}
  try:
    reader = tf.train.load_checkpoint(path)
    problems = []
    for name, network in networks.items():
      problems += _differences(reader, name, network, without)
    if not problems:
      tf.train.Checkpoint(networks=parts).read(path).expect_partial()
  except (IndexError, ValueError, tf.errors.OpError):  # IndexError is the error for truncated files
    raise errors.UserError(f'There is no readable checkpoint {path}: it is missing or damaged. Restore it from a '
                           'copy, or train its run again with --noresume.') from None
  if problems:
    shown = '; '.join(problems[:_SHOWN])
    more = f'; and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
    raise errors.UserError(
        f'The checkpoint {path} does not fit this recipe ({", ".join(networks)}): {shown}{more}.')


def _children(node, without=()) -> dict:
  return {name: child for name, child in tf.train.TrackableView.children(node).items() if name not in without}


def _differences(reader, saved_name: str, network, without) -> List[str]:
  """Compares the objects of a network and of a checkpoint; returns one sentence for each difference."""
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  graph.ParseFromString(reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH'))
  saved_children = lambda index: {child.local_name: child.node_id for child in graph.nodes[index].children}
  try:
    root = saved_children(saved_children(0)['networks'])[saved_name]
  except KeyError:
    return [f'it has no {saved_name}']
  shapes = reader.get_variable_to_shape_map()
  problems, seen, todo = [], set(), [(saved_name, network, root)]
  while todo:
    name, node, index = todo.pop()
    if id(node) in seen:
      continue
    seen.add(id(node))
    if isinstance(node, tf.Variable):
      [attribute] = graph.nodes[index].attributes
      if list(node.shape) != shapes[attribute.checkpoint_key]:
        problems.append(f'{name} has shape {shapes[attribute.checkpoint_key]} there and {list(node.shape)} here')
      continue
    here, there = _children(node, without if node is network else ()), saved_children(index)
    for child in here.keys() | (there.keys() - set(without)):
      path = f'{name}.{child}'
      if child in here and child in there:
        todo.append((path, here[child], there[child]))
      elif child in here and _has_variables(here[child]):
        problems.append(f'{path} is missing in it')
      elif child in there and _saved_variables(graph, there[child]):
        problems.append(f'{path} is not expected')
  return sorted(problems)


def _has_variables(node) -> bool:
  return any(isinstance(item, tf.Variable) for item in tf.train.TrackableView(node).descendants())


def _saved_variables(graph, index: int) -> bool:
  node = graph.nodes[index]
  return bool(node.attributes) or any(_saved_variables(graph, child.node_id) for child in node.children)
