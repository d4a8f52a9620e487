"""Renders a dataset into a folder that gets its final name only when it is complete."""

import concurrent.futures
import json
import multiprocessing
import pathlib
import shutil
from typing import Any, Callable, Mapping, Optional, Sequence

import cv2
import threadpoolctl

from tf_privinfo.utils import atomic, errors, machine, progress_bars

PARAMETERS = 'synthetic.json'


def generate(data_dir: str, name: str, renderings: Mapping[str, Any],
            render: Callable[[pathlib.Path, Any], None]) -> None:
  """Renders a dataset unless it exists.

  Args:
    data_dir: folder of the native files.
    name: name of the rendering, the value of `data.rendering`.
    renderings: parameters of all renderings, by name.
    render: function that renders into a folder, given its path and the
      parameters; raises ValueError if the folder contains another rendering.

  Raises:
    UserError: if there is no such rendering, or the folder contains another one.
  """
  if name not in renderings:
    raise errors.UserError(f'Unknown data.rendering {name!r}: choose one of {", ".join(renderings)}.')
  try:
    render(pathlib.Path(data_dir), renderings[name])
  except ValueError as error:
    raise errors.UserError(str(error)) from None


def render_once(final: pathlib.Path, parameters: dict, job: Callable[[pathlib.Path, Any], None], items: Sequence[Any],
                *, unit: str, per_item: int = 1, texts: Mapping[str, str] = {},
                workers: Optional[int] = None) -> None:
  """Renders `items` into `final`, unless it exists. Other processes that need the same data wait.

  Args:
    final: folder of the result.
    parameters: parameters that determine the content, with `version` and
      `options`; stored in the folder as `synthetic.json`.
    job: function that renders one item into a folder; runs in worker processes.
    items: arguments of the function, one per call.
    unit: singular noun that the progress bar counts.
    per_item: number of units per item.
    texts: further files of the folder, by name.
    workers: number of processes; None: one per core.

  Raises:
    ValueError: if the folder exists and contains other data.
  """
  if not final.exists():
    with atomic.only_process(final.with_name(final.name + '.lock'), 'Another process is rendering these data'):
      if not final.exists():
        files = {PARAMETERS: json.dumps(parameters, indent=1), **texts}
        _render(final, files, job, items, unit, per_item, workers or machine.cpu_cores())
  _check_same(final, parameters)


def _render(final, files, job, items, unit, per_item, workers) -> None:
  incomplete = final.with_name(final.name + '.incomplete')
  if incomplete.exists():
    shutil.rmtree(incomplete)
  incomplete.mkdir()
  context = multiprocessing.get_context('spawn')
  with (concurrent.futures.ProcessPoolExecutor(min(workers, len(items)), context, _use_one_core) as pool,
        progress_bars.bar(total=per_item * len(items), desc=f'Rendering {unit}s', unit=unit) as bar):
    for _ in pool.map(job, [incomplete] * len(items), items, chunksize=2):
      bar.update(per_item)
  for name, text in files.items():
    (incomplete / name).write_text(text, encoding='utf-8')
  incomplete.rename(final)


def _check_same(folder: pathlib.Path, parameters: dict) -> None:
  try:
    found = json.loads((folder / PARAMETERS).read_text(encoding='utf-8'))
    same = (found['version'], found['options']) == (parameters['version'], parameters['options'])
  except (OSError, ValueError, KeyError, TypeError):
    raise ValueError(f'{folder} holds no synthetic dataset ({PARAMETERS} is missing or unreadable): '
                     'choose another folder.') from None
  if not same:
    raise ValueError(f'{folder} holds a synthetic dataset with other parameters (version {found["version"]}, '
                     f'{found["options"]}): remove it or choose another folder.')


def _use_one_core() -> None:
  cv2.setNumThreads(1)
  threadpoolctl.threadpool_limits(1)  # BLAS threads for every 3x3 matrix would double the time
