"""TensorFlow Datasets builder of Northwestern-UCLA Multiview Action3D."""

import collections
import concurrent.futures
import dataclasses
import os
from typing import Dict, Iterator, List, Tuple

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from tf_privinfo import errors
from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.nwucla import native, skeletons
from tf_privinfo.datasets.preparation import alignment, depth, flow, frames

MODALITIES = ('rgb', 'depth', 'flow')
_SHOWN_PROBLEMS = 20
# What makes a single video unusable.
_PROBLEMS = (frames.BrokenFile, alignment.NotAlignable)


@dataclasses.dataclass
class MultiviewConfig(tfds.core.BuilderConfig):
  """What is stored of each video.

  Attributes:
    frame_size: S; frames are stored as S x S, the size before cropping.
    depth_variant: 'depth_vis' (the authors' 8-bit pictures) or 'depth' (16 bit, jet colour map).
    skip_broken: keep going without the videos that cannot be read (or aligned).
    aligned: RGB and depth are laid over each other by the skeleton's joints and cropped to what both show.
  """
  name: str = ''
  frame_size: int = 256
  depth_variant: str = 'depth_vis'
  skip_broken: bool = False
  aligned: bool = False

  def __post_init__(self):
    self.name = f'{self.frame_size}px_{self.depth_variant}_{flow.ENCODING.algorithm}'
    if self.aligned:
      self.name += '_aligned'
    if self.skip_broken:
      self.name += '_skip_broken'


def cell(name: str) -> str:
  """The TFDS split that stores a video: one per view and subject.

  Every protocol tests on whole cells, so training never opens a file that
  holds a test video.
  """
  parts = protocols.parse_multiview_name(name)
  return f'view_{parts.view}_subject_{parts.subject:02d}'


class Nwucla(tfds.core.GeneratorBasedBuilder):
  """RGB, depth and optical flow of every video, as JPEG frames of one size.

  `info.metadata` holds `samples` (name -> number of frames), `skipped` (one
  sentence each), `cut` (name -> frames left out), the flow's encoding, the
  depth variant, `aligned` where RGB and depth are, and otherwise
  `unlike_sizes` (name -> both sizes) if their frames differ in size.
  """

  VERSION = tfds.core.Version('1.0.0')
  MANUAL_DOWNLOAD_INSTRUCTIONS = native.HOW_TO_GET_IT

  def _info(self) -> tfds.core.DatasetInfo:
    size = self.builder_config.frame_size
    aligned = {'aligned': True} if self.builder_config.aligned else {}  # else the metadata are as they always were
    image = tfds.features.Image(shape=(size, size, 3), encoding_format='jpeg')
    return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict({
            **{modality: tfds.features.Sequence(image) for modality in MODALITIES},
            'label': tfds.features.ClassLabel(names=list(native.ACTIONS.values())),
            'sample_id': tfds.features.Text(),
        }),
        metadata=tfds.core.MetadataDict(
            samples={}, skipped=[], cut={}, flow=dataclasses.asdict(flow.ENCODING),
            depth_variant=self.builder_config.depth_variant, frame_size=size, **aligned))

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    root = native.find_root(dl_manager.manual_dir)
    videos, problems = native.scan(root, self.builder_config.depth_variant, self.builder_config.aligned)
    if not self.builder_config.skip_broken:
      _stop_if_any(problems)
    if not videos:
      raise errors.UserError(f'No video under {root} can be used.\n{native.HOW_TO_GET_IT}')
    self.info.metadata['skipped'].extend(problems)
    cells = collections.defaultdict(list)
    for video in videos:
      cells[cell(video.name)].append(video)
    progress = tqdm.tqdm(total=len(videos), desc='Preparing videos (flow, resize, encode)', unit='video')
    return {name: self._generate_examples(members, progress, last=name == max(cells))
            for name, members in sorted(cells.items())}

  def _generate_examples(self, videos: List[native.Video], progress, last: bool) -> Iterator[Tuple[str, Dict]]:
    kept = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV and TensorFlow release the GIL
      for video, example in zip(videos, pool.map(self._prepare, videos)):
        progress.update()
        if isinstance(example, _PROBLEMS):
          self.info.metadata['skipped'].append(f'{video.name}: {example}')
          continue
        self.info.metadata['samples'][video.name] = len(example['rgb'])
        if video.dropped:
          self.info.metadata['cut'][video.name] = video.dropped
        kept += 1
        yield video.name, example
    if last or not kept:
      progress.close()
      if not self.builder_config.skip_broken:
        # Only now, so that one run lists every broken file; nothing was kept yet.
        _stop_if_any(self.info.metadata['skipped'])
    if not kept:  # TFDS stores no empty split
      raise errors.UserError(f'Not one video of {cell(videos[0].name)} can be used; the last problem is '
                             f'{self.info.metadata["skipped"][-1]}. Mend them or move these folders away.')

  def _prepare(self, video: native.Video):
    """Returns the example of a video, or the one of `_PROBLEMS` that was found."""
    size = self.builder_config.frame_size
    try:
      rgb = _same_size([frames.read_jpeg(path) for path in video.rgb], video.rgb)
      if self.builder_config.depth_variant == 'depth':
        depth_images = depth.jet(_same_size([frames.read_depth(path) for path in video.depth], video.depth))
      else:
        depth_images = _same_size([frames.read_jpeg(path) for path in video.depth], video.depth)
      if self.builder_config.aligned:
        joints = skeletons.read_joints(video.skeletons, rgb.shape[1:3], depth_images.shape[1:3])
        rgb, depth_images = alignment.overlay(rgb, depth_images, alignment.estimate(*joints))
      elif rgb.shape[1:3] != depth_images.shape[1:3]:
        (rgb_height, rgb_width), (height, width) = rgb.shape[1:3], depth_images.shape[1:3]
        self.info.metadata.setdefault('unlike_sizes', {})[video.name] = (
            f'RGB {rgb_width}x{rgb_height}, depth {width}x{height}')
    except _PROBLEMS as problem:
      return problem
    images = {'rgb': rgb, 'depth': depth_images, 'flow': flow.encode_flow(flow.dense_flow(rgb))}
    encoded = {m: frames.encode_jpeg(frames.resize_bilinear(images[m], size)) for m in MODALITIES}
    action = protocols.parse_multiview_name(video.name).action
    return {**encoded, 'label': native.ACTIONS[action], 'sample_id': video.name}


def _same_size(images, paths):
  for image, path in zip(images, paths):
    if image.shape != images[0].shape:
      raise frames.BrokenFile(f'{path}: {image.shape[1]}x{image.shape[0]}, unlike the first frame of the video')
  return np.stack(images)


def _stop_if_any(problems: List[str]) -> None:
  if not problems:
    return
  shown = '\n  '.join(problems[:_SHOWN_PROBLEMS])
  rest = len(problems) - _SHOWN_PROBLEMS
  raise errors.UserError(
      f'{len(problems)} videos cannot be used; mend them, or pass --skip_broken to go on without them:\n  {shown}'
      + (f'\n  ... and {rest} more' if rest > 0 else ''))
