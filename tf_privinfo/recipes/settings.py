"""Dotted paths into trees of dataclasses and dictionaries, for --set, recipes and run names."""

import collections.abc
import dataclasses
import functools
import os
import typing
from typing import Any, Dict, List, Mapping, Tuple

from tf_privinfo.utils import errors

# Fields that have flags of their own.
_FLAGS = ('method', 'dataset', 'protocol', 'preset', 'variant')
# Fields whose values are paths in the file system.
_PATHS = ('init_from', 'network.pretrained')


@functools.cache
def _type_hints(cls: Any) -> Dict[str, Any]:
  return typing.get_type_hints(cls)


def override(base, values: Mapping[str, Any]):
  """Replaces fields by their dotted paths.

  Args:
    base: tree of dataclasses and dictionaries.
    values: path such as 'loser.temperature' -> value, or text to be parsed.

  Returns:
    A new tree.

  Raises:
    UserError: for an unknown path, with the known ones, and for a value whose
      type differs from the type of the field.
  """
  for path, value in values.items():
    base = _override(base, path.split('.'), value, path)
  return base


def _override(node, keys: List[str], value, path: str):
  fields = _fields(node)
  if keys[0] not in fields:
    raise errors.UserError(f'Unknown setting {path!r}: {keys[0]!r} is none of {", ".join(fields)}.')
  child, expected = fields[keys[0]]
  if len(keys) > 1:
    if not _fields(child):
      raise errors.UserError(f'Unknown setting {path!r}: {keys[0]!r} has no parts.')
    new = _override(child, keys[1:], value, path)
  else:
    if _fields(child):
      raise errors.UserError(f'Setting {path!r} is a section: name one of its fields: {", ".join(_fields(child))}.')
    new = _convert(value, expected, path)
  if isinstance(node, collections.abc.Mapping):
    return {**node, keys[0]: new}
  return dataclasses.replace(node, **{keys[0]: new})


def _fields(node) -> Dict[str, Tuple[Any, Any]]:
  """Key -> (value, type) of a section; empty for a plain value."""
  if dataclasses.is_dataclass(node):
    hints = _type_hints(type(node))  # type: ignore[arg-type]  # classes are hashable
    values = {name: getattr(node, name) for name in hints}
    return {name: (value, hints[name]) for name, value in values.items() if value is not None}
  if isinstance(node, collections.abc.Mapping):
    return {key: (value, type(value)) for key, value in node.items()}
  return {}


def _convert(value, expected, path: str):
  """Converts text or a value from YAML to the type of its field."""
  try:
    if typing.get_origin(expected) is tuple:
      item = typing.get_args(expected)[0]
      parts = [part for part in value.split(',') if part] if isinstance(value, str) else value
      return tuple(_convert(part, item, path) for part in parts)
    if expected is bool:
      return {'true': True, 'false': False}[str(value).lower()]
    if expected is int and isinstance(value, float):
      raise ValueError
    return expected(value)
  except (KeyError, TypeError, ValueError):
    name = getattr(expected, '__name__', str(expected))
    raise errors.UserError(f'{path}={value!r} is not of type {name}.') from None


def parse_settings(settings: List[str]) -> Dict[str, str]:
  """Parses `key=value` texts of --set to {key: value}, with `~` in paths expanded.

  Raises:
    UserError: for text of a different form, and for a field that has a flag of its own.
  """
  parsed = {}
  for setting in settings:
    key, equals, value = setting.partition('=')
    if not equals:
      raise errors.UserError(f'--set {setting!r} is not of the form key=value, as in --set loser.temperature=5.')
    if key in _FLAGS:
      raise errors.UserError(f'--set {setting!r} is set by a flag: pass --{key}.')
    parsed[key] = os.path.expanduser(value) if key in _PATHS else value
  return parsed


def flatten(node, prefix: str = '') -> Dict[str, Any]:
  """All fields of a tree, {dotted path: value}, with tuples as comma-separated text."""
  flat = {}
  for key, (value, _) in _fields(node).items():
    if _fields(value):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = ','.join(map(str, value)) if isinstance(value, tuple) else value
  return flat
