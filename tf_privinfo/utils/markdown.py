"""Tables in Markdown."""

from typing import List, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> List[str]:
  """A table of texts as lines of Markdown, aligned for plain text."""
  cells = [[cell.replace('|', '\\|') for cell in row] for row in (header, *rows)]
  widths = [max(map(len, column)) for column in zip(*cells)]
  texts = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |' for row in cells]
  return [texts[0], '|' + '|'.join('-' * (width + 2) for width in widths) + '|', *texts[1:]]
