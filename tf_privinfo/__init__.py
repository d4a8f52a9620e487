"""Multimodal learning with privileged information, in TensorFlow.

Modality distillation, ADMD and DMCL: train on RGB, depth and optical flow,
deploy on RGB alone or on a depth sensor that may be noisy.
"""

import os
import sys

__version__ = '0.1.0'

# From TensorFlow 2.16 on `tf.keras` is Keras 3, unless this is set before it is first used; it then is Keras 2, from
# the package tf-keras. TensorFlow 2.15, which Python 3.11 has, comes with Keras 2.
if sys.version_info >= (3, 12):
  os.environ['TF_USE_LEGACY_KERAS'] = '1'
