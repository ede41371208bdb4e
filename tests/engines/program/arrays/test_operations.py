"""Every operation, held against literal subtraction: structure at changes of order one, digits at small ones."""

import numpy as np
import pytest

from tests.engines.program.arrays.literal import assert_exact, inputs_of
from tests.engines.program.arrays.operations import ALL_OPERATIONS, SHAPES


@pytest.mark.parametrize("name", ALL_OPERATIONS)
def test_large_changes_are_those_of_literal_subtraction(name):
    assert_exact(ALL_OPERATIONS[name], inputs_of(SHAPES), size=1.0, tolerance=3e-14)


@pytest.mark.parametrize("name", ALL_OPERATIONS)
def test_small_changes_keep_their_digits(name):
    assert_exact(ALL_OPERATIONS[name], inputs_of(SHAPES), size=1e-6, dtype=np.longdouble, tolerance=1e-11)
