"""Short polynomials for tiny steps: what lets the inner loops run without a call to exp.

A smooth difference D(z, d) is, for fixed z, a power series in d without a constant term.  Its first four
coefficients follow from four exact differences at ``+-STEP`` and ``+-2 STEP``; the quartic through them agrees with D
to rounding for every ``|d| <= REACH``.
"""

STEP = 2.0**-12
STEPS = (-2.0 * STEP, -STEP, STEP, 2.0 * STEP)
REACH = 2.0 * STEP
# |x| below which the short series of expm1 and log1p are exact to rounding.
SERIES_REACH = 1e-3


def fit(far_below: float, below: float, above: float, far_above: float) -> tuple[float, float, float, float]:
    """Coefficients of d, d^2, d^3, d^4 from the differences at -2 STEP, -STEP, STEP and 2 STEP."""
    odd_near = (above - below) / (2.0 * STEP)
    odd_far = (far_above - far_below) / (4.0 * STEP)
    even_near = (above + below) / (2.0 * STEP * STEP)
    even_far = (far_above + far_below) / (8.0 * STEP * STEP)
    cubic = (odd_far - odd_near) / (3.0 * STEP * STEP)
    quartic = (even_far - even_near) / (3.0 * STEP * STEP)
    return odd_near - cubic * STEP * STEP, even_near - quartic * STEP * STEP, cubic, quartic


def short_expm1(x: float) -> float:
    """expm1(x) for |x| <= SERIES_REACH."""
    return x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0)))))


def short_log1p(x: float) -> float:
    """log1p(x) for |x| <= SERIES_REACH."""
    return x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * (0.2 - x * (1.0 / 6.0))))))
