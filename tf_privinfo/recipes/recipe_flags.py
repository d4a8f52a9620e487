"""The flags that choose a recipe: they are the same in all mains, which adopt them for their --help."""

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
    of_datasets.setdefault(', '.join(dataset.protocols), []).append(name)
  others = '; '.join(f'{dataset.two_stream_protocol} for the methods of chapters 3 and 4 on {name}, as in the '
                     "authors' code" for name, dataset in recipes.DATASETS.items() if dataset.two_stream_protocol)
  return '; '.join(f'{", ".join(names)}: {known}' for known, names in of_datasets.items()) + (
      f'. Default: the first one of the dataset; {others}.')


FLAGS = flags.FLAGS
flags.DEFINE_string('method', None, f'How the streams are trained. {_choices(recipes.METHODS)}.')
flags.DEFINE_string('dataset', None, f'What they are trained on. {_choices(recipes.DATASETS)}.', required=True)
flags.DEFINE_string(
    'protocol', None, 'Which samples train and test. cross_view_V: view V tests, the others train; cross_view_12_34: '
    'views 1 and 2 train, 3 and 4 test; cross_subject: other subjects test; given: the folders of training and test '
    f'samples. {_protocols()}')
paths.DEFINE_path('data_dir', None, 'Folder of the native files. Default: data/<dataset>.')
paths.DEFINE_path(
    'prepared_dir', None, 'Folder of the prepared form, another one for each --data_dir. Default: the subfolder '
    '"prepared" of --data_dir.')
flags.DEFINE_string(
    'preset', None, f'Sizes. {_choices(recipes.PRESETS)}. Default: small for synthetic data, otherwise paper.')
flags.DEFINE_string('variant', 'code', f'Where text and code of the authors differ. {_choices(recipes.VARIANTS)}.')
flags.DEFINE_integer('seed', 0, 'Of weights, data order, frame sampling, augmentation and random teachers: from 0 to '
                     f'{validation.SEEDS[-1]}.')
flags.DEFINE_multi_string(
    'set', [], 'Any field of the recipe, as key=value; may be repeated: --set loser.temperature=5 '
    '--set modalities=rgb,depth. Training prints the recipe at its start, with all keys.')
flags.DEFINE_bool('skip_broken', False, 'Prepare the dataset without the samples that cannot be read.')


def resolve(default_method: Optional[Callable[[str], str]] = None,
            values: Callable[[recipes.Recipe], Mapping[str, Any]] = lambda recipe: {}) -> recipes.Recipe:
  """The recipe that the flags ask for.

  Args:
    default_method: the method of a dataset without --method; None: it must be given.
    values: what other flags override of a recipe; --set goes before them.

  Raises:
    UserError: if there is no such recipe.
  """
  method = FLAGS.method or (default_method(FLAGS.dataset) if default_method else None)
  if not method:
    raise errors.UserError(f'Pass --method: one of {", ".join(recipes.METHODS)}.')
  recipe = recipes.recipe(method, FLAGS.dataset, FLAGS.protocol,
                          FLAGS.preset or recipes.default_preset(FLAGS.dataset), FLAGS.variant, FLAGS.seed)
  protocol = FLAGS.protocol or recipes.default_protocol(recipe.method, recipe.dataset)
  recipe = dataclasses.replace(recipe, protocol=registry.resolve_protocol(recipe.dataset, protocol))
  overrides = {'data.skip_broken': FLAGS.skip_broken, **values(recipe), **settings.parse_settings(FLAGS.set)}
  return validation.check(recipes.override(recipe, overrides))
