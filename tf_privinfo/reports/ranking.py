"""Whether runs put the rows of a table in the thesis' order.

Of other data, other figures are expected, and not another order.
"""

import dataclasses
import itertools
from typing import List, Mapping, NamedTuple, Sequence

from tf_privinfo.reports import results, statistics


@dataclasses.dataclass(frozen=True)
class Pair:
  """Two rows of a table, one above the other in the thesis.

  Attributes:
    above: the row that has more in the thesis.
    below: the other one.
    place: dataset and protocol of the thesis' figures.
    thesis: points between them in the thesis, always positive.
    measured: seed -> points between their runs with this seed, positive if as in the thesis.
  """
  above: results.MeasuredValue
  below: results.MeasuredValue
  place: str
  thesis: float
  measured: Mapping[int, float]

  @property
  def mean(self) -> float:
    """Points between the rows, on average of the seeds."""
    return statistics.mean(self.measured.values())

  @property
  def holds(self) -> bool:
    """Whether the order is the thesis', on average of the seeds."""
    return self.mean > 0

  @property
  def decided(self) -> bool:
    """Whether it is the same order with all seeds, of which there are several."""
    signs = {(value > 0) - (value < 0) for value in self.measured.values()}
    return len(self.measured) > 1 and signs in ({1}, {-1})


def pairs(measured_values: Sequence[results.MeasuredValue]) -> List[Pair]:
  """All pairs of rows that have different figures of one place in the thesis, and runs with the same seeds."""
  found = []
  for one, other in itertools.combinations(measured_values, 2):
    seeds = [seed for seed in one.values if seed in other.values]
    papers = dict(other.wanted.paper)
    for place, figure in one.wanted.paper:
      if not seeds or papers.get(place, figure) == figure:
        continue
      above, below = (one, other) if figure > papers[place] else (other, one)
      found.append(Pair(above, below, place, abs(figure - papers[place]),
                        {seed: 100 * (above.values[seed] - below.values[seed]) for seed in seeds}))
  return found


class Count(NamedTuple):
  """How many of some pairs have the thesis' order; as a string it is a sentence's part.

  Attributes:
    pairs: all of them.
    pairs_as_in_thesis: those in the thesis' order on average of the seeds.
    decided_pairs: those in the same order with all seeds.
    decided_pairs_as_in_thesis: those of these whose order is the thesis'.
  """
  pairs: int
  pairs_as_in_thesis: int
  decided_pairs: int
  decided_pairs_as_in_thesis: int

  def __str__(self):
    text = f'{self.pairs_as_in_thesis} of {self.pairs}'
    if not self.decided_pairs:
      return text
    return f'{text}; where all seeds agree {self.decided_pairs_as_in_thesis} of {self.decided_pairs}'


def count(found: Sequence[Pair]) -> Count:
  """Counts pairs."""
  decided = [pair for pair in found if pair.decided]
  return Count(len(found), sum(pair.holds for pair in found), len(decided), sum(pair.holds for pair in decided))
