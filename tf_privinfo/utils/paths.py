"""Paths in flags, with `~` expanded, since shells do not expand it after the = of a flag."""

import os
from typing import Optional

from absl import flags

flags.disclaim_key_flags()  # the flags belong to the module that defines them


def expand(path: str) -> str:
  """Replaces `~` and `~user` by the home folder.

  Raises:
    ValueError: if there is no home folder, for an empty path, and for an address such as gs://bucket.
  """
  if not path.strip():
    raise ValueError('it is empty: name a path, or omit the flag')
  if '://' in path:
    raise ValueError('it is an address, not a folder of this machine: mount the storage and name its path')
  expanded = os.path.expanduser(path)
  if expanded.startswith('~'):
    raise ValueError(f'there is no home folder {path.split(os.sep)[0]}; write ./{path} for a folder of this name')
  return expanded


class _Path(flags.ArgumentParser):
  """Parses one path."""
  syntactic_help = 'a path'

  def parse(self, argument: str) -> str:
    return expand(argument)


def DEFINE_path(name: str, default: Optional[str], help: str, **options) -> flags.FlagHolder:  # pylint: disable=all
  """Defines a flag that is a path, as `flags.DEFINE_string` does."""
  return flags.DEFINE(_Path(), name, default, help, serializer=flags.ArgumentSerializer(), **options)


def DEFINE_multi_path(name: str, default: Optional[str], help: str, **options) -> flags.FlagHolder:  # pylint: disable=all
  """Defines a flag that is a path and may be repeated, as `flags.DEFINE_multi_string` does."""
  return flags.DEFINE_multi(_Path(), flags.ArgumentSerializer(), name, default, help, **options)
