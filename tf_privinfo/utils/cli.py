"""Start and end of the programs: flags, warnings, user errors, exit status."""

import errno
import io
import os
import re
import sys
from typing import Callable, Optional
import warnings

from absl import app, logging

from tf_privinfo.utils import errors

# Errors of the machine, not of the program.
_ENVIRONMENT = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
                errno.ENAMETOOLONG, errno.ELOOP)
# Networks and plots do not depend on the user's settings of other programs: ~/.keras/keras.json and matplotlibrc are
# not read, and MPLBACKEND is not inherited from a notebook, whose backend may not be installed here.
_SETTINGS_OF_LIBRARIES = {'KERAS_HOME': os.devnull, 'MATPLOTLIBRC': os.devnull, 'MPLBACKEND': 'agg'}


def run(main: Callable[[], None]) -> None:
  """Parses the flags and runs `main`; user errors end in one sentence and exit status 1.

  Warnings of libraries are silenced, unless the environment enables them
  (TF_CPP_MIN_LOG_LEVEL, PYTHONWARNINGS, OPENCV_FFMPEG_LOGLEVEL).
  """
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='replace')  # characters that the encoding lacks, such as Σ in ASCII, become '?'
  os.environ.update(_SETTINGS_OF_LIBRARIES)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # AV_LOG_QUIET: this project reports unreadable videos
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
    if inside := re.search(r'\bUserError: (.*)', str(error)):  # from a function that TensorFlow calls, with a traceback
      sys.exit(f'Error: {inside[1]}')
    line = _of_the_machine(error)
    if not line:
      raise
    sys.exit(f'Error: {line}. Fix this and rerun the command; completed work is kept.')
  except KeyboardInterrupt:
    sys.exit('Interrupted: run the same command again to resume.')


def _of_the_machine(error: Exception) -> Optional[str]:
  """The line of a message that names an error of the machine, or None; errors of TensorFlow have no errno."""
  lines = [line for line in str(error).splitlines() if any(os.strerror(number) in line for number in _ENVIRONMENT)]
  return re.sub(r'^\[Errno \d+\] ', '', lines[0]) if lines else None
