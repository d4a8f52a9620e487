"""The flags that select a recipe; they are the same in all programs, which adopt them for their --help."""

import dataclasses
from typing import Any, Callable, Dict, List, Mapping, Optional

from absl import flags

from tf_privinfo import recipes
from tf_privinfo.datasets import registry
from tf_privinfo.recipes import settings, validation
from tf_privinfo.utils import errors, paths


def _choices(known):
  return '; '.join(f'{name}: {getattr(value, "help", value)}' for name, value in known.items())


def _protocols() -> str:
  """Every dataset's protocols, the default one first, for --help."""
  of_datasets: Dict[str, List[str]] = {}
  for name, dataset in recipes.DATASETS.items():
    known = registry.table_protocols.FORMS if dataset.from_table else dataset.protocols
    of_datasets.setdefault(', '.join(known), []).append(name)
  others = '; '.join(f'{dataset.two_stream_protocol} for the methods of chapters 3 and 4 on {name}, as in the '
                     "authors' code" for name, dataset in recipes.DATASETS.items() if dataset.two_stream_protocol)
  return '; '.join(f'{", ".join(names)}: {known}' for known, names in of_datasets.items()) + (
      f'. Default: the first one of the dataset; {others}.')


FLAGS = flags.FLAGS
flags.DEFINE_string('method', None, f'Training method. {_choices(recipes.METHODS)}.')
flags.DEFINE_string('dataset', None, f'Dataset. {_choices(recipes.DATASETS)}.', required=True)
flags.DEFINE_string(
    'protocol', None, 'Split into training and test samples. cross_view_V: view V for testing, the others for '
    'training; cross_view_12_34: views 1 and 2 for training, 3 and 4 for testing; cross_subject: different subjects '
    f'for testing; given: the folders of training and test samples. {_protocols()}')
flags.DEFINE_integer('fold', None, 'Number of the fold that tests, from 1, for --protocol=folds:COLUMN=NUMBER.')
paths.DEFINE_path('data_dir', None, 'Folder of the native files. Default: data/<dataset>.')
paths.DEFINE_path(
    'prepared_dir', None, 'Folder of the prepared data, a different one for each --data_dir. Default: the subfolder '
    '"prepared" of --data_dir.')
flags.DEFINE_string(
    'preset', None, f'Preset of sizes. {_choices(recipes.PRESETS)}. Default: small for synthetic data, otherwise '
    'paper.')
flags.DEFINE_string('variant', 'code', f'Version of the methods, since text and code of the authors differ. '
                    f'{_choices(recipes.VARIANTS)}.')
flags.DEFINE_integer('seed', 0, 'Seed of weights, data order, frame sampling, augmentation and random teachers: 0 to '
                     f'{validation.SEEDS[-1]}.')
flags.DEFINE_multi_string(
    'set', [], 'Override of any field of the recipe, as key=value; may be repeated: --set loser.temperature=5 '
    '--set modalities=rgb,depth. In chapters 3 and 4, privileged=infrared replaces the privileged modality, depth, and '
    'modalities=thermal,infrared also the main one, rgb. Training prints the recipe with all keys at its start.')
flags.DEFINE_bool('skip_broken', False, 'Prepare the dataset without its unreadable samples.')


def resolve(default_method: Optional[Callable[[str], str]] = None,
            values: Callable[[recipes.Recipe], Mapping[str, Any]] = lambda recipe: {}) -> recipes.Recipe:
  """The recipe that the flags select.

  Args:
    default_method: function from a dataset to its method without --method; None: the flag is required.
    values: function from a recipe to its overrides by further flags; --set takes precedence over them.

  Raises:
    UserError: if a name or value is unknown, or the values contradict each other.
  """
  method = FLAGS.method or (default_method(FLAGS.dataset) if default_method else None)
  if not method:
    raise errors.UserError(f'Pass --method: one of {", ".join(recipes.METHODS)}.')
  recipe = recipes.recipe(method, FLAGS.dataset, FLAGS.protocol,
                          FLAGS.preset or recipes.default_preset(FLAGS.dataset), FLAGS.variant, FLAGS.seed)
  protocol = FLAGS.protocol or recipes.default_protocol(recipe.method, recipe.dataset)
  if FLAGS.fold is not None:
    protocol = registry.with_fold(recipe.dataset, protocol, FLAGS.fold)
  recipe = dataclasses.replace(recipe, protocol=registry.resolve_protocol(recipe.dataset, protocol))
  chosen = settings.parse_settings(FLAGS.set)
  # First, since they name stages that further flags override.
  recipe = recipes.override(recipe, {path: chosen.pop(path) for path in recipes.MODALITIES if path in chosen})
  overrides = {'data.skip_broken': FLAGS.skip_broken, **values(recipe), **chosen}
  return validation.check(recipes.override(recipe, overrides))
