"""NTU RGB+D, 60 and 120 actions, and the smaller training sets of the thesis."""

import dataclasses

from tf_privinfo.datasets.ntu_rgbd import protocols
from tf_privinfo.datasets.spec import DatasetSpec

NTU120 = DatasetSpec(
    help='NTU RGB+D 120',
    builder='tf_privinfo.datasets.ntu_rgbd.builder:Ntu120',
    protocols={'cross_subject': protocols.ntu120_cross_subject, 'cross_setup': protocols.ntu120_cross_setup},
    depth_variants=('depth', 'depth_full'),
    metric_depth=('depth', 'depth_full'),
    switch_hold_out=None,
    # RGB frames of 1920 x 1080 are downscaled to 640 x 360: a pixel of RGB then covers about the same part of the scene
    # as one of the 512 depth pixels in a row. Frames are stored with at most 256 pixels per side, so nothing is lost.
    least_rgb_width=512)
NTU120_MINI = dataclasses.replace(NTU120, help='half of its training set', protocols={
    'cross_subject': protocols.half(protocols.ntu120_cross_subject, 1),
    'cross_subject_2': protocols.half(protocols.ntu120_cross_subject, 2),
    'cross_subject_3': protocols.half(protocols.ntu120_cross_subject, 3)})
NTU60 = dataclasses.replace(
    NTU120,
    help='NTU RGB+D',
    builder='tf_privinfo.datasets.ntu_rgbd.builder:Ntu60',
    protocols={'cross_subject': protocols.ntu60_cross_subject, 'cross_view': protocols.ntu60_cross_view},
    hold_outs=(0.0, 0.05))
NTU60_MINI = dataclasses.replace(NTU60, help='a third of its training set', protocols={
    'cross_subject': protocols.third(protocols.ntu60_cross_subject),
    'cross_view': protocols.third(protocols.ntu60_cross_view)})
