"""The native layout of UWA3D Multiview Activity II: finding videos and their frames.

    UWA3D-RGB/a01_s01_v01_e01/001,.jpg
    UWA3D-Depth/WholeFrames/a01_s01_v01_e00/001.png     millimetres in 16 bits, or a picture of depth in 8 bits

is what the authors' `write_dset_tfrecords_multithreaded_uwa3D.py` reads: frames pair by the number in their names, RGB
has a comma after it, and the folder of RGB is that of depth with another episode. Another public reader (of missing
modalities, in PyTorch) knows the same names, compares the folders of both modalities without their episodes, too, and
leaves five videos out in which the modalities do not overlap. Others have the depth of a video as one MATLAB file
`a01_s01_v01.mat`, without an episode: a performance was recorded once from each view.

Assumed, since the download itself was not at hand:
  - episodes tell nothing: folders of one performance pair in the order of their episodes, and a video has the name of
    its depth folder, as in the authors' records;
  - the number of a frame is the last one in its name, whatever is around it;
  - `WholeFrames` may be missing between `UWA3D-Depth` and the videos;
  - 16-bit PNGs are millimetres. The two readers of PNGs decode them to 8 bits; where they are 8-bit pictures, they are
    the variant `depth_vis`.
"""

import collections
import dataclasses
import pathlib
import re
from typing import Dict, List, Tuple

from tf_privinfo.datasets import listing
from tf_privinfo.datasets.uwa3dii import protocols
from tf_privinfo.utils import errors

# In the order of the dataset's paper (Rahmani et al., PAMI 2016); numbers in the names of the folders.
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
    name: such as `a01_s01_v01_e00`, that of its depth folder.
    rgb: paths of the RGB frames in the order of their numbers.
    depth: paths of the depth frames, as many.
    dropped: how many frame numbers only one modality has; they are left out.
  """
  name: str
  rgb: Tuple[str, ...]
  depth: Tuple[str, ...]
  dropped: int


def find_root(data_dir: str) -> pathlib.Path:
  """The folder with `UWA3D-RGB` and `UWA3D-Depth`, `data_dir` itself; raises `UserError` with what to download."""
  root = pathlib.Path(data_dir)
  missing = [folder for folder in (_RGB, _DEPTH) if not (root / folder).is_dir()]
  if missing:
    raise errors.UserError(f'No UWA3D Multiview II videos under {root} (looked for {" and ".join(missing)}).\n'
                           f'{HOW_TO_GET_IT}')
  return root


def scan(root: pathlib.Path) -> Tuple[List[Video], List[str]]:
  """Finds all videos.

  Args:
    root: from `find_root`.

  Returns:
    The complete videos in the order of their names, and one sentence per video
    or folder that cannot be used.
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
  """Folders in the order of their episodes by what their names have in common, `a01_s01_v01`, and problems."""
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
  """Number -> path of the frames in a folder; raises ValueError if there are none or two have the same number."""
  names = [name for name in listing.names(folder) if name.lower().endswith(ending)]
  without = [name for name in names if not re.search(r'\d', name[:-len(ending)])]
  if without:
    raise ValueError(f'{folder / without[0]} has no number in its name')
  frames = listing.numbered(folder, names, rf'(?:.*\D)?(\d+)\D*{re.escape(ending)}')
  if not frames:
    raise ValueError(f'no {ending} frame in {folder}')
  return frames


def _pair(name: str, rgb: Dict[int, str], depth: Dict[int, str]) -> Video:
  """Keeps the frames that both modalities have, in the order of their numbers; raises ValueError if none is left."""
  numbers = sorted(rgb.keys() & depth.keys())
  if not numbers:
    raise ValueError('no frame number has both RGB and depth')
  return Video(name, tuple(rgb[n] for n in numbers), tuple(depth[n] for n in numbers),
               dropped=len(rgb.keys() | depth.keys()) - len(numbers))
