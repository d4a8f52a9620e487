"""Reader of CSV tables as spreadsheets and text editors save them."""

import codecs
import csv
import io
import pathlib
from typing import Dict, Iterator, Optional, Sequence, Tuple

from tf_privinfo.utils import errors

_DELIMITERS = ',;\t'


def rows(path: pathlib.Path, columns: Sequence[str], hint: str, optional: Optional[Sequence[str]] = ()
         ) -> Iterator[Tuple[int, Dict[str, str]]]:
  """Yields line number and stripped values (column -> value) of every row of a table with a header.

  Values are separated by commas, semicolons or tabs. The text is UTF-8, or UTF-16 with a byte order mark. Empty lines
  are ignored.

  Args:
    path: path of the table.
    columns: names of the required columns.
    hint: sentence for error messages on how to set different column names.
    optional: names of columns that are read if they exist; all other columns are ignored. None: all columns are
      read, and need names.

  Raises:
    UserError: if the path is a folder, the file is empty or has another encoding, a required column is missing or
      occurs twice, or a row does not have one value per column.
    OSError: if the file cannot be read.
  """
  text = _decode(path)
  first = next((line for line in text.splitlines() if line.strip()), '')
  delimiter = max(_DELIMITERS, key=lambda mark: (len(set(columns) & set(_values(first, mark))), first.count(mark)))
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
  header = None
  try:
    for row in reader:
      values = [value.strip() for value in row]
      if not any(values):
        continue
      if header is None:
        header = values
        wanted = header if optional is None else (*columns, *optional)
        _check_header(path, header, columns, hint, wanted)
      elif len(values) != len(header):
        raise errors.UserError(f'{path} has {len(values)} values in line {reader.line_num}, but {len(header)} columns: '
                               'correct this line. A value that contains the separator needs quotation marks.')
      else:
        yield reader.line_num, {name: value for name, value in zip(header, values) if name in wanted}
  except csv.Error as error:
    raise errors.UserError(f'{path} is not a CSV table: line {reader.line_num}: {error}.') from None


def _decode(path: pathlib.Path) -> str:
  if path.is_dir():
    raise errors.UserError(f'{path} is a folder: pass the path of the table.')
  data = path.read_bytes()
  is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
  try:
    text = data.decode('utf-16' if is_utf16 else 'utf-8-sig')
  except UnicodeDecodeError as error:
    line = '' if is_utf16 else f' (line {data[:error.start].count(bytes([10])) + 1})'
    raise errors.UserError(f'{path} is not a CSV table in UTF-8{line}: save it as CSV with this encoding.') from None
  if '\0' in text:
    raise errors.UserError(f'{path} is not a CSV table but binary data: save it as CSV in UTF-8.')
  if not text.strip():
    raise errors.UserError(f'{path} is empty: it needs a header and one row per sample.')
  return text


def _values(line: str, delimiter: str):
  return [value.strip().strip('"') for value in line.split(delimiter)]


def _check_header(path, header, columns, hint, wanted) -> None:
  missing = [name for name in columns if name not in header]
  if missing:
    raise errors.UserError(f'{path} has no column {", ".join(missing)}: its columns are {", ".join(header)}. {hint}')
  if '' in wanted:
    raise errors.UserError(f'{path} has a column without a name: name it, or remove it.')
  double = sorted({name for name in wanted if header.count(name) > 1})
  if double:
    raise errors.UserError(f'{path} has several columns named {", ".join(double)}: rename all but one of them.')
