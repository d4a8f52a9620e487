"""The native layout of NTU RGB+D: finding videos and their frames.

    nturgb+d_rgb/S001C001P001R001A001_rgb.avi                           1920 x 1080
    nturgb+d_depth_masked/S001C001P001R001A001/MDepth-00000001.png      512 x 424, 16 bit, millimetres; 0 but for people
    nturgb+d_depth/S001C001P001R001A001/Depth-00000001.png              the same with the background
    nturgb+d_skeletons/S001C001P001R001A001.skeleton                    see `skeletons`; needed only to align

The folders may lie anywhere under the one that is given, and more than once,
as they do when the parts of the download are unpacked side by side. Only the
chosen one of the two folders of depth is needed.
"""

import collections
import dataclasses
import importlib.resources
import os
import pathlib
import re
from typing import Container, Dict, Iterator, List, Optional, Tuple

from tf_privinfo.datasets import listing
from tf_privinfo.datasets.ntu_rgbd import protocols
from tf_privinfo.datasets.preparation import frames
from tf_privinfo.utils import errors

_NAMES = """
    drink_water eat_meal brush_teeth brush_hair drop pick_up throw sit_down stand_up clap
    read write tear_up_paper put_on_jacket take_off_jacket put_on_shoe take_off_shoe put_on_glasses take_off_glasses
    put_on_hat take_off_hat cheer_up wave_hand kick_something reach_into_pocket hop jump_up phone_call play_with_phone
    type_on_keyboard point_to_something take_selfie check_time rub_hands nod_or_bow shake_head wipe_face salute
    put_palms_together cross_hands_in_front sneeze_or_cough stagger fall touch_head touch_chest touch_back touch_neck
    nausea_or_vomiting use_fan punch_person kick_person push_person pat_on_back point_at_person hug_person
    give_something touch_pocket_of_person shake_hands walk_towards_each_other walk_apart
    put_on_headphone take_off_headphone shoot_at_basket bounce_ball swing_tennis_bat juggle_table_tennis_balls hush
    flick_hair thumb_up thumb_down ok_sign victory_sign staple_book count_money cut_nails cut_paper snap_fingers
    open_bottle sniff squat_down toss_coin fold_paper ball_up_paper play_magic_cube cream_on_face cream_on_hand
    put_on_bag take_off_bag put_into_bag take_out_of_bag open_box move_heavy_objects shake_fist throw_up_cap hands_up
    cross_arms arm_circles arm_swings run_on_the_spot butt_kicks cross_toe_touch side_kick yawn stretch blow_nose
    hit_person_with_something wield_knife_towards_person knock_over_person grab_stuff_of_person shoot_at_person
    step_on_foot high_five cheers_and_drink carry_together take_photo_of_person follow_person whisper_in_ear
    exchange_things support_person rock_paper_scissors""".split()
# Number of an action in the names of files -> name of the class; 60 of them were published first.
ACTIONS = dict(enumerate(_NAMES, 1))
_SETUPS, _CAMERAS = range(1, 33), range(1, 4)

# Variant -> folder and beginning of the frames' names.
_DEPTH = {'depth': ('nturgb+d_depth_masked', 'MDepth'), 'depth_full': ('nturgb+d_depth', 'Depth')}
_VARIANTS = {folder: variant for variant, (folder, _) in _DEPTH.items()}
_ENDINGS = {'rgb': '_rgb.avi', 'skeleton': '.skeleton'}

# Samples without skeletons, or with incomplete ones, as published: 302 of the first 60 actions, 535 of all.
MISSING_SKELETONS = frozenset(
    importlib.resources.files(__package__).joinpath('missing_skeletons.txt').read_text('ascii').split())

HOW_TO_GET_IT = """\
Request access to "NTU RGB+D" at its authors' page (ROSE Lab, Nanyang Technological University), download the RGB
videos, the masked depth maps and the skeletons, unpack them, and pass --data_dir=DIR with the folders
DIR/nturgb+d_rgb, DIR/nturgb+d_depth_masked and DIR/nturgb+d_skeletons. --dataset=synthetic needs no download."""


@dataclasses.dataclass(frozen=True)
class Video:
  """The files of one video.

  Attributes:
    name: such as `S001C001P001R001A001`.
    rgb: path of the video file.
    depth: folder of the depth frames.
    skeleton: path of the skeletons; None where they are not asked for.
  """
  name: str
  rgb: str
  depth: str
  skeleton: Optional[str] = None


def find_root(data_dir: str) -> pathlib.Path:
  """The folder `data_dir` if it holds any video; raises `UserError` with what to download."""
  if not os.path.isdir(data_dir) or not any(kind == 'rgb' for kind, _, _ in _walk(data_dir, _variant_of(data_dir))):
    raise errors.UserError(
        f'No NTU RGB+D videos under {data_dir} (looked for S001C001P001R001A001_rgb.avi).\n{HOW_TO_GET_IT}')
  return pathlib.Path(data_dir)


def scan(root: pathlib.Path, depth_variant: str, with_skeletons: bool, actions: Container[int],
         setups: Container[int]) -> Tuple[List[Video], List[str], List[str]]:
  """Finds all videos of a part of the dataset.

  Args:
    root: the folder under which all lie.
    depth_variant: 'depth' (masked) or 'depth_full'.
    with_skeletons: a video needs its skeletons, too.
    actions, setups: those of the part; others are passed over.

  Returns:
    The complete videos in the order of their names, one sentence for each that
    cannot be used, and the names of those of `MISSING_SKELETONS`, which are in
    neither, whether skeletons are asked for or not: all methods see the same videos.
  """
  kinds = ('rgb', depth_variant, 'skeleton') if with_skeletons else ('rgb', depth_variant)
  found = collections.defaultdict(lambda: {kind: [] for kind in kinds})
  for kind, name, path in _walk(root, _variant_of(root)):
    if kind in kinds:
      found[name][kind].append(path)
  videos, problems, without_skeleton = [], [], []
  for name, paths in sorted(found.items()):
    try:
      parts = protocols.parse_ntu_name(name)
    except ValueError as error:
      problems.append(f'{next(path for some in paths.values() for path in some)}: {error}')
      continue
    if parts.action not in ACTIONS or parts.setup not in _SETUPS or parts.camera not in _CAMERAS:
      problems.append(f'{name}: NTU RGB+D has no such setup, camera or action')
    elif parts.action not in actions or parts.setup not in setups:
      continue
    elif name in MISSING_SKELETONS:
      without_skeleton.append(name)
    elif problem := _problem(paths):
      problems.append(f'{name}: {problem}')
    else:
      videos.append(Video(name, *(path for path, in paths.values())))
  return videos, problems, without_skeleton


def _variant_of(folder) -> Optional[str]:
  """The variant of depth that the name of a folder tells."""
  return _VARIANTS.get(os.path.basename(os.path.abspath(folder)).lower())


def _walk(folder, variant: Optional[str] = None, parents: Tuple[Tuple[int, int], ...] = ()
          ) -> Iterator[Tuple[str, str, str]]:
  """Yields kind, name of the sample and path of each file, or folder of depth frames, that the files' names tell.

  Args:
    folder: where to look, at any depth.
    variant: of depth, that the name of this folder, or of one that it is in, tells.
    parents: device and inode of the folders that it is in; a link back to one of them is not followed.
  """
  status = os.stat(folder)
  this = status.st_dev, status.st_ino
  if this in parents:
    return
  with os.scandir(folder) as entries:
    for entry in sorted(entries, key=lambda entry: entry.name):
      if listing.is_passed_over(entry.name):
        continue
      if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():  # a link to itself is no error here
        if variant and re.match(r'S\d', entry.name):
          yield variant, entry.name, entry.path  # hundreds of frames in each of them
        else:
          yield from _walk(entry.path, _VARIANTS.get(entry.name.lower(), variant), (*parents, this))
        continue
      for kind, ending in _ENDINGS.items():
        if entry.name.lower().endswith(ending):
          yield kind, entry.name[:-len(ending)], entry.path


def _problem(paths: Dict[str, List[str]]) -> str:
  """Why a sample with these files of each kind cannot be used; empty if it can."""
  for kind, found in paths.items():
    if not found:
      there = _DEPTH[kind][0] if kind in _DEPTH else f'*{_ENDINGS[kind]}'
      return f'no {kind} ({there})'
    if len(found) > 1:
      return f'{kind} exists {len(found)} times: {" and ".join(sorted(found))}'
  return ''


def depth_frames(folder: str, depth_variant: str) -> List[str]:
  """Paths of depth frames in the order of their numbers; raises `frames.UnreadableFileError` if one is missing."""
  prefix = _DEPTH[depth_variant][1]
  try:
    by_number = listing.numbered(pathlib.Path(folder), listing.names(folder), rf'{prefix}-(\d+)\.png')
  except ValueError as error:
    raise frames.UnreadableFileError(str(error)) from None
  if not by_number:
    raise frames.UnreadableFileError(f'{folder}: no {prefix}-*.png in the folder')
  for number in range(1, len(by_number) + 1):
    if number not in by_number:
      raise frames.UnreadableFileError(f'{folder}: {prefix}-{number:08d}.png is missing')
  return [by_number[number] for number in sorted(by_number)]
