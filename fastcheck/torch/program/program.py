"""A PyTorch function on tensors that carry changes: the front end of the program engine for PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..._errors import NoRule
from ..._types import Array
from ...engines.program.protocols import Response
from ...engines.program.rounded import Roundings
from ...rules.branches import Branches, Held
from ..tensors import dense
from .call import Call, Handler
from .cut import cut
from .cuts import Cut, record_as_autograd
from .memory import BYTES, bytes_of_column, last_uses
from .operators import CONSTANT, EXACT, OPERATORS
from .products import products_of
from .recorder import record
from .replay import replayed
from .rounding import Rounded
from .tape import Node, Ref, Tape, refs_of

# The recorded function may differ from the plain one by the rounding of fused implementations, relative to its largest
# value.
SAME = 1e-9


class TorchProgram:
    """A function of tensors, recorded at one point; changes go in and come out as NumPy arrays.

    Parameters
    ----------
    function : takes the inputs, returns a tensor or a structure of tensors.
    inputs : double precision, on any device; what is moved.
    cut_loss : whether a function with one number for output is cut where it is a weighted sum (``program.cut``).

    Attributes
    ----------
    outputs : what the function returned, flattened; of a function that was cut the tensor that it sums.
    loss, weights : of a function that was cut, its value, and the weights of the sum.
    products, complete : where inputs enter operators that are linear in them, and whether that is all they do.
    detached : of the program of what autograd sees, where it loses sight of something.
    graph : whether the function differentiates by its inputs.
    column_bytes : bytes that one perturbation takes at most, estimated (see ``program.memory``).

    Raises
    ------
    NoRule : where the function cannot be followed.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor], *, cut_loss: bool = False) -> None:
        self._function, self._cut_loss = function, cut_loss
        self.detached: list[Cut] = []
        self._follow(record(function, inputs, OPERATORS, CONSTANT))

    @classmethod
    def as_autograd(cls, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> "TorchProgram":
        """Return the program of a cost in which what autograd does not see stands still: see ``detached``."""
        program = cls.__new__(cls)
        program._function, program._cut_loss = function, True
        tape, program.detached = record_as_autograd(function, inputs, OPERATORS, CONSTANT)
        program._follow(tape)
        return program

    def _follow(self, tape: Tape) -> None:
        """Make the operators of a tape ready to be differenced."""
        self.loss: float | None = None
        self.weights: Array | None = None
        found = cut(tape) if self._cut_loss else None
        if found is not None:
            self.loss, self.weights = float(tape.outputs[0].value.detach()), _array(found[1])
            tape = replace(tape, outputs=(found[0],))
        self.graph = tape.graph
        nodes = _needed(tape)
        self._tape = replace(tape, nodes=nodes)
        self._numbers = {id(node): number for number, node in enumerate(nodes)}
        self.outputs = tuple(_array(o.value if isinstance(o, Ref) else o) for o in tape.outputs)
        self.products, self.complete = products_of(nodes, tape.inputs, tape.outputs)
        self._inputs = tape.inputs
        slots = _Slots(tape.inputs)
        self._steps = [_Step.of(node, slots) for node in nodes]
        self._results = [slots.of(o) if isinstance(o, Ref) else None for o in tape.outputs]
        self._guards = [slots.of(guard) for guard in tape.guards]
        self._count = slots.count
        kept = {slot for slot in (*self._results, *self._guards) if slot is not None}
        freed = last_uses([(step.read, step.slots) for step in self._steps], kept)
        for step, slots_freed in zip(self._steps, freed, strict=True):
            step.freed = slots_freed
        self.column_bytes = bytes_of_column(nodes, [(step.slots, step.freed) for step in self._steps], self._inputs)

    def with_detached_still(self) -> "TorchProgram | None":
        """Return the program in which what is detached, or ran in a no_grad block, stands still, as autograd has it.

        Returns
        -------
        TorchProgram, or None where there is no such thing.
        """
        if not any(step.stopped for step in self._steps):
            return None
        program = copy(self)
        program._steps = [replace(step, read=()) if step.stopped else step for step in self._steps]
        return program

    def site(self, ref: Ref | None) -> int | None:
        """Return the number of the operator whose first output was referred to; None where the outputs need it not."""
        if ref is None or ref.output:
            return None
        return self._numbers.get(id(ref.node))

    def at(self, inputs: Sequence[torch.Tensor]) -> "TorchProgram":
        """The program at other inputs, by running its operators again; recorded anew where that might not follow.

        Operators that draw random numbers would draw others, and where a truth that the function branched on comes
        out differently it takes another path.
        """
        again = replayed(self._tape, inputs)
        if again is None:
            return TorchProgram(self._function, inputs, cut_loss=self._cut_loss)
        program = copy(self)
        program._tape, program._inputs = again, again.inputs
        slots = _Slots(again.inputs)
        program._steps = [replace(_Step.of(node, slots), freed=step.freed)
                          for node, step in zip(again.nodes, self._steps, strict=True)]
        program.outputs = tuple(_array(o.value if isinstance(o, Ref) else o) for o in again.outputs)
        return program

    def run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array] | None = None,
        convention: Held | None = None,
    ) -> Response:
        """Return the outputs' changes where inputs, or outputs of single operators, change.

        Parameters
        ----------
        changes : by the input's number, (B, *shape).
        sites : by the operator's number among those that the outputs need, (B, *shape of its first output).
        convention : how ties are resolved (see ``fastcheck.rules.branches``).

        Raises
        ------
        NoRule : at an operator without a rule, or where a perturbation would take another path.
        """
        return self._run(changes, sites or {}, convention)

    def rounded(self, changes: Mapping[int, Array], roundings: Roundings) -> Response | None:
        """Return the same where the results of operators are off by roundings; None where they cannot be followed.

        Operators that only move numbers about round nothing.
        """
        try:
            return self._run(changes, {}, None, Rounded(roundings))
        except NoRule:
            return None

    def column_numbers(self) -> int:
        """Return how many numbers a perturbation takes at most."""
        return self.column_bytes // BYTES

    def _run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array], convention: Held | None,
        rounded: Rounded | None = None,
    ) -> Response:
        """Return the outputs' changes, where results may be off by roundings."""
        found: list[Any] = [None] * self._count  # changes by slot, each let go after its last reader
        for number, change in changes.items():
            found[number] = _tensor(change, self._inputs[number].values[0])
        injected = {number: _tensor(change, self._steps[number].outputs[0]) for number, change in sites.items()}
        batch = tuple(next(iter([*changes.values(), *injected.values()])).shape[:1])
        branches = Branches(torch, batch, convention)
        with torch.no_grad():
            for number, step in enumerate(self._steps):
                branches.enter(str(step.operator), second=step.second_alone(found))
                step.run(found, batch, branches)
                if rounded is not None and step.operator not in EXACT:
                    rounded.after(step.slots, step.outputs, found)
                if number in injected:
                    extra, here = injected[number], step.slots[0]
                    found[here] = extra if found[here] is None else found[here] + extra
                for slot in step.freed:
                    found[slot] = None
            for guard in self._guards:
                if found[guard] is not None and bool((found[guard] != 0.0).any()):
                    raise NoRule("a branch that a perturbation takes the other way", "use torch.where")
            outputs = [None if slot is None or not _moves(found[slot]) else found[slot] for slot in self._results]
            return Response(tuple(None if o is None else _array(o) for o in outputs), _array(branches.crossed),
                            _array(branches.ties), frozenset(branches.met), _array(branches.lone))


# In place of the change of an output that moves and that the operator's rule leaves out: a saved mean, a factorisation.
LOST = object()


def _moves(change: Any) -> bool:
    if change is LOST:
        raise NoRule("a further output of an operator, whose rule has its first one only")
    return change is not None


def _real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


@dataclass(slots=True)
class _Step:
    """One operator, ready to be differenced.

    operands : for each argument the slot that its change is in, a list of them for a list, None for what stands still.
    read : all of them; slots : where the outputs' changes go; freed : slots that nobody reads afterwards;
    stopped : whether autograd passes nothing through it.
    """

    operator: Any
    handler: Handler | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    operands: tuple[Any, ...]
    read: tuple[int, ...]
    slots: tuple[int, ...]
    outputs: list[Any]
    freed: tuple[int, ...] = ()
    stopped: bool = False

    @classmethod
    def of(cls, node: Node, slots: "_Slots") -> "_Step":
        """Return the step of a node."""
        operands = tuple(slots.in_place_of(a) for a in node.args)
        read = tuple(slots.of(ref) for ref in refs_of((*node.args, *node.kwargs.values())))
        handler = OPERATORS.get(node.operator)
        if any(isinstance(value, Ref) for value in node.kwargs.values()):
            handler = None
        here = tuple(slots.of(Ref(node, output)) for output in range(len(node.values)))
        return cls(node.operator, handler, tuple(_value(a) for a in node.args), node.kwargs, operands, read, here,
                   node.values, stopped=node.stopped)

    def second_alone(self, found: list[Any]) -> bool:
        """Tell whether of two operands that depend on the inputs the second moves alone."""
        first, second = (*self.operands, None, None)[:2]
        return isinstance(first, int) and isinstance(second, int) and found[first] is None and found[second] is not None

    def run(self, found: list[Any], batch: tuple[int, ...], branches: Branches) -> None:
        """Find the outputs' changes, if any operand has one."""
        if not sum(_moves(found[slot]) for slot in self.read):  # all of them are asked: one may be lost
            return
        if self.handler is None:
            raise NoRule(str(self.operator))
        changes = tuple(None if o is None else found[o] if isinstance(o, int) else [None if i is None else found[i]
                                                                                  for i in o] for o in self.operands)
        read = tuple(slot not in self.freed for slot in self.slots)
        change = self.handler(Call(self.operator, self.args, self.kwargs, changes, self.outputs, read, batch, branches))
        if isinstance(change, (list, tuple)):
            for slot, one, value in zip(self.slots, change, self.outputs, strict=True):
                found[slot] = LOST if one is None and _real(value) else one
        elif change is None or _real(self.outputs[0]) or self.outputs[0].is_complex() or bool((change != 0.0).any()):
            found[self.slots[0]] = change  # truths and places that no perturbation changes stand still


class _Slots:
    """Numbers for the outputs of nodes, the inputs' first."""

    def __init__(self, inputs: Sequence[Node]) -> None:
        self._known = {(id(node), 0): number for number, node in enumerate(inputs)}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def of(self, ref: Ref) -> int:
        """Return the slot of one output."""
        return self._known.setdefault((id(ref.node), ref.output), len(self._known))

    def in_place_of(self, argument: Any) -> Any:
        """Return the slots of an argument."""
        if isinstance(argument, Ref):
            return self.of(argument)
        if _holds_refs(argument):
            return [self.of(item) if isinstance(item, Ref) else None for item in argument]
        return None


def _tensor(change: Array, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(change), device=like.device)


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy()


def _needed(tape: Tape) -> tuple[Node, ...]:
    """Return the nodes that outputs and guards depend on, in order."""
    wanted = {id(o.node) for o in (*tape.outputs, *tape.guards) if isinstance(o, Ref)}
    kept = []
    for node in reversed(tape.nodes):
        if id(node) in wanted:
            kept.append(node)
            wanted.update(id(ref.node) for ref in refs_of((*node.args, *node.kwargs.values())))
    return tuple(reversed(kept))


def _holds_refs(argument: Any) -> bool:
    return isinstance(argument, (list, tuple)) and any(isinstance(item, Ref) for item in argument)


def _value(argument: Any) -> Any:
    if isinstance(argument, Ref):
        return argument.value
    if _holds_refs(argument):
        return [_value(item) for item in argument]
    return dense(argument) if isinstance(argument, torch.Tensor) else argument
