"""Where the inputs of a program enter products, found by runs whose changes are labels.

An input's entries are given the changes 1, 2, 3, ... times one tiny power of two. Whatever only moves entries around
moves their labels around, exactly; so at a product the labels of an operand say which entries of the input it holds,
however often the function has reshaped, gathered or padded them. An array whose changes were calculated has no labels.

Entries that are multiplied by what stands still (a mask, a scale) keep their labels. So every input has two rows: one
in which they do, and one of the changes themselves, which are the labels times whatever the entries were multiplied by.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._types import Array, Indices
from ..adjoints import Adjoint, Product
from .array import DifferenceArray
from .operand_adjoints import added, added_along, contraction

# The least label. Nothing crosses a kink by so little; twice its square is still a normal number.
LABEL = 2.0**-400
# An input that enters more products than these is not worth listing: its entries are moved instead.
MOST_PRODUCTS = 4096
# Numbers of labels of inputs that share a run.
TOGETHER = 1 << 20


def labels(shape: tuple[int, ...]) -> Array:
    """Changes of an input that are labels of its entries, (1, *shape)."""
    count = int(np.prod(shape, dtype=np.int64))
    return LABEL * np.arange(1.0, count + 1).reshape(1, *shape)


def groups_of(shapes: Sequence[tuple[int, ...]]) -> Iterator[dict[int, Array]]:
    """Changes of the inputs that label each of them in a row of its own, by number: as many in a run as take little.

    Parameters
    ----------
    shapes : of the inputs.
    """
    group: list[int] = []
    for number, shape in enumerate(shapes):
        sizes = [math.prod(shapes[one]) for one in group]
        if group and (len(group) + 1) * (sum(sizes) + math.prod(shape)) > TOGETHER:
            yield _labelled(group, shapes)
            group = []
        group.append(number)
    if group:
        yield _labelled(group, shapes)


def _labelled(group: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> dict[int, Array]:
    found = {}
    for row, number in enumerate(group):
        found[number] = np.zeros((len(group), *shapes[number]))
        found[number][row] = labels(shapes[number])[0]
    return found


class ProductNotes:
    """Notes the products of a run in which inputs are labelled, in the order of their operations.

    Parameters
    ----------
    numbers : of the inputs, row by row; as many rows of the changes themselves follow those of the labels.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._pending: list[Product] = []
        self._owners: dict[tuple[int, tuple[int, ...]], Indices] = {}
        # Results of products, and of sums of these: what is added to one of them, it serves as well.
        self._results: dict[int, Any] = {}
        self._adds_up = False
        self.found: dict[int, list[Product]] = {number: [] for number in numbers}

    def product(self, count: int, operands: tuple[Any, ...], letters: str) -> None:
        """Operation number `count` is about to multiply these operands."""
        if len(operands) != 2:
            return
        for side in (0, 1):
            mine, other = operands[side], operands[1 - side]
            if not _is_labelled(mine):
                continue
            plain = other.value if type(other) is DifferenceArray else other
            if np.iscomplexobj(plain):
                continue
            beside = np.array(plain, dtype=np.float64)
            moving = other.change if type(other) is DifferenceArray else None
            self._note(count, side, mine, beside, moving, contraction(letters, side, np.shape(mine.value)))

    def scales(self, operands: tuple[Any, ...]) -> bool:
        """Tell whether an elementwise product only scales entries of inputs: whatever moves one of its operands moves
        labelled entries, and the other stands still.
        """
        moved = False
        for row in range(len(self._numbers)):
            moving = [one for one in operands if type(one) is DifferenceArray and one.change is not None
                      and np.any(one.change[row])]
            if len(moving) > 1 or not all(map(_is_labelled, moving)):
                return False
            moved |= bool(moving)
        return moved

    def carry(self, operands: tuple[Any, ...], result: DifferenceArray) -> None:
        """Have the result of an operation that only scales entries of inputs keep their labels."""
        change = result.change
        assert change is not None  # noqa: S101  # one operand moves
        for one in operands:
            labelled = one.change if type(one) is DifferenceArray else None
            for row in range(len(self._numbers)):
                if labelled is not None and np.any(labelled[row]):
                    change[row] = labelled[row]
        result.owner.computed = False

    def sum(self, count: int, operands: tuple[Any, ...], signs: tuple[float, float], size: int) -> None:
        """Operation number `count` is about to add these operands, times signs, to a result of this size.

        What is broadcast, as a bias is, has fewer entries than the result; the response of that serves it too.  So it
        does a bias of one sample, which is added to a product.
        """
        values = [operand.value if type(operand) is DifferenceArray else operand for operand in operands]
        self._adds_up = any(id(value) in self._results for value in values)
        for side in (0, 1):
            mine = operands[side]
            if _is_labelled(mine) and (np.size(mine.value) < size or self._adds_up):
                self._note(count, side, mine, np.array(signs[side]), None, added(np.shape(mine.value)))

    def reduction(self, count: int, operand: Any, slopes: Any, axes: tuple[int, ...], size: int) -> None:
        """Operation number `count` is about to add up this operand, or what is as steep as that times slopes.

        Parameters
        ----------
        count : the operation's number.
        operand : an array.
        slopes : of the results by its entries: a number, or one for each.
        axes : along which entries come together, negative.
        size : of the result.
        """
        if _is_labelled(operand) and size < np.size(operand.value):
            self._note(count, 0, operand, np.asarray(slopes), None, added_along(np.shape(operand.value), axes))

    def _note(
        self, count: int, side: int, mine: DifferenceArray, beside: Array, moving: NDArray[Any] | None,
        way: str | Adjoint,
    ) -> None:
        """Note that one operand holds entries of inputs, and what stands beside them, with its changes."""
        change = mine.change
        assert change is not None  # noqa: S101  # it is labelled
        for row, number in enumerate(self._numbers):
            labelled = change[row]
            if np.any(labelled) and len(self.found[number]) <= MOST_PRODUCTS:
                moves = moving is not None and bool(np.any(moving[row]))
                owners = self._shared(number, np.rint(labelled / LABEL).astype(np.int64) - 1)
                weights = _weights_of(labelled, change[len(self._numbers) + row])
                self._pending.append(Product(count, number, side, np.zeros(0), beside, way, owners, weights, moves))

    def _shared(self, number: int, owners: Indices) -> Indices:
        """Return the owners of the last operand of that input and shape where they are the same: loops have many."""
        last = self._owners.get((number, owners.shape))
        if last is not None and np.array_equal(last, owners):
            return last
        self._owners[number, owners.shape] = owners
        return owners

    def result(self, count: int, value: Any, change: NDArray[Any] | None) -> NDArray[Any] | None:
        """Completes the products of the operation whose result this is."""
        for product in self._pending:
            if product.site == count and value.dtype.kind == "f":
                self.found[product.input].append(replace(product, value=np.array(value)))
        if self._pending or self._adds_up:
            self._results[id(value)] = value
        self._pending.clear()
        self._adds_up = False
        return change

    def keep_alike(self, other: "ProductNotes") -> None:
        """Keep the products whose other operand moves in another run as it does in this one."""
        for number, mine in self.found.items():
            there = {(one.site, one.side): one.other_moves for one in other.found[number]}
            self.found[number] = [one for one in mine if there.get((one.site, one.side)) == one.other_moves]


def _is_labelled(operand: Any) -> bool:
    """Tell whether an operand holds entries of inputs: its changes are labels, not calculated from them."""
    return type(operand) is DifferenceArray and not operand.owner.computed and operand.change is not None


def _weights_of(labelled: Array, change: Array) -> Array | float:
    """Return what entries were multiplied by, from their labels and their changes; one where these are the same."""
    if np.array_equal(labelled, change):
        return 1.0
    return np.divide(change, labelled, out=np.zeros_like(change), where=labelled != 0.0)


class Suppression:
    """Has, for each input's row, the results of that input's products stand still: what moves then enters elsewhere.

    Parameters
    ----------
    sites : the operations' numbers, row by row.
    """

    def __init__(self, sites: Sequence[frozenset[int]]) -> None:
        self._sites = sites
        self._all = frozenset().union(*sites)

    def result(self, count: int, value: Any, change: NDArray[Any] | None) -> NDArray[Any] | None:
        """Return the change of operation number `count`."""
        if change is None or count not in self._all:
            return change
        rows = [row for row, sites in enumerate(self._sites) if count in sites]
        kept = np.array(np.broadcast_to(change, (len(self._sites), *value.shape)))
        kept[rows] = 0.0
        return kept
