"""Activations made of exponentials: ELU and SELU, sigmoid, tanh, softplus, SiLU, and GELU with its approximation."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ELU_ALPHA = 1.0
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
GELU_CUBIC = 0.044715
SQRT_2_OVER_PI = 0.7978845608028654
SQRT_HALF = 0.7071067811865476
SQRT_2_PI = 2.5066282746310007
# Five-point Gauss-Legendre rule on [0, 1]: exact to rounding for exp(-k t) with |k| <= 1/2.
GAUSS_NODES = (0.046910077030668, 0.23076534494715845, 0.5, 0.7692346550528415, 0.953089922969332)
GAUSS_WEIGHTS = (0.11846344252809454, 0.23931433524968324, 0.28444444444444444, 0.23931433524968324,
                 0.11846344252809454)


def elu(z: Any) -> Any:
    """z for z > 0, else ELU_ALPHA (exp(z) - 1) (Clevert et al., 2015)."""
    return np.maximum(z, 0.0) + ELU_ALPHA * np.expm1(np.minimum(z, 0.0))


def elu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for z > 0, else ELU_ALPHA exp(z)."""
    return np.where(z > 0, 1.0, ELU_ALPHA * np.exp(np.minimum(z, 0.0)))


def elu_terms(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sizes of what exp(z) - 1 subtracts, and of z for z > 0."""
    return np.where(z > 0.0, z, ELU_ALPHA)


def elu_difference(z: float, d: float) -> float:
    """See ``exponential_unit_difference``."""
    return exponential_unit_difference(z, d, ELU_ALPHA)


def selu(z: Any) -> Any:
    """SELU_SCALE times z for z > 0, else times SELU_ALPHA (exp(z) - 1) (Klambauer et al., 2017)."""
    return SELU_SCALE * (np.maximum(z, 0.0) + SELU_ALPHA * np.expm1(np.minimum(z, 0.0)))


def selu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """SELU_SCALE times 1 for z > 0, else times SELU_ALPHA exp(z)."""
    return SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0.0)))


def selu_terms(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return SELU_SCALE times the same, with SELU_ALPHA (exp(z) - 1)."""
    return SELU_SCALE * np.where(z > 0.0, z, SELU_ALPHA)


def selu_difference(z: float, d: float) -> float:
    """See ``exponential_unit_difference``."""
    return SELU_SCALE * exponential_unit_difference(z, d, SELU_ALPHA)


def exponential_unit_difference(z: float, d: float, alpha: float) -> float:
    """Difference of z for z > 0, alpha (exp(z) - 1) otherwise; the two terms of a crossing have one sign."""
    if z > 0.0:
        return d if z + d > 0.0 else alpha * math.expm1(z + d) - z
    if z + d > 0.0:
        return (z + d) - alpha * math.expm1(z)
    if d > 1.0:
        return alpha * (math.exp(z + d) - math.exp(z))  # expm1(d) may overflow, and nothing cancels
    return alpha * math.exp(z) * math.expm1(d)


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z))."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """sigma(z) sigma(-z): 1 - sigma(z) would lose the digits of a saturated unit."""
    return np.asarray(sigmoid(z) * sigmoid(-z))


def sigmoid_difference(z: float, d: float) -> float:
    """p q e / (1 + p e) with p = sigma(z), q = sigma(-z), e = expm1(d)."""
    # for d > 0 every term is positive; by symmetry for d < 0
    if d < 0.0:
        return -sigmoid_difference_up(-z, -d)
    return sigmoid_difference_up(z, d)


def sigmoid_difference_up(z: float, d: float) -> float:
    """Return the same for d >= 0, divided by exp(d), which may overflow."""
    if d > 40.0:  # nothing cancels, and p and exp(-d) could both be zero
        return scalar_sigmoid(-z) - scalar_sigmoid(-(z + d)) if z > 0.0 else scalar_sigmoid(z + d) - scalar_sigmoid(z)
    p = scalar_sigmoid(z)
    fall = -math.expm1(-d)
    return p * scalar_sigmoid(-z) * fall / (math.exp(-d) + p * fall)


def scalar_sigmoid(z: float) -> float:
    """1 / (1 + exp(-z)) without overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)


def tanh(z: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(z)


def tanh_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """sech(z)^2 from z, for 1 - tanh(z)^2 would lose the digits of a saturated unit."""
    return np.asarray(4.0 * sigmoid_derivative(2.0 * z))


def tanh_difference(z: float, d: float) -> float:
    """tanh(z) = 2 sigma(2 z) - 1, so the sigmoid's."""
    return 2.0 * sigmoid_difference(2.0 * z, 2.0 * d)


def softplus(z: Any) -> Any:
    """log(1 + exp(z)) without overflow."""
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def softplus_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """sigma(z)."""
    return np.asarray(sigmoid(z))


def softplus_terms(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sizes of what log(1 + exp(z)) is off by a rounding of: 1, and z where it is larger."""
    return np.maximum(z, 1.0)


def softplus_difference(z: float, d: float) -> float:
    """log1p(sigma(z) expm1(d))."""
    # downwards it is the same step seen from z + d
    if d < 0.0:
        return -softplus_difference_up(z + d, -d)
    return softplus_difference_up(z, d)


def softplus_difference_up(z: float, d: float) -> float:
    """Return the same for d >= 0."""
    if d <= 40.0:
        return math.log1p(scalar_sigmoid(z) * math.expm1(d))
    # Nothing cancels over so long a step, and sigma(z) might have underflowed though z + d is not so low.
    if z > 0.0:
        return d + (math.log1p(math.exp(-(z + d))) - math.log1p(math.exp(-z)))
    top = z + d
    return max(top, 0.0) + math.log1p(math.exp(-abs(top))) - math.log1p(math.exp(z))


def silu(z: Any) -> Any:
    """z sigma(z) (Elfwing et al., 2017)."""
    return z * sigmoid(z)


def silu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """sigma(z) (1 + z sigma(-z))."""
    s = sigmoid(z)
    return np.asarray(s * (1.0 + z * sigmoid(-z)))


def silu_difference(z: float, d: float) -> float:
    """z D + d (sigma(z) + D) with D the sigmoid's difference."""
    rise = sigmoid_difference(z, d)
    return z * rise + d * (scalar_sigmoid(z) + rise)


def gelu(z: Any) -> Any:
    """z Phi(z), Phi the normal distribution (Hendrycks and Gimpel, 2016)."""
    from scipy.special import ndtr  # imported where used: scipy.special takes longer to import than the package

    return z * ndtr(z)


def gelu_scalar(z: float) -> float:
    """Return the same for a scalar, compilable."""
    return z * normal_distribution(z)


def gelu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phi(z) + z phi(z)."""
    from scipy.special import ndtr

    return np.asarray(ndtr(z) + z * np.exp(-0.5 * z * z) / SQRT_2_PI)


def gelu_difference(z: float, d: float) -> float:
    """z D + d (Phi(z) + D) with D the difference of Phi."""
    rise = normal_distribution_difference(z, d)
    return z * rise + d * (normal_distribution(z) + rise)


def normal_distribution(z: float) -> float:
    """Phi(z), accurate in the lower tail."""
    return 0.5 * math.erfc(-SQRT_HALF * z)


def normal_density(z: float) -> float:
    """exp(-z^2 / 2) / sqrt(2 pi)."""
    # z^2 split so that its rounding does not reach the exponent: relative accuracy in the far tail too.
    head = math.floor(16.0 * z + 0.5) / 16.0
    return math.exp(-0.5 * head * head) * math.exp(-0.5 * (z - head) * (z + head)) / SQRT_2_PI


def normal_distribution_difference(z: float, d: float) -> float:
    """Integral of the normal density over [z, z + d], by panels short enough for five Gauss points."""
    if not abs(d) <= 4.0:
        # the step dwarfs the bulk, or is NaN: plain subtraction of the smaller tails
        if z + d > 0.0 and z > 0.0:
            return normal_distribution(-z) - normal_distribution(-(z + d))
        return normal_distribution(z + d) - normal_distribution(z)
    if abs(z) > 39.0 and abs(z + d) > 39.0:
        return 0.0  # both on one side, where the density has underflowed
    panels = int(4.0 * abs(d) * (abs(z) + abs(d) + 1.0)) + 1
    width = d / panels
    total = 0.0
    for k in range(panels):
        offset = k * width
        for i in range(5):
            t = offset + width * GAUSS_NODES[i]
            total += GAUSS_WEIGHTS[i] * math.exp(-t * (z + 0.5 * t))
    return normal_density(z) * width * total


def gelu_tanh(z: Any) -> Any:
    """Return the approximation z (1 + tanh(sqrt(2/pi) (z + GELU_CUBIC z^3))) / 2 of gelu."""
    return 0.5 * z * (1.0 + np.tanh(SQRT_2_OVER_PI * (z + GELU_CUBIC * z * z * z)))


def gelu_tanh_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Its derivative, through sigma(2 v) = (1 + tanh(v)) / 2."""
    inner = 2.0 * SQRT_2_OVER_PI * (z + GELU_CUBIC * z**3)
    slope = 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * z * z)
    s = sigmoid(inner)
    return np.asarray(s * (1.0 + z * sigmoid(-inner) * slope))


def gelu_tanh_difference(z: float, d: float) -> float:
    """z D + d (sigma(2 v) + D) with D the sigmoid's difference along the inner cubic."""
    if abs(z) > 30.0 and abs(z + d) > 30.0 and (z > 0.0) == (z + d > 0.0):
        return d if z > 0.0 else 0.0  # tanh is one to rounding, and its tail has underflowed
    if abs(d) > 4.0:
        return gelu_tanh_plainly(z + d) - gelu_tanh_plainly(z)  # over so long a step nothing cancels
    # 0.5 (1 + tanh(v)) = sigma(2 v); the rounding error of v is carried along for the far tail.
    cube, cube_low = two_product(z, z)
    cube_low = cube_low * z
    cube, low = two_product(cube, z)
    cube_low += low
    cube, low = two_product(GELU_CUBIC, cube)
    cube_low = GELU_CUBIC * cube_low + low
    head, low = two_sum(z, cube)
    low += cube_low
    v, v_low = two_product(2.0 * SQRT_2_OVER_PI, head)
    v_low += 2.0 * SQRT_2_OVER_PI * low
    dv = 2.0 * SQRT_2_OVER_PI * (d + GELU_CUBIC * d * (3.0 * z * (z + d) + d * d))
    p = scalar_sigmoid(v)
    q = scalar_sigmoid(-v)
    rise = sigmoid_difference(v, dv) * (1.0 + v_low * (1.0 - 2.0 * p))
    return z * rise + d * (p * (1.0 + v_low * q) + rise)


def gelu_tanh_plainly(z: float) -> float:
    """Return the value itself for a scalar."""
    return z * scalar_sigmoid(2.0 * SQRT_2_OVER_PI * (z + GELU_CUBIC * z * z * z))


def two_sum(a: float, b: float) -> tuple[float, float]:
    """a + b as a rounded sum and its error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: float, b: float) -> tuple[float, float]:
    """a * b as a rounded product and its error (Dekker)."""
    product = a * b
    if abs(product) > 1e280 or abs(a) > 1e280 or abs(b) > 1e280:
        return product, 0.0
    scaled = 134217729.0 * a
    a_head = scaled - (scaled - a)
    a_tail = a - a_head
    scaled = 134217729.0 * b
    b_head = scaled - (scaled - b)
    b_tail = b - b_head
    return product, ((a_head * b_head - product) + a_head * b_tail + a_tail * b_head) + a_tail * b_tail
