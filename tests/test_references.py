"""References to rows and sections of docs/fidelity.md and docs/methods.md, in code and pages: each leads somewhere.

Both spellings are read: `FIDELITY row 20`, `FIDELITY B 6`, `METHODS 3`, and `docs/fidelity.md, row 20`,
`docs/methods.md, section 3`.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FIDELITY = ROOT / 'docs' / 'fidelity.md'
METHODS = ROOT / 'docs' / 'methods.md'

# What a line break inside a reference can be: spaces, and the sign of a comment.
_GAP = r'[\s#]+'
_SEPARATOR = rf'(?:,{_GAP}and{_GAP}|,{_GAP}|{_GAP}and{_GAP}|–|-)'
_SECTION = r'\d+(?:\.\d+)*'
_FIDELITY = r'\b(?i:docs/fidelity\.md|fidelity),?' + _GAP
# Kind of reference -> pattern, whose group is the list of numbers. Only capitals and the path name the page of methods:
# `methods` is a common word.
PATTERNS = {
    'row': re.compile(rf'{_FIDELITY}(?i:rows?){_GAP}(\d+(?:{_SEPARATOR}\d+)*)'),
    'record': re.compile(rf'{_FIDELITY}(?:section{_GAP})?B{_GAP}({_SECTION}(?:{_SEPARATOR}(?:B{_GAP})?{_SECTION})*)'),
    'methods': re.compile(rf'\b(?:METHODS|(?i:docs/methods\.md)),?{_GAP}(?:sections?{_GAP})?'
                          rf'({_SECTION}(?:{_SEPARATOR}{_SECTION})*)'),
}
# Kind of reference -> the page, and the pattern of a line that a reference leads to.
TARGETS = {
    'row': (FIDELITY, re.compile(r'^\| <a id="row-(\d+)"></a>\1 \|', re.MULTILINE)),
    'record': (FIDELITY, re.compile(rf'^#+ B ({_SECTION}) ', re.MULTILINE)),
    'methods': (METHODS, re.compile(rf'^#+ ({_SECTION})\.? ', re.MULTILINE)),
}


def references(text):
  """(kind, number) of every reference in a text."""
  return [(kind, number) for kind, pattern in PATTERNS.items() for numbers in pattern.findall(text)
          for number in re.findall(_SECTION, numbers)]


def targets():
  """(kind, number) of everything that a reference can lead to, as often as it is there."""
  return [(kind, number) for kind, (page, pattern) in TARGETS.items() for number in pattern.findall(page.read_text())]


def dangling(text):
  """The references of a text that lead nowhere."""
  known = set(targets())
  return [reference for reference in references(text) if reference not in known]


def sources():
  """The files that may refer to the two pages."""
  yield from ROOT.glob('*.py')
  for folder in ('tf_privinfo', 'datasets', 'benchmarks', 'tests'):
    yield from (ROOT / folder).rglob('*.py')
  yield ROOT / 'README.md'
  yield from (ROOT / 'docs').rglob('*.md')


def test_every_reference_leads_somewhere():
  texts = {path.relative_to(ROOT): path.read_text(encoding='utf-8') for path in sources()}
  wrong = {str(path): lost for path, text in texts.items() if (lost := dangling(text))}
  assert not wrong
  # A pattern that finds nothing would find no mistake either.
  assert {kind for text in texts.values() for kind, _ in references(text)} == set(PATTERNS)


def test_rows_and_sections_are_complete_and_occur_once():
  found = targets()
  assert [number for kind, number in found if kind == 'row'] == [str(row) for row in range(1, 34)]
  assert {number for kind, number in found if kind == 'record' and '.' not in number} == set('012345678')
  assert len(set(found)) == len(found)


# Not written out: this file is read as well.
@pytest.mark.parametrize('text, number, unknown, expected', [
    ('as the authors do (FIDELITY row 20).', '20', '99', ('row', '99')),
    ('FIDELITY rows 3, 8, 12 and 28; a path', '28', '99', ('row', '99')),
    ('FIDELITY rows 3, 8, 12 and 28; a path', '8,', '99,', ('row', '99')),
    ('  # no half-pixel centres (FIDELITY\n  # row 25)', '25', '99', ('row', '99')),
    ('see docs/fidelity.md, row 20.', '20', '99', ('row', '99')),
    ('docs/fidelity.md row 20', '20', '99', ('row', '99')),
    ('Fidelity rows 1–33', '33', '99', ('row', '99')),
    ('validates on nothing (FIDELITY B 6).', '6', '9', ('record', '9')),
    ('docs/fidelity.md, B 2.2', '2.2', '2.9', ('record', '2.9')),
    ('FIDELITY B 1.3 and B 5', '5', '9', ('record', '9')),
    ('table 4.5 (METHODS 1.4): depth', '1.4', '1.9', ('methods', '1.9')),
    ('docs/methods.md, section 3', '3', '9', ('methods', '9')),
    ('docs/methods.md 1.2 and 3', '3', '9', ('methods', '9'))])
def test_unknown_rows_and_sections_are_reported(text, number, unknown, expected):
  assert references(text) and not dangling(text)
  before, after = text.rsplit(number, 1)
  assert dangling(before + unknown + after) == [expected]


@pytest.mark.parametrize('text', [
    '[*METHODS, \'--seeds=0\']', 'METHODS = {', 'the methods 3 and 4', 'row 99 of table 3.2', 'fidelity.'])
def test_other_text_is_no_reference(text):
  assert not references(text)


@pytest.mark.parametrize('page', [FIDELITY, METHODS], ids=lambda page: page.stem)
def test_links_to_rows_are_defined_and_lead_to_their_row(page):
  """Markdown shows `[row 3]` as it is written where the link's target is not defined at the end of the page."""
  text = page.read_text()
  defined = re.findall(r'^\[row (\d+)\]: (.*)$', text, re.MULTILINE)
  used = re.findall(r'\[row (\d+)\](?!:)', text)
  path = '' if page == FIDELITY else FIDELITY.name
  assert used and set(used) == {row for row, _ in defined}
  assert all(target == f'{path}#row-{row}' for row, target in defined)
  assert {('row', row) for row in used} <= set(targets())
