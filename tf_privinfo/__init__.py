"""Multimodal learning with privileged information, in TensorFlow.

Modality distillation, ADMD and DMCL: training on RGB, depth and optical flow,
deployment on any subset of them, also with unreliable depth.
"""

import os
import sys

__version__ = '0.1.0'

# Since TensorFlow 2.16, `tf.keras` is Keras 3. If this variable is set before its first use, it is Keras 2, from the
# package tf-keras. TensorFlow 2.15, for Python 3.11, includes Keras 2.
if sys.version_info >= (3, 12):
  os.environ['TF_USE_LEGACY_KERAS'] = '1'


def load(run_dir: str):
  """The trained model of a run: its method `predict` classifies new recordings; see `evaluation.predictor.Predictor`.

  Args:
    run_dir: run directory, as printed by train_main.py.

  Raises:
    UserError: if there is no finished run.
  """
  from tf_privinfo import runs  # nothing heavy is imported with the package
  from tf_privinfo.evaluation import predictor

  return predictor.Predictor(runs.Run.open(run_dir))
