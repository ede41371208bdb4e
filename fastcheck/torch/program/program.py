"""A PyTorch function on tensors that carry changes: the front end of the program engine for PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch

from ..._errors import NoRule
from ..._types import Array, Mask
from ...rules.branches import Branches
from .call import Call
from .operators import CONSTANT, OPERATORS
from .products import products_of
from .recorder import Node, Ref, Tape, record

Key = tuple[int, int]
# So few perturbations are run one by one: a batch of them costs more than it saves.
ONE_BY_ONE = 2


@dataclass(frozen=True)
class Response:
    """What perturbations do to a program's outputs.

    Parameters
    ----------
    changes : one per output, (B, *shape); None for an output that stands still.
    crossed, ties : (B,) which perturbations crossed a kink; which moved a value that stands on one.
    """

    changes: tuple[Array | None, ...]
    crossed: Mask
    ties: Mask


class TorchProgram:
    """A function of tensors, recorded at one point; changes go in and come out as NumPy arrays.

    Parameters
    ----------
    function : takes the inputs, returns a tensor or a structure of tensors.
    inputs : double precision, on any device; what is moved.

    Attributes
    ----------
    outputs : what the function returned, flattened.
    products, complete : where inputs enter operators that are linear in them, and whether that is all they do.

    Raises
    ------
    NoRule : where the function cannot be followed.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> None:
        self.tape: Tape = record(function, inputs, OPERATORS, CONSTANT)
        self.outputs = tuple(_array(o.value if isinstance(o, Ref) else o) for o in self.tape.outputs)
        self._nodes = _needed(self.tape)
        self._places = [_places(node) for node in self._nodes]
        self.products, self.complete = products_of(self._nodes, self.tape.inputs, self.tape.outputs)

    def run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array] | None = None, convention: float | None = None
    ) -> Response:
        """The outputs' changes where inputs, or outputs of single operators, change.

        Parameters
        ----------
        changes : by the input's number, (B, *shape).
        sites : by the operator's number among those that the outputs need, (B, *shape of its first output).
        convention : how ties are resolved (see ``fastcheck.rules.branches``).

        Raises
        ------
        NoRule : at an operator without a rule, or where a perturbation would take another path.
        """
        moved: dict[Key, torch.Tensor] = {}
        for nodes, given in ((self.tape.inputs, changes), (self._nodes, sites or {})):
            for number, change in given.items():
                like = nodes[number].values[0]
                moved[id(nodes[number]), 0] = torch.as_tensor(np.ascontiguousarray(change), device=like.device)
        count = len(next(iter(moved.values())))
        if count > ONE_BY_ONE:
            return self._response(moved, (count,), convention)
        single = [self._response({key: change[row] for key, change in moved.items()}, (), convention)
                  for row in range(count)]
        stacked = (None if all(c is None for c in rows) else np.stack([np.zeros(out.shape) if c is None else c
                                                                      for c in rows])
                   for out, rows in zip(self.outputs, zip(*(r.changes for r in single), strict=True), strict=True))
        return Response(tuple(stacked), np.array([bool(r.crossed) for r in single]),
                        np.array([bool(r.ties) for r in single]))

    def _response(self, moved: Mapping[Key, torch.Tensor], batch: tuple[int, ...], convention: float | None) -> Response:
        """One pass over the operators."""
        branches = Branches(xp, batch, convention)
        found: dict[Key, Any] = dict(moved)
        with torch.no_grad():
            for node, places in zip(self._nodes, self._places, strict=True):
                if any(place in found for place in places):
                    _step(node, found, moved, batch, branches)
            for guard in self.tape.guards:
                change = found.get((id(guard.node), guard.output))
                if change is not None and bool((change != 0.0).any()):
                    raise NoRule("a branch that a perturbation takes the other way", "use torch.where")
            outputs = (found.get((id(o.node), o.output)) if isinstance(o, Ref) else None for o in self.tape.outputs)
            return Response(tuple(None if o is None else _array(o) for o in outputs),
                            _array(branches.crossed), _array(branches.ties))


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy()


def _needed(tape: Tape) -> tuple[Node, ...]:
    """The nodes that outputs and guards depend on, in order."""
    wanted = {id(o.node) for o in (*tape.outputs, *tape.guards) if isinstance(o, Ref)}
    kept = []
    for node in reversed(tape.nodes):
        if id(node) in wanted:
            kept.append(node)
            wanted.update(place for place, _ in _places(node))
    return tuple(reversed(kept))


def _places(node: Node) -> tuple[Key, ...]:
    """Which outputs of which nodes it reads."""
    return tuple((id(ref.node), ref.output) for ref in _refs((*node.args, *node.kwargs.values())))


def _refs(arguments: Sequence[Any]) -> list[Ref]:
    found: list[Ref] = []
    for argument in arguments:
        if isinstance(argument, Ref):
            found.append(argument)
        elif isinstance(argument, (list, tuple)):
            found += _refs(argument)
    return found


def _step(
    node: Node, found: dict[Key, Any], moved: Mapping[Key, torch.Tensor], batch: tuple[int, ...], branches: Branches
) -> None:
    """Find the changes of one node's outputs; what is moved there from outside comes on top."""
    handler = OPERATORS.get(node.operator)
    if handler is None:
        raise NoRule(str(node.operator))
    if any(isinstance(value, Ref) for value in node.kwargs.values()):
        raise NoRule(f"{node.operator} with a named argument that moves")
    call = Call(
        node.operator, tuple(_value(a) for a in node.args), node.kwargs, tuple(_change(a, found) for a in node.args),
        node.values, batch, branches,
    )
    change = handler(call)
    for output, one in enumerate(change if isinstance(change, (list, tuple)) else [change]):
        key = (id(node), output)
        if one is not None:
            found[key] = one + moved[key] if key in moved else one


def _value(argument: Any) -> Any:
    if isinstance(argument, Ref):
        return argument.value
    if isinstance(argument, (list, tuple)) and any(isinstance(item, Ref) for item in argument):
        return [_value(item) for item in argument]
    return argument


def _change(argument: Any, found: Mapping[Key, Any]) -> Any:
    if isinstance(argument, Ref):
        return found.get((id(argument.node), argument.output))
    if isinstance(argument, (list, tuple)) and any(isinstance(item, Ref) for item in argument):
        return [_change(item, found) for item in argument]
    return None
