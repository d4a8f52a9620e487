"""The one exception for mistakes that a user can make, and how a main ends on it."""

import errno
import sys
from typing import Callable, Sequence


_ENVIRONMENT_ERRNOS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)


class UserError(Exception):
  """A wrong flag, missing data, a broken file: the message says what to do.

  The message is one clear sentence (or a short list) for a person at a
  terminal; the mains print it without a traceback. Programming errors are
  never wrapped in this.
  """


def exit_on_user_error(main: Callable[[Sequence[str]], None]):
  """Wraps an absl main so that a `UserError` or a full disk ends in one sentence.

  Args:
    main: the function that `absl.app.run` is to call with the positional
      arguments.

  Returns:
    A function of the same arguments that prints the message to standard error
    and exits with status 1 on `UserError`, a full disk and a path that cannot be written.
  """

  def run(argv: Sequence[str]) -> None:
    try:
      if argv[1:]:
        raise UserError(f'Unexpected arguments {argv[1:]}: every option is a flag, as in --method=dmcl.')
      main(argv)
    except UserError as error:
      sys.exit(f'Error: {error}')
    except OSError as error:
      if error.errno in _ENVIRONMENT_ERRNOS:
        sys.exit(f'Error: {error.strerror}: {error.filename or "the output directory"}. '
                 'Nothing finished was lost; free space or choose another --output_dir and run the same command again.')
      raise

  return run
