"""Arrays that carry a batch of changes beside their values.

A view of the values is a view of the changes. Every array that owns its values keeps the changes of all of them, and
a view finds its own there: by the same cut behind the batch axis where that is at hand, else by the same offset and
strides. So a change that is written through one view is seen through all others, as the value is.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from . import indexing
from .methods import Methods
from .operators import Operators
from .sparse import boxed, hands_back
from .storage import Change, Store, cut_of, mirrored, zeros_beside

Value = Any  # a plain numpy array or numpy scalar


class _Array(np.ndarray):
    """What isinstance() takes arrays that carry changes for."""


class _Float(np.float64):
    """What isinstance() takes scalars that carry changes for."""


_STANDS_FOR: dict[type, type] = {np.ndarray: _Array, np.float64: _Float}


class DifferenceArray(Methods, Operators):
    """A plain array (or NumPy scalar) and the changes that a batch of perturbations makes to it.

    It stands in for the plain array inside the user's function: NumPy's functions, operators, methods, indexing and
    assignment act on the value as ever, and carry the changes along by rules that never subtract two values.

    Parameters
    ----------
    value : the plain array or NumPy scalar at the inputs themselves.
    run : the run that this array belongs to (``run.Run``).
    change : the changes, (batch, *value.shape), float64 or complex128; None while nothing moves it. An array that owns
        its values owns its changes: they must not be shared with another array.
    base : the array that owns the values, where this one is a view.
    layout : for a view, the changes of `base` that `change` is a view of; else how `change` is laid out in memory, or
        None where nobody has asked yet.
    computed : whether its changes were calculated, False where they are an input's, moved around at most.
    """

    __slots__ = ("_change", "_layout", "base", "computed", "run", "value")

    __array_priority__ = 1e6
    __hash__ = None  # type: ignore[assignment]  # as numpy.ndarray has it

    def __init__(
        self,
        value: Value,
        run: Any,
        change: Change | None = None,
        base: "DifferenceArray | None" = None,
        layout: Any = None,
        computed: bool = False,
    ) -> None:
        self.value = value
        self.run = run
        self._change = change
        self.base = base
        self._layout = layout
        self.computed = computed

    @property
    def owner(self) -> "DifferenceArray":
        """The array that owns the values: this one, or the one that it is a view of."""
        return self if self.base is None else self.base

    @property
    def change(self) -> Change | None:
        """The changes, (batch, *shape), a view that may be written to; None while nothing moves the array."""
        base = self.base
        if self.run.retired:
            return None
        if base is None:
            return self._change
        whole = base._change
        if whole is None:
            return None
        if self._layout is not whole:
            self._change = cut_of(base.mirror(), self.value)
            self._layout = base._change
        return self._change

    def mirror(self) -> Store:
        """Lays the changes of an array that owns its values out as these are, so that views can be cut."""
        layout: Store | None = self._layout
        if layout is None or layout.changes is not self._change:
            assert self._change is not None  # noqa: S101  # callers ask for arrays that move only
            layout = self._layout = mirrored(self.value, self._change)
            self._change = layout.changes
        return layout

    def writable_change(self) -> Change:
        """Return the changes to write to: allocated, and exactly zero, where nothing has moved this array yet."""
        owner = self.owner
        if owner._change is None:
            self.run.check_precision(owner.value)
            owner._layout = zeros_beside(owner.value, self.run.batch)
            owner._change = owner._layout.changes
        elif not owner._change.flags.writeable:  # the caller's own changes of an input
            owner._change, owner._layout = owner._change.copy(), None
        found = self.change
        assert found is not None  # noqa: S101  # its owner has changes now
        return found

    def cut(self, value: Value, change: Change | None = None) -> "DifferenceArray":
        """Return an array whose values are a view of this one's; `change`, where given, is that view of its changes."""
        base = self.owner
        return DifferenceArray(value, self.run, change, base, None if change is None else base._change)

    @property  # type: ignore[misc]  # isinstance(x, numpy.ndarray) is to hold for what stands in for one
    def __class__(self) -> type:
        """What isinstance() takes this for: a NumPy array, or a scalar of its type."""
        return _STANDS_FOR.get(type(self.value), _Array)

    def __getitem__(self, index: Any) -> "DifferenceArray":
        try:
            return indexing.get(self, index)  # type: ignore[no-any-return]  # it makes arrays only
        except NoRule as refusal:
            self.run.refusal = refusal
            raise

    def __setitem__(self, index: Any, content: Any) -> None:
        try:
            indexing.put(self, index, content)
        except NoRule as refusal:
            self.run.refusal = refusal
            raise

    def __iter__(self) -> "Iterator[DifferenceArray]":
        return (self[i] for i in range(len(self.value)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        run = self.run
        try:
            if method == "__call__" and not options:
                return run.tables.call(run, ufunc, inputs)
            return run.tables.call_method(run, ufunc, method, inputs, options)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        run = self.run
        handler = run.tables.functions.get(function, run.tables.unknown)
        try:
            return handler(run, function, args, options)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if hands_back(sys._getframe(1)):
            return boxed(self)
        if self.change is not None:
            self.run.refuse(
                "an array that moves, where it is converted to a plain array",
                "use NumPy functions that accept array subclasses, and make arrays that receive it inside the function",
            )
        return np.array(self.value, dtype=dtype)

    def __float__(self) -> float:
        return self.run.floats.hand_out(self, float(self.value))  # type: ignore[no-any-return]  # a float

    def __complex__(self) -> complex:
        self._refuse_if_moving("complex()")
        return complex(self.value)

    def __int__(self) -> int:
        self._refuse_if_moving("int()")
        return int(self.value)

    def __index__(self) -> int:
        self._refuse_if_moving("an index")
        return self.value.__index__()  # type: ignore[no-any-return]  # an int, or NumPy's TypeError

    def __bool__(self) -> bool:
        change = self.change
        if change is not None and bool(np.any((self.value + change != 0) != (self.value != 0))):
            self.run.refuse(
                "a Python branch that differs between perturbations",
                "the condition holds at the inputs and not beside them, or the other way round: check at other inputs",
            )
        return bool(self.value)

    def _refuse_if_moving(self, what: str) -> None:
        change = self.change
        if change is not None and change.any():
            self.run.refuse(f"{what} of an array that moves", "keep it an array")

    def __len__(self) -> int:
        return len(self.value)

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    def __repr__(self) -> str:
        return repr(self.value)

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __copy__(self) -> "DifferenceArray":
        return self.copy()  # type: ignore[no-any-return]  # a method that the tables hold

    def __deepcopy__(self, memo: Any) -> "DifferenceArray":
        return self.copy()  # type: ignore[no-any-return]  # a method that the tables hold
