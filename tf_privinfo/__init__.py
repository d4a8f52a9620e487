"""Multimodal learning with privileged information, in TensorFlow.

Modality distillation, ADMD and DMCL: train on RGB, depth and optical flow,
deploy on RGB alone or on a depth sensor that may be noisy.
"""

__version__ = '0.1.0'
