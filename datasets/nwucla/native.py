"""The native layout of Northwestern-UCLA Multiview Action3D: finds videos and their frames.

    multiview_action/view_1/a01_s01_e00/frame_12_rgb.jpg
                                        frame_12_depth.png       16 bit, millimetres
                                        frame_12_depth_vis.jpg   8-bit depth image
                                        frame_12_skeletons.txt   see `skeletons`; needed only to align RGB and depth
"""

import dataclasses
import pathlib
import re
from typing import Dict, List, Optional, Tuple

from tf_privinfo.datasets import listing, protocols
from tf_privinfo.utils import errors

# Action ids in the folder names; 7 and 10 do not exist. Labels are the ranks of the ids.
ACTIONS = {
    1: 'pick_up_with_one_hand', 2: 'pick_up_with_two_hands', 3: 'drop_trash', 4: 'walk_around', 5: 'sit_down',
    6: 'stand_up', 8: 'donning', 9: 'doffing', 11: 'throw', 12: 'carry'}
# Ends of file names; upper case, and text between the frame number and the end, are allowed.
_ENDINGS = {'rgb': 'rgb.jpg', 'depth': 'depth.png', 'depth_vis': 'depth_vis.jpg', 'skeletons': 'skeletons.txt'}
_PATTERNS = {kind: rf'frame_(\d+)_(?:.*_)?{re.escape(ending)}' for kind, ending in _ENDINGS.items()}

HOW_TO_GET_IT = """\
Download the twelve parts of "Northwestern-UCLA Multiview Action 3D" (multiview_action.tgz.0 ...) from
its authors' page (Jiang Wang et al., "Cross-view Action Modeling, Learning and Recognition", CVPR 2014),
unpack them, and pass --data_dir=DIR with the folders DIR/multiview_action/view_1/a01_s01_e00/frame_*_rgb.jpg.
--dataset=synthetic needs no download."""


@dataclasses.dataclass(frozen=True)
class Video:
  """The files of one video, paired frame by frame.

  Attributes:
    name: sample name, such as `view_1/a01_s01_e00`.
    rgb: paths of the F RGB frames, in the order of their numbers.
    depth: paths of the F depth frames of the chosen variant.
    dropped: number of frames that are left out because only one modality contains them.
    skeletons: paths of the F skeletons, None for frames without one; empty if no skeletons are needed.
  """
  name: str
  rgb: Tuple[str, ...]
  depth: Tuple[str, ...]
  dropped: int
  skeletons: Tuple[Optional[str], ...] = ()


def find_root(data_dir: str) -> pathlib.Path:
  """The folder with `view_1`, `view_2`, `view_3` at or under `data_dir`; raises `UserError` with instructions."""
  base = pathlib.Path(data_dir)
  for root in (base / 'multiview_action', base):
    if any(root.glob('view_[123]')):
      return root
  raise errors.UserError(f'No NW-UCLA videos under {base} (looked for multiview_action/view_1).\n{HOW_TO_GET_IT}')


def scan(root: pathlib.Path, depth_variant: str, with_skeletons: bool = False) -> Tuple[List[Video], List[str]]:
  """Finds all videos.

  Args:
    root: folder with `view_1`, ...
    depth_variant: source of depth, 'depth_vis' (8 bit, as in the authors' code) or 'depth' (16 bit).
    with_skeletons: whether videos without any skeleton file are unusable.

  Returns:
    The complete videos, sorted by view and name, and one sentence per unusable
    video folder.
  """
  needed = ('rgb', depth_variant, 'skeletons') if with_skeletons else ('rgb', depth_variant)
  videos, problems = [], []
  for folder in (f for view in sorted(root.glob('view_[123]')) if view.is_dir() for f in listing.folders(view)):
    name = f'{folder.parent.name}/{folder.name}'
    try:
      action = protocols.parse_multiview_name(name).action
    except ValueError as error:
      problems.append(str(error))
      continue
    if action not in ACTIONS:
      problems.append(f'{name}: there is no action {action}')
      continue
    names = listing.names(folder)
    try:
      frames = {kind: listing.numbered(folder, names, _PATTERNS[kind]) for kind in needed}
    except ValueError as error:
      problems.append(f'{name}: {error}')
      continue
    missing = [kind for kind in needed if not frames[kind]]
    if missing:
      problems.append(f'{name}: no frame_*_{_ENDINGS[missing[0]]} in the folder')
      continue
    video = _pair(name, *(frames[kind] for kind in needed))
    if video.rgb:
      videos.append(video)
    else:
      problems.append(f'{name}: no frame number has both RGB and {depth_variant}')
  return videos, problems


def _pair(name: str, rgb: Dict[int, str], depth: Dict[int, str], skeletons: Optional[Dict[int, str]] = None) -> Video:
  """Pairs the frames that exist in both modalities, in the order of their numbers, not of their names."""
  numbers = sorted(rgb.keys() & depth.keys())
  return Video(name, tuple(rgb[n] for n in numbers), tuple(depth[n] for n in numbers),
               dropped=len(rgb.keys() | depth.keys()) - len(numbers),
               skeletons=tuple(skeletons.get(n) for n in numbers) if skeletons else ())
