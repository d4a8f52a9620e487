"""The README and the pages of docs/: their blocks, code spans and commands."""

import re
import shlex

from tests import command_line

ROOT = command_line.ROOT
README = ROOT / 'README.md'
PAGES = [README, *sorted((ROOT / 'docs').rglob('*.md'))]

# First words of the commands that are neither parsed nor run here, and why.
ELSEWHERE = {
    'python3.11 -m venv': 'sets an environment up: .ci/run does',
    'pip install': 'the same',
    'python -m pytest': 'runs the tests',
    'python train_main.py --help': 'tests/test_package.py reads it',
    'tensorboard': 'see test_tensorboard_shows_every_tag',
    'curl': 'needs a server: see test_the_request_is_answered',
    'docker run': 'needs Docker',
    'python -m apache_beam.runners.worker.worker_pool_main': 'needs a cluster, and an extra',
}


def fences(text):
  """The fenced blocks of a page: (language, content) of each."""
  return re.findall(r'^```(\w*)\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def prose(text):
  """A page without its fenced blocks."""
  return re.sub(r'^```.*?^```$', '', text, flags=re.MULTILINE | re.DOTALL)


def code_spans(text):
  """What stands between backticks in the text of a page, each in one line."""
  return [' '.join(span.split()) for span in re.findall(r'`([^`]+)`', prose(text))]


def split_commands(block):
  """The commands of a shell block, each as its words: several lines or several in a line, without comments."""
  lines, commands = '', []
  for line in block.replace('\\\n', '').splitlines():
    lines += line + '\n'
    try:
      words = shlex.split(lines, comments=True)
    except ValueError:  # a quotation goes on
      continue
    lines, command = '', []
    for word in [*words, '&&']:
      if word != '&&':
        command.append(word)
      elif command:
        commands.append(command)
        command = []
  assert not lines.strip(), f'unfinished: {lines}'
  return commands


def all_commands():
  """(page, words) of every distinct command, in blocks and in the text."""
  found = {}
  for page in PAGES:
    text = page.read_text()
    blocks = [block for language, block in fences(text) if language == 'sh']
    command = re.compile(r'(\.venv/bin/)?(python3?(\.\d+)? |pip |tensorboard )')
    spans = [span for span in code_spans(text) if command.match(span)]
    for words in (words for block in [*blocks, *spans] for words in split_commands(block)):
      words = [words[0].removeprefix('.venv/bin/'), *words[1:]]
      found.setdefault(tuple(words), page)
  return [(page, list(words)) for words, page in found.items()]


def elsewhere(words):
  return any(shlex.join(words).startswith(start) for start in ELSEWHERE)


def program(words):
  """`python a/b.py --flags` or `python -m a.b --flags` -> ('a.b', flags)."""
  assert words[0] == 'python', words
  if words[1] == '-m':
    return words[2], words[3:]
  return words[1].removesuffix('.py').replace('/', '.'), words[2:]


OURS = [(page, *program(words)) for page, words in all_commands() if not elsewhere(words)]
