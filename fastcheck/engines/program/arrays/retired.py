"""Arrays of a run that has ended: they stand for their values, and give plain arrays.

The user's function may keep arrays between its calls, as caches or running averages. After the run that made such an
array the plain function would have left a plain one there, with these values; and that is how it acts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .array import DifferenceArray
from .run import Run, Tables


def plain(operand: Any) -> Any:
    """The operand with their values in the place of arrays whose run has ended, in nested lists and tuples too."""
    if type(operand) is DifferenceArray:
        return operand.value if operand.run.retired else operand
    if type(operand) in (list, tuple):
        return type(operand)(plain(part) for part in operand)
    if type(operand) is dict:
        return {key: plain(part) for key, part in operand.items()}
    return operand


def _call(run: Run, ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    return ufunc(*plain(inputs))


def _call_method(run: Run, ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return getattr(ufunc, method)(*plain(inputs), **plain(options))


def _operate(run: Run, name: str, operation: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    return operation(*plain(operands))


def _operate_on_one(run: Run, name: str, operation: Callable[..., Any], array: Any) -> Any:
    return operation(array.value)


def _operate_on_two(run: Run, name: str, operation: Callable[..., Any], a: Any, b: Any) -> Any:
    return operation(plain(a), plain(b))


def _operate_in_place(run: Run, name: str, operation: Callable[..., Any], target: Any, operand: Any) -> Any:
    result = operation(target.value, plain(operand))
    if type(target.value) is not np.ndarray or type(result) is DifferenceArray:
        return result
    target.value[...] = result
    return target


def _contract(run: Run, operation: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    return operation(*plain(operands))


def _function(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    return function(*plain(args), **plain(dict(options)))


class _Functions(Mapping[Any, Callable[..., Any]]):
    """The same handler for every function."""

    def __getitem__(self, function: Any) -> Callable[..., Any]:
        return _function

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0


RETIRED = Tables(
    rules={},
    functions=_Functions(),
    call=_call,
    call_method=_call_method,
    operate=_operate,
    operate_on_one=_operate_on_one,
    operate_on_two=_operate_on_two,
    operate_in_place=_operate_in_place,
    carried=lambda run, out, arrays=(): out,
    unknown=_function,
    gathered_in=lambda run, content: plain(content),
    put_where=lambda array, mask, content: array.value.__setitem__(plain(mask), plain(content)),
    contract=_contract,
    contractions=frozenset(),
    reshape=lambda array, shape, order, copy: array.value.reshape(shape, order=order),
    ravel=lambda array, order: array.value.ravel(order),
    astype=lambda array, dtype, order, casting, copy: array.value.astype(dtype),
    flat=lambda array: array.value.flat,
)
