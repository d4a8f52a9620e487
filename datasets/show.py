"""Draws contact sheets of a dataset: what is stored of a sample, and what a training step sees of it.

  python -m tf_privinfo.datasets.show --dataset=nwucla --data_dir=/data/nwucla --out=sheets

writes one PNG for each of --count samples, which are spread over the classes and belong to the training set. Rows are
modalities, columns are the frames of one clip, in blocks: whole frames as they are stored; the same frames after the
augmentation of the training pipeline; and, where RGB and depth are aligned, RGB with the edges of depth drawn over it,
which must lie on the edges of what RGB shows. Frames, crops and augmentation are those of the recipe that
train_main.py would run with the same flags. A dataset that was never opened is prepared first.
"""

import collections
import dataclasses
import io
import itertools
import pathlib
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence

from absl import flags
import cv2
import numpy as np

from tf_privinfo import checks
from tf_privinfo import cli
from tf_privinfo import errors
from tf_privinfo import recipes
from tf_privinfo import settings
from tf_privinfo.configs import ClipConfig
from tf_privinfo.datasets import protocols

FLAGS = flags.FLAGS
flags.DEFINE_string('dataset', None, 'What to show, as in train_main.py.', required=True)
flags.DEFINE_string('data_dir', None, 'Folder of the native files, as in train_main.py. Default: data/<dataset>.')
flags.DEFINE_string('out', None, 'Folder to write the sheets to.', required=True)
flags.DEFINE_integer('count', 10, 'How many samples.', lower_bound=1)
flags.DEFINE_string(
    'method', None, 'Whose recipe, as in train_main.py. Default: dmcl for videos, admd for objects. Those of chapters '
    '3 and 4, such as modality_distillation, read RGB and depth of videos aligned.')
flags.DEFINE_string('protocol', None, 'Whose training set, as in train_main.py. Default: that of the recipe.')
flags.DEFINE_string('preset', None, 'Sizes, as in train_main.py. Default: small for synthetic data, otherwise paper.')
flags.DEFINE_multi_string('set', [], 'Any field of the recipe, as in train_main.py: --set data.depth_variant=depth.')
flags.DEFINE_integer('seed', 0, 'Of frame sampling and augmentation: another one gives other clips.')

# A frame is enlarged by a whole factor as long as it does not become larger than this, or its row wider, in pixels.
_LARGEST_FRAME, _WIDEST_ROW = 256, 1200
# Of the sheet, in pixels.
_LEFT, _TOP, _CAPTION, _GAP, _LEAST_WIDTH, _DPI = 70, 36, 30, 4, 640, 100
# Colour of the edges of depth, and the gradients that make one: those of silhouettes, not of the colour map.
_EDGES, _CANNY = (255, 0, 160), (300, 600)


class Sample(NamedTuple):
  """Clips of one sample, [T, H, W, 3] uint8 by modality, of the same frames.

  Attributes:
    name: its id.
    stored: whole frames.
    augmented: what a training step reads.
  """
  name: str
  stored: Dict[str, np.ndarray]
  augmented: Dict[str, np.ndarray]


def spread(names: Sequence[str], label_of, count: int) -> List[str]:
  """`count` of the samples from as many classes as possible, each class at other places of its list."""
  by_class = collections.defaultdict(list)
  for name in sorted(names):
    by_class[label_of(name)].append(name)
  classes, most = len(by_class), -(-count // len(by_class))  # of a class
  chosen = [[members[i] for i in sorted({int((k + rank / classes) / most * len(members)) for k in range(most)})]
            for rank, members in enumerate(by_class.values())]
  rounds = itertools.chain.from_iterable(itertools.zip_longest(*chosen))
  return [name for name in rounds if name is not None][:count]


def read(source, names: Sequence[str], config: ClipConfig, seed: int) -> Iterator[Sample]:
  """Clips of the samples `names` as the first epoch of a training has them, in its order.

  Args:
    source: from `catalog.open_dataset`.
    names: which samples.
    config: the clips.
    seed: of the training.
  """
  from tf_privinfo.datasets import clips

  # The frames of a clip do not depend on how it is cut out.
  whole = dataclasses.replace(config, crop_size=config.frame_size, crop_shift=0.0, flip=False, colour=False)
  stored, augmented = (
      clips.training_clips(source.videos(names, source.modalities), form, seed=seed, epochs=[0], batch_size=1)
      for form in (whole, config))
  for (before, _, (name,)), (after, _, (same_name,)) in zip(stored.as_numpy_iterator(), augmented.as_numpy_iterator()):
    assert name == same_name
    yield Sample(name.decode(), *({m: np.rint(clip[0]).astype(np.uint8) for m, clip in form.items()}
                                  for form in (before, after)))


def overlay_edges(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
  """RGB [T, H, W, 3] uint8, grey and paler, with the edges of depth [T, H, W, 3] uint8 over it in one colour."""
  pale = np.repeat(rgb.mean(axis=-1, keepdims=True) / 2 + 96, 3, axis=-1).astype(np.uint8)
  for picture, of_depth in zip(pale, depth):
    calm = cv2.medianBlur(of_depth, 3)  # without single pixels that were not measured
    picture[np.any([cv2.Canny(channel, *_CANNY) for channel in np.moveaxis(calm, -1, 0)], axis=0)] = _EDGES
  return pale


def blocks(sample: Sample, config: ClipConfig, aligned: bool) -> Dict[str, Dict[str, np.ndarray]]:
  """What a sheet shows of a sample: caption -> row -> [T, H, W, 3] uint8."""
  changes = [change for change, active in (
      ('shifted crop', config.crop_shift and config.crop_size < config.frame_size), ('mirroring', config.flip),
      ('colours of RGB', config.colour)) if active]
  if changes:
    result = {'as stored': sample.stored,
              f'as a training step sees it (every other clip: {", ".join(changes)})': sample.augmented}
  else:
    result = {'as stored and as a training step sees it': sample.augmented}
  if aligned:
    result['alignment: edges of depth over RGB'] = {
        'rgb + depth': overlay_edges(sample.stored['rgb'], sample.stored['depth'])}
  return result


def contact_sheet(title: str, shown: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
  """A PNG with a caption for each block and a line of frames for each row in it.

  Frames are enlarged by a whole factor and never resampled.

  Args:
    title: above all.
    shown: as `blocks` returns it; all rows have as many frames.
  """
  from matplotlib import figure  # heavy; no global state, unlike pyplot

  rows = [clip for block in shown.values() for clip in block.values()]
  count, side = len(rows[0]), max(clip.shape[1] for clip in rows)
  zoom = max(1, min(_LARGEST_FRAME, _WIDEST_ROW // count) // side)
  step = zoom * side + _GAP
  width = max(_LEAST_WIDTH, _LEFT + count * step)
  height = _TOP + len(shown) * _CAPTION + len(rows) * step
  canvas, texts, y = np.full((height, width, 3), 255, np.uint8), [(10, _TOP // 2, title, 'bold')], _TOP
  for caption, block in shown.items():
    texts.append((_LEFT, y + _CAPTION // 2, caption, 'normal'))
    y += _CAPTION
    for row, clip in block.items():
      texts.append((10, y + step // 2, row.replace(' + ', ' +\n'), 'normal'))
      for column, frame in enumerate(clip):
        panel = frame.repeat(zoom, axis=0).repeat(zoom, axis=1)
        top, left = (start + (zoom * side - len(panel)) // 2 for start in (y, _LEFT + column * step))
        canvas[top:top + len(panel), left:left + len(panel)] = panel
      y += step
  picture = figure.Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
  picture.figimage(canvas, origin='upper')
  for x, y, text, weight in texts:
    picture.text(x / width, 1 - y / height, text, va='center', size=9, weight=weight)
  buffer = io.BytesIO()
  picture.savefig(buffer, format='png', dpi=_DPI)
  return buffer.getvalue()


def resolve_recipe() -> recipes.Recipe:
  """The recipe that the flags ask for."""
  method = FLAGS.method or ('admd' if FLAGS.dataset in recipes.OBJECTS else 'dmcl')
  preset = FLAGS.preset or recipes.default_preset(FLAGS.dataset)
  recipe = recipes.recipe(method, FLAGS.dataset, FLAGS.protocol, preset, seed=FLAGS.seed)
  protocol = protocols.resolve(recipe.dataset, FLAGS.protocol or recipes.default_protocol(method, recipe.dataset))
  return checks.check(settings.override(
      dataclasses.replace(recipe, protocol=protocol), settings.parse_settings(FLAGS.set)))


def main() -> None:
  recipe = resolve_recipe()
  from tf_privinfo.datasets import catalog  # TensorFlow takes seconds to import: flags are checked first

  source = catalog.open_dataset(
      recipe.dataset, FLAGS.data_dir or catalog.default_data_dir(recipe.dataset, recipe.data), recipe.data,
      recipe.clips.frame_size)
  split = protocols.split(recipe.dataset, recipe.protocol, source.names, recipe.data.hold_out)
  names = spread(split.train, source.label_of, FLAGS.count)
  out = pathlib.Path(FLAGS.out)
  try:
    out.mkdir(parents=True, exist_ok=True)
    for sample in read(source, names, recipe.clips, FLAGS.seed):
      sheet = contact_sheet(f'{sample.name}: {source.label_of(sample.name)}',
                            blocks(sample, recipe.clips, source.metadata.get('aligned', False)))
      path = out / f'{sample.name.replace("/", "_")}.png'
      path.with_suffix('.tmp').write_bytes(sheet)
      path.with_suffix('.tmp').rename(path)
  except OSError as error:
    raise errors.UserError(f'Cannot write to {FLAGS.out} ({error.strerror}): choose another --out.') from None
  print(f'Everything is in {out}: {len(names)} contact sheets, one PNG for each sample')


if __name__ == '__main__':
  cli.run(main)
