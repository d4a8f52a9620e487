"""The files of a run directory. Nothing here imports TensorFlow.

    checkpoints/<dataset>/<method>/<run name>/
      recipe.yaml      resolved recipe, which determines the run
      manifest.json    prepared dataset: labels, samples, flow, depth variant
      data.json        --data_dir and --prepared_dir of the training
      run.lock         lock of the process that writes here; names the last one
      <stage>/         last/ and best/ checkpoints, history.json, finished.json; one folder for each stage
      tensorboard/     logs
      results.json     all results of the final evaluation
      saved_model/     export for TF Serving

All files are written under temporary names and renamed.
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
# Files of a stage, in its folder.
FINISHED, HISTORY = 'finished.json', 'history.json'
TENSORBOARD, SAVED_MODEL = 'tensorboard', 'saved_model'

# Fields of a recipe that a result repeats.
ORIGIN = ('method', 'dataset', 'protocol', 'preset', 'variant', 'seed')

# JSON file of a run -> keys that it must contain.
_KEYS = {
    MANIFEST: ('label_names', 'samples'), FINISHED: ('weights',), SWITCH: ('threshold', 'levels'),
    RESULTS: ('accuracy', 'subset_accuracy', 'class_accuracy', 'stages', 'samples', 'clips_per_video')}


class Run:
  """One run directory.

  Attributes:
    directory: path of the directory.
    recipe: recipe of the run.
  """

  def __init__(self, directory: pathlib.Path, recipe: recipes.Recipe):
    self.directory = directory
    self.recipe = recipe

  @classmethod
  def create_or_resume(cls, directory: pathlib.Path, recipe: recipes.Recipe) -> 'Run':
    """Opens the run directory of a recipe, created if missing.

    Args:
      directory: path of the run directory.
      recipe: recipe of the run.

    Raises:
      UserError: if the directory belongs to a different recipe or is not writable.
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
    """Opens an existing run; raises `UserError` if there is none, or if its recipe is invalid."""
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
    """The folder of a stage, which may not exist yet."""
    return self.directory / stage

  def read(self, name: str) -> Any:
    """The content of a JSON file of the run, or None if it does not exist yet; raises `UserError` if it is damaged."""
    path = self.directory / name
    if not path.exists():
      return None
    return atomic.read_json(path, _KEYS.get(path.name, ()), list if path.name == HISTORY else dict)

  def manifest(self) -> Dict[str, Any]:
    """The manifest of the prepared dataset; raises `UserError` if it was not recorded."""
    return atomic.read_json(self.directory / MANIFEST, _KEYS[MANIFEST])

  def write(self, name: str, content: Any) -> None:
    """Writes a JSON file of the run atomically; `name` is a path relative to the run directory."""
    atomic.write(self.directory / name, json.dumps(content, indent=1))

  def record_dataset(self, manifest: Dict[str, Any]) -> None:
    """Writes the manifest of the dataset to the run; raises `UserError` if the run started with different data."""
    before = self.read(MANIFEST)
    if before not in (None, manifest):
      raise errors.UserError(
          f'{self.directory} was trained on a dataset that was prepared differently: pass the original '
          '--data_dir, or --noresume to keep this run under another name and start from scratch.')
    self.write(MANIFEST, manifest)

  def remember_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> None:
    """Records the folders of the data for later evaluations; None stands for the default folder."""
    places = {'data_dir': data_dir, 'prepared_dir': prepared_dir}
    self.write(DATA, {name: place and os.path.abspath(place) for name, place in places.items()})

  def find_data(self, data_dir: Optional[str], prepared_dir: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """The --data_dir and --prepared_dir of an evaluation: the arguments, or by default the folders of the training.

    Raises:
      UserError: if the folder of the training does not exist any more.
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
    """The finished stages of another run that both recipes share, if the data are the same."""
    if other.read(MANIFEST) != self.read(MANIFEST):
      return []
    return list(itertools.takewhile(other.finished, recipes.shared_stages(self.recipe, other.recipe)))

  def take_stages(self, other: 'Run', stages: List[str]) -> List[str]:
    """Copies stages of another run, except stages finished in this run, and returns the names of the copies."""
    taken = [stage for stage in stages if self.finished(stage) is None]
    for stage in taken:
      temporary = self.directory / f'{stage}.tmp'
      shutil.rmtree(temporary, ignore_errors=True)
      try:
        shutil.copytree(other.stage_directory(stage), temporary)
      except FileNotFoundError:  # another process ran with --noresume
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
    """The path of the final checkpoint of a stage; raises `UserError` if the stage has not finished."""
    finished = self.finished(stage)
    if finished is None:
      raise errors.UserError(
          f'Stage {stage} of {self.directory} has not finished: run train_main.py again to resume.')
    return str(self.directory / stage / finished['weights'])


@contextlib.contextmanager
def only_process(directory: pathlib.Path, *, wait: bool = False) -> Iterator[None]:
  """Holds the lock of a run directory, created if missing.

  Args:
    directory: run directory.
    wait: whether to wait for another process that writes to it, instead of raising an error.

  Raises:
    UserError: if another process writes to the directory, unless `wait`, or if it is not writable.
  """
  with contextlib.ExitStack() as stack:
    with _writing_to(directory):
      stack.enter_context(atomic.only_process(
          directory / LOCK, f'The run in {directory} is in progress', wait=wait))
    yield


def set_aside(directory: pathlib.Path) -> None:
  """Renames a run directory, if it exists, to a name with the time; raises `UserError` if a process writes to it."""
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
        f'{directory} contains a run of a different recipe ({"; ".join(changed)}): '
        'choose another --output_dir, or --noresume to keep this run under another name and start from scratch.')
