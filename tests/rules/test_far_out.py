"""Rules at operands of all magnitudes, with steps far below and far above them: numbers, and the right ones."""

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.table import RULES
from tests.rules.references import REFERENCES

SIZES = (1e-300, 1e-30, 1e-8, 1.5, 39.0, 1e8, 3e16, 1e154, 1e300)
STEPS = (1e-3, -30.0, 1e-10)
# Operations of positive operands alone, and what those are far out whose tails mpmath cannot give there.
POSITIVE = {"log", "log1p", "sqrt", "rsqrt", "cbrt", "gammaln", "digamma", "log2"}
BEYOND = {"erf": lambda x, d: 0.0, "erfc": lambda x, d: 0.0, "ndtr": lambda x, d: 0.0,
          "gelu": lambda x, d: d if x > 0.0 else 0.0}
NAMES = sorted((POSITIVE | set(BEYOND) | {"silu", "sigmoid", "tanh", "expm1", "log_expit", "arctan", "arcsinh"})
               & set(REFERENCES))


def places(name):
    """Operands of both signs with steps of a size, and with shares of them."""
    found = [(x, d) for size in SIZES for x in (size, -size) for d in (*STEPS, x * 2.0**-48, -x * 1e-3)]
    return [(x, d) for x, d in found if name not in POSITIVE or (x > 0.0 and x + d > 0.0)]


def true_change(name, x, d):
    """Return the change in many digits; None where the function is no number of double precision."""
    if name in BEYOND and abs(x) > 1e3:
        return BEYOND[name](x, d)
    with mp.workdps(800 if name in BEYOND else 340):
        before, after = (REFERENCES[name].function(mp.mpf(x) + way) for way in (mp.mpf(0), mp.mpf(d)))
        finite = mp.isfinite(before) and mp.isfinite(after) and max(abs(before), abs(after)) < 1e307
        return after - before if finite else None


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_changes_far_out(name):
    for x, d in places(name):
        true = true_change(name, x, d)
        if true is None:
            continue
        with np.errstate(all="ignore"):
            out = np.array(float(REFERENCES[name].function(mp.mpf(x)))) if name not in BEYOND else np.array(np.nan)
            found = RULES[name].change(np, (np.array(x),), (np.array(d),), out, None)
        # Over a long way what goes up may come down, and rounds as it went up.
        way = 1e-13 * abs(d) if abs(d) > 1e-2 * abs(x) else 0.0
        assert abs(float(found) - true) <= 1e-12 * abs(true) + way + 1e-300, (x, d, float(found), float(true))


def test_quotients_that_are_no_normal_numbers():
    x, y, d = 7.5e-150, 2.5e300, 1e-3
    change = RULES["rel_entr"].change(np, (np.array(x), np.array(y)), (np.array(d), None), np.array(-7.8e-147), None)
    assert float(change) == pytest.approx(d * (np.log(d) - np.log(y)), rel=1e-12)
