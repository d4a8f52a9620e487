"""The files of a run directory. Nothing here imports TensorFlow.

    checkpoints/<dataset>/<method>/<run name>/
      recipe.yaml      the resolved recipe, enough to run it again
      manifest.json    the dataset as it was prepared: labels, samples, flow, depth variant
      data.json        the --data_dir and --prepared_dir that it was trained with
      run.lock         locked while a process writes here; names the last one
      <stage>/         last/ and best/ checkpoints, history.json, finished.json; one for each stage
      tensorboard/     logs
      results.json     all results of the final evaluation
      saved_model/     for TF Serving

Everything is written to a temporary name and renamed.
"""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

from tf_privinfo import recipes
from tf_privinfo.datasets import registry
from tf_privinfo.recipes import settings, validation
from tf_privinfo.utils import atomic, errors

RECIPE, MANIFEST, DATA, LOCK = 'recipe.yaml', 'manifest.json', 'data.json', 'run.lock'
RESULTS, PREDICTIONS, SWITCH, NOISE = 'results.json', 'predictions.npz', 'switch.json', 'noise.json'
RANDOM_FEATURES = 'random_features.json'
# Of a stage, in its folder.
FINISHED, HISTORY = 'finished.json', 'history.json'
TENSORBOARD, SAVED_MODEL = 'tensorboard', 'saved_model'

# Fields of a recipe that a result repeats.
ORIGIN = ('method', 'dataset', 'protocol', 'preset', 'variant', 'seed')

# What the JSON files of a run must contain to be used.
_KEYS = {
    MANIFEST: ('label_names', 'samples'), FINISHED: ('weights',), SWITCH: ('threshold', 'levels'),
    RESULTS: ('accuracy', 'subset_accuracy', 'class_accuracy', 'stages', 'samples', 'clips_per_video')}


class Run:
  """One run directory.

  Attributes:
    directory: its path.
    recipe: its recipe.
  """

  def __init__(self, directory: pathlib.Path, recipe: recipes.Recipe):
    self.directory = directory
    self.recipe = recipe

  @classmethod
  def create_or_resume(cls, directory: pathlib.Path, recipe: recipes.Recipe) -> 'Run':
    """Opens the run directory of a recipe, made if it is not there.

    Args:
      directory: where.
      recipe: what is going to run.

    Raises:
      UserError: if the directory belongs to another recipe or cannot be written.
    """
    path = directory / RECIPE
    if path.exists():
      _refuse_other_recipe(directory, recipes.read(path), recipe)
    else:
      with _writing_to(directory):
        atomic.write(path, recipes.to_yaml(recipe))
    return cls(directory, recipe)

  @classmethod
  def open(cls, directory: str) -> 'Run':
    """Opens an existing run; raises `UserError` if there is none."""
    path = pathlib.Path(directory) / RECIPE
    if not path.is_file():
      raise errors.UserError(f'{directory} is not a run directory (it has no {RECIPE}).')
    try:
      recipe = validation.check(recipes.read(path))
      registry.resolve_protocol(recipe.dataset, recipe.protocol)
      return cls(path.parent, recipe)
    except errors.UserError as error:
      raise error if str(path) in str(error) else errors.UserError(f'{path}: {error}') from None

  def stage_directory(self, stage: str) -> pathlib.Path:
    return self.directory / stage

  def read(self, name: str) -> Any:
    """The content of a JSON file of the run, or None if it was not written yet."""
    path = self.directory / name
    if not path.exists():
      return None
    return atomic.read_json(path, _KEYS.get(path.name, ()), list if path.name == HISTORY else dict)

  def manifest(self) -> Dict[str, Any]:
    """The dataset as it was prepared; raises `UserError` if it was never recorded."""
    return atomic.read_json(self.directory / MANIFEST, _KEYS[MANIFEST])

  def write(self, name: str, content: Any) -> None:
    """Writes a JSON file of the run, whole or not at all."""
    atomic.write(self.directory / name, json.dumps(content, indent=1))

  def record_dataset(self, manifest: Dict[str, Any]) -> None:
    """Copies the dataset's manifest into the run; raises `UserError` if the run began with other data."""
    before = self.read(MANIFEST)
    if before not in (None, manifest):
      raise errors.UserError(
          f'{self.directory} was trained on a dataset that was prepared differently: pass the original '
          '--data_dir, or --noresume to keep this run under another name and start from scratch.')
    self.write(MANIFEST, manifest)

  def remember_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> None:
    """Writes down where the data are, for a later evaluation; None for a default place, which is not remembered."""
    places = {'data_dir': data_dir, 'prepared_dir': prepared_dir}
    self.write(DATA, {name: place and os.path.abspath(place) for name, place in places.items()})

  def find_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """The --data_dir and --prepared_dir to evaluate with: those given, or else those that the run was trained with.

    Raises:
      UserError: if the folder that the run was trained with is gone.
    """
    places = self.read(DATA) or {'data_dir': None, 'prepared_dir': None}  # earlier versions did not write it
    if data_dir and os.path.abspath(data_dir) != places['data_dir']:
      return data_dir, prepared_dir
    place = places['prepared_dir'] or places['data_dir']
    if not prepared_dir and place and not os.path.isdir(place):
      flag = '--prepared_dir' if places['prepared_dir'] else '--data_dir'
      raise errors.UserError(f'{self.directory} was trained with the data in {place}, which is no longer there: pass '
                             f'{flag} with their present folder.')
    return data_dir or places['data_dir'], prepared_dir or places['prepared_dir']

  def finished_stages_of(self, other: 'Run') -> List[str]:
    """The finished stages of another run that are stages of this one, too, with the same data."""
    if other.read(MANIFEST) != self.read(MANIFEST):
      return []
    return list(itertools.takewhile(other.finished, recipes.shared_stages(self.recipe, other.recipe)))

  def take_stages(self, other: 'Run', stages: List[str]) -> List[str]:
    """Copies those of `stages` of another run that this run has not finished, and returns their names."""
    taken = [stage for stage in stages if self.finished(stage) is None]
    for stage in taken:
      temporary = self.directory / f'{stage}.tmp'
      shutil.rmtree(temporary, ignore_errors=True)
      try:
        shutil.copytree(other.stage_directory(stage), temporary)
      except FileNotFoundError:  # --noresume of another process
        raise errors.UserError(f'{other.directory} was moved while its stage {stage} was copied: run the same command '
                               'again, or omit --stages_from.') from None
      atomic.replace_directory(temporary, self.stage_directory(stage))
    return taken

  def finished(self, stage: str) -> Optional[Dict[str, Any]]:
    """The record of a finished stage; None if it has not finished."""
    return self.read(f'{stage}/{FINISHED}')

  def unfinished_stages(self) -> List[str]:
    """The stages that have not finished yet, in order."""
    return [stage for stage in self.recipe.stages if self.finished(stage) is None]

  def weights(self, stage: str) -> str:
    """The checkpoint that a stage ended with; raises `UserError` if it has not finished."""
    finished = self.finished(stage)
    if finished is None:
      raise errors.UserError(
          f'Stage {stage} of {self.directory} has not finished: run its training command again to resume.')
    return str(self.directory / stage / finished['weights'])


@contextlib.contextmanager
def only_process(directory: pathlib.Path, *, wait: bool = False) -> Iterator[None]:
  """Holds the lock of a run directory, made if it is not there; raises `UserError` if a process is writing to it.

  With `wait` it waits for that process instead.
  """
  with contextlib.ExitStack() as stack:
    with _writing_to(directory):
      stack.enter_context(atomic.only_process(
          directory / LOCK, f'The run in {directory} is in progress', wait=wait))
    yield


def set_aside(directory: pathlib.Path) -> None:
  """Renames a run directory, if it is there; raises `UserError` if a process is writing to it."""
  if (directory / RECIPE).exists():
    with only_process(directory):
      kept = directory.with_name(f'{directory.name}.{time.strftime("%Y%m%d-%H%M%S")}')
      directory.rename(kept)
    print(f'The earlier run was kept as {kept}')


def _writing_to(directory: pathlib.Path):
  return errors.explaining_os_errors(f'write to {directory}', 'make it writable, or choose another --output_dir')


def _refuse_other_recipe(directory, saved: recipes.Recipe, wanted: recipes.Recipe) -> None:
  before, now = settings.flatten(saved), settings.flatten(wanted)
  changed = [f'{key} was {before.get(key)!r}, now {now.get(key)!r}'
             for key in {**before, **now} if before.get(key) != now.get(key)]
  if changed:
    raise errors.UserError(
        f'{directory} holds a run of another recipe ({"; ".join(changed)}): '
        'choose another --output_dir, or --noresume to keep this run under another name and start from scratch.')
