"""Parts of messages."""

from typing import Collection


def first(items: Collection[str], count: int = 5) -> str:
  """The first items of a list that may be long, for a line of text."""
  return '; '.join(list(items)[:count]) + ('; ...' if len(items) > count else '')
