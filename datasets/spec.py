"""What the rest of the project needs to know of a dataset before anything of it is read."""

import dataclasses
from typing import Mapping, Optional, Tuple

from tf_privinfo.datasets.protocols import Protocol


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """A dataset. Each is defined in `spec.py` of its own folder and listed in `registry.DATASETS`.

  Attributes:
    help: its description, for --help.
    builder: 'module:Class' of its `base_builder.NativeBuilder`; imported only when data are opened.
    protocols: name -> function; the first one is the default.
    depth_variants: values of `data.depth_variant`. Chapter 5 reads the first one; chapters 3 and 4 read 'depth'.
    objects: samples are single frames of objects (chapter 4); otherwise they are videos of actions.
    alignable: whether RGB and depth can be aligned spatially by the skeleton's joints.
    default_preset: sizes without --preset.
    two_stream_protocol: the protocol of the authors' code of chapters 3 and 4, where it is not the default one.
    hold_out: fraction of the training set that validates in chapters 3 and 4 (docs/fidelity.md, B 6).
    switch_hold_out: the same for ADMD, whose switch is chosen on validation samples; None: `hold_out`.
    hold_outs: the only values that `data.hold_out` can have, where the validation set is a published one.
    resize: name in `preparation.frames.RESIZE` of the resize to the stored size.
    dct_method: that decodes JPEG files of RGB, as of `tf.io.decode_jpeg`.
    least_rgb_width: in pixels; RGB frames are shrunk by the largest whole factor that leaves so many, before anything
      else. 0: not at all.
  """
  help: str
  builder: str
  protocols: Mapping[str, Protocol]
  depth_variants: Tuple[str, ...] = ('depth',)
  objects: bool = False
  alignable: bool = True
  default_preset: str = 'paper'
  two_stream_protocol: Optional[str] = None
  hold_out: float = 0.05
  switch_hold_out: Optional[float] = 0.1
  hold_outs: Tuple[float, ...] = ()
  resize: str = 'bilinear'
  dct_method: str = 'INTEGER_ACCURATE'
  least_rgb_width: int = 0
