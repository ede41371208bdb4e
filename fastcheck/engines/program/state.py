"""What one run of the program engine knows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._types import Indices
from .choice import Way
from .colouring import Colouring
from .columns import Job, measure
from .limits import Limits
from .places import Place
from .problem import ProgramProblem
from .quotients import Quotients
from .runner import Runner

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass
class Check:
    """One run of the engine: what is wanted of each input, how it is found, and what was found."""

    problem: ProgramProblem
    runner: Runner
    inputs: list[Place]
    wanted: list[Indices]
    generator: "Generator"
    limits: Limits
    ways: list[Way]
    places: dict[Place, Quotients]
    quotients: list[Quotients]

    def take_single(self, place: Place, entries: Indices) -> None:
        """Move entries of an input by themselves, whatever was found of them before."""
        self.quotients[place.number].take(measure([Job(Colouring(place), entries)], self.runner, self.limits)[0])
