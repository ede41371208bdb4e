"""JAX's door: jax.test_util.check_grads beside ours."""

import numpy as np
import pytest

import fastcheck as fc

jax = pytest.importorskip("jax")
ours = pytest.importorskip("fastcheck.jax").check_grads
jnp = jax.numpy
theirs = pytest.importorskip("jax.test_util").check_grads
RNG = np.random.default_rng(3)
X, W = RNG.standard_normal((3, 4)), RNG.standard_normal((5, 4))


def custom(forward, derivative, mode="rev"):
    """A function with a rule of its own: derivative(x, tangent or cotangent)."""
    if mode == "fwd":
        made = jax.custom_jvp(forward)
        made.defjvp(lambda primals, tangents: (forward(*primals), derivative(primals[0], tangents[0])))
    else:
        made = jax.custom_vjp(forward)
        made.defvjp(lambda x: (forward(x), x), lambda x, g: (derivative(x, g),))
    return made


RIGHT = {
    "plain": (lambda x, w: jnp.tanh(x @ w.T), (X, W)),
    "number": (lambda x: x**3, (2.0,)),
    "pytrees": (lambda p, x: {"y": x @ p["w"].T + p["b"][0], "z": (p["b"][0].sum(),)},
                ({"w": W, "b": [np.ones(5)]}, X)),
    "integers": (lambda x, i: x[i] * 2.0, (X, np.array([0, 2]))),
    "single precision": (lambda x: jnp.sin(x), (X.astype(np.float32),)),
    "complex": (lambda z: jnp.exp(z) * z, (X[0] + 1j * X[1],)),
    "complex to real": (lambda z: jnp.abs(z), (X[0] + 1j * X[1],)),
    "real to complex": (lambda x: jnp.fft.fft(x), (X,)),
    "custom": (custom(jnp.sin, lambda x, g: g * jnp.cos(x), "fwd"), (X,)),
    "jitted": (jax.jit(lambda x: jnp.sort(x) ** 2), (X,)),
    "scan": (lambda x: jax.lax.scan(lambda c, r: (jnp.tanh(c + r), c), jnp.zeros(4), x), (X,)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass_as_in_jax(name):
    f, args = RIGHT[name]
    assert ours(f, args, order=1) is None
    if name != "integers":  # JAX wants a float0 tangent, and makes none
        with jax.enable_x64(True):
            theirs(f, args, order=1)
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize("name", ["plain", "integers", "complex"])
def test_second_order(name):
    ours(*RIGHT[name], order=2)


def test_linearize_and_third_order():
    ours(jnp.sin, (X,), order=3, modes=("fwd",))
    ours(jnp.sin, (X,), order=1, modes=("lin",))


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize(("derivative", "words"), [
    (lambda x, t: 2.0 * t * jnp.cos(x), "2.000 times the numerical gradient"),
    (lambda x, t: -t * jnp.cos(x), "the sign is wrong"),
    (lambda x, t: 0.0 * t * x, "exactly zero everywhere"),
    (lambda x, t: t * (jnp.cos(x) + jnp.zeros((3, 4)).at[1, 2].set(1e-2)), r"output\[1, 2\] / d arg0\[1, 2\]"),
    (lambda x, t: t * jnp.cos(x) * jnp.nan, "nan"),
])
def test_wrong_rules_fail_and_are_named(mode, derivative, words):
    with pytest.raises(AssertionError, match=words) as caught:
        ours(custom(jnp.sin, derivative, mode), (X,), order=1, modes=[mode])
    assert ("JVP: " if mode == "fwd" else "VJP: ") in str(caught.value)


def test_a_wrong_second_derivative():
    f = custom(jnp.sin, lambda x, t: t * jax.lax.stop_gradient(jnp.cos(x)), "fwd")
    ours(f, (X,), order=1)
    with pytest.raises(AssertionError, match="JVP of JVP"):
        ours(f, (X,), order=2)


# --- where JAX passes and we do not -----------------------------------------------------------------------------


def test_blind_spot_a_zero_rule_in_single_precision():
    f = custom(lambda x: (x**2).mean(), lambda x, t: jnp.zeros(()), "fwd")
    x = RNG.standard_normal(600).astype(np.float32)
    f_by_jax = custom(lambda x: x**2 * 1e-1, lambda x, t: 0.0 * t, "fwd")
    theirs(f_by_jax, (x,), order=1, modes=["fwd"])
    for wrong in (f, f_by_jax):
        with pytest.raises(AssertionError, match="exactly zero everywhere"):
            ours(wrong, (x,), order=1, modes=["fwd"])


def test_blind_spot_values_that_are_not_finite():
    theirs(jnp.sqrt, (-1.0,), order=1)
    with pytest.raises(AssertionError, match="output is nan"):
        ours(jnp.sqrt, (-1.0,), order=1)


def test_blind_spot_random_functions():
    counter = iter(range(10**6))

    def noisy(x):
        return x * (1.0 + next(counter))

    with pytest.raises(fc.NondeterministicError, match="f is random"):
        ours(noisy, (X,), order=1)


def test_large_functions_go_along_directions():
    x = RNG.standard_normal(3000)
    ours(jnp.sin, (x,), order=1)
    for mode in ("fwd", "rev"):
        wrong = custom(jnp.sin, lambda x, t: t * jnp.cos(x).at[7].add(1e-2), mode)
        with pytest.raises(AssertionError, match="mismatch along a random direction"):
            ours(wrong, (x,), order=1, modes=[mode])


def test_a_kink_is_no_mistake():
    ours(lambda x: jnp.maximum(x, 0.0), (np.array([0.0, 1.0, -1.0]),), order=1)


def test_tolerances():
    wrong = custom(jnp.sin, lambda x, g: 1.004 * g * jnp.cos(x))
    ours(wrong, (X,), 1, ["rev"], rtol=1e-2)
    ours(wrong, (X,), 1, ["rev"], rtol={np.float64: 1e-2})
    with pytest.raises(AssertionError, match="times the numerical gradient"):
        ours(wrong, (X,), 1, ["rev"], rtol=1e-3)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="modes: 'back' found"):
        ours(jnp.sin, (X,), 1, modes=["back"])
    with pytest.raises(ValueError, match="order: expected at least 1, got 0"):
        ours(jnp.sin, (X,), 0)
    with pytest.raises(ValueError, match="args: expected floating or complex arrays, got none"):
        ours(lambda i: i, (np.arange(3),), 1)
    with pytest.raises(ValueError, match="f: expected floating or complex outputs, got none"):
        ours(lambda x: jnp.argmax(x), (X,), 1)


# --- where exact changes lose their digits, or slopes grow without bound ----------------------------------------------


def double(f, args, order, modes):
    with jax.enable_x64(True):
        ours(f, args, order, modes)


def times_a_derivative_of_sinc(factor):
    """The derivative of sinc, which divides rounding by the square of the step beside zero."""
    slope = jax.grad(jnp.sinc)
    f = jax.custom_jvp(slope)
    f.defjvp(lambda primals, tangents: (f(*primals), factor * jax.jvp(slope, primals, tangents)[1]))
    return f


@pytest.mark.parametrize("modes", [("fwd",), ("rev",), ("rev", "fwd")])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.01, 2.0])
def test_exact_changes_that_are_rounding_pass_nothing(factor, modes):
    with pytest.raises(AssertionError, match="numerical -3.2898"):
        double(times_a_derivative_of_sinc(factor), (0.0,), 1, modes)


def test_where_exact_changes_are_rounding_the_right_derivative_passes():
    double(times_a_derivative_of_sinc(1.0), (0.0,), 1, ("fwd", "rev"))
    double(jnp.sinc, (0.0,), 2, ("fwd", "rev"))


def filled(x):
    """(1 - cos x) / x, with its limit at zero, where the slope is a half."""
    return jnp.where(x == 0.0, 0.0, (1.0 - jnp.cos(x)) / jnp.where(x == 0.0, 1.0, x))


SLOPES_WITHOUT_A_NUMBER = {
    "a fraction filled in": filled,
    "a root beside a flat side": lambda x: jnp.sqrt(jax.nn.relu(x)),
    "a root on both sides": lambda x: jnp.sqrt(jnp.abs(x)),
    "a logarithm": jax.scipy.special.entr,
    "a jump": jnp.sign,
}


@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("name", SLOPES_WITHOUT_A_NUMBER)
def test_unbounded_differences_pass_no_number(name, mode):
    wrong = custom(SLOPES_WITHOUT_A_NUMBER[name], lambda x, t: 5.0 * t, mode)
    for args in ((0.0,), (np.array([0.0, 1.0]),)):
        with pytest.raises(AssertionError):
            double(wrong, args, 1, (mode,))


def test_an_unbounded_slope_of_one_entry_excuses_no_other():
    def f(x):
        return jnp.sqrt(jnp.abs(x[0])) + jnp.sin(x[1])

    wrong = custom(f, lambda x, t: t[1] * 1.5 * jnp.cos(x[1]) + jnp.inf * t[0], "fwd")
    with pytest.raises(AssertionError, match="2 of 2 entries disagree"):
        double(wrong, (np.array([0.0, 1.0]),), 1, ("fwd",))
