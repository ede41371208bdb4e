"""A recorded function: the operators that were run on what moves, in their order, and what refers to what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(eq=False)
class Node:
    """One operator that was run on something that moves.

    Parameters
    ----------
    operator : what was run; None for an input.
    args, kwargs : its arguments, with a ``Ref`` in place of each tensor that moves.
    values : its outputs at the point.
    stopped : whether it ran where the function had switched autograd off, or detaches because the function says so.
    """

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    values: list[Any]
    stopped: bool = False


@dataclass(frozen=True, eq=False)
class Ref:
    """One output of a node."""

    node: Node
    output: int = 0

    @property
    def value(self) -> torch.Tensor:
        """Its value at the point."""
        tensor: torch.Tensor = self.node.values[self.output]
        return tensor


def refs_of(arguments: Sequence[Any]) -> list[Ref]:
    """Return all that arguments refer to, in lists as well."""
    found: list[Ref] = []
    for argument in arguments:
        if isinstance(argument, Ref):
            found.append(argument)
        elif isinstance(argument, (list, tuple)):
            found += refs_of(argument)
    return found


@dataclass(frozen=True)
class Tape:
    """A recorded function.

    Parameters
    ----------
    nodes : in the order of running, without the inputs.
    inputs : one node each.
    outputs : what the function returned, flattened: a ``Ref`` where it moves, else a tensor.
    guards : truths that the function branched on: a perturbation that changes one leaves the recorded path.
    graph : whether the function differentiates by its inputs, which it then has to be given with a history.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    outputs: tuple[Ref | torch.Tensor, ...]
    guards: tuple[Ref, ...]
    graph: bool = False
