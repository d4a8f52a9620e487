"""Objects of NYU Depth v2, and other RGB-D crops of objects in the same layout."""

from tf_privinfo.datasets import protocols
from tf_privinfo.datasets.spec import DatasetSpec

# Number of training images in the authors' code, which converts its iterations to epochs.
TRAINING_IMAGES = 2091

NYUD = DatasetSpec(
    help='NYU Depth v2 objects, or other RGB and depth crops in their folders',
    builder='tf_privinfo.datasets.nyud.builder:Nyud',
    protocols={'given': protocols.given},
    objects=True,
    resize='lanczos',
    dct_method='')  # default of `tf.io.decode_image`
