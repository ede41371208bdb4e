"""Costs on the lines along single parameters, counted, timed, and held to a deadline."""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices
from ...problems.functions.evaluators import Evaluator

# Longest time between two looks at the clock, so that a time limit holds to within it or one evaluation.
BLOCK_SECONDS = 0.2


R = TypeVar("R")


class OutOfTime(Exception):
    """The deadline of a check has passed: what is under work is given up."""


def timely(call: Callable[..., R], deadline: float) -> Callable[..., R]:
    """Return the same call, which raises OutOfTime after a deadline of ``time.perf_counter``."""

    def in_time(*args: Any) -> R:
        """Call it, unless the deadline has passed."""
        if time.perf_counter() >= deadline:
            raise OutOfTime
        return call(*args)

    return in_time


class ParameterLines:
    """The lines along single parameters.

    Parameters
    ----------
    evaluator : computes costs.
    theta : (n,) where the lines meet.
    deadline : of ``time.perf_counter``, after which no further evaluation is started; what follows the last one, a
        single evaluation at theta, begins before it as well.
    expected : seconds of one evaluation, as far as they are known beforehand.

    Attributes
    ----------
    count : evaluations so far.
    seconds : how long they took.
    """

    def __init__(
        self, evaluator: Evaluator, theta: Array, deadline: float, expected: float
    ) -> None:
        self.evaluator, self.theta, self.deadline, self.expected = evaluator, theta, deadline, expected
        self.count = 0
        self.seconds = 0.0

    @property
    def seconds_each(self) -> float:
        """Time of one evaluation."""
        return self.seconds / self.count if self.count else self.expected

    @property
    def over(self) -> bool:
        """Whether the time is over: no evaluation may be started but the one that follows the last."""
        return time.perf_counter() + self.seconds_each >= self.deadline

    def time_one(self) -> None:
        """Evaluate once where nothing is known yet of how long that takes.

        Raises
        ------
        OutOfTime : where there is no time for that.
        """
        if not self.seconds_each:
            if self.over:
                raise OutOfTime
            self.at(self.theta.copy())

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        """Distances as they came out, and costs there."""
        values, made = _moved(self.theta[which][:, None], distances)
        costs = self.costs_at(which.repeat(values.shape[1]), values.reshape(-1))
        return made, costs.reshape(values.shape)

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs with some entries moved (see ``Evaluator``).

        Raises
        ------
        OutOfTime : where the deadline has passed before all of them are known.
        """
        if not math.isfinite(self.deadline):
            return self._evaluated(positions, values)
        parts, done = [], 0
        while done < len(values):
            if self.over:
                raise OutOfTime
            seconds = min(BLOCK_SECONDS, self.deadline - time.perf_counter())
            size = max(1, int(seconds / max(self.seconds_each, 1e-9))) if self.count else 1
            parts.append(self._evaluated(positions[done : done + size], values[done : done + size]))
            done += size
        return np.concatenate(parts) if parts else self._evaluated(positions, values)

    def _evaluated(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        started = time.perf_counter()
        costs = self.evaluator.costs_at(positions, values)
        self.seconds += time.perf_counter() - started
        self.count += len(values)
        return costs

    def at(self, theta: Any) -> Any:
        """Return the cost of a whole vector."""
        started = time.perf_counter()
        cost = self.evaluator.at(theta)
        self.seconds += time.perf_counter() - started
        self.count += 1
        return cost


@np.errstate(invalid="ignore")
def _moved(start: Array, distances: Array) -> tuple[Array, Array]:
    """Return the places at some distances, and the distances as floating point really made them."""
    values = start + distances
    return values, values - start
