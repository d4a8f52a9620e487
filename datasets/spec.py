"""Static description of a dataset, available before any of its files is read."""

import dataclasses
from typing import Mapping, Optional, Tuple

from tf_privinfo.datasets.protocols import Protocol


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """A dataset. Each is defined in `spec.py` of its own folder and listed in `registry.DATASETS`.

  Attributes:
    help: description for --help.
    builder: 'module:Class' of the `base_builder.NativeBuilder`; imported only when data are opened.
    protocols: protocols by name; the first one is the default.
    depth_variants: values of `data.depth_variant`. Chapter 5 reads the first one; chapters 3 and 4 read 'depth'.
    metric_depth: those of `depth_variants` that are 16-bit files in millimetres, encoded by the jet colour map.
    from_table: whether protocols select by the columns of a table (`recordings.protocols`) instead of `protocols`.
    objects: whether samples are single frames of objects (chapter 4) instead of videos of actions.
    alignable: whether RGB and depth can be aligned spatially by the joints of the skeleton.
    default_preset: preset without --preset.
    two_stream_protocol: protocol of the authors' code of chapters 3 and 4, if it is not the default one.
    hold_out: fraction of the training set that is held out for validation in chapters 3 and 4 (docs/fidelity.md, B 6).
    switch_hold_out: the same fraction for ADMD, which chooses its switch on validation samples; None: `hold_out`.
    hold_outs: all legal values of `data.hold_out`, if the validation set is a published one; empty: any fraction.
    resize: method of the resize to the stored size, a name in `preparation.frames.RESIZE`.
    dct_method: DCT method that decodes JPEG files of RGB, as in `tf.io.decode_jpeg`.
    least_rgb_width: minimum width, in pixels, of RGB frames that are downscaled by a whole factor before any other
      step; 0: no downscaling.
  """
  help: str
  builder: str
  protocols: Mapping[str, Protocol]
  depth_variants: Tuple[str, ...] = ('depth',)
  metric_depth: Tuple[str, ...] = ()
  from_table: bool = False
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
