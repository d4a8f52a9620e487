"""Northwestern-UCLA Multiview Action3D."""

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.spec import DatasetSpec

NWUCLA = DatasetSpec(
    help='Northwestern-UCLA Multiview Action3D',
    builder='tf_privinfo.datasets.nwucla.builder:Nwucla',
    protocols=protocols.CROSS_VIEW,
    depth_variants=('depth_vis', 'depth'),
    metric_depth=('depth',),
    two_stream_protocol='cross_view_3',
    hold_out=0.0)
