"""A function as autograd has it: what it does not see, no_grad blocks and detached tensors, stands still.

A tensor that depends on the inputs and yet does not require gradients, read where autograd is on, was cut off before:
by ``detach()``, ``.data``, a block under ``torch.no_grad()``, a number that left PyTorch.  Inside custom Functions
autograd is off too, but what they return requires gradients.
"""

import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .._compat import DETACH
from ..tensors import floating
from .recorder import LEAVING, Recorder, Refuse, recordable, stopped, tape_of
from .tape import Node, Ref, Tape

aten = torch.ops.aten
UNDER_NO_GRAD, IN_PLACE = "what is computed under torch.no_grad()", "what is written in place under torch.no_grad()"
DETACHED, NUMBER = "what is detached by detach() or .data", "a number that is taken out by float() or .item()"
# Frames of these packages are nobody's own code.
_LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]))


@dataclass(frozen=True)
class Cut:
    """Where autograd loses sight of something: what, and the place in somebody's code, or ""."""

    what: str
    place: str


def record_as_autograd(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], known: Container[Any], constant: Container[Any]
) -> tuple[Tape, list[Cut]]:
    """Return the tape of a function in which what autograd does not see stands still, and where that is.

    Parameters
    ----------
    function, inputs, known, constant : as in ``recorder.record``.

    Raises
    ------
    NoRule : where a tensor is written to in a way that cannot be followed.
    """
    recorder = AutogradRecorder(known, constant)
    with torch.enable_grad():
        copies = [tensor.detach().clone().requires_grad_() for tensor in inputs]
        nodes = tuple(recorder.input(copy) for copy in copies)
        with recordable(), LetLeave(recorder), recorder:
            returned = function(*copies)
        return tape_of(recorder, nodes, returned), list(dict.fromkeys(recorder.cuts))


class LetLeave(Refuse):
    """Notes what takes numbers out of PyTorch's hands: autograd does not see them."""

    recorder: "AutogradRecorder"

    def leave(self, func: Any, tensor: torch.Tensor) -> None:
        """Note what leaves."""
        if floating(tensor) and self.recorder.reference(tensor) is not None:
            self.recorder.cuts.append(Cut(f"what leaves PyTorch by {LEAVING[func]}", _place()))


class AutogradRecorder(Recorder):
    """Writes operators down as they run, and takes for still what autograd has lost sight of.

    Attributes
    ----------
    cuts : where that was, in order.
    """

    def __init__(self, known: Container[Any], constant: Container[Any]) -> None:
        super().__init__(known, constant)
        self.cuts: list[Cut] = []
        self._depth = 0
        self._still_ids: set[int] = set()
        self._births: dict[int, Cut] = {}  # by the node's id

    def reference(self, tensor: torch.Tensor) -> Ref | None:
        """See ``Recorder``; None for what was cut off as well."""
        return None if id(tensor) in self._still_ids else super().reference(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator; its arguments that autograd does not see stand still from here on."""
        self._depth += 1
        try:
            if self._depth == 1 and torch.is_grad_enabled():
                for tensor in tree_leaves((args, kwargs)):
                    if isinstance(tensor, torch.Tensor):
                        self._look_at(tensor)
            return super().__torch_dispatch__(func, types, args, kwargs)
        finally:
            self._depth -= 1

    def _look_at(self, tensor: torch.Tensor) -> None:
        if tensor.requires_grad or not floating(tensor):
            return
        ref = self.reference(tensor)
        if ref is not None:
            self.cuts.append(self._births.get(id(ref.node), Cut(DETACHED, "")))
            self._still_ids.add(id(tensor))
            self._alive.append(tensor)

    def _write(self, operator: Any, args: Any, kwargs: Any, values: list[Any]) -> Node:
        node = super()._write(operator, args, kwargs, values)
        if node.stopped:
            what = DETACHED if operator is DETACH or self._detaching else UNDER_NO_GRAD
            self._births[id(node)] = Cut(what, _place())
        return node

    def _number(self, func: Any, args: Any, kwargs: Any, moving: list[Ref]) -> Any:
        if any(floating(ref.value) for ref in moving):
            self.cuts.append(Cut(NUMBER, _place()))
        return func(*args, **kwargs)

    def _in_place(self, func: Any, args: Any, kwargs: Any, target: torch.Tensor) -> Any:
        """Under no_grad the new values take the old ones' place, and autograd goes on with these."""
        old = self.reference(target)
        if self._depth > 1 or not target.requires_grad or old is None or not stopped():
            return super()._in_place(func, args, kwargs, target)
        fresh = target.detach().clone()
        func(*(fresh if a is target else a for a in args), **kwargs)
        self.cuts.append(Cut(IN_PLACE, _place()))
        self._learn(fresh, Ref(super()._write(aten.alias.default, (old,), {}, [fresh])))
        self._overwrite(target, fresh)
        return target

    def _overwrite(self, target: torch.Tensor, fresh: torch.Tensor) -> None:
        super()._overwrite(target, fresh)
        self._still_ids.discard(id(target))


def _place() -> str:
    """The innermost line of somebody's own code, "net.py, line 42", or ""."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_LIBRARIES) and not file.startswith("<"):
            return f"{Path(file).name}, line {frame.f_lineno}"
        frame = frame.f_back
    return ""
