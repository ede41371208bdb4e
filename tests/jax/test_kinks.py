"""Derivatives at kinks: those of every convention that JAX and people hold pass; what lies in between does not."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
check_grads = pytest.importorskip("fastcheck.jax").check_grads
fj = pytest.importorskip("fastcheck.jax")
jnp, lax, nn = jax.numpy, jax.lax, jax.nn

ZEROS = np.array([0.0, 1.0, -1.0, 0.0])
TIES = np.array([1.0, 1.0, 0.3, 1.0])
PAIRS = np.array([2.0, 2.0, 1.0])
IMAGE = np.zeros((1, 1, 4, 4))

RIGHT = {
    "relu": (nn.relu, ZEROS),
    "maximum": (lambda x: jnp.maximum(x, 0.0), ZEROS),
    "minimum": (lambda x: jnp.minimum(0.0, x), ZEROS),
    "one kink": (lambda x: jnp.maximum(x, 0.0), 0.0),
    "relu6 and hard_tanh": (lambda x: nn.relu6(6.0 * x) + nn.hard_tanh(x), ZEROS),
    "leaky_relu and elu": (lambda x: nn.leaky_relu(x) + nn.elu(x), ZEROS),
    "absolute": (jnp.abs, ZEROS),
    "sign": (jnp.sign, np.array([1.0, -1.0])),
    "clip": (lambda x: jnp.clip(x, -1.0, 1.0), ZEROS),
    "clamp": (lambda x: lax.clamp(-1.0, x, 1.0), ZEROS),
    "where": (lambda x: jnp.where(x >= 0.0, 2.0 * x, -x), ZEROS),
    "max of ties": (jnp.max, TIES),
    "min of ties": (lambda x: jnp.min(-x), TIES),
    "maximum of two": (lambda x: jnp.maximum(x, x[::-1]), TIES),
    "sort": (lambda x: jnp.sort(x) * np.arange(1.0, 5.0), TIES),
    "sort of pairs": (lambda x: jnp.sort(x) * np.arange(1.0, 4.0), PAIRS),
    "top_k": (lambda x: lax.top_k(x, 2)[0] * np.array([1.0, 3.0]), TIES),
    "median": (jnp.median, TIES),
    "cummax": (lax.cummax, TIES),
    "cummin in reverse": (lambda x: lax.cummin(-x, reverse=True), TIES),
    "max pool": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"), IMAGE),
    "relu beside maximum": (lambda x: nn.relu(x) + jnp.maximum(x, 0.0), ZEROS),
    "relu beside maximum, one kink": (lambda x: nn.relu(x) + jnp.maximum(x, 0.0), 0.0),
    "relu, clamp and clip": (lambda x: nn.relu(x) + 3.0 * lax.clamp(0.0, x, 2.0) + 7.0 * jnp.clip(x, 0.0, 2.0), ZEROS),
    "max beside sort": (lambda x: jnp.max(x) + jnp.sort(x)[-1], TIES),
    "max of relus": (lambda x: jnp.max(nn.relu(x)) + jnp.sum(jnp.abs(x)), np.zeros(3)),
    "relu of a maximum": (lambda x: nn.relu(jnp.maximum(x, 0.0)), ZEROS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_conventions_of_jax_pass(name):
    f, x = RIGHT[name]
    check_grads(f, (x,), order=1)


def held(slopes):
    """A relu whose slope at zero is ``slopes``, one for each entry."""
    f = jax.custom_vjp(lambda x: jnp.maximum(x, 0.0))
    f.defvjp(lambda x: (jnp.maximum(x, 0.0), x), lambda x, g: (jnp.where(x == 0.0, slopes * g, (x > 0.0) * g),))
    return f


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_each_convention_of_a_relu_passes(slope):
    check_grads(held(slope), (ZEROS,), order=1, modes=["rev"])


@pytest.mark.parametrize("slope", [
    0.505, 0.01, 0.99, np.array([0.505, 0.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.505]),
])
def test_a_slope_between_the_sides_does_not_pass(slope):
    with pytest.raises(AssertionError, match="between the one-sided derivatives"):
        check_grads(held(slope), (ZEROS,), order=1, modes=["rev"])
    with pytest.raises(AssertionError, match="between the one-sided derivatives"):
        check_grads(lambda x: jnp.sum(held(slope)(x) * np.arange(1.0, 5.0)), (ZEROS,), order=1, modes=["rev"])


@pytest.mark.parametrize("slope", [-0.01, 1.01])
def test_a_slope_beyond_the_sides_fails(slope):
    with pytest.raises(AssertionError, match="Jacobian mismatch"):
        check_grads(held(slope), (ZEROS,), order=1, modes=["rev"])


def largest(weights):
    """The largest entry, whose gradient is ``weights`` where it is largest."""
    f = jax.custom_vjp(lambda x: jnp.max(x))
    f.defvjp(lambda x: (jnp.max(x), x), lambda x, g: (g * weights * (x == jnp.max(x)),))
    return f


@pytest.mark.parametrize("weights", [
    np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0]), np.ones(4) / 3.0, np.ones(4),
])
def test_each_convention_of_a_maximum_passes(weights):
    check_grads(largest(weights), (TIES,), order=1, modes=["rev"])


@pytest.mark.parametrize("weights", [0.0, 0.5, 0.34, np.array([0.6, 0.4, 0.0, 0.0])])
def test_no_gradient_of_a_maximum_fails_or_is_not_passed(weights):
    with pytest.raises(AssertionError):
        check_grads(largest(weights), (TIES,), order=1, modes=["rev"])


@pytest.mark.slow
def test_large_functions_are_held_against_conventions_along_directions():
    x = np.random.default_rng(0).standard_normal(3000)
    x[::7] = 0.0
    for slope in (0.0, 0.5, 1.0):
        check_grads(held(slope), (x,), order=1, modes=["rev"])
    check_grads(lambda a: nn.relu(a) + jnp.maximum(a, 0.0), (x,), order=1)
    with pytest.raises(AssertionError, match="between the one-sided derivatives"):
        check_grads(held(0.505), (x,), order=1, modes=["rev"])


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "pass"), (1.0, "pass"), (2.0, "fail"), (-0.5, "fail")])
@pytest.mark.parametrize("scanned", [False, True])
def test_a_loss_that_stands_on_one_kink(slope, verdict, scanned):
    def loss(params):
        if not scanned:
            return jnp.sum((held(slope)(params["W"] @ jnp.array([1.0, 2.0])) - 1.0) ** 2)
        rows = lax.scan(lambda total, w: (total + w @ jnp.array([1.0, 2.0]), held(slope)(w @ jnp.array([1.0, 2.0]))),
                        jnp.abs(params["W"][1, 1]), params["W"])
        return jnp.sum((rows[1] - 1.0) ** 2) + rows[0]

    with jax.enable_x64(True):
        report = fj.check(loss, {"W": jnp.array([[2.0, -1.0], [1.0, 1.0], [-1.0, 0.3]])})
    assert report.verdict == verdict, report
