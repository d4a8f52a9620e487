"""Fusion of the streams' predictions, for any non-empty subset of them."""

import itertools
from typing import Any, Iterable, List, Mapping, Tuple


def fuse(logits: Mapping[str, Any]):
  """The mean of the streams' logits [..., C] (Σ in the thesis has the same argmax).

  Args:
    logits: stream -> [..., C], tensors or arrays, at least one.

  Raises:
    ValueError: if there are no logits.
  """
  if not logits:
    raise ValueError('fuse needs the logits of at least one stream')
  return sum(logits.values()) / len(logits)


def subsets(streams: Iterable[str]) -> List[Tuple[str, ...]]:
  """All non-empty subsets of the streams, small ones first, in the streams' order."""
  streams = list(streams)
  return [subset for size in range(1, len(streams) + 1) for subset in itertools.combinations(streams, size)]
