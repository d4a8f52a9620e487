"""Pages of results: one table with plots, for the terminal and as Markdown, CSV and HTML files."""

import base64
import csv
import dataclasses
import html
import io
import pathlib
import shutil
from typing import Any, Dict, List, Mapping, Sequence

from tf_privinfo.utils import atomic, markdown


@dataclasses.dataclass(frozen=True)
class Plot:
  """A plot.

  Attributes:
    text: what it shows, for those who do not see it.
    files: 'png' and 'svg' -> bytes.
  """
  text: str
  files: Mapping[str, bytes]


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of texts.

  Attributes:
    caption: what it is.
    header: names of the columns; the first one is of the rows' names.
    rows: of as many cells.
    links: of each row, the page that its name leads to, without the ending; empty: none.
  """
  caption: str
  header: Sequence[str]
  rows: Sequence[Sequence[str]]
  links: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Page:
  """What a report says.

  Attributes:
    title: of the page.
    notes: sentences above the tables.
    tables: at least one.
    records: the figures as plain numbers, {column: value} with the same columns in all; the content of the CSV file.
    commands: lines for a shell that give what is missing.
    plots: name of the file without its ending -> plot.
  """
  title: str
  notes: Sequence[str]
  tables: Sequence[Table]
  records: Sequence[Dict[str, Any]]
  commands: Sequence[str] = ()
  plots: Mapping[str, Plot] = dataclasses.field(default_factory=dict)


def write(page: Page, directory: pathlib.Path) -> None:
  """Writes a folder with `report.md`, `report.csv`, the plots, and `report.html`, which has all in itself."""
  temporary = directory.with_name(directory.name + '.tmp')
  with atomic.only_process(directory.with_name('.lock'), 'Another process is writing a report there'):
    shutil.rmtree(temporary, ignore_errors=True)
    for name, plot in page.plots.items():
      for ending, content in plot.files.items():
        atomic.write(temporary / f'{name}.{ending}', content)
    atomic.write(temporary / 'report.csv', _csv(page.records))
    atomic.write(temporary / 'report.md', _markdown(page))
    atomic.write(temporary / 'report.html', _html(page))
    atomic.replace_directory(temporary, directory)


def text(page: Page) -> str:
  """The page for a terminal."""
  return '\n\n'.join([page.title, *page.notes, *map(_aligned, page.tables), *_what_is_missing(page)])


def _what_is_missing(page) -> List[str]:
  return ['What is missing, in this order (--run_missing does it):\n\n'
          + '\n'.join(f'    {command}' for command in page.commands)] if page.commands else []


def _aligned(table: Table) -> str:
  return '\n'.join([f'{table.caption}\n', *markdown.table(table.header, table.rows)])


def _markdown(page: Page) -> str:
  plots = [f'![{plot.text}]({name}.png)' for name, plot in page.plots.items()]
  tables = [dataclasses.replace(table, rows=[
      (f'[{name}]({link}.md)', *cells) for (name, *cells), link in zip(table.rows, table.links)])
            if table.links else table for table in page.tables]
  parts = [f'# {page.title}', *page.notes, *map(_aligned, tables), *plots, *_what_is_missing(page)]
  return '\n\n'.join(parts) + '\n'


def _csv(records) -> str:
  buffer = io.StringIO()
  writer = csv.DictWriter(buffer, list(records[0]), lineterminator='\n')
  writer.writeheader()
  writer.writerows(records)
  return buffer.getvalue()


_STYLE = '''
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #ccc; vertical-align: top; }
thead th { border-bottom: 2px solid #888; }
tbody th { font-weight: 600; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: .5rem; }
figcaption { color: #555; }
pre { overflow-x: auto; padding: .7rem; border: 1px solid #ccc; border-radius: .5rem; }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #161616; }
  th, td, pre { border-color: #444; }
  a { color: #9bf; }
  figcaption { color: #aaa; }
}
'''


def _html(page: Page) -> str:
  title = html.escape(page.title)
  body = [f'<h1>{title}</h1>', *(f'<p>{html.escape(note)}</p>' for note in page.notes), *map(_html_table, page.tables)]
  for plot in page.plots.values():
    data = base64.b64encode(plot.files['svg']).decode()
    shown = html.escape(plot.text)
    body.append(f'<figure><img alt="{shown}" src="data:image/svg+xml;base64,{data}">'
                f'<figcaption>{shown}</figcaption></figure>')
  if page.commands:
    lines = html.escape('\n'.join(page.commands))
    body.append(f'<h2>What is missing</h2>\n<p>In this order; --run_missing does it.</p>\n'
                f'<pre tabindex="0">{lines}</pre>')
  return '\n'.join([
      '<!DOCTYPE html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      # Browsers ask a server for an icon otherwise.
      '<link rel="icon" href="data:,">',
      f'<title>{title}</title>', f'<style>{_STYLE}</style>', '</head>', '<body>', '<main>', *body, '</main>', '</body>',
      '</html>']) + '\n'


def _html_table(table: Table) -> str:
  header = ''.join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.header)
  names = [html.escape(name) for name, *_ in table.rows]
  if table.links:
    names = [f'<a href="{html.escape(link)}.html">{name}</a>' for name, link in zip(names, table.links)]
  rows = [
      f'<tr><th scope="row">{name}</th>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in cells) + '</tr>'
      for name, (_, *cells) in zip(names, table.rows)]
  return '\n'.join([
      '<div class="wide" tabindex="0">', '<table>', f'<caption>{html.escape(table.caption)}</caption>',
      f'<thead><tr>{header}</tr></thead>', '<tbody>', *rows, '</tbody>', '</table>', '</div>'])
