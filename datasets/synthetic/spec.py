"""The synthetic dataset: rendered videos in the layout of NW-UCLA."""

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.spec import DatasetSpec

SYNTHETIC = DatasetSpec(
    help='rendered on first use, needs no download',
    builder='tf_privinfo.datasets.synthetic.builder:Synthetic',
    protocols={**protocols.CROSS_VIEW, 'cross_subject': protocols.cross_subject(protocols.parse_multiview_name)},
    depth_variants=('depth_vis', 'depth'),
    metric_depth=('depth',),
    default_preset='small')
