"""The one exception for mistakes that a user can make."""

import contextlib
from typing import Iterator


class UserError(Exception):
  """A wrong flag, missing data, a broken file: the message says what to do.

  The message is one clear sentence (or a short list) for a person at a
  terminal; the mains print it without a traceback. Programming errors are
  never wrapped in this.
  """


@contextlib.contextmanager
def explaining_os_errors(action: str, advice: str) -> Iterator[None]:
  """Makes a `UserError` of what the machine refuses, such as a full disk or a folder that cannot be written.

  Args:
    action: what fails then, as in 'write to sheets'.
    advice: what to do, as the end of a sentence.
  """
  try:
    yield
  except OSError as error:
    reason = error.strerror if not error.filename or str(error.filename) in action else (
        f'{error.filename}: {error.strerror}')
    raise UserError(f'Cannot {action} ({reason}): {advice}.') from None
