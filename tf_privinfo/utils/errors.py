"""The exception for expected errors, such as user mistakes."""

import contextlib
from typing import Collection, Iterator


class UserError(Exception):
  """A wrong flag, missing data, or an unreadable file; the message explains how to fix it.

  The message is one sentence or a short list, which the programs print without
  a traceback. Programming errors are not wrapped in this class.
  """


def refuse_unknown(flag: str, value: str, known: Collection[str]) -> None:
  """Raises `UserError` if the value of a flag is not among the known ones."""
  if value not in known:
    raise UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')


@contextlib.contextmanager
def explaining_os_errors(action: str, advice: str) -> Iterator[None]:
  """Converts an OSError, such as for a full disk or a folder that is not writable, to a `UserError`.

  Args:
    action: action that fails, as in 'write to sheets'.
    advice: remedy, as the end of a sentence.
  """
  try:
    yield
  except OSError as error:
    reason = error.strerror if not error.filename or str(error.filename) in action else (
        f'{error.filename}: {error.strerror}')
    raise UserError(f'Cannot {action} ({reason}): {advice}.') from None
