"""What difference tables tell apart: smooth lines, lines with a kink at 0, and lines with costs that are no numbers."""

import numpy as np
import pytest

from fastcheck.engines.finite.difference_table import table

# Along three lines at once: a smooth function, one with a kink at 0, and one that is not defined a little further.
FUNCTIONS = (np.exp, lambda t: np.exp(t) + np.abs(t), lambda t: np.where(t > 0.2, np.nan, np.exp(t)))
SMOOTH, KINKED, BROKEN = range(3)
STEP = 2.0**-3


def lines(which, distances):
    return distances, np.array([FUNCTIONS[k](row) for k, row in zip(which, distances, strict=True)])


@pytest.fixture
def found():
    return table(lines, np.arange(3), np.full(3, STEP), 1.0, np.full(3, 1e-16))


def test_only_smooth_lines_are_called_smooth(found):
    np.testing.assert_array_equal(found.smooth, [True, False, False])
    assert found.slope[SMOOTH] == pytest.approx(1.0, abs=3.0 * found.error[SMOOTH])
    assert np.isinf(found.error[BROKEN])


def test_only_rough_lines_have_derivatives_to_both_sides(found):
    assert np.isnan(found.left[[SMOOTH, BROKEN]]).all()
    assert np.isnan(found.right[[SMOOTH, BROKEN]]).all()
    np.testing.assert_array_equal(found.nearest, [np.inf, STEP, np.inf])
    assert found.left[KINKED] == pytest.approx(0.0, abs=1e-2)
    assert found.right[KINKED] == pytest.approx(2.0, abs=1e-2)


def test_a_line_is_judged_as_it_is_alone(found):
    for k in range(3):
        alone = table(lines, np.array([k]), np.full(1, STEP), 1.0, np.full(1, 1e-16))
        for name in ("slope", "truncation", "rounding", "smooth", "left", "right", "nearest"):
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(found, name)[k], rtol=1e-6)
