"""All datasets by name, and their protocols."""

from typing import Dict, Optional, Sequence

from tf_privinfo.datasets.ntu_rgbd.spec import NTU60, NTU60_MINI, NTU120, NTU120_MINI
from tf_privinfo.datasets.nwucla.spec import NWUCLA
from tf_privinfo.datasets.nyud.spec import NYUD
from tf_privinfo.datasets.protocols import Split
from tf_privinfo.datasets.spec import DatasetSpec
from tf_privinfo.datasets.synthetic.spec import SYNTHETIC
from tf_privinfo.datasets.synthetic_objects.spec import SYNTHETIC_OBJECTS
from tf_privinfo.datasets.uwa3dii.spec import UWA3DII
from tf_privinfo.utils import errors

DATASETS: Dict[str, DatasetSpec] = {
    'synthetic': SYNTHETIC,
    'nwucla': NWUCLA,
    'ntu60': NTU60,
    'ntu60_mini': NTU60_MINI,
    'ntu120': NTU120,
    'ntu120_mini': NTU120_MINI,
    'uwa3dii': UWA3DII,
    'synthetic_objects': SYNTHETIC_OBJECTS,
    'nyud': NYUD,
}


def resolve_protocol(dataset: str, protocol: Optional[str]) -> str:
  """Name of a protocol of a dataset, the default one for None; raises `UserError` if it does not exist."""
  known = DATASETS[dataset].protocols
  if protocol is None:
    return next(iter(known))
  if protocol not in known:
    raise errors.UserError(
        f'Unknown --protocol={protocol} for dataset {dataset}: choose one of {", ".join(known)}.')
  return protocol


def split(dataset: str, protocol: str, names: Sequence[str], hold_out: float = 0.05) -> Split:
  """Splits samples by a protocol.

  Args:
    dataset: name of the dataset.
    protocol: name of the protocol.
    names: names of all samples.
    hold_out: fraction of the training set that is held out for validation; 0: no validation set.

  Raises:
    UserError: if the training or test set is empty.
  """
  result = DATASETS[dataset].protocols[protocol](names, hold_out)
  for part in ('train', 'test'):
    if not getattr(result, part):
      raise errors.UserError(
          f'Protocol {protocol} finds no sample to {part} on among the {len(names)} samples of {dataset}.')
  return result
