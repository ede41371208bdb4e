"""A PyTorch function run once on real numbers, with every ATen operator that its inputs move written down.

A tensor *moves* where it depends on the inputs.  The function runs as it is: its branches are taken, its custom
autograd Functions run forward, its random numbers are drawn.  PyTorch's own decompositions bring operators without a
rule down to smaller ones.

What writes to a tensor in place is written down as the operator that makes a new one.  Each storage that was written to
has a flat current version: an ``as_strided_scatter`` of the new values into the old ones; a tensor that looks at the
storage afterwards is read as an ``as_strided`` view of it.  So views and in-place operators need no rules of their own.
"""

import contextlib
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch
from torch._decomp import decomposition_table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves, tree_map_only

from ..._errors import NoRule
from .._compat import ALIAS, DETACH, asked_to_detach
from .decompositions import smaller
from .schemas import functional_of, target_of
from .tape import Node, Ref, Tape

aten = torch.ops.aten
LEAVING: dict[Any, str] = {
    torch.Tensor.numpy: "Tensor.numpy()", torch.Tensor.tolist: "Tensor.tolist()",
    torch.Tensor.__array__: "the conversion of a tensor to a NumPy array",
}
DATA = torch.Tensor.data.__get__
# A custom autograd.Function runs its forward under this frame, without autograd.
APPLY = torch.autograd.Function.apply.__func__.__code__
# They take a number out of a tensor.
NUMBERS = frozenset({aten._local_scalar_dense.default, aten.item.default, aten.is_nonzero.default, aten.equal.default})


@dataclass
class Storage:
    """What is known of the memory behind some tensors.

    origin : the output that was written there first, with its shape, strides and offset; None if that stands still.
    flat : the whole memory (n,) since the last write in place; None before the first.
    version : the number of writes.
    holders : outputs whose values look at this memory.
    readers : nodes with arguments that look at it and stand still.
    """

    origin: tuple[Ref, tuple[int, ...], tuple[int, ...], int] | None = None
    flat: Ref | None = None
    version: int = 0
    holders: list[Ref] = field(default_factory=list)
    readers: list[Node] = field(default_factory=list)

    def keep(self, key: int) -> None:
        """Before the memory is written to: those who look at it get copies of what it holds."""
        for ref in self.holders:
            ref.node.values[ref.output] = ref.value.detach().clone()
        for node in self.readers:
            node.args, node.kwargs = tree_map_only(
                torch.Tensor, lambda t: t.clone() if _key(t) == key else t, (node.args, node.kwargs)
            )
        self.holders.clear()
        self.readers.clear()


def record(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], known: Container[Any], constant: Container[Any] = ()
) -> Tape:
    """Run ``function(*inputs)`` once and write its operators down.

    Parameters
    ----------
    function : takes the tensors, returns a tensor, or tuples, lists and dictionaries of tensors.
    inputs : double precision, on any device.  They are not changed: the function gets copies, which require gradients,
        as they do, only where it fails without: autograd's own records take time.
    known : the operators that need no decomposition.
    constant : the operators whose outputs stand still whatever moves: they only look at shapes, or draw numbers.

    Raises
    ------
    NoRule : where numbers leave the tensors, or a tensor is written to in a way that cannot be followed.
    """
    try:
        return _recorded(function, [tensor.detach().clone() for tensor in inputs], known, constant)
    except NoRule:
        raise
    except Exception:  # what asks autograd for a gradient or for its hooks, or asserts that inputs have a history
        if not any(tensor.requires_grad for tensor in inputs):
            raise
    copies = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs]
    return replace(_recorded(function, copies, known, constant), graph=True)


def _recorded(
    function: Callable[..., Any], copies: Sequence[torch.Tensor], known: Container[Any], constant: Container[Any]
) -> Tape:
    recorder = Recorder(known, constant)
    nodes = tuple(recorder.input(copy) for copy in copies)
    with recordable(), Refuse(recorder), recorder:
        returned = function(*copies)
    return tape_of(recorder, nodes, returned)


def tape_of(recorder: "Recorder", inputs: tuple[Node, ...], returned: Any) -> Tape:
    """Return what a recorder wrote down, of a function that returned tensors."""
    outputs: list[Ref | torch.Tensor] = []
    for tensor in tree_leaves(returned):
        if isinstance(tensor, torch.Tensor):
            outputs.append(recorder.reference(tensor) or tensor.detach())
    for node in (*inputs, *recorder.nodes):  # the graph that autograd has built meanwhile is let go
        node.values = [value.detach() if isinstance(value, torch.Tensor) else value for value in node.values]
    return Tape(tuple(recorder.nodes), inputs, tuple(outputs), tuple(recorder.guards))


def recorder_at_work() -> "Recorder | None":
    """Return the recorder that writes down what runs now; None where none does."""
    return next((mode for mode in reversed(_get_current_dispatch_mode_stack()) if isinstance(mode, Recorder)), None)


@contextlib.contextmanager
def recordable() -> Iterator[None]:
    """Without autocast and fused implementations, whose one operator has no rule; inputs require no gradients.

    Autograd is on, so that what the function runs without it can be told.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with (
            torch.enable_grad(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False),
            sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class Refuse(TorchFunctionMode):
    """Refuses what takes numbers of a tensor that moves out of PyTorch's hands without an operator."""

    def __init__(self, recorder: "Recorder") -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function unless it is one of those."""
        if func in LEAVING:
            self.leave(func, args[0])
        with self.recorder.detaching() if func == DATA else contextlib.nullcontext():
            return func(*args, **(kwargs or {}))

    def leave(self, func: Any, tensor: torch.Tensor) -> None:
        """Be asked for a tensor's numbers."""
        ref = self.recorder.reference(tensor)
        if ref is not None:
            self.recorder.look(ref, LEAVING[func], "keep the values in tensors")


class Recorder(TorchDispatchMode):
    """Writes operators down as they run."""

    def __init__(self, known: Container[Any], constant: Container[Any]) -> None:
        super().__init__()
        self._constant = constant
        self.nodes: list[Node] = []
        self.guards: list[Ref] = []
        self._operators = known
        self._known: dict[int, tuple[Ref, int]] = {}  # by the tensor's id: where from, as of which version
        self._storages: dict[int, Storage] = {}
        self._alive: list[torch.Tensor] = []  # so that no id is used twice
        self._detaching = False

    def input(self, tensor: torch.Tensor) -> Node:
        """Say that this tensor moves."""
        node = Node(None, (), {}, [tensor])
        self._learn(tensor, Ref(node))
        return node

    @contextlib.contextmanager
    def detaching(self) -> Iterator[None]:
        """What detaches meanwhile was asked to by the function."""
        self._detaching = True
        try:
            yield
        finally:
            self._detaching = False

    def reference(self, tensor: torch.Tensor) -> Ref | None:
        """Return where the tensor's present values come from; None where it stands still."""
        if tensor.layout != torch.strided:
            return None
        storage, known = self._storages.get(_key(tensor)), self._known.get(id(tensor))
        if known is not None and (storage is None or known[1] == storage.version):
            return known[0]
        if storage is None or storage.flat is None:
            return None
        view = (tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())
        flat = self._paired(storage.flat, tensor.is_complex())
        ref = Ref(self._write(aten.as_strided.default, (flat, *view), {}, [tensor]))
        self._learn(tensor, ref)
        return ref

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator; write it down if an argument moves."""
        kwargs = kwargs or {}
        if func is DETACH and not self._detaching and not asked_to_detach():
            with torch._C._AutoDispatchBelowAutograd():
                return self.__torch_dispatch__(ALIAS, types, args, kwargs)
        if func is aten._to_copy.default and _narrow(kwargs.get("dtype")):
            kwargs = {**kwargs, "dtype": torch.float64}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        moving = [ref for tensor in tensors if (ref := self.reference(tensor)) is not None]
        if not moving or func in self._constant:
            return self._still(func, args, kwargs, tensors)
        if func in NUMBERS:
            return self._number(func, args, kwargs, moving)
        target = None if func in self._operators else target_of(func, args, kwargs)
        if target is not None:
            return self._in_place(func, args, kwargs, target)
        if func not in self._operators:
            found = self._decomposed(func, args, kwargs)
            if found is not NotImplemented:
                return found
        referred, named = tree_map_only(torch.Tensor, lambda t: self.reference(t) or t, (args, kwargs))
        out = func(*args, **kwargs)
        outputs = list(out) if isinstance(out, (tuple, list)) else [out]
        node = self._write(func, referred, named, outputs)
        for tensor in tensors:
            if tensor.layout == torch.strided and self.reference(tensor) is None:
                self._storages.setdefault(_key(tensor), Storage()).readers.append(node)
                self._alive.append(tensor)
        for place, tensor in enumerate(outputs):
            if isinstance(tensor, torch.Tensor):
                self._learn(tensor, Ref(node, place))
        return out

    def _decomposed(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Return the operator by smaller ones, which come back here; NotImplemented where PyTorch knows of none."""
        with self:
            function = smaller(func) or decomposition_table.get(func)
            if function is not None:
                return function(*args, **kwargs)
            return func.decompose(*args, **kwargs)

    def _still(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        """An operator on what stands still; tensors that are made from nothing come in double precision."""
        target = target_of(func, args, kwargs) if tensors else None
        if target is not None and _key(target) in self._storages:
            self._storages[_key(target)].keep(_key(target))
        out = func(*args, **kwargs)
        if tensors:
            return out
        return tree_map_only(torch.Tensor, lambda t: t.to(torch.float64) if _narrow(t.dtype) else t, out)

    def _number(self, func: Any, args: Any, kwargs: Any, moving: list[Ref]) -> Any:
        """Return a number that the function looks at."""
        for ref in moving:
            if func is aten.equal.default:
                self.guards.append(ref)
            else:
                self.look(ref, "float(), int() or .item() of a tensor that moves", "keep it a tensor")
        return func(*args, **kwargs)

    def look(self, ref: Ref, what: str, remedy: str) -> None:
        """The function looks at values: truths and whole numbers are a branch, others cannot be followed."""
        if ref.value.is_floating_point() or ref.value.is_complex():
            raise NoRule(what, remedy)
        self.guards.append(ref)

    def _in_place(self, func: Any, args: Any, kwargs: Any, target: torch.Tensor) -> Any:
        """Do what ``func`` would write to ``target`` by an operator that makes new values."""
        functional = functional_of(func)
        if torch.Tag.inplace_view in func.tags and functional is not None:
            return self._turned(func, functional, args, kwargs, target)
        given = {name: value for name, value in kwargs.items() if name != "out"}
        if functional is None:
            found = self._decomposed(func, args, kwargs)
            if found is NotImplemented:
                raise NoRule(f"{func}, which writes in place", "use an operator that returns a new tensor")
            return found
        with self:
            fresh = functional(*args, **given)
            if fresh.dtype != target.dtype:
                fresh = fresh.to(target.dtype)
        if fresh.shape != target.shape:
            raise NoRule(f"{func}, which changes a tensor's shape in place", "use an operator that returns a new one")
        if _narrow(target.dtype):
            raise NoRule(f"a buffer of {target.dtype}", "make it in double precision, or like a parameter: "
                                                        "torch.zeros_like(...), x.new_zeros(...)")
        self._overwrite(target, fresh)
        return target

    def _turned(self, func: Any, functional: Any, args: Any, kwargs: Any, target: torch.Tensor) -> Any:
        """Let ``target`` look at its memory in another way, as the view does that ``functional`` returns."""
        storage = self._storages.setdefault(_key(target), Storage())
        storage.keep(_key(target))
        with self:
            fresh = functional(*args, **kwargs)
        new = self.reference(fresh)
        if new is None or _key(fresh) != _key(target):
            raise NoRule(f"{func}, which changes a tensor's memory", "use an operator that returns a new tensor")
        func(*args, **kwargs)
        self._known[id(target)] = (new, storage.version)
        return target

    def _overwrite(self, target: torch.Tensor, fresh: torch.Tensor) -> None:
        """The memory of ``target`` now holds ``fresh`` where ``target`` looks."""
        storage = self._storages.setdefault(_key(target), Storage())
        storage.keep(_key(target))
        before = self._memory(storage, target)
        target.copy_(fresh)
        new = self.reference(fresh)
        view = [tuple(target.shape), tuple(target.stride()), target.storage_offset()]
        arguments = (before, fresh if new is None else new, *view)
        node = self._write(aten.as_strided_scatter.default, arguments, {}, [_whole(target, target.dtype)])
        storage.flat, storage.version = Ref(node), storage.version + 1
        self._alive.append(target)
        self._known.pop(id(target), None)
        if new is not None:
            self._known[id(target)] = (new, storage.version)

    def _memory(self, storage: Storage, target: torch.Tensor) -> Ref | torch.Tensor:
        """The memory that a tensor looks at, flat and in numbers of the tensor's type."""
        if storage.flat is None and storage.origin is not None:
            ref, *view = storage.origin
            before = _whole(target, ref.value.dtype)
            node = self._write(aten.as_strided_scatter.default, (before, ref, *view), {}, [before])
            return self._paired(Ref(node), target.is_complex())
        return self._paired(storage.flat, target.is_complex()) if storage.flat else _whole(target, target.dtype)

    def _paired(self, flat: Ref, pairs: bool) -> Ref:
        """Flat memory in complex numbers, pairs of real ones, or in real ones."""
        if flat.value.is_complex() == pairs:
            return flat
        if pairs:
            two = flat.value.view(-1, 2)
            rows = Ref(self._write(aten.view.default, (flat, [-1, 2]), {}, [two]))
            return Ref(self._write(aten.view_as_complex.default, (rows,), {}, [torch.view_as_complex(two)]))
        rows = Ref(self._write(aten.view_as_real.default, (flat,), {}, [torch.view_as_real(flat.value)]))
        return Ref(self._write(aten.view.default, (rows, [-1]), {}, [torch.view_as_real(flat.value).view(-1)]))

    def _write(self, operator: Any, args: Any, kwargs: Any, values: list[Any]) -> Node:
        detached = operator is DETACH or (operator is ALIAS and self._detaching)
        node = Node(operator, tuple(args), dict(kwargs), values, detached or stopped())
        self.nodes.append(node)
        return node

    def _learn(self, tensor: torch.Tensor, ref: Ref) -> None:
        """Remember where a tensor comes from, and whose memory it looks at."""
        if tensor.layout != torch.strided:
            raise NoRule(f"a tensor of layout {tensor.layout}", "use dense tensors")
        storage = self._storages.setdefault(_key(tensor), Storage())
        if not storage.holders and storage.version == 0 and storage.origin is None:
            storage.origin = (ref, tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset())
        storage.holders.append(ref)
        self._known[id(tensor)] = (ref, storage.version)
        self._alive.append(tensor)


def stopped() -> bool:
    """Tell whether what runs is in a ``no_grad`` block; the forward of a custom autograd.Function is in none."""
    if torch.is_grad_enabled():
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code is APPLY:
            return False
        frame = frame.f_back
    return True


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _whole(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a copy of all the memory behind a tensor, flat, as numbers of a type."""
    return torch.empty(0, dtype=dtype, device=tensor.device).set_(tensor.untyped_storage()).detach().clone()


def _narrow(dtype: Any) -> bool:
    """Tell whether numbers of that type are real, and of less than double precision."""
    return dtype in (torch.float32, torch.float16, torch.bfloat16)
