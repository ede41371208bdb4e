"""Functions beyond the elementary, held against literal subtraction."""

import numpy as np
import pytest

from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.functions import ALL_FUNCTIONS, DOUBLE_ONLY
from tests.engines.program.arrays.literal import assert_exact, changes_of, inputs_of
from tests.engines.program.arrays.operations import SHAPES

SMALL = [name for name in ALL_FUNCTIONS if not name.startswith(DOUBLE_ONLY)]


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_large_changes_are_those_of_literal_subtraction(name):
    assert_exact(ALL_FUNCTIONS[name], inputs_of(SHAPES), size=0.3, tolerance=2e-13)


@pytest.mark.parametrize("name", SMALL)
def test_small_changes_keep_their_digits(name):
    assert_exact(ALL_FUNCTIONS[name], inputs_of(SHAPES), size=1e-6, dtype=np.longdouble, tolerance=1e-11)


@pytest.mark.parametrize("size", [2.0**-30, 2.0**-52, 2.0**-70])
@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_tiny_changes_are_a_part_of_small_ones(name, size):
    """No function leaves out what is below some size of its own, as scipy.ndimage does with weights below 2^-52."""
    inputs = inputs_of(SHAPES)
    program = Program(ALL_FUNCTIONS[name], inputs)
    changes = changes_of(inputs, 2.0**-20)
    small, tiny = (program.run({number: share * change for number, change in changes.items()}).changes
                   for share in (1.0, size))
    for one, other in zip(small, tiny, strict=True):
        if one is not None:
            np.testing.assert_allclose(other / size, one, rtol=0, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize("name", [name for name in ALL_FUNCTIONS if name.startswith(DOUBLE_ONLY)])
def test_small_changes_are_half_of_twice_as_small_ones(name):
    """Without wider arithmetic: what is lost in subtraction is not lost here, and the second order is known."""
    inputs = inputs_of(SHAPES)
    program = Program(ALL_FUNCTIONS[name], inputs)
    changes = changes_of(inputs, 1e-9)
    plus, minus = (program.run({k: sign * change for k, change in changes.items()}).changes for sign in (1, -1))
    for one, other in zip(plus, minus, strict=True):
        np.testing.assert_allclose(one, -other, rtol=0, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_operations_have_the_same_numbers_whatever_moves(name):
    inputs = inputs_of(SHAPES)
    program = Program(ALL_FUNCTIONS[name], inputs)
    changes = changes_of(inputs, 1e-6)
    for number in range(len(inputs)):
        program.run({number: changes[number]})
    program.run(changes)  # a NoRule if any run counted otherwise than the first
