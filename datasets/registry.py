"""All datasets by name, and their protocols."""

from typing import Dict, List, Optional, Sequence

from tf_privinfo.datasets.ntu_rgbd.spec import NTU60, NTU60_MINI, NTU120, NTU120_MINI
from tf_privinfo.datasets.nwucla.spec import NWUCLA
from tf_privinfo.datasets.nyud.spec import NYUD
from tf_privinfo.datasets.protocols import Split
from tf_privinfo.datasets.recordings import protocols as table_protocols
from tf_privinfo.datasets.recordings.spec import RECORDINGS, RECORDINGS_OBJECTS
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
    'recordings': RECORDINGS,
    'recordings_objects': RECORDINGS_OBJECTS,
}


def resolve_protocol(dataset: str, protocol: Optional[str]) -> str:
  """Name of a protocol of a dataset, the default one for None; raises `UserError` if it does not exist."""
  known = DATASETS[dataset].protocols
  if DATASETS[dataset].from_table:
    table_protocols.parse(protocol or 'split')
    return protocol or 'split'
  if protocol is None:
    return next(iter(known))
  if protocol not in known:
    raise errors.UserError(
        f'Unknown --protocol={protocol} for dataset {dataset}: choose one of {", ".join(known)}.')
  return protocol


def with_fold(dataset: str, protocol: Optional[str], fold: int) -> str:
  """The protocol with the number of its fold; raises `UserError` if it has no folds."""
  if not DATASETS[dataset].from_table:
    raise errors.UserError(f'--fold is for --protocol=folds:COLUMN=NUMBER of recordings, not for {dataset}.')
  return table_protocols.with_fold(resolve_protocol(dataset, protocol), fold)


def parts(dataset: str, protocol: str, names: Sequence[str], hold_out: float = 0.05, *,
          rows: Optional[table_protocols.Rows] = None, hold_out_by: str = '') -> Split:
  """As `split`, but parts can be empty."""
  if DATASETS[dataset].from_table:
    return table_protocols.split(protocol, rows or {}, hold_out, hold_out_by)
  return DATASETS[dataset].protocols[protocol](names, hold_out)


def counts(rows: Optional[table_protocols.Rows], parts_of: Split, protocol: str) -> List[str]:
  """Lines on the parts of a table, by class and attribute, with a warning of a random split; none for other data."""
  if not rows:
    return []
  warning = [f'Warning: the split is random, and {table_protocols.WHY_NOT_RANDOM}.'] if protocol.startswith(
      'random') else []
  return [*table_protocols.counts(parts_of, rows), *warning]


def split(dataset: str, protocol: str, names: Sequence[str], hold_out: float = 0.05, *,
          rows: Optional[table_protocols.Rows] = None, hold_out_by: str = '') -> Split:
  """Splits samples by a protocol.

  Args:
    dataset: name of the dataset.
    protocol: name of the protocol.
    names: names of all samples.
    hold_out: fraction of the training set that is held out for validation; 0: no validation set.
    rows: columns of every sample, if the dataset is a table.
    hold_out_by: attribute whose values stay together in the held-out part, if the dataset is a table.

  Raises:
    UserError: if the training or test set is empty.
  """
  result = parts(dataset, protocol, names, hold_out, rows=rows, hold_out_by=hold_out_by)
  for part in ('train', 'test'):
    if not getattr(result, part):
      raise errors.UserError(
          f'Protocol {protocol} finds no sample to {part} on among the {len(names)} samples of {dataset}.')
  return result
