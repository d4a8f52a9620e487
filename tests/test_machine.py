"""What the machine is said to have."""

import pathlib

import pytest

from tf_privinfo import machine

_CPUINFO = 'processor\t: 0\nmodel name\t: Zen 2\nflags\t\t: fpu sse4_1 avx2{more}\n\nprocessor\t: 1\nmodel name\t: other\n'


@pytest.mark.parametrize('more, name', [('', 'Zen 2 (AVX2)'), (' avx512f', 'Zen 2 (AVX-512)')])
def test_processor(monkeypatch, more, name):
  monkeypatch.setattr(pathlib.Path, 'exists', lambda path: True)
  monkeypatch.setattr(pathlib.Path, 'read_text', lambda path, **options: _CPUINFO.format(more=more))
  assert machine.processor() == name


def test_a_system_without_that_file(monkeypatch):
  monkeypatch.setattr(pathlib.Path, 'exists', lambda path: False)
  monkeypatch.setattr('platform.processor', lambda: 'arm')
  assert machine.processor() == 'arm'
