"""The interface of every network that a stream can have."""

import dataclasses
from typing import Dict, Optional

import tensorflow as tf

from tf_privinfo.networks import registry
from tf_privinfo.utils import errors


class Backbone(tf.keras.Model):
  """A network that maps clips [B, T, H, W, 3], pixels 0..255 as bytes or floats, to logits [B, C], float32.

  A subclass implements `end_points` and `feature_size`.

  Args:
    num_classes: C.
    config: of the class that `registry.NETWORKS` has for the network.

  Attributes:
    CONNECTS: whether it gives and receives cross-stream connections (eq. 3.2).
  """

  CONNECTS = False

  def __init__(self, num_classes: int, config, **kwargs):
    super().__init__(**kwargs)
    self.num_classes = num_classes
    self.config = config

  @property
  def feature_size(self) -> int:
    """D, the number of features that the classifier reads."""
    raise NotImplementedError

  def end_points(self, clips, injected: Optional[Dict[str, tf.Tensor]] = None, form: str = 'additive',
                 training=False) -> Dict[str, tf.Tensor]:
    """Runs the network and returns its tensors by name.

    Args:
      clips: [B, T, H, W, 3], pixels 0..255.
      injected: end points of the stream that feeds this one, or None; only networks that connect receive any.
      form: of the connections, as in `ConnectionConfig`.
      training: batch norm takes the moments of the batch.

    Returns:
      At least 'features' [N, D], what the classifier reads, of clips (N = B) or of frames (N = B·T, those of a clip one
      after the other), and 'logits' [B, C]; both float32.
    """
    raise NotImplementedError

  def call(self, clips, training=False):
    return self.end_points(clips, training=training)['logits']

  def represent(self, clips, training=False) -> tf.Tensor:
    """The features of clips [B, D], float32: the mean over the frames where the network has features of frames."""
    features = self.end_points(clips, training=training)['features']
    return tf.reduce_mean(tf.reshape(features, [tf.shape(clips)[0], -1, features.shape[-1]]), axis=1)

  def load_pretrained(self, path: str) -> str:
    """Loads public weights, and returns in words what was loaded; raises `UserError` if it cannot."""
    raise errors.UserError(f'network.pretrained={path}: there is no reader of pretrained weights for the architecture '
                           f'{self.config.architecture}.')

  def get_config(self):
    return super().get_config() | {'num_classes': self.num_classes, 'config': dataclasses.asdict(self.config)}

  @classmethod
  def from_config(cls, config):
    config_class = registry.config_class(config['config']['architecture'])
    return cls(**config | {'config': config_class(**config['config'])})
