"""The interface of all networks for streams."""

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
    config: sizes of the network, of the class in `registry.NETWORKS`.

  Attributes:
    CONNECTS: whether the network supports cross-stream connections (eq. 3.2).
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
      injected: end points of the stream that feeds this one, or None; only for networks with CONNECTS.
      form: form of the connections, as in `ConnectionConfig`.
      training: whether batch norm uses the moments of the batch.

    Returns:
      At least 'features' [N, D], the input of the classifier, of clips (N = B) or of frames (N = B·T, the frames of a
      clip in succession), and 'logits' [B, C]; both float32.
    """
    raise NotImplementedError

  def call(self, clips, training=False):
    return self.end_points(clips, training=training)['logits']

  def represent(self, clips, training=False) -> tf.Tensor:
    """The features of clips [B, D], float32; features of frames are averaged over the frames of a clip."""
    features = self.end_points(clips, training=training)['features']
    return tf.reduce_mean(tf.reshape(features, [tf.shape(clips)[0], -1, features.shape[-1]]), axis=1)

  def load_pretrained(self, path: str) -> str:
    """Loads public weights from `path` and returns a text about them; raises `UserError` on failure."""
    raise errors.UserError(f'network.pretrained={path}: there is no reader of pretrained weights for the architecture '
                           f'{self.config.architecture}.')

  def get_config(self):
    return super().get_config() | {'num_classes': self.num_classes, 'config': dataclasses.asdict(self.config)}

  @classmethod
  def from_config(cls, config):
    config_class = registry.config_class(config['config']['architecture'])
    return cls(**config | {'config': config_class(**config['config'])})
