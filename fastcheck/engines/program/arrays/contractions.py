"""Products that sum over axes: matmul, dot, tensordot, einsum and their relatives.

Each is a sum of products of one entry of each operand, so the change of ``f(a, b)`` is ``f(da, b) + f(a + da, db)``. An
einsum string says what each sums over; the batch axis is one more letter of it.
"""

import string
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import lifted_to, split
from .reductions import into
from .run import Run
from .sparse import is_sparse, product
from .storage import Change
from .versions import of_this_numpy

_LETTERS = string.ascii_lowercase + string.ascii_uppercase
_BATCH = "Z"
_DENSE = frozenset((DifferenceArray, np.ndarray))


def matmul(run: Run, plain: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    """``a @ b`` and numpy.matmul; numpy.dot of arrays of at most two axes."""
    left, right = operands
    if type(left) is type(right) is DifferenceArray and left.run is right.run is run:
        a, da = left.value, left._change if left.base is None else left.change
        b, db = right.value, right._change if right.base is None else right.change
    else:
        (a, b), (da, db), _ = split(run, operands)
    out = plain(a, b)
    if out is NotImplemented:
        return out
    if run.notes is not None:
        run.notes.product(run.count + 1, operands, matmul_letters(a.ndim, b.ndim))
    if da is None and db is None:
        return run.fresh(out)
    if a.ndim == 2 and b.ndim == 2:
        change = None if da is None else _each_times(da, b)
        if db is not None:
            part = (a if da is None else a + da) @ db
            change = part if change is None else np.add(change, part, out=part)
        return run.fresh(out, change)
    return run.fresh(out, _matmul_change([a, b], [da, db], run.batch, out.shape))


def _each_times(da: Change, b: NDArray[Any]) -> Change:
    """(batch, n, k) matrices times one (k, m) matrix, as one product where memory allows."""
    product: Change
    if da.flags.c_contiguous:
        product = (da.reshape(-1, da.shape[2]) @ b).reshape(da.shape[0], da.shape[1], b.shape[1])
    else:
        product = da @ b
    return product


def matmul_letters(left: int, right: int) -> str:
    """Return the einsum string of a matrix product of arrays with that many axes."""
    lead = _LETTERS[3 : 3 + max(left, right, 2) - 2]
    first = "b" if left == 1 else lead[len(lead) - (left - 2) :] + "ab"
    second = "b" if right == 1 else lead[len(lead) - (right - 2) :] + "bc"
    out = lead + ("" if left == 1 else "a") + ("" if right == 1 else "c")
    return f"{first},{second}->{out}"


def _matmul_change(values: list[Any], changes: list[Change | None], batch: int, shape: tuple[int, ...]) -> Change:
    a, b = values
    da, db = changes
    ndim = max(a.ndim, b.ndim, 2) + 1
    if da is not None:
        da = da[:, None, :] if a.ndim == 1 else da
    if db is not None:
        db = db[:, :, None] if b.ndim == 1 else db
    a, b = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    total = None
    if da is not None:
        if b.ndim == 2 and da.flags.c_contiguous:
            total = (da.reshape(-1, da.shape[-1]) @ b).reshape((*da.shape[:-1], b.shape[-1]))
        else:
            total = lifted_to(da, ndim) @ b
    if db is not None:
        part = (a if da is None else a + lifted_to(da, ndim)) @ lifted_to(db, ndim)
        total = part if total is None else lifted_to(total, ndim) + part
    assert total is not None  # noqa: S101  # one operand moves
    if total.size == batch * _size(shape):
        whole: Change = total.reshape((batch, *shape))
        return whole
    return np.broadcast_to(total, (batch, *shape)).copy()


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def einsum_pair(left: str, right: str, result: str, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """einsum of two operands by one (batched) matrix product, which einsum itself does not always use.

    Parameters
    ----------
    left, right, result : the letters of the operands' and the result's axes.
    a, b : the operands.
    """
    if len(set(left)) < len(left) or len(set(right)) < len(right):
        return np.einsum(f"{left},{right}->{result}", a, b, optimize=True)  # type: ignore[no-any-return]  # an array
    left, a = _without_short_axes(left, a, right, b)
    right, b = _without_short_axes(right, b, left, a)
    left, a = _summed_alone(left, a, right + result)
    right, b = _summed_alone(right, b, left + result)
    both = [letter for letter in left if letter in right and letter in result]
    inner = [letter for letter in left if letter in right and letter not in result]
    outer_a = [letter for letter in left if letter not in right]
    outer_b = [letter for letter in right if letter not in left]
    sizes = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    lead = [sizes[letter] for letter in both]
    rows, summed, columns = (_size(tuple(sizes[letter] for letter in part)) for part in (outer_a, inner, outer_b))
    first = a.transpose([left.index(letter) for letter in both + outer_a + inner]).reshape(*lead, rows, summed)
    second = b.transpose([right.index(letter) for letter in both + inner + outer_b]).reshape(*lead, summed, columns)
    order = both + outer_a + outer_b
    found: NDArray[Any] = (first @ second).reshape([sizes[letter] for letter in order])
    return found.transpose([order.index(letter) for letter in result])


def _without_short_axes(letters: str, a: NDArray[Any], others: str, b: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the operand without axes of length one that the other operand has longer: they are broadcast."""
    for axis in reversed(range(len(letters))):
        if a.shape[axis] == 1 and letters[axis] in others and b.shape[others.index(letters[axis])] != 1:
            a = a[(slice(None),) * axis + (0,)]
            letters = letters[:axis] + letters[axis + 1 :]
    return letters, a


def _summed_alone(letters: str, a: NDArray[Any], needed: str) -> tuple[str, NDArray[Any]]:
    """Return the operand summed over axes that nothing else has."""
    alone = tuple(axis for axis, letter in enumerate(letters) if letter not in needed)
    if alone:
        a = np.add.reduce(a, axis=alone)
        letters = "".join(letter for letter in letters if letter in needed)
    return letters, a


def contracted(run: Run, letters: str, operands: tuple[Any, ...], out: Any) -> DifferenceArray:
    """Return the result `out` of an einsum of any number of operands, with its change."""
    values, changes, moving = split(run, operands)
    if run.notes is not None:
        run.notes.product(run.count + 1, operands, letters)
    if not moving:
        return run.fresh(out)
    inputs, result = letters.split("->")
    parts = inputs.split(",")
    total = None
    for place, change in enumerate(changes):
        if change is None:
            continue
        terms: list[tuple[str, Any]] = []
        for other, (part, value) in enumerate(zip(parts, values, strict=True)):
            moved = changes[other]
            if other == place:
                terms.append((_BATCH + part, change))
            elif other < place and moved is not None:
                terms.append((_BATCH + part, value + moved))
            else:
                terms.append((part, np.asarray(value)))
        found = _einsum(terms, _BATCH + result)
        total = found if total is None else total + found
    assert total is not None  # noqa: S101  # one operand moves
    whole = np.empty((run.batch, *out.shape), total.dtype)
    whole[...] = total
    return run.fresh(out, whole)


def _einsum(terms: list[tuple[str, Any]], result: str) -> NDArray[Any]:
    if len(terms) == 2:
        (left, a), (right, b) = terms
        return einsum_pair(left, right, result, a, b)
    inputs = ",".join(letters for letters, _ in terms)
    return np.einsum(f"{inputs}->{result}", *(value for _, value in terms), optimize=True)  # type: ignore[no-any-return]  # an array


def explicit_letters(subscripts: str, ndims: list[int]) -> str:
    """Return an einsum string with its arrow and with letters in the place of "...".

    Parameters
    ----------
    subscripts : as numpy.einsum takes them.
    ndims : the number of axes of each operand.
    """
    subscripts = subscripts.replace(" ", "")
    inputs, _, result = subscripts.partition("->")
    spare = [letter for letter in _LETTERS if letter not in subscripts and letter != _BATCH]
    if _BATCH in subscripts:
        inputs, result = inputs.replace(_BATCH, spare[0]), result.replace(_BATCH, spare[0])
        spare = spare[1:]
    parts = inputs.split(",")
    hidden = [
        ndim - len(part.replace("...", "")) if "..." in part else 0 for part, ndim in zip(parts, ndims, strict=True)
    ]
    dots = spare[: max(hidden, default=0)]
    parts = [part.replace("...", "".join(dots[len(dots) - n :])) for part, n in zip(parts, hidden, strict=True)]
    if "->" in subscripts:
        result = result.replace("...", "".join(dots))
    else:
        seen = "".join(parts)
        single = [letter for letter in sorted(set(inputs.replace(",", "").replace(".", ""))) if seen.count(letter) == 1]
        result = "".join(dots) + "".join(single)
    return f"{','.join(parts)}->{result}"


def einsum(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.einsum."""
    named = dict(options)
    out = named.pop("out", None)
    if named.get("dtype") not in (None, np.float64):
        raise NoRule("numpy.einsum with dtype=", "compute in float64 throughout")
    if not isinstance(args[0], str):
        args = _from_lists(args)
    subscripts, operands = args[0], args[1:]
    operands = tuple(run.tables.gathered_in(run, operand) for operand in operands)
    values = [operand.value if type(operand) is DifferenceArray else np.asarray(operand) for operand in operands]
    result = function(subscripts, *values, **named)
    letters = explicit_letters(subscripts, [value.ndim for value in values])
    if type(result) is np.ndarray and result.base is not None:
        result = result.copy(order="K")
    return into(contracted(run, letters, operands, result), out)


def _from_lists(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """einsum(a, [0, 1], b, [1, 2], [0, 2]) as einsum("ab,bc->ac", a, b)."""

    def letters(numbers: Any) -> str:
        return "".join("..." if number is Ellipsis else _LETTERS[number] for number in numbers)

    pairs = len(args) // 2
    subscripts = ",".join(letters(args[2 * pair + 1]) for pair in range(pairs))
    if len(args) % 2:
        subscripts += "->" + letters(args[-1])
    return (subscripts, *args[0 : 2 * pairs : 2])


def dot(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.dot and ndarray.dot."""
    if len(args) == 2 and not options and all(type(one) in _DENSE and 0 < one.ndim < 3 for one in args):
        return matmul(run, function, args)
    a, b, out = (*args, *([options["b"]] if "b" in options else []), options.get("out"))[:3]
    a, b = run.tables.gathered_in(run, a), run.tables.gathered_in(run, b)
    left, right = np.ndim(_value(a)), np.ndim(_value(b))
    if left == 0 or right == 0:
        return into(np.multiply(a, b), out)
    if left <= 2 and right <= 2:
        return into(matmul(run, function, (_arrayed(a), _arrayed(b))), out)
    first = _LETTERS[:left]
    second = _LETTERS[left : left + right - 2] + first[-1] + _LETTERS[left + right] if right > 1 else first[-1]
    letters = f"{first},{second}->{first[:-1]}{second.replace(first[-1], '')}"
    return into(contracted(run, letters, (a, b), function(_value(a), _value(b))), out)


def by_letters(letters_of: Callable[..., str]) -> Callable[..., Any]:
    """The handler of a product of two arrays whose einsum string follows from their numbers of axes and the options."""

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        a, b = (run.tables.gathered_in(run, arg) for arg in args[:2])
        out = function(_value(a), _value(b), *args[2:], **options)
        letters = letters_of(np.ndim(_value(a)), np.ndim(_value(b)), *args[2:], **options)
        if type(out) is np.ndarray and out.base is not None and np.may_share_memory(out, _value(a)):
            out = out.copy()
        return contracted(run, letters, (_arrayed(a), _arrayed(b)), out)

    return handler


def inner_letters(left: int, right: int) -> str:
    """numpy.inner."""
    if left == 0 or right == 0:
        return f"{_LETTERS[:left]},{_LETTERS[:right]}->{_LETTERS[: max(left, right)]}"
    first = _LETTERS[:left]
    second = _LETTERS[left : left + right - 1] + first[-1]
    return f"{first},{second}->{first[:-1]}{second[:-1]}"


def tensordot_letters(left: int, right: int, axes: Any = 2) -> str:
    """numpy.tensordot."""
    if isinstance(axes, (int, np.integer)):
        axes_a, axes_b = list(range(left - int(axes), left)), list(range(int(axes)))
    else:
        axes_a, axes_b = ([one] if np.ndim(one) == 0 else list(one) for one in axes)
    first = _LETTERS[:left]
    second = list(_LETTERS[left : left + right])
    for one, other in zip(axes_a, axes_b, strict=True):
        second[other % right] = first[one % left]
    shared = {first[one % left] for one in axes_a}
    result = "".join(letter for letter in first + "".join(second) if letter not in shared)
    return f"{first},{''.join(second)}->{result}"


def vecdot_letters(left: int, right: int, axis: int = -1) -> str:
    """numpy.vecdot of real arrays along the last axis."""
    if axis != -1:
        raise NoRule("numpy.vecdot with axis=", "move that axis to the end first")
    lead = _LETTERS[1 : max(left, right)]
    return f"{lead[len(lead) - left + 1 :]}a,{lead[len(lead) - right + 1 :]}a->{lead}"


def _value(operand: Any) -> Any:
    return operand.value if type(operand) is DifferenceArray else operand


def _arrayed(operand: Any) -> Any:
    return operand if type(operand) is DifferenceArray else np.asarray(operand)


def matvec_letters(left: int, right: int) -> str:
    """numpy.matvec."""
    lead = _LETTERS[2 : 2 + max(left - 2, right - 1)]
    return f"{lead[len(lead) - left + 2 :]}ab,{lead[len(lead) - right + 1 :]}b->{lead}a"


def vecmat_letters(left: int, right: int) -> str:
    """numpy.vecmat of real arrays."""
    lead = _LETTERS[2 : 2 + max(left - 1, right - 2)]
    return f"{lead[len(lead) - left + 1 :]}a,{lead[len(lead) - right + 2 :]}ab->{lead}b"


def flat_outer(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.outer."""
    named = dict(options)
    a, b = (*args, *(named.pop(name) for name in ("a", "b")[len(args) :]))[:2]
    a, b = (np.ravel(run.tables.gathered_in(run, one)) for one in (a, b))
    return into(contracted(run, "a,b->ab", (a, b), function(_value(a), _value(b))), named.get("out"))


_SINCE_NUMPY_2_2: dict[str, Callable[..., str]] = {"matvec": matvec_letters, "vecmat": vecmat_letters}
_BY_LETTERS: dict[Any, Callable[..., str]] = {np.vecdot: vecdot_letters, **of_this_numpy(_SINCE_NUMPY_2_2)}
UFUNCS = frozenset((np.matmul, *_BY_LETTERS))


def contract(run: Run, plain: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
    """Return a ufunc that sums products."""
    letters_of = _BY_LETTERS.get(plain)
    if letters_of is None:
        left, right = operands
        if (type(left) not in _DENSE or type(right) not in _DENSE) and (is_sparse(left) or is_sparse(right)):
            return product(run, "matmul", plain, operands)
        return matmul(run, plain, operands)
    a, b = (_arrayed(run.tables.gathered_in(run, operand)) for operand in operands)
    if any(_value(one).dtype.kind == "c" for one in (a, b)):
        raise NoRule("numpy.vecdot and vecmat of complex arrays", "use numpy.einsum")
    return contracted(run, letters_of(a.ndim, b.ndim), (a, b), plain(_value(a), _value(b)))
