"""UWA3D Multiview Activity II."""

from tf_privinfo.datasets.protocols import cross_view
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.datasets.uwa3dii import protocols

UWA3DII = DatasetSpec(
    help='UWA3D Multiview Activity II',
    builder='tf_privinfo.datasets.uwa3dii.builder:Uwa3dii',
    protocols={'cross_view_4': cross_view(protocols.parse_uwa3d_name, (1, 2, 3), (4,)),
               **protocols.two_to_two((1, 2, 3, 4))},
    depth_variants=('depth', 'depth_vis'),
    metric_depth=('depth',),
    alignable=False,  # its skeletons have no pixel coordinates in both cameras
    hold_out=0.0)
