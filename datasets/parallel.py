"""Applies a function to many samples: in threads of this machine, or on Apache Beam."""

import concurrent.futures
import json
import pathlib
import shlex
from typing import Any, Callable, Iterator, List, Sequence

from tf_privinfo.utils import errors, machine, progress_bars


def in_threads(function: Callable, items: Sequence[Any], **bar) -> Iterator[Any]:
  """Yields the results of `function` for all items, in order, with a progress bar.

  Args:
    function: function of one item. Threads suffice, since OpenCV and TensorFlow release the GIL.
    items: arguments of the function.
    **bar: arguments of `progress_bars.bar`.
  """
  with concurrent.futures.ThreadPoolExecutor(machine.cpu_cores()) as pool:
    yield from progress_bars.bar(pool.map(function, items), **{'total': len(items), **bar})


def import_beam():
  """Imports Apache Beam, an optional dependency; raises `UserError` if it is not installed."""
  try:
    import apache_beam
  except ImportError:
    raise errors.UserError("Apache Beam is not installed: run pip install -c constraints.txt -e '.[beam]'.") from None
  return apache_beam


def on_beam(function: Callable[[Any], Any], items: Sequence[Any], beam_options: Sequence[str],
             folder: pathlib.Path) -> List[Any]:
  """Results of `function` for all items, in any order, converted to JSON and back.

  Args:
    function: function of one item; its results must be convertible to JSON.
    items: arguments of the function.
    beam_options: options of the pipeline.
    folder: folder on a shared file system, where the workers write the results.

  Raises:
    UserError: if Apache Beam is not installed, or does not accept the options.
  """
  beam = import_beam()
  path = folder / 'records.json'
  path.parent.mkdir(parents=True, exist_ok=True)
  try:
    pipeline = beam.Pipeline(argv=list(beam_options))
  except ValueError as error:
    raise errors.UserError(f'Apache Beam cannot run with --beam_options={shlex.join(beam_options)}: {error}') from None
  with pipeline:
    _ = (pipeline | beam.Create(items) | beam.Reshuffle() | beam.Map(function) | beam.Map(json.dumps)
         | beam.io.WriteToText(str(path), shard_name_template=''))
  return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
