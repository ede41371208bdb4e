"""Entries of a Jacobian that are wrong, in words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._types import Array
from .explained import explained
from .point import Part, Point

# Disagreeing entries that a message lists.
LISTED = 5
# Why entries are called neither right nor wrong.
NOISY = "the numerical values carry too much noise to tell"
BETWEEN = ("the derivative lies between the one-sided derivatives at kinks and equals that of no convention, which "
           "proves too little; check at arguments a little off")


@dataclass(frozen=True)
class Mismatch:
    """Entries of a Jacobian that are wrong, with all that a message needs.

    places : (k, 2) rows and columns, worst first.
    unsettled : why these entries are neither right nor wrong; "" for those that are wrong.
    """

    point: Point
    analytical: Array
    numerical: Array
    places: NDArray[np.intp]
    unsettled: str = ""

    def __str__(self) -> str:
        row, column = map(int, self.places[0])
        output, of = self.point.output_of(row), self.point.input_of(column)
        numbers = [list(parts).index(part) for parts, part in ((self.point.outputs, output), (self.point.inputs, of))]
        lines = [f"Jacobian mismatch for output {numbers[0]} with respect to input {numbers[1]} ({of.name}),"]
        lines += [self._entry(*map(int, place)) for place in self.places[:LISTED]]
        count = len(self.places)
        lines.append(f"{count:,} of {self.analytical.size:,} entries disagree."
                     if count > 1 else f"One of {self.analytical.size:,} entries disagrees.")
        said = self.unsettled or self.diagnosis(output, of)
        return "\n".join([*lines, *([f"Diagnosis: {said}"] if said else [])])

    def _entry(self, row: int, column: int) -> str:
        output, of = self.point.output_of(row), self.point.input_of(column)
        where = f"d {output.name}{output.place(row)} / d {of.name}{of.place(column)}"
        return f"  {where}: analytical {self.analytical[row, column]:.9g}, numerical {self.numerical[row, column]:.9g}"

    def diagnosis(self, output: Part, of: Part) -> str:
        """Return what is wrong with one block, in words, or "" where the numbers prove nothing."""
        return explained(self.point, self.analytical, self.numerical, output, of)
