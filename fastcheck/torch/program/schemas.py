"""What the schema of an operator says: which tensor it writes to, and which operator returns that instead."""

from typing import Any

import torch

from ..._errors import NoRule


def target_of(func: Any, args: Any, kwargs: Any) -> torch.Tensor | None:
    """Return the tensor that an operator writes to."""
    for place, argument in enumerate(func._schema.arguments):
        if _written_to(argument):
            value = kwargs.get(argument.name, args[place] if place < len(args) else None)
            if isinstance(value, torch.Tensor):
                return value
            if isinstance(value, (list, tuple)):
                raise NoRule(f"{func}, which writes to several tensors", "use operators that return new tensors")
    return None


def functional_of(func: Any) -> Any:
    """Return the operator that returns what ``func`` writes: of the same arguments; None where there is none."""
    name = func._schema.name.split("::")[1].removesuffix("_")
    packet = getattr(torch.ops.aten, name, None) or getattr(torch.ops.aten, f"{name}_functional", None)
    wanted = _argument_names(func)
    for overload in () if packet is None else packet.overloads():
        found = getattr(packet, overload)
        if _argument_names(found) == wanted and not any(_written_to(a) for a in found._schema.arguments):
            return found
    return None


def _argument_names(func: Any) -> list[tuple[str, str]]:
    """Return the names and types of an operator's arguments, without those that only say where to write."""
    return [(a.name, str(a.type)) for a in func._schema.arguments if not (a.is_out if hasattr(a, "is_out") else False)]


def _written_to(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)
