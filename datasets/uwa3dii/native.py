"""The native layout of UWA3D Multiview Activity II: finds videos and their frames.

    UWA3D-RGB/a01_s01_v01_e01/001,.jpg
    UWA3D-Depth/WholeFrames/a01_s01_v01_e00/001.png     16-bit millimetres, or an 8-bit depth image

The authors' `write_dset_tfrecords_multithreaded_uwa3D.py` reads this layout: frames are paired by the numbers in their
names, RGB has a comma after the number, and the folders of RGB and depth differ in the episode. Another public reader
(of missing modalities, in PyTorch) uses the same names, also compares the folders of both modalities without their
episodes, and excludes five videos in which the modalities do not overlap. Other readers have the depth of a video as
one MATLAB file `a01_s01_v01.mat`, without an episode: every performance was recorded once from each view.

The original dataset was not available. Assumptions:
  - episodes carry no information: folders of one performance are paired in the order of their episodes, and a video
    has the name of its depth folder, as in the authors' records;
  - the number of a frame is the last number in its file name, whatever surrounds it;
  - `WholeFrames` can be missing between `UWA3D-Depth` and the videos;
  - 16-bit PNGs are millimetres. The two readers of PNGs decode them to 8 bits; 8-bit images are the variant
    `depth_vis`.
"""

import collections
import dataclasses
import pathlib
import re
from typing import Dict, List, Tuple

from tf_privinfo.datasets import listing
from tf_privinfo.datasets.uwa3dii import protocols
from tf_privinfo.utils import errors

# Number of an action in folder names -> class name, in the order of the dataset's paper (Rahmani et al., PAMI 2016).
ACTIONS = dict(enumerate((
    'one_hand_waving', 'one_hand_punching', 'two_hand_waving', 'two_hand_punching', 'sitting_down', 'standing_up',
    'vibrating', 'falling_down', 'holding_chest', 'holding_head', 'holding_back', 'walking', 'irregular_walking',
    'lying_down', 'turning_around', 'drinking', 'phone_answering', 'bending', 'jumping_jack', 'running', 'picking_up',
    'putting_down', 'kicking', 'jumping', 'dancing', 'mopping_floor', 'sneezing', 'sitting_down_chair', 'squatting',
    'coughing'), start=1))
_RGB, _DEPTH, _WHOLE_FRAMES = 'UWA3D-RGB', 'UWA3D-Depth', 'WholeFrames'

HOW_TO_GET_IT = f"""\
Download RGB and depth of the "UWA3D Multiview Activity II Dataset" from its authors (Hossein Rahmani, Arif Mahmood,
Du Huynh, Ajmal Mian, "Histogram of Oriented Principal Components for Cross-View Action Recognition", PAMI 2016), and
pass --data_dir=DIR with the folders DIR/{_RGB}/a01_s01_v01_e01 of JPEG frames and
DIR/{_DEPTH}/{_WHOLE_FRAMES}/a01_s01_v01_e00 of PNG frames. --dataset=synthetic needs no download."""


@dataclasses.dataclass(frozen=True)
class Video:
  """The files of one video, paired frame by frame.

  Attributes:
    name: name of the depth folder, such as `a01_s01_v01_e00`.
    rgb: paths of the F RGB frames, in the order of their numbers.
    depth: paths of the F depth frames.
    dropped: number of frames that are left out because only one modality contains them.
  """
  name: str
  rgb: Tuple[str, ...]
  depth: Tuple[str, ...]
  dropped: int


def find_root(data_dir: str) -> pathlib.Path:
  """The folder `data_dir` if it contains `UWA3D-RGB` and `UWA3D-Depth`; raises `UserError` with instructions."""
  root = pathlib.Path(data_dir)
  missing = [folder for folder in (_RGB, _DEPTH) if not (root / folder).is_dir()]
  if missing:
    raise errors.UserError(f'No UWA3D Multiview II videos under {root} (looked for {" and ".join(missing)}).\n'
                           f'{HOW_TO_GET_IT}')
  return root


def scan(root: pathlib.Path) -> Tuple[List[Video], List[str]]:
  """Finds all videos.

  Args:
    root: folder from `find_root`.

  Returns:
    The complete videos, sorted by name, and one sentence per unusable video or
    folder.
  """
  whole_frames = root / _DEPTH / _WHOLE_FRAMES
  rgb, problems = _folders_by_performance(root / _RGB)
  depth, more_problems = _folders_by_performance(whole_frames if whole_frames.is_dir() else root / _DEPTH)
  problems += more_problems
  videos = []
  for performance in sorted(rgb.keys() | depth.keys()):
    if len(rgb[performance]) != len(depth[performance]):
      names = ', '.join(folder.name for folder in rgb[performance] + depth[performance])
      problems.append(f'{names}: {len(rgb[performance])} folders of RGB, {len(depth[performance])} of depth')
      continue
    for rgb_folder, depth_folder in zip(rgb[performance], depth[performance]):
      try:
        videos.append(_pair(depth_folder.name, _frames(rgb_folder, '.jpg'), _frames(depth_folder, '.png')))
      except ValueError as error:
        problems.append(f'{depth_folder.name}: {error}')
  return videos, problems


def _folders_by_performance(folder: pathlib.Path) -> Tuple[Dict[str, List[pathlib.Path]], List[str]]:
  """Folders of each performance, such as `a01_s01_v01`, in the order of their episodes; and a list of problems."""
  folders, problems = collections.defaultdict(list), []
  for path in listing.folders(folder):
    try:
      action = protocols.parse_uwa3d_name(path.name).action
    except ValueError as error:
      problems.append(f'{folder.name}: {error}')
      continue
    if action in ACTIONS:
      folders[path.name.rpartition('_')[0]].append(path)
    else:
      problems.append(f'{path.name}: there is no action {action}')
  return folders, problems


def _frames(folder: pathlib.Path, ending: str) -> Dict[int, str]:
  """Number of a frame -> path; raises ValueError if there are no frames, or two with the same number."""
  names = [name for name in listing.names(folder) if name.lower().endswith(ending)]
  without = [name for name in names if not re.search(r'\d', name[:-len(ending)])]
  if without:
    raise ValueError(f'{folder / without[0]} has no number in its name')
  frames = listing.numbered(folder, names, rf'(?:.*\D)?(\d+)\D*{re.escape(ending)}')
  if not frames:
    raise ValueError(f'no {ending} frame in {folder}')
  return frames


def _pair(name: str, rgb: Dict[int, str], depth: Dict[int, str]) -> Video:
  """Pairs the frames that exist in both modalities, in the order of their numbers; raises ValueError for none."""
  numbers = sorted(rgb.keys() & depth.keys())
  if not numbers:
    raise ValueError('no frame number has both RGB and depth')
  return Video(name, tuple(rgb[n] for n in numbers), tuple(depth[n] for n in numbers),
               dropped=len(rgb.keys() | depth.keys()) - len(numbers))
