"""Runs the mains as a user does, in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]


def start(main, *flags, cwd=ROOT):
  """Starts `python <main>.py <flags>` on one CPU device."""
  environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3'}
  return subprocess.Popen(
      [sys.executable, str(ROOT / f'{main}.py'), *map(str, flags)], cwd=cwd, env=environment, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(main, *flags, cwd=ROOT):
  """Runs a main to its end; returns (exit status, standard output, standard error)."""
  process = start(main, *flags, cwd=cwd)
  out, err = process.communicate(timeout=600)
  return process.returncode, out, err


def succeed(main, *flags):
  """Runs a main that must succeed; returns its standard output."""
  status, out, err = run(main, *flags)
  assert status == 0, f'{out[-3000:]}\n{err[-6000:]}'
  return out


def fail(main, *flags):
  """Runs a main that must end with one clear message and exit status 1; returns the message."""
  status, out, err = run(main, *flags)
  assert status == 1, f'exit status {status}\n{out[-2000:]}\n{err[-4000:]}'
  assert 'Traceback' not in err, err[-6000:]
  message = err[err.rindex('Error: '):]
  return message


def flags(data_dir, output_dir, *more):
  """Flags of the smallest training, one epoch of one network on the videos of the fixture `data_dir`."""
  return ['--method=dmcl', '--dataset=nwucla', '--preset=tiny', '--epochs=1', '--set=modalities=depth',
          f'--data_dir={data_dir}', f'--output_dir={output_dir}', *more]


def wait_for_epoch(output_dir, history, epoch, process):
  """Waits until the running process has written `epoch` entries into the file `history` of its only run."""
  while process.poll() is None:
    found = list(output_dir.glob(f'*/*/*/{history}'))
    if found and len(json.loads(found[0].read_text())) >= epoch:
      return
    time.sleep(0.02)
  raise AssertionError(process.communicate())
