"""A recorded function at other inputs: its operators run again, without the function."""

from collections.abc import Sequence
from typing import Any

import torch

from .recorder import recordable
from .tape import Node, Ref, Tape


def replayed(tape: Tape, inputs: Sequence[torch.Tensor]) -> Tape | None:
    """Return the tape with the values that its operators give at other inputs.

    Parameters
    ----------
    tape : a recorded function; what stood still then stands still now.
    inputs : one tensor for each of its inputs, in double precision.

    Returns
    -------
    Tape, or None where it cannot stand for the function: an operator draws random numbers, or a truth that the
    function branched on comes out differently.
    """
    if any(torch.Tag.nondeterministic_seeded in getattr(node.operator, "tags", ()) for node in tape.nodes):
        return None
    made = {id(node): Node(None, (), {}, [tensor.detach()]) for node, tensor in zip(tape.inputs, inputs, strict=True)}

    def now(argument: Any) -> Any:
        if isinstance(argument, Ref):
            return Ref(made[id(argument.node)], argument.output)
        return [now(item) for item in argument] if isinstance(argument, (list, tuple)) else argument

    with recordable():
        for node in tape.nodes:
            args = tuple(now(argument) for argument in node.args)
            kwargs = {name: now(value) for name, value in node.kwargs.items()}
            out = node.operator(*map(_value, args), **{name: _value(value) for name, value in kwargs.items()})
            values = list(out) if isinstance(out, (list, tuple)) else [out]
            made[id(node)] = Node(node.operator, args, kwargs, values, node.stopped)
    if any(not torch.equal(now(guard).value, guard.value) for guard in tape.guards):
        return None
    outputs = tuple(now(output) for output in tape.outputs)
    return Tape(tuple(made[id(node)] for node in tape.nodes), tuple(made[id(node)] for node in tape.inputs), outputs,
                tuple(now(guard) for guard in tape.guards))


def _value(argument: Any) -> Any:
    if isinstance(argument, Ref):
        return argument.value
    return [_value(item) for item in argument] if isinstance(argument, list) else argument
