"""The DMCL step of `dmcl_step.py` in PyTorch, as a reference for its speed on CPUs.

`dmcl_step.py --torch_python=PYTHON` runs this program in another Python, since the project does not depend on PyTorch.
It builds three networks, compares their logits with stored ones, and then trains for each line of its input.
"""

import argparse
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class ConvNorm(nn.Module):
  """A 3-D convolution without bias, and batch norm; pads as the Keras reference (`reference_r2plus1d.ConvNorm`)."""

  def __init__(self, inputs, filters, kernel_size, strides=(1, 1, 1)):
    super().__init__()
    time_kernel, side, _ = kernel_size
    # Strided temporal kernels pad one frame at the end, as 'same' in TensorFlow for even numbers of frames.
    self.frames = (0, 1) if strides[0] > 1 and time_kernel > 1 else (time_kernel // 2, time_kernel // 2)
    self.conv = nn.Conv3d(inputs, filters, kernel_size, strides, (0, side // 2, side // 2), bias=False)
    self.norm = nn.BatchNorm3d(filters, eps=1e-5, momentum=0.003)

  def forward(self, x):
    """[B, C, T, H, W] -> [B, C', T', H', W']."""
    return self.norm(self.conv(functional.pad(x, (0, 0, 0, 0, *self.frames)) if any(self.frames) else x))


class BasicUnit(nn.Module):
  """Two (spatial, temporal) pairs and a shortcut, ReLU after the sum."""

  def __init__(self, inputs, filters, s, project):
    super().__init__()
    self.shortcut = ConvNorm(inputs, filters, (1, 1, 1), (s, s, s)) if project else nn.Identity()
    self.spatial1 = ConvNorm(inputs, filters, (1, 3, 3), (1, s, s))
    self.temporal1 = ConvNorm(filters, filters, (3, 1, 1), (s, 1, 1))
    self.spatial2 = ConvNorm(filters, filters, (1, 3, 3))
    self.temporal2 = ConvNorm(filters, filters, (3, 1, 1))

  def forward(self, inputs):
    """[B, C, T, H, W] -> [B, C', T', H', W']."""
    x = functional.relu(self.spatial1(inputs))
    x = functional.relu(self.temporal1(x))
    x = functional.relu(self.spatial2(x))
    return functional.relu(self.temporal2(x) + self.shortcut(inputs))


class R2Plus1D(nn.Module):
  """R(2+1)D-18: [B, 3, T, H, W] -> logits [B, C]."""

  def __init__(self, num_classes, width, units=(2, 2, 2, 2)):
    super().__init__()
    self.stem_spatial = ConvNorm(3, width, (1, 7, 7), (1, 2, 2))
    self.stem_temporal = ConvNorm(width, width, (3, 1, 1))
    layers, channels = [], width
    for stage, count in enumerate(units):
      for unit in range(count):
        layers.append(BasicUnit(channels, width * 2**stage, 2 if stage and not unit else 1, not unit))
        channels = width * 2**stage
    self.units = nn.Sequential(*layers)
    self.classifier = nn.Linear(channels, num_classes)

  def forward(self, x):
    """[B, 3, T, H, W] -> logits [B, C]."""
    x = functional.relu(self.stem_spatial(x))
    x = functional.relu(self.stem_temporal(x))
    x = functional.max_pool3d(functional.pad(x, (0, 1, 0, 1)), (1, 3, 3), (1, 2, 2))  # after ReLU, zeros never win
    return self.classifier(self.units(x).mean(dim=(2, 3, 4)))


def copy_weights(network, weights) -> None:
  """Copies trainable weights of the Keras reference, in the order of their creation."""
  parameters = list(network.parameters())
  assert len(parameters) == len(weights)
  with torch.no_grad():
    for parameter, value in zip(parameters, weights):
      axes = {5: (4, 3, 0, 1, 2), 2: (1, 0), 1: (0,)}[value.ndim]
      parameter.copy_(torch.from_numpy(np.ascontiguousarray(value.transpose(axes))))


def loss_of_dmcl(logits, labels, temperature=2.0):
  """The loss of DMCL: the winner learns the label, the losers the label and the softened winner (eq. 5.3)."""
  hard = torch.stack([functional.cross_entropy(z, labels, reduction='none') for z in logits])
  winner = hard.argmin(dim=0)
  teacher = torch.stack(logits)[winner, torch.arange(len(labels))].detach()
  targets = functional.softmax(teacher / temperature, dim=-1)
  soft = torch.stack([-(targets * functional.log_softmax(z / temperature, dim=-1)).sum(dim=-1) for z in logits])
  loses = torch.arange(len(logits))[:, None] != winner
  return (hard + loses * temperature**2 * soft).mean(dim=1).sum()


def main() -> None:
  """Prints the error of the logits, and the videos per second of a turn for each line of the input."""
  parser = argparse.ArgumentParser()
  parser.add_argument('stored', help='npz with weights, inputs and logits of one network')
  for name in ('batch_size', 'steps', 'size', 'width', 'frames', 'num_classes'):
    parser.add_argument(f'--{name}', type=int, required=True)
  args = parser.parse_args()
  networks = [R2Plus1D(args.num_classes, args.width) for _ in range(3)]
  with np.load(args.stored) as stored:
    copy_weights(networks[0], [stored[f'weight{i}'] for i in range(len(stored.files) - 2)])
    logits = networks[0](torch.from_numpy(stored['inputs'].transpose(0, 4, 1, 2, 3).copy())).detach().numpy()
    print(np.linalg.norm(logits - stored['logits']) / np.linalg.norm(stored['logits']), flush=True)
  # Channels last are faster on CPUs.
  networks = [network.to(memory_format=torch.channels_last_3d) for network in networks]
  parameters = [p for network in networks for p in network.parameters()]
  optimizer = torch.optim.SGD([
      {'params': [p for p in parameters if p.ndim > 1], 'weight_decay': 2e-4},
      {'params': [p for p in parameters if p.ndim == 1]}], 1e-3, momentum=0.9)
  shape = (args.batch_size, 3, args.frames, args.size, args.size)
  clips = [(255 * torch.rand(shape)).to(memory_format=torch.channels_last_3d) for _ in networks]
  labels = torch.arange(args.batch_size) % args.num_classes
  for _ in sys.stdin:
    start = time.perf_counter()
    for _ in range(args.steps):
      optimizer.zero_grad(set_to_none=True)
      loss = loss_of_dmcl([network(clip) for network, clip in zip(networks, clips)], labels)
      loss.backward()
      optimizer.step()
    assert np.isfinite(loss.item())
    print(args.batch_size * args.steps / (time.perf_counter() - start), flush=True)


if __name__ == '__main__':
  main()
