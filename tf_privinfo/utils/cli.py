"""How the mains start and end."""

import errno
import io
import os
import re
import sys
from typing import Callable, Optional
import warnings

from absl import app, logging

from tf_privinfo.utils import errors

# What the machine, not the program, got wrong.
_ENVIRONMENT = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
                errno.ENAMETOOLONG, errno.ELOOP)
# Networks and pictures do not depend on what the user has set for other programs: ~/.keras/keras.json and matplotlibrc
# are not read, and MPLBACKEND is not what a notebook hands on, which may not be installed here.
_SETTINGS_OF_LIBRARIES = {'KERAS_HOME': os.devnull, 'MATPLOTLIBRC': os.devnull, 'MPLBACKEND': 'agg'}


def run(main: Callable[[], None]) -> None:
  """Parses the flags and runs a main; user errors end in one sentence and exit status 1.

  Warnings that libraries print are silenced, unless the environment asks for
  them (TF_CPP_MIN_LOG_LEVEL, PYTHONWARNINGS, OPENCV_FFMPEG_LOGLEVEL).
  """
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # what its encoding lacks, as ASCII the Σ of a table, becomes '?'
  os.environ.update(_SETTINGS_OF_LIBRARIES)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # AV_LOG_QUIET: broken videos are told of by their names
  if not sys.warnoptions:
    warnings.filterwarnings('ignore', category=FutureWarning, module='google')
  logging.set_verbosity(logging.ERROR)
  app.run(lambda argv: _guarded(main, argv))


def _guarded(main, argv) -> None:
  try:
    if argv[1:]:
      raise errors.UserError(f'Unexpected arguments {argv[1:]}: every option is a flag, as in --method=dmcl.')
    main()
  except errors.UserError as error:
    sys.exit(f'Error: {error}')
  except Exception as error:  # pylint: disable=broad-except
    line = _of_the_machine(error)
    if not line:
      raise
    sys.exit(f'Error: {line}. Mend that and run the same command again; nothing that was finished is lost.')
  except KeyboardInterrupt:
    sys.exit('Interrupted: run the same command again to resume.')


def _of_the_machine(error: Exception) -> Optional[str]:
  """The line of an error that says what the machine got wrong, if it did: TensorFlow's errors have no errno."""
  lines = [line for line in str(error).splitlines() if any(os.strerror(number) in line for number in _ENVIRONMENT)]
  return re.sub(r'^\[Errno \d+\] ', '', lines[0]) if lines else None
