"""Sums, products, quotients, roots and powers."""

from typing import Any

from .._errors import NoRule
from .base import Changes, Rule, Values, moved, still_where_still, two_sum
from .namespaces import any_of, as_float, cube_root, is_complex, is_traced, largest
from .small import log_ratio

# Integer powers up to this one are differenced by products; beyond it, through logarithms.
LAST_BY_PRODUCTS = 8


def add(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """da + db."""
    da, db = changes
    if db is None:
        return da
    return db if da is None else da + db


def subtract(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """da - db."""
    da, db = changes
    if db is None:
        return da
    return -db if da is None else da - db


def multiply(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """da b + (a + da) db."""
    (a, b), (da, db) = values, changes  # as product_change has it: nothing is called as often
    if db is None:
        return da * b
    return a * db if da is None else da * b + (a + da) * db


def divide(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(da - out db) / (b + db)."""
    (_, b), (da, db) = values, changes
    if db is None:
        change = da / b
    elif da is None:
        change = -(out * db) / (b + db)
    else:
        change = (da - out * db) / (b + db)
    return still_where_still(xp, change, da, db) if any_of(xp, b == 0.0) else change


def negative(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-d."""
    return -changes[0]


def positive(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """d."""
    return changes[0]


def conjugate(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the conjugate of d."""
    return xp.conj(changes[0]) if is_complex(changes[0]) else changes[0]


def degrees(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the change in degrees, of an angle in radians."""
    return xp.rad2deg(changes[0])


def radians(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the change in radians, of an angle in degrees."""
    return xp.deg2rad(changes[0])


def square(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """d (2 x + d)."""
    (x,), (d,) = values, changes
    return integer_power(x, d, 2)


def reciprocal(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-d out / (x + d)."""
    (x,), (d,) = values, changes
    change = -(d * out) / (x + d)
    return still_where_still(xp, change, d) if any_of(xp, x == 0.0) else change


def sqrt(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """d / (sqrt(x + d) + sqrt(x))."""
    (x,), (d,) = values, changes
    change = d / (xp.sqrt(x + d) + out)
    return still_where_still(xp, change, d) if any_of(xp, x == 0.0) else change


def rsqrt(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """1 / sqrt: -d / (r s (r + s)) with the roots r and s, in an order that neither overflows nor underflows."""
    (x,), (d,) = values, changes
    root, other = xp.sqrt(x), xp.sqrt(x + d)
    change = -(d / other) / (root * (root + other))
    return still_where_still(xp, change, d) if any_of(xp, x == 0.0) else change


def cbrt(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """d / (a^2 + a b + b^2) with the roots a and b, of which a b is at most half where it is negative."""
    (x,), (d,) = values, changes
    other = cube_root(xp, x + d)
    change = d / (out * (out + other) + other * other)
    return still_where_still(xp, change, d) if any_of(xp, x == 0.0) else change


def power(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x^p, by products for small integer powers, else out expm1(p log((x + dx) / x) + ...)."""
    (x, p), (dx, dp) = values, changes
    if dp is not None and not is_complex(out):
        return power_of_moving_exponent(xp, values, changes, out)
    whole = small_integer(p) if dp is None else None
    if whole is not None:
        return integer_power(x, dx, whole)
    if is_complex(out):
        raise NoRule("power of complex numbers", "use whole exponents, or real and imaginary parts")
    return power_of_moving_base(xp, x, p, dx, out)


def small_integer(p: Any) -> int | None:
    """Return the exponent where it is one small non-negative integer."""
    size = 1
    for length in getattr(p, "shape", ()):
        size *= length
    if size != 1 or is_traced(p):
        return None
    if is_complex(p) or isinstance(p, complex):
        return None
    number = float(p)
    return int(number) if number in range(LAST_BY_PRODUCTS + 1) else None


def integer_power(x: Any, d: Any, n: int) -> Any:
    """(x + d)^n - x^n = d sum_k (x + d)^k x^(n - 1 - k), by Horner's rule."""
    if n == 0:
        return 0.0 * d
    if n == 1:
        return d
    if n == 2:
        change = 2.0 * x + d
        change *= d  # in place: large arrays take longest to be made
        return change
    y = x + d
    total, power = x + y, x
    for _ in range(n - 2):
        power = power * x
        total = total * y + power
    return d * total


def power_of_moving_base(xp: Any, x: Any, p: Any, d: Any, out: Any) -> Any:
    """out expm1(p log((x + d) / x)) where that is small, else the two powers less each other."""
    even = p % 2.0 == 0.0
    if any_of(xp, even):
        # An even power does not tell x from -x: from there, the way to x + d need not lead through zero.
        mirror = even & ((x > 0.0) != (x + d > 0.0)) & (x != 0.0)
        x, d = xp.where(mirror, -x, x), xp.where(mirror, 2.0 * x + d, d)
    step = p * log_ratio(xp, x, d)
    near = out * xp.expm1(step)
    if largest(xp, step) <= 1.0:
        return near
    total, error = two_sum(xp, x, d)
    correction = xp.where(total == 0.0, 0.0, p * error / total)
    far = total**p * (1.0 + xp.where(xp.isfinite(correction), correction, 0.0)) - out
    return still_where_still(xp, xp.where(xp.abs(step) <= 1.0, near, far), d)


def power_of_moving_exponent(xp: Any, values: Values, changes: Changes, out: Any) -> Any:
    """out expm1(dp log x + (p + dp) log((x + dx) / x)) for x > 0; elsewhere the two powers less each other."""
    (x, p), (dx, dp) = values, changes
    x = as_float(xp, x, dp)  # the logarithm of small integers would be of low precision
    new = moved(x, dx)
    step = dp * xp.log(x)
    if dx is not None:
        step = step + xp.where(p + dp == 0.0, 0.0, (p + dp) * log_ratio(xp, x, dx))
    unit = (p == 0.0) & ~(x > 0.0)
    if any_of(xp, unit):  # the value is 1 whatever the base
        step = xp.where(unit & (new > 0.0), dp * xp.log(new), step)
    near = out * xp.expm1(step)
    if largest(xp, step) <= 1.0:
        return near
    change = xp.where(xp.abs(step) <= 1.0, near, new ** (p + dp) - out)
    if dx is not None and any_of(xp, x < 0.0):
        still = (x < 0.0) & (dp == 0.0)
        change = xp.where(still, power_of_moving_base(xp, x, p + 0.0 * x, dx, out), change)
    return still_where_still(xp, change, dx, dp)


ARITHMETIC: dict[str, Rule] = {
    "add": Rule(add, complex=True),
    "subtract": Rule(subtract, complex=True),
    "multiply": Rule(multiply, complex=True),
    "divide": Rule(divide, complex=True),
    "negative": Rule(negative, complex=True),
    "positive": Rule(positive, complex=True),
    "conjugate": Rule(conjugate, complex=True),
    "degrees": Rule(degrees),
    "rad2deg": Rule(degrees),
    "radians": Rule(radians),
    "deg2rad": Rule(radians),
    "square": Rule(square, complex=True),
    "reciprocal": Rule(reciprocal, complex=True),
    "sqrt": Rule(sqrt),
    "rsqrt": Rule(rsqrt),
    "cbrt": Rule(cbrt),
    "power": Rule(power, complex=True),
    "float_power": Rule(power, complex=True),
}
