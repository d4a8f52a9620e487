"""The one exception for mistakes that a user can make."""


class UserError(Exception):
  """A wrong flag, missing data, a broken file: the message says what to do.

  The message is one clear sentence (or a short list) for a person at a
  terminal; the mains print it without a traceback. Programming errors are
  never wrapped in this.
  """
