"""Comparison of the order of rows in a table between runs and thesis.

On different data, results differ, but the order of the rows should be the same.
"""

import dataclasses
import itertools
from typing import List, Mapping, NamedTuple, Sequence

from tf_privinfo.reports import results, statistics


@dataclasses.dataclass(frozen=True)
class Pair:
  """Two rows of a table with different figures in the thesis.

  Attributes:
    above: row with the higher figure in the thesis.
    below: row with the lower figure in the thesis.
    place: dataset and protocol of the figures in the thesis.
    thesis: difference in the thesis, in points, always positive.
    measured: seed -> difference between the runs, in points, positive if as in the thesis.
  """
  above: results.MeasuredValue
  below: results.MeasuredValue
  place: str
  thesis: float
  measured: Mapping[int, float]

  @property
  def mean(self) -> float:
    """The measured difference, in points, averaged over the seeds."""
    return statistics.mean(self.measured.values())

  @property
  def holds(self) -> bool:
    """Whether the average over the seeds has the same order as the thesis."""
    return self.mean > 0

  @property
  def decided(self) -> bool:
    """Whether there are several seeds and all have the same order."""
    signs = {(value > 0) - (value < 0) for value in self.measured.values()}
    return len(self.measured) > 1 and signs in ({1}, {-1})


def pairs(measured_values: Sequence[results.MeasuredValue]) -> List[Pair]:
  """All pairs of rows with common seeds and with different figures for the same dataset and protocol in the thesis."""
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
  """Numbers of pairs by their order; `str` returns a part of a sentence.

  Attributes:
    pairs: number of all pairs.
    pairs_as_in_thesis: number of pairs with the order of the thesis, on average over the seeds.
    decided_pairs: number of pairs with the same order for all seeds.
    decided_pairs_as_in_thesis: number of these pairs with the order of the thesis.
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
  """Counts pairs by their order."""
  decided = [pair for pair in found if pair.decided]
  return Count(len(found), sum(pair.holds for pair in found), len(decided), sum(pair.holds for pair in decided))
