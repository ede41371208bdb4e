"""One operator as it is differenced: its operands' values and changes; and the kinds of operators there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..._errors import NoRule
from ...rules.branches import Branches
from ...rules.contractions import bilinear
from ...rules.table import RULES


@dataclass(slots=True)
class Call:
    """An operator with values in place of its tensors.

    Parameters
    ----------
    operator : the ATen operator.
    args, kwargs : its arguments at the point.
    changes : the arguments' changes, (*batch, *shape) each; None for what stands still; lists where ``args`` has lists.
    outputs : its values at the point.
    read : whether anything reads the change of each output.
    batch : () or (B,).
    branches : takes note of kinks.
    """

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    changes: tuple[Any, ...]
    outputs: list[Any]
    read: tuple[bool, ...]
    batch: tuple[int, ...]
    branches: Branches

    @property
    def out(self) -> Any:
        """The first output's value."""
        return self.outputs[0]

    def option(self, place: int, name: str, default: Any = None) -> Any:
        """Give an argument that is not a tensor, by its place or its name."""
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)

    def only(self, *places: int) -> None:
        """Raise NoRule where any other argument moves."""
        for place, change in enumerate(self.changes):
            some = change is not None if not isinstance(change, list) else any(c is not None for c in change)
            if some and place not in places:
                raise NoRule(f"{self.operator} whose argument {place} moves")


Handler = Callable[[Call], Any]


def zeros(call: Call, value: torch.Tensor) -> torch.Tensor:
    """Return the change of an operand that stands still, where one is needed."""
    dtype = torch.complex128 if value.is_complex() else torch.float64
    return torch.zeros(call.batch + tuple(value.shape), dtype=dtype, device=value.device)


def lifted(change: torch.Tensor, value: Any, count: int, batch: tuple[int, ...]) -> torch.Tensor:
    """Return a change with its own axes lifted to ``count``, so that it broadcasts behind the batch axis."""
    missing = count - value.ndim
    if missing <= 0 or not batch:
        return change
    return change.reshape(batch + (1,) * missing + tuple(value.shape))


def axes_of(dims: Any, count: int) -> tuple[int, ...]:
    """Axes counted from the end; all where none are named."""
    if dims is None or dims == []:
        return tuple(range(-count, 0))
    return tuple(int(d) % count - count for d in (dims if isinstance(dims, (list, tuple)) else [dims]))


def ruled(name: str, values: Sequence[Any], changes: Sequence[Any], out: Any, call: Call, **options: Any) -> Any:
    """Return the rule of ``fastcheck.rules`` with that name, its result in full shape."""
    rule = RULES.get(name)
    if rule is None:
        raise NoRule(f"{call.operator}")
    given = tuple(v if isinstance(v, torch.Tensor) or v is None else _number(v, out.device) for v in values)
    if rule.elementwise:
        changes = [None if d is None else lifted(d, v, out.ndim, call.batch)
                   for d, v in zip(changes, given, strict=True)]
    change = rule.change(torch, given, tuple(changes), out, call.branches, **options)
    return torch.broadcast_to(change, call.batch + tuple(out.shape))


def _number(value: complex, device: torch.device) -> torch.Tensor:
    """Return a Python number in double precision."""
    return torch.tensor(value, dtype=torch.complex128 if isinstance(value, complex) else torch.float64, device=device)


def elementwise(name: str, count: int = 1) -> Handler:
    """Return an operator whose first ``count`` arguments are a rule's operands."""

    def handler(call: Call) -> Any:
        call.only(*range(count))
        return ruled(name, call.args[:count], call.changes[:count], call.out, call)

    return handler


def linear(*places: int, fixed: dict[int, Any] | None = None, shapes: tuple[int, ...] = ()) -> Handler:
    """Return an operator that is linear in the arguments at ``places`` together: itself, applied to the changes.

    fixed : arguments that take another value then, by place: the constant of a padding is zero.
    shapes : arguments of which only the shape counts, by place.
    """

    def handler(call: Call) -> Any:
        call.only(*places, *shapes)
        args, dims = list(call.args), [None] * len(call.args)
        for place, value in (fixed or {}).items():
            if place < len(args):
                args[place] = value
        for place in places:
            if place < len(args):
                args[place], dims[place] = _operand(call, place)
        if not call.batch:
            return call.operator(*args, **call.kwargs)
        moving = [place for place in places if place < len(args)]

        def one(*given: Any) -> Any:
            full = list(args)
            for place, value in zip(moving, given, strict=True):
                full[place] = value
            return call.operator(*full, **call.kwargs)

        return torch.vmap(one, in_dims=tuple(dims[place] for place in moving))(*(args[place] for place in moving))

    return handler


def _operand(call: Call, place: int) -> tuple[Any, Any]:
    """Return what stands for an argument, and its batch axis."""
    value, change = call.args[place], call.changes[place]
    if isinstance(value, (list, tuple)):
        filled = [zeros(call, v) if c is None else c for v, c in zip(value, change, strict=True)]
        return filled, [0] * len(filled)
    return (zeros(call, value) if change is None else change), 0


matrix_product = partial(bilinear, torch.matmul)
