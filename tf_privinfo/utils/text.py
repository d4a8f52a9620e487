"""Parts of messages."""

from typing import Collection


def first(items: Collection[str], count: int = 5) -> str:
  """The first `count` items, separated by semicolons, with an ellipsis if there are more."""
  return '; '.join(list(items)[:count]) + ('; ...' if len(items) > count else '')
