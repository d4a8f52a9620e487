"""Hardware that is available to this process."""

import os
import pathlib
import platform
from typing import Dict


def cpu_cores() -> int:
  """The number of cores available to this process; on systems without this information (macOS), of all cores."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def has_nvidia_gpu() -> bool:
  """Whether there is an NVIDIA GPU with its driver that CUDA_VISIBLE_DEVICES does not hide."""
  return pathlib.Path('/dev/nvidia0').exists() and os.environ.get('CUDA_VISIBLE_DEVICES') not in ('', '-1')


def processor() -> str:
  """The processor's name with its widest vector instructions, as in 'AMD EPYC (AVX-512)'."""
  info = pathlib.Path('/proc/cpuinfo')
  fields: Dict[str, str] = {}
  for line in info.read_text(encoding='utf-8', errors='replace').splitlines() if info.exists() else ():
    key, _, value = line.partition(':')
    fields.setdefault(key.strip(), value.strip())
  flags = fields.get('flags', '').split()
  vectors = next((name for flag, name in (('avx512f', 'AVX-512'), ('avx2', 'AVX2')) if flag in flags), None)
  name = fields.get('model name') or platform.processor() or platform.machine()
  return f'{name} ({vectors})' if vectors else name
