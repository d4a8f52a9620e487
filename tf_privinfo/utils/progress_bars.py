"""Progress bars: at a terminal a line that is updated; in a file or log of a scheduler, a new line at intervals."""

import io
import os
import sys

import tqdm

# Time between the lines of a log, in seconds.
_INTERVAL = 60


class Bar(tqdm.tqdm):
  """A bar of tqdm for a terminal."""

  def milestone(self) -> None:
    """Marks the end of a part, such as an epoch, which has a separate line in logs."""


class _Lines(Bar):
  """A bar without carriage returns: one line per minute, one at each milestone and one at the end."""

  def __init__(self, *args, **options):
    self._shown = None
    super().__init__(*args, **{
        **options, 'mininterval': _INTERVAL, 'maxinterval': _INTERVAL, 'miniters': 1,
        'bar_format': '{l_bar} {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]'})

  def display(self, msg=None, pos=None):
    del msg, pos  # only for terminals
    text = str(self)
    if self.n and self._shown != self.n:
      print(text, file=self.fp, flush=True)
      self._shown = self.n

  def milestone(self) -> None:
    self.refresh()

  def close(self) -> None:
    if self.disable:
      return
    if self._time() >= self.start_t + self.delay:
      self.display()
    self.fp = io.StringIO()  # tqdm would end the updated line
    super().close()


def bar(*args, **options) -> Bar:
  """A progress bar on standard error, with the arguments of `tqdm.tqdm`."""
  at_terminal = sys.stderr.isatty() and os.environ.get('TERM') != 'dumb'
  return (Bar if at_terminal else _Lines)(*args, file=sys.stderr, **options)
