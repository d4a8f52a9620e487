"""Progress bars: at a terminal one line that moves; in a file or a scheduler's log a line now and then."""

import io
import os
import sys

import tqdm

# Between the lines of a log, in seconds.
_INTERVAL = 60


class Bar(tqdm.tqdm):
  """A bar of tqdm, which a terminal shows."""

  def milestone(self) -> None:
    """Marks the end of a part, such as an epoch, which gets a line of its own where there is no terminal."""


class _Lines(Bar):
  """The same without carriage returns: a line a minute, one at each milestone and one at the end."""

  def __init__(self, *args, **options):
    self._shown = None
    super().__init__(*args, **{
        **options, 'mininterval': _INTERVAL, 'maxinterval': _INTERVAL, 'miniters': 1,
        'bar_format': '{l_bar} {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}{postfix}]'})

  def display(self, msg=None, pos=None):
    del msg, pos  # of a line that moves
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
    self.fp = io.StringIO()  # tqdm ends the line that moved
    super().close()


def bar(*args, **options) -> Bar:
  """A progress bar on standard error, with the arguments of `tqdm.tqdm`."""
  at_terminal = sys.stderr.isatty() and os.environ.get('TERM') != 'dumb'
  return (Bar if at_terminal else _Lines)(*args, file=sys.stderr, **options)
