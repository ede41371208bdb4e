"""The methods and attributes of arrays that carry changes: those of numpy.ndarray.

Nearly every method does what the NumPy function of its name does; so does this module.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._errors import NoRule


def _like(function: Any) -> Callable[..., Any]:
    """Return the method that does what `function` does with the array as its first argument."""

    def method(self: Any, *args: Any, **options: Any) -> Any:
        run = self.run
        try:
            return run.tables.functions[function](run, function, (self, *args), options)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    return method


def _of_value(name: str) -> property:
    return property(lambda self: getattr(self.value, name))


class Methods:
    """The methods of a ``DifferenceArray``."""

    __slots__ = ()

    shape, ndim, size, dtype = _of_value("shape"), _of_value("ndim"), _of_value("size"), _of_value("dtype")
    strides, itemsize, nbytes, flags = map(_of_value, ("strides", "itemsize", "nbytes", "flags"))

    all, any = _like(np.all), _like(np.any)
    argmax, argmin, argsort, argpartition = map(_like, (np.argmax, np.argmin, np.argsort, np.argpartition))
    max, min, sum, mean, prod, std, var = map(_like, (np.max, np.min, np.sum, np.mean, np.prod, np.std, np.var))
    cumsum, cumprod, trace, dot, clip, round = map(_like, (np.cumsum, np.cumprod, np.trace, np.dot, np.clip, np.round))
    choose, nonzero, repeat, put = map(_like, (np.choose, np.nonzero, np.repeat, np.put))
    squeeze, swapaxes, diagonal, take = map(_like, (np.squeeze, np.swapaxes, np.diagonal, np.take))

    @property
    def T(self: Any) -> Any:  # NumPy's name
        """The transpose."""
        change = self.change
        value = self.value
        if value.ndim < 2:
            return self
        return self.cut(value.T, None if change is None else change.transpose((0, *range(value.ndim, 0, -1))))

    @property
    def mT(self: Any) -> Any:  # NumPy's name
        """The transpose of each matrix of a stack."""
        return self.swapaxes(-1, -2)

    @property
    def real(self: Any) -> Any:
        """The real part."""
        return self.run.tables.functions[np.real](self.run, np.real, (self,), {})

    @property
    def imag(self: Any) -> Any:
        """The imaginary part."""
        return self.run.tables.functions[np.imag](self.run, np.imag, (self,), {})

    @property
    def flat(self: Any) -> Any:
        """The entries in C order."""
        return self.run.tables.flat(self)

    def transpose(self: Any, *axes: Any) -> Any:
        """Return the array with its axes permuted, a view."""
        value = self.value
        out = value.transpose(*axes)
        return self.cut(out) if type(out) is np.ndarray else self

    def reshape(self: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """Return the array in another shape, a view where NumPy gives one."""
        return self.run.tables.reshape(self, shape[0] if len(shape) == 1 else shape, order, copy)

    def ravel(self: Any, order: str = "C") -> Any:
        """Return the array as one axis, a view where NumPy gives one."""
        return self.run.tables.ravel(self, order)

    def flatten(self: Any, order: str = "C") -> Any:
        """Return a copy of the array as one axis."""
        return self.run.tables.ravel(self.copy(order="K"), order)

    def view(self: Any, *types: Any, **named: Any) -> Any:
        """Return a view of the whole array; views as another type have no rule."""
        if types or named:
            self.run.refuse("numpy.ndarray.view as another type", "")
        return self[...]

    def copy(self: Any, order: Any = "C") -> Any:
        """Return a copy of the values and of the changes."""
        change = self.change
        value = self.value.copy(order) if type(self.value) is np.ndarray else self.value
        return self.run.rearranged(value, None if change is None else change.copy(), self.owner.computed)

    def astype(
        self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """Return the array in another type."""
        return self.run.tables.astype(self, np.dtype(dtype), order, casting, copy)

    def fill(self: Any, content: Any) -> None:
        """Puts one number into every entry."""
        self[...] = content

    def compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """Return the slices for which the condition holds."""
        return self.run.tables.functions[np.compress](self.run, np.compress, (condition, self, axis, out), {})

    def searchsorted(self: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        """Return where to put entries so that order is kept."""
        return self.run.tables.functions[np.searchsorted](self.run, np.searchsorted, (self, v, side, sorter), {})

    def sort(self: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """Sorts the array in place."""
        self[...] = self.run.tables.functions[np.sort](self.run, np.sort, (self, axis, kind, order), {"stable": stable})

    def conjugate(self: Any) -> Any:
        """Return the complex conjugate; the array itself where it is real."""
        return np.conjugate(self) if self.value.dtype.kind == "c" else self

    conj = conjugate

    def item(self: Any, *index: Any) -> Any:
        """Return one entry: a number that carries its changes on, or a whole number as Python has it."""
        if index:
            (place,) = index if len(index) == 1 else (index,)
            return (self[place] if type(place) is tuple else self.ravel()[place]).item()
        number = self.value.item()
        if type(number) not in (float, complex):
            self._refuse_if_moving("item()")
            return number
        return self.ravel()[0] if self.ndim else self[()]

    def tolist(self: Any) -> Any:
        """Return the entries as nested lists, as ``item`` does."""
        if self.value.dtype.kind not in "fc":
            self._refuse_if_moving("tolist()")
            return self.value.tolist()
        return [row.tolist() for row in self] if self.ndim else self.item()

    def tobytes(self: Any, order: Any = "C") -> bytes:
        """Return the memory of an array that stands still."""
        if self.change is not None:
            self.run.refuse("tobytes() of an array that moves", "keep it an array")
        return self.value.tobytes(order)  # type: ignore[no-any-return]  # bytes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if hasattr(np.ndarray, name):
            self.run.refuse(f"numpy.ndarray.{name}", "")
        raise AttributeError(f"'numpy.ndarray' object has no attribute '{name}'")
