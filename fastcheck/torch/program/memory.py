"""What a perturbation takes of memory: the changes that are alive at once, and what rules need on the way."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch

from .tape import Node, refs_of

# Arrays of its output's or largest operand's size that a rule makes on the way, at most: those of normalisation and of
# sigmoids are the hungriest.
TEMPORARIES = 6
BYTES = 8
CONVOLUTION = torch.ops.aten.convolution.default

Slots = tuple[int, ...]


def last_uses(steps: Sequence[tuple[Slots, Slots]], kept: Collection[int]) -> list[Slots]:
    """Return the slots that nobody reads after each step.

    Parameters
    ----------
    steps : in order, the slots that each reads and those that it fills.
    kept : slots that are read in the end.
    """
    last: dict[int, int] = {}
    for number, (read, filled) in enumerate(steps):
        last.update(dict.fromkeys((*filled, *read), number))
    freed: list[list[int]] = [[] for _ in steps]
    for slot, number in last.items():
        if slot not in kept:
            freed[number].append(slot)
    return [tuple(slots) for slots in freed]


def bytes_of_column(nodes: Sequence[Node], steps: Sequence[tuple[Slots, Slots]], inputs: Sequence[Node]) -> int:
    """Return the bytes that one perturbation takes at most, where all inputs move.

    Parameters
    ----------
    nodes : the operators in order.
    steps : the slots that each fills, and those that are let go behind it.
    inputs : the inputs' nodes, whose slots are the first.
    """
    alive = {slot: _size(node.values[0]) for slot, node in enumerate(inputs)}
    most = total = sum(alive.values())
    for node, (filled, freed) in zip(nodes, steps, strict=True):
        for slot, value in zip(filled, node.values, strict=True):
            size = _size(value)
            total += size - alive.get(slot, 0)
            alive[slot] = size
        most = max(most, total + _on_the_way(node))
        total -= sum(alive.pop(slot, 0) for slot in freed)
    return BYTES * most


def _size(value: Any) -> int:
    return int(value.numel()) if isinstance(value, torch.Tensor) else 0


def _on_the_way(node: Node) -> int:
    """Return entries of the temporary arrays of one operator's rule."""
    operands = [ref.value for ref in refs_of((*node.args, *node.kwargs.values()))]
    largest = max(map(_size, (*operands, *node.values)), default=0)
    if node.operator is CONVOLUTION:
        # PyTorch lays the windows of the input out, in double precision: for each position all that the kernel meets.
        kernel = getattr(node.args[1], "value", node.args[1])
        positions = _size(node.values[0]) // max(node.values[0].shape[1], 1)
        return TEMPORARIES * largest + positions * math.prod(kernel.shape[1:])
    return TEMPORARIES * largest
