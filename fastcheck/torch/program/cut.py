"""Where a scalar loss can be cut: the last tensor that it is a weighted sum of.

Behind the cut only sums, means and fixed factors follow, so that a change of the loss is the weights' product with the
change of that tensor.  There samples are still apart: entries that feed different ones can be moved together.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .tape import Node, Ref, Tape

aten, prims = torch.ops.aten, torch.ops.prims
# (the node, the weights of its output) -> the weights of its first operand; None where it is not a fixed weighted sum.
Back = Callable[[Node, torch.Tensor], torch.Tensor | None]


def cut(tape: Tape) -> tuple[Ref, torch.Tensor] | None:
    """Return the tensor that the tape's single number is a weighted sum of, and the weights; None for other outputs."""
    if len(tape.outputs) != 1 or not isinstance(tape.outputs[0], Ref) or tape.outputs[0].value.numel() != 1:
        return None
    uses = _uses(tape)
    ref, weights = tape.outputs[0], torch.ones_like(tape.outputs[0].value)
    while True:
        node = ref.node
        back = BACK.get(getattr(node.operator, "overloadpacket", None))
        operand = node.args[0] if node.args else None
        if back is None or ref.output != 0 or not isinstance(operand, Ref) or _others(node) or uses[id(ref.node)] > 1:
            return ref, weights
        found = back(node, weights)
        if found is None or uses[id(operand.node)] > 1:
            return ref, weights
        ref, weights = operand, found


def _uses(tape: Tape) -> dict[int, int]:
    """Return how often nodes are read."""
    counts: dict[int, int] = {id(node): 0 for node in (*tape.inputs, *tape.nodes)}
    readers: Sequence[Any] = [*(argument for node in tape.nodes for argument in _flat(node.args)), *tape.outputs,
                              *tape.guards]
    for argument in readers:
        if isinstance(argument, Ref):
            counts[id(argument.node)] += 1
    return counts


def _flat(arguments: Sequence[Any]) -> list[Any]:
    return [item for a in arguments for item in (a if isinstance(a, (list, tuple)) else [a])]


def _others(node: Node) -> bool:
    """Tell whether anything but the first operand moves."""
    return any(isinstance(a, Ref) for a in (*_flat(node.args[1:]), *node.kwargs.values()))


def _operand(node: Node) -> torch.Tensor:
    value: torch.Tensor = node.args[0].value
    return value


def _sum(node: Node, weights: torch.Tensor) -> torch.Tensor:
    value, dims = _operand(node), node.args[1] if len(node.args) > 1 else None
    axes = range(value.ndim) if dims in (None, []) else dims if isinstance(dims, (list, tuple)) else [dims]
    shape = [1 if k in {d % max(value.ndim, 1) for d in axes} else n for k, n in enumerate(value.shape)]
    return weights.reshape(shape).expand(value.shape)


def _mean(node: Node, weights: torch.Tensor) -> torch.Tensor:
    return _sum(node, weights) * (node.values[0].numel() / max(_operand(node).numel(), 1))


def _scaled(node: Node, weights: torch.Tensor) -> torch.Tensor | None:
    """Return a product with, or a quotient by, something fixed that does not make the output larger."""
    if node.values[0].shape != _operand(node).shape:
        return None
    factor = node.args[1]
    return weights / factor if "div" in str(node.operator) else weights * factor


def _negated(node: Node, weights: torch.Tensor) -> torch.Tensor:
    return -weights


def _reshaped(node: Node, weights: torch.Tensor) -> torch.Tensor:
    return weights.reshape(_operand(node).shape)


def _nll(node: Node, weights: torch.Tensor) -> torch.Tensor | None:
    """-weight[label] of the labelled entries, averaged or summed."""
    _, labels, weight, reduction, ignored = node.args
    value = _operand(node)
    if value.ndim != 2 or reduction not in (0, 1, 2):
        return None
    kept = labels != ignored
    each = torch.ones(value.shape[1], dtype=value.dtype, device=value.device) if weight is None else weight
    share = torch.where(kept, each[torch.where(kept, labels, 0)], 0.0)
    spread = share * weights if reduction != 1 else weights * share / share.sum()
    found = torch.zeros_like(value)
    found[torch.arange(len(labels), device=value.device), torch.where(kept, labels, 0)] = -spread
    return found


BACK: dict[Any, Back] = {
    aten.sum: _sum, prims.sum: _sum, aten.mean: _mean, aten.neg: _negated, prims.neg: _negated,
    aten.mul: _scaled, aten.div: _scaled, prims.mul: _scaled, prims.div: _scaled,
    aten.view: _reshaped, aten.reshape: _reshaped, aten._unsafe_view: _reshaped, aten.squeeze: _reshaped,
    aten.unsqueeze: _reshaped, aten.alias: _reshaped, aten.clone: _reshaped, aten.nll_loss_forward: _nll,
}
