"""Python's operators on arrays that carry changes: each acts on the values as ever and asks the rule of its ufunc.

The operator itself is applied to the values, not the ufunc, because the two may differ in the last digit: ``x ** 2`` is
``square(x)`` to NumPy, ``power(x, 2)`` is not.

The methods are written out one by one, alike as they are: one more call within each costs a twentieth of what an
operator on a small array takes.
"""

import operator
from collections.abc import Callable
from typing import Any

from ...._errors import NoRule


def _binary(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        run = self.run
        try:
            return run.tables.operate_on_two(run, name, plain, self, other)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    return method


def _reflected(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        run = self.run
        try:
            return run.tables.operate_on_two(run, name, plain, other, self)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    return method


def _in_place(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        run = self.run
        try:
            return run.tables.operate_in_place(run, name, plain, self, other)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    return method


def _unary(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any) -> Any:
        run = self.run
        try:
            return run.tables.operate_on_one(run, name, plain, self)
        except NoRule as refusal:
            run.refusal = refusal
            raise

    return method


class Operators:
    """The operators of a ``DifferenceArray``."""

    __slots__ = ()

    __add__, __radd__, __iadd__ = (make("add", operator.add) for make in (_binary, _reflected, _in_place))
    __sub__, __rsub__, __isub__ = (make("subtract", operator.sub) for make in (_binary, _reflected, _in_place))
    __mul__, __rmul__, __imul__ = (make("multiply", operator.mul) for make in (_binary, _reflected, _in_place))
    __truediv__, __rtruediv__, __itruediv__ = (
        make("divide", operator.truediv) for make in (_binary, _reflected, _in_place)
    )
    __floordiv__, __rfloordiv__, __ifloordiv__ = (
        make("floor_divide", operator.floordiv) for make in (_binary, _reflected, _in_place)
    )
    __mod__, __rmod__, __imod__ = (make("remainder", operator.mod) for make in (_binary, _reflected, _in_place))
    __pow__, __rpow__, __ipow__ = (make("power", operator.pow) for make in (_binary, _reflected, _in_place))
    __imatmul__ = _in_place("matmul", operator.matmul)
    __and__, __rand__, __iand__ = (make("bitwise_and", operator.and_) for make in (_binary, _reflected, _in_place))
    __or__, __ror__, __ior__ = (make("bitwise_or", operator.or_) for make in (_binary, _reflected, _in_place))
    __xor__, __rxor__, __ixor__ = (make("bitwise_xor", operator.xor) for make in (_binary, _reflected, _in_place))
    __lshift__, __rlshift__, __ilshift__ = (
        make("left_shift", operator.lshift) for make in (_binary, _reflected, _in_place)
    )
    __rshift__, __rrshift__, __irshift__ = (
        make("right_shift", operator.rshift) for make in (_binary, _reflected, _in_place)
    )
    __lt__ = _binary("less", operator.lt)
    __le__ = _binary("less_equal", operator.le)
    __gt__ = _binary("greater", operator.gt)
    __ge__ = _binary("greater_equal", operator.ge)
    __eq__ = _binary("equal", operator.eq)
    __ne__ = _binary("not_equal", operator.ne)
    __neg__ = _unary("negative", operator.neg)
    __pos__ = _unary("positive", operator.pos)
    __abs__ = _unary("absolute", operator.abs)
    __invert__ = _unary("invert", operator.invert)

    def __matmul__(self, other: Any) -> Any:
        run = self.run  # type: ignore[attr-defined]  # DifferenceArray has it
        try:
            return run.tables.contract(run, operator.matmul, (self, other))
        except NoRule as refusal:
            run.refusal = refusal
            raise

    def __rmatmul__(self, other: Any) -> Any:
        run = self.run  # type: ignore[attr-defined]  # DifferenceArray has it
        try:
            return run.tables.contract(run, operator.matmul, (other, self))
        except NoRule as refusal:
            run.refusal = refusal
            raise

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self
