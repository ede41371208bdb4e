"""What exact differences of a program are held against: literal subtraction."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastcheck.engines.program.arrays.program import Program, flattened

Function = Callable[..., Any]


def inputs_of(shapes: Sequence[tuple[int, ...]], seed: int = 0) -> list[np.ndarray]:
    """Normal inputs of these shapes."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def changes_of(inputs: Sequence[np.ndarray], size: float, batch: int = 3, seed: int = 1) -> dict[int, np.ndarray]:
    """Changes of all inputs, the last perturbation changing nothing."""
    rng = np.random.default_rng(seed)
    found = {}
    for number, one in enumerate(inputs):
        change = size * rng.uniform(0.2, 1.0, (batch, *one.shape)) * rng.choice([-1.0, 1.0], (batch, *one.shape))
        change[-1] = 0.0
        found[number] = change
    return found


def subtracted(
    function: Function, inputs: Sequence[np.ndarray], changes: dict[int, np.ndarray], dtype: Any
) -> list[np.ndarray]:
    """The changes of the outputs by evaluating the function in `dtype` and subtracting."""
    with arrays_made_in(dtype):
        return _subtracted(function, inputs, changes, dtype)


@contextmanager
def arrays_made_in(dtype: Any) -> Iterator[None]:
    """Has numpy.zeros, empty, ones and full make arrays of `dtype` where nobody asks for another."""
    names = ("zeros", "empty", "ones", "full")
    originals = {name: getattr(np, name) for name in names}

    def in_dtype(original: Function) -> Function:
        def make(*args: Any, **options: Any) -> np.ndarray:
            asked = len(args) > (2 if original is originals["full"] else 1)
            if not asked and sys._getframe(1).f_globals["__name__"].startswith("tests."):
                options.setdefault("dtype", dtype)
            return original(*args, **options)

        return make

    for name, original in originals.items():
        setattr(np, name, in_dtype(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(np, name, original)


def _subtracted(
    function: Function, inputs: Sequence[np.ndarray], changes: dict[int, np.ndarray], dtype: Any
) -> list[np.ndarray]:
    batch = len(changes[0])
    wide = [one.astype(dtype) for one in inputs]
    before = [np.asarray(output, dtype) for output in flattened(function(*(one.copy() for one in wide)))]
    found = [np.zeros((batch, *output.shape), dtype) for output in before]
    for place in range(batch):
        moved = [one + changes[number][place] if number in changes else one.copy() for number, one in enumerate(wide)]
        for output, start, change in zip(flattened(function(*moved)), before, found, strict=True):
            change[place] = np.asarray(output, dtype) - start
    return found


def assert_exact(
    function: Function,
    inputs: Sequence[np.ndarray],
    size: float = 0.5,
    dtype: Any = np.float64,
    tolerance: float = 1e-13,
) -> None:
    """Holds a program's changes against literal subtraction in `dtype`.

    The allowance is `tolerance` times the largest value or change of the output: what rounding leaves of a subtraction.
    """
    changes = changes_of(inputs, size)
    response = Program(function, inputs).run(changes)
    expected = subtracted(function, inputs, changes, dtype)
    assert len(response.changes) == len(expected)
    for change, right in zip(response.changes, expected, strict=True):
        found = np.zeros(right.shape) if change is None else change
        assert found.shape == right.shape
        assert not np.any(found[-1]), "a perturbation of zero changes something"
        scale = (
            np.max(np.abs(right), initial=0.0) if dtype is np.longdouble else 1.0 + np.max(np.abs(right), initial=0.0)
        )
        np.testing.assert_allclose(found, right.astype(float), rtol=0, atol=float(tolerance * scale))
