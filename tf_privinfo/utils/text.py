"""Parts of messages."""

from typing import Iterable


def first(items: Iterable[str], count: int = 5) -> str:
  """The first items of a list that may be long, for a line of text."""
  return '; '.join(list(items)[:count]) + ('; ...' if len(items) > count else '')
