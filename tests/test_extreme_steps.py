"""Exact differences far out: saturated units and large steps give numbers, and the right ones."""

import numpy as np
import pytest

from fastcheck.activations import ACTIVATIONS

FAR = [0.0, 1.0, 5.5, 30.0, 38.6, 39.5, 100.0, 700.0, 750.0, 1e3, 1e6, 1e12, 1e30]
STEPS = [1e-20, 1e-7, 0.3, 3.9, 5.0, 39.0, 100.0, 745.0, 1500.0, 1e6, 1e9, 1e30]


@pytest.mark.parametrize("name", [name for name, entry in ACTIVATIONS.items() if entry.elementwise])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_difference_is_finite_and_right_wherever_a_unit_is(name, side):
    entry = ACTIVATIONS[name]
    for far in FAR:
        for d in (*STEPS, *(-step for step in STEPS)):
            z = side * far
            found = entry.difference(z, d)
            with np.errstate(all="ignore"):
                before, after = (float(entry.value(np.array([at]))[0]) for at in (z, z + d))
            # z + d rounds, and the function with it; the difference itself must be as near as that.
            room = 1e-14 * (abs(before) + abs(after)) + 1e-15 * (abs(z) + abs(d))
            assert np.isfinite(found), (z, d)
            assert abs(found - (after - before)) <= room, (z, d)
            assert abs(found) <= 2.0 * abs(d), (z, d)
