"""The native layout of NTU RGB+D: finds videos and their frames.

    nturgb+d_rgb/S001C001P001R001A001_rgb.avi                           1920 x 1080
    nturgb+d_depth_masked/S001C001P001R001A001/MDepth-00000001.png      512 x 424, 16 bit, millimetres; 0 except people
    nturgb+d_depth/S001C001P001R001A001/Depth-00000001.png              the same with the background
    nturgb+d_skeletons/S001C001P001R001A001.skeleton                    see `skeletons`; needed only to align

The folders can be anywhere under the given folder, and can occur more than
once, for example if the parts of the dataset are unpacked side by side. Only
one of the two folders of depth is needed, by `data.depth_variant`.
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
# Number of an action in file names -> name of the class; the first 60 are NTU RGB+D 60.
ACTIONS = dict(enumerate(_NAMES, 1))
_SETUPS, _CAMERAS = range(1, 33), range(1, 4)

# Depth variant -> folder, and prefix of the frames' names.
_DEPTH = {'depth': ('nturgb+d_depth_masked', 'MDepth'), 'depth_full': ('nturgb+d_depth', 'Depth')}
_VARIANTS = {folder: variant for variant, (folder, _) in _DEPTH.items()}
_ENDINGS = {'rgb': '_rgb.avi', 'skeleton': '.skeleton'}

# Published list of samples with missing or incomplete skeletons: 302 of the first 60 actions, 535 in total.
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
    name: sample name, such as `S001C001P001R001A001`.
    rgb: path of the video file.
    depth: folder of the depth frames.
    skeleton: path of the skeletons; None if they are not needed.
  """
  name: str
  rgb: str
  depth: str
  skeleton: Optional[str] = None


def find_root(data_dir: str) -> pathlib.Path:
  """The folder `data_dir` if it contains a video; raises `UserError` with download instructions."""
  if not os.path.isdir(data_dir) or not any(kind == 'rgb' for kind, _, _ in _walk(data_dir, _variant_of(data_dir))):
    raise errors.UserError(
        f'No NTU RGB+D videos under {data_dir} (looked for S001C001P001R001A001_rgb.avi).\n{HOW_TO_GET_IT}')
  return pathlib.Path(data_dir)


def scan(root: pathlib.Path, depth_variant: str, with_skeletons: bool, actions: Container[int],
         setups: Container[int]) -> Tuple[List[Video], List[str], List[str]]:
  """Finds all videos of a part of the dataset.

  Args:
    root: folder that contains all files, at any depth.
    depth_variant: source of depth, 'depth' (masked) or 'depth_full'.
    with_skeletons: whether videos without skeletons are unusable.
    actions: numbers of the actions of the part; other actions are ignored.
    setups: numbers of the setups of the part; other setups are ignored.

  Returns:
    The complete videos, sorted by name; one sentence for each unusable video;
    the names of the videos in `MISSING_SKELETONS`. The latter are left out for
    all methods, with or without skeletons, so that all use the same videos.
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
  """Depth variant of a folder by its name; None for other folders."""
  return _VARIANTS.get(os.path.basename(os.path.abspath(folder)).lower())


def _walk(folder, variant: Optional[str] = None, parents: Tuple[Tuple[int, int], ...] = ()
          ) -> Iterator[Tuple[str, str, str]]:
  """Yields kind, sample name and path of every file and every folder of depth frames, by their names.

  Args:
    folder: folder to search, at any depth.
    variant: depth variant by the name of this folder or of a parent.
    parents: device and inode of the parent folders; links to them are not followed.
  """
  status = os.stat(folder)
  this = status.st_dev, status.st_ino
  if this in parents:
    return
  with os.scandir(folder) as entries:
    for entry in sorted(entries, key=lambda entry: entry.name):
      if listing.is_passed_over(entry.name):
        continue
      if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():  # a link to itself is not an error here
        if variant and re.match(r'S\d', entry.name):
          yield variant, entry.name, entry.path  # not searched: it contains hundreds of frames
        else:
          yield from _walk(entry.path, _VARIANTS.get(entry.name.lower(), variant), (*parents, this))
        continue
      for kind, ending in _ENDINGS.items():
        if entry.name.lower().endswith(ending):
          yield kind, entry.name[:-len(ending)], entry.path


def _problem(paths: Dict[str, List[str]]) -> str:
  """Reason why a sample with these files of each kind is unusable; empty if it is usable."""
  for kind, found in paths.items():
    if not found:
      there = _DEPTH[kind][0] if kind in _DEPTH else f'*{_ENDINGS[kind]}'
      return f'no {kind} ({there})'
    if len(found) > 1:
      return f'{kind} exists {len(found)} times: {" and ".join(sorted(found))}'
  return ''


def depth_frames(folder: str, depth_variant: str) -> List[str]:
  """Paths of depth frames, in the order of their numbers; raises `frames.UnreadableFileError` if one is missing."""
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
