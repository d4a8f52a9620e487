"""Pages of results, tables with plots, for the terminal and as Markdown, CSV and HTML files."""

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
    text: description of the plot, also the alternative text of the image.
    files: 'png' and 'svg' -> bytes.
  """
  text: str
  files: Mapping[str, bytes]


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of texts.

  Attributes:
    caption: caption of the table.
    header: names of the columns; the first column has the names of the rows.
    rows: rows with as many cells as the header.
    links: page linked from the name of each row, without the ending; empty: none.
  """
  caption: str
  header: Sequence[str]
  rows: Sequence[Sequence[str]]
  links: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Page:
  """The content of a report.

  Attributes:
    title: title of the page.
    notes: sentences above the tables.
    tables: tables, at least one.
    records: rows of the CSV file, {column: value} with the same columns in all.
    commands: lines for a shell that produce missing results.
    plots: name of the file without its ending -> plot.
  """
  title: str
  notes: Sequence[str]
  tables: Sequence[Table]
  records: Sequence[Dict[str, Any]]
  commands: Sequence[str] = ()
  plots: Mapping[str, Plot] = dataclasses.field(default_factory=dict)


def write(page: Page, directory: pathlib.Path) -> None:
  """Writes a folder with `report.md`, `report.csv`, the plots, and the self-contained `report.html`.

  An existing folder is replaced. Raises OSError if the folder is not writable.
  """
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
  """The page as text for a terminal."""
  return '\n\n'.join([page.title, *page.notes, *map(_aligned, page.tables), *_what_is_missing(page)])


def _what_is_missing(page) -> List[str]:
  return ['Commands for missing results, in this order (--run_missing runs them):\n\n'
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
    body.append(f'<h2>Commands for missing results</h2>\n<p>In this order; --run_missing runs them.</p>\n'
                f'<pre tabindex="0">{lines}</pre>')
  return '\n'.join([
      '<!DOCTYPE html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width, initial-scale=1">',
      # Otherwise browsers request an icon from a server.
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
