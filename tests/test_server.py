"""A model server from the package index answers the request of docs/serving.md as the Python model does, under load."""

import base64
import concurrent.futures
import json
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests import command_line
from tf_privinfo import runs
from tf_privinfo.runs import restore
from tf_privinfo.serving import export

RUN = command_line.ROOT / 'tests' / 'stored_runs' / 'tf2.15' / 'nwucla_dmcl'
PAGE = (command_line.ROOT / 'docs' / 'serving.md').read_text(encoding='utf-8')
REQUESTS, AT_ONCE, VIDEOS = 200, 8, 20


@pytest.fixture(scope='module')
def python(request):
  """The interpreter of an environment with the server, kept in pytest's cache; skips if it cannot be installed."""
  [packages] = re.findall(r'^pip install (kserve.*)$', PAGE, re.MULTILINE)
  name = re.sub(r'\W+', '_', f'{packages} {sys.version_info[0]}{sys.version_info[1]}')
  folder = pathlib.Path(request.config.cache.mkdir(name))
  interpreter, complete = folder / 'bin' / 'python', folder / 'complete'
  if not complete.exists():
    try:
      subprocess.run([sys.executable, '-m', 'venv', '--clear', folder], check=True, timeout=120)
      subprocess.run([interpreter, '-m', 'pip', 'install', '-q', *packages.split()], check=True, timeout=1200,
                     capture_output=True, text=True)
    except (subprocess.SubprocessError, OSError) as error:
      reason = (getattr(error, 'stderr', None) or str(error)).strip().splitlines()[-1]
      pytest.skip(f'{packages} cannot be installed into an environment of its own: {reason}')
    complete.write_text('')
  return interpreter


@pytest.fixture(scope='module')
def server(python, tmp_path_factory):
  """The address of the running server of the page, with an export of a stored run."""
  folder = tmp_path_factory.mktemp('server')
  run = runs.Run.open(str(RUN))
  saved = export.export(run, restore.restore_deployed(run), folder / 'model')
  [program] = re.findall(r'<!-- kserve program -->\n```python\n(.*?)```', PAGE, re.DOTALL)
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  program = re.sub('(?m)^MODEL = .*', f"MODEL = '{saved}'", program)
  (folder / 'serve.py').write_text(re.sub('(?m)^PORT = .*', f'PORT = {port}', program))
  with open(folder / 'log', 'w+') as log:
    process = subprocess.Popen([python, 'serve.py'], cwd=folder, stdout=log, stderr=log)
    try:
      for _ in range(120):
        assert process.poll() is None, (folder / 'log').read_text()[-3000:]
        try:
          with urllib.request.urlopen(f'http://127.0.0.1:{port}/v1/models/dmcl', timeout=5):
            break
        except OSError:
          time.sleep(1)
      yield f'http://127.0.0.1:{port}'
    finally:
      process.terminate()
      process.wait(timeout=60)


def request_of(pictures):
  """The body of the page's request, with the JPEG files of one video."""
  [command] = [shlex.split(block) for block in re.findall(r'```sh\n(curl .*?)```', PAGE, re.DOTALL)]
  body = json.loads(command[command.index('-d') + 1])
  for frame, picture in zip(body['inputs']['rgb_jpeg'][0], pictures, strict=True):
    frame['b64'] = base64.b64encode(picture).decode()
  return body, command[1]


def ask(url, body):
  """(status, content) of the answer."""
  request = urllib.request.Request(url, json.dumps(body).encode(), {'Content-Type': 'application/json'})
  try:
    with urllib.request.urlopen(request, timeout=60) as answer:
      return answer.status, json.load(answer)
  except urllib.error.HTTPError as error:
    return error.code, error.read().decode()


@pytest.mark.slow
def test_server_answers_as_the_python_model_under_load(server):
  rng = np.random.default_rng(0)
  images = cv2.blur(rng.integers(0, 256, (48, 64, 3 * VIDEOS * 8)).astype(np.uint8), (5, 5))
  images = np.moveaxis(images.reshape(48, 64, VIDEOS, 8, 3), (2, 3), (0, 1))
  videos = [[cv2.imencode('.jpg', image)[1].tobytes() for image in video] for video in images]
  run = runs.Run.open(str(RUN))
  served = export.ServedMethod(restore.restore_method(run), run.recipe, run.manifest()['label_names'])
  expected = served.signatures(('rgb',))['rgb_jpeg'](rgb_jpeg=tf.constant(videos))
  bodies = [request_of(video)[0] for video in videos]
  url = server + re.sub(r'^http://[^/]+', '', request_of(videos[0])[1])
  broken = {**bodies[0], 'inputs': {'rgb_jpeg': [[{'b64': base64.b64encode(b'text').decode()}] * 8]}}
  with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    answers = list(pool.map(lambda number: ask(url, bodies[number % VIDEOS]), range(REQUESTS)))
    refused = [ask(url, body) for body in (broken, {**bodies[0], 'signature_name': 'none'}, {})]
  for number, (status, answer) in enumerate(answers):
    video = number % VIDEOS
    assert status == 200, answer
    assert answer['outputs']['label'] == [expected['label'][video].numpy().decode()]
    for name in ('logits', 'probabilities'):
      np.testing.assert_allclose(answer['outputs'][name], expected[name][video:video + 1], rtol=1e-3, atol=1e-4)
  assert [status for status, _ in refused] == [400, 400, 400]
  assert 'must be the content of a JPEG file' in refused[0][1]
