"""Forward propagation at theta on several threads, some units of a layer at a time."""

from collections.abc import Callable
from functools import partial

from ...problems.networks.problem import Problem
from ...problems.networks.propagation import Propagation
from ...runtime.threads import run_all
from .pieces import WORTH_SHARING, pieces_of_rows
from .point import Passed


def forward(problem: Problem, threads: int, look: Callable[[int, Passed], None]) -> Propagation:
    """Return what forward propagation leaves behind.

    Parameters
    ----------
    look : called with each layer's number, from 0 on, and what it has become.  That is done beside the products of the
        next layer: many short calls of NumPy hold up other threads that make short calls, but not those in a long one.
    """
    run, a = Propagation(problem.X, [], []), problem.X
    looks: list[Callable[[], None]] = []
    for k, (place, entry) in enumerate(zip(problem.network.places, problem.network.activation_entries, strict=True)):
        values = place.values(problem.parameters)
        layer = Passed(values["W"], values["b"].reshape(-1, 1), entry, a, first=not k)
        work = layer.W.size * problem.m
        pieces = [partial(layer.propagate, rows) for rows in pieces_of_rows(len(layer.W), work)]
        run_all(_do, [*pieces, *looks], threads if work > WORTH_SHARING else 1)
        if not entry.elementwise:
            layer.a = entry.value(layer.z)
        a = layer.a
        run.Z.append(layer.z)
        run.A.append(a)
        looks = [partial(look, k, layer)]
    for last in looks:
        last()
    return run


def _do(task: Callable[[], None]) -> None:
    task()
