"""Gradients as they ran: in half precision and in single precision they are judged by the spread of their rounding."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp, lax = jax.numpy, jax.lax
RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((16, 12)), RNG.standard_normal((16, 5))
W = {"v": RNG.standard_normal((24, 5)) / 5.0, "w": RNG.standard_normal((12, 24)) / 3.5}


def at(dtype):
    parameters = {name: jnp.asarray(value, dtype) for name, value in W.items()}
    return parameters, (jnp.asarray(X, dtype), jnp.asarray(Y, dtype))


@jax.jit
def loss(p, x, y):
    return jnp.mean((jnp.tanh(x @ p["w"]) @ p["v"] - y) ** 2)


def times(factor):
    """The gradient of the loss, that of v times a factor."""

    def gradients(p, x, y):
        found = jax.grad(loss)(p, x, y)
        return {**found, "v": (factor * found["v"].astype(jnp.float32)).astype(found["v"].dtype)}

    return gradients


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "factor"), [(jnp.bfloat16, 1.03), (jnp.float16, 1.01)])
def test_half_precision_is_judged_by_its_spread(dtype, factor):
    parameters, args = at(dtype)
    report = door.check(loss, parameters, args=args)
    assert report.ok
    assert any("held against the truth" in note for note in report.notes)
    found = door.check(loss, parameters, times(factor), args)
    assert [tensor.name for tensor in found.failures] == ["v"]
    alone = door.check(loss, parameters, times(1.3)(parameters, *args), args)
    assert [tensor.name for tensor in alone.failures] == ["v"]


@pytest.mark.slow
def test_what_a_single_gradient_proves_is_no_less_than_its_report_says():
    parameters, args = at(jnp.float16)
    report = door.check(loss, parameters, times(1.002)(parameters, *args), args)
    power = next(tensor.power for tensor in report.tensors if tensor.name == "v")
    assert report.ok
    assert door.check(loss, parameters, times(1.0 + 1.5 * power)(parameters, *args), args).verdict == "fail"


@jax.custom_vjp
def scaled(x):
    return 2.0 * x


scaled.defvjp(lambda x: (2.0 * x, None), lambda _, g: (2.1 * g,))


@pytest.mark.slow
def test_custom_rules_that_are_wrong_fail_where_the_loss_casts_by_itself():
    def casting(p, x):
        return jnp.mean(scaled(jnp.tanh(x.astype(jnp.bfloat16) @ p.astype(jnp.bfloat16))).astype(jnp.float32) ** 2)

    report = door.check(casting, jnp.asarray(W["w"], jnp.float32), args=(jnp.asarray(X, jnp.float32),))
    assert report.verdict == "fail"


def test_without_a_truth_half_precision_is_inconclusive_or_fails():
    def newton(p):
        return lax.while_loop(lambda s: jnp.abs(s * s - p) > 1e-2 * p, lambda s: 0.5 * (s + p / s), p)

    p = jnp.asarray(2.0, jnp.bfloat16)
    assert door.check(newton, p, jax.jvp(newton, (p,), (jnp.ones_like(p),))[1]).verdict == "inconclusive"
    assert door.check(newton, p, jnp.asarray(-1.0, jnp.bfloat16)).verdict == "fail"


def test_gradients_that_a_function_makes_are_judged_as_numbers_are():
    parameters, args = at(jnp.float32)
    assert door.check(loss, parameters, times(1.0), args).ok
    assert door.check(loss, parameters, times(1.01), args).verdict == "fail"


@pytest.mark.slow
def test_near_a_perfect_fit_rounding_that_all_runs_share_is_no_mistake():
    """1 - p rounds alike at all points a rounding apart, and right gradients of a network that had learned failed."""
    generator = np.random.default_rng(0)
    sizes = {"k": (16, 16), "w": (16, 4)}
    given = {name: jnp.asarray(generator.standard_normal(shape), jnp.float32) for name, shape in sizes.items()}
    x, labels = jnp.asarray(generator.standard_normal((24, 16)), jnp.float32), generator.integers(0, 4, 24)

    def loss(p, x):
        h = x @ p["k"]
        h = jax.nn.relu((h - h.mean(0)) / jnp.sqrt(h.var(0) + 1e-5))
        return -jnp.mean(jax.nn.log_softmax(h @ p["w"])[jnp.arange(24), labels])

    gradient = jax.jit(jax.grad(loss))
    for _ in range(1500):
        given = jax.tree.map(lambda a, g: a - 2.0 * g, given, gradient(given, x))
    assert float(loss(given, x)) < 1e-3
    assert door.check(loss, given, gradient, (x,)).verdict == "pass"
    for factor in (1.01, -1.0):
        report = door.check(loss, given, lambda *a, f=factor: jax.tree.map(lambda g: f * g, gradient(*a)), (x,))
        assert report.verdict == "fail"


# --- float32 inside a loss of float64 ---------------------------------------------------------------------------------


def attention(p):
    """Its softmax is in float32, and stops the gradient of the maximum it takes off."""
    return jnp.mean(jax.nn.dot_product_attention(p["q"], p["k"], p["v"], is_causal=True) ** 2)


def cast_softmax(p):
    return jnp.sum(jax.nn.softmax(p["q"].astype(jnp.float32)).astype(p["q"].dtype) * p["v"])


def cast_tanh(p):
    return sum(jnp.mean(jnp.tanh(value.astype(jnp.float32)).astype(value.dtype) ** 2) for value in p.values())


INSIDE = [attention, cast_softmax, cast_tanh]
OTHER_FUNCTION = "that of another function"


def drawn(seed):
    generator = np.random.default_rng(seed)
    return {name: jnp.asarray(generator.standard_normal((1, 4, 2, 3))) for name in "qkv"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", INSIDE)
def test_float32_inside_is_rounding_as_in_single_precision(loss, seed):
    with jax.enable_x64(True):
        report = door.check(loss, drawn(seed))
    assert report.verdict == "pass", str(report)
    assert any("float32" in note for note in report.notes)
    assert not any(OTHER_FUNCTION in note for note in report.notes)


@pytest.mark.parametrize("how", ["by a function", "as a pytree"])
@pytest.mark.parametrize("loss", INSIDE)
def test_mistakes_beside_float32_inside_fail(loss, how):
    def wrong(p):
        found = jax.grad(loss)(p)
        return {**found, "q": 1.01 * found["q"]}

    with jax.enable_x64(True):
        p = drawn(0)
        report = door.check(loss, p, wrong if how == "by a function" else wrong(p))
    assert [tensor.name for tensor in report.failures] == ["q"]
    assert any("computes in float32 inside" in note for note in report.notes)
    assert not any(OTHER_FUNCTION in note for note in report.notes)


@pytest.mark.parametrize("by_caller", [False, True])
def test_runs_do_not_trace_the_loss_anew(by_caller):
    """What is traced anew is compiled anew, wherever it holds a loop: a check of an LSTM took minutes."""
    traces = []

    def recurrent(p, x):
        traces.append(p)
        return lax.scan(lambda state, row: (jnp.tanh(state @ p + row), None), jnp.zeros(5, p.dtype), x)[0].sum()

    p, x = jnp.asarray(RNG.standard_normal((5, 5)), jnp.float32), jnp.asarray(Y, jnp.float32)
    gradient = 1.02 * jax.grad(recurrent)(p, x)
    assert door.check(recurrent, p, (lambda p, x: 1.02 * jax.grad(recurrent)(p, x)) if by_caller else gradient,
                      (x,)).verdict == "fail"
    assert len(traces) < 20


def test_gradients_of_what_jax_cannot_differentiate_are_judged_alone():
    """JAX has no reverse mode for windows of products; exact differences need none."""
    def windows(p):
        return jnp.sum(lax.reduce_window(p, np.float32(1), lax.mul, (2,), (1,), "VALID"))

    p = np.array([2.0, 3.0, 5.0, 7.0], np.float32)
    gradient = np.array([3.0, 7.0, 10.0, 5.0], np.float32)
    report = door.check(windows, p, gradient)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert door.check(windows, p, 1.01 * gradient).verdict == "fail"


def test_integers_of_a_jitted_loss_are_the_same_in_double_precision(capfd):
    """JAX would say on stderr that an executable got s32 and not s64, and the loss would not run in double."""
    places, table = np.array([[0, 3], [1, 1]]), jnp.asarray(Y, jnp.float32)
    looked_up = jax.jit(lambda p, k: jnp.sum(jnp.tanh(p[k]) ** 3))
    gradient = 1.02 * jax.grad(looked_up)(table, places)
    assert door.check(looked_up, table, gradient, (places,)).verdict == "fail"
    assert capfd.readouterr().err == ""


@jax.custom_vjp
def product(x, w):
    return x @ w


# The backward pass takes what the product is for what is handed back to it.
product.defvjp(lambda x, w: (x @ w, (x, w)), lambda kept, g: (g @ kept[1].T, kept[0].T @ (kept[0] @ kept[1])))


def test_backward_passes_that_do_not_follow_what_is_handed_to_them_fail():
    def cost(w, x):
        return jnp.sum(jnp.sin(product(jnp.tanh(x), w)))

    report = door.check(cost, jnp.asarray(W["w"], jnp.float32), args=(jnp.asarray(X, jnp.float32),))
    assert report.verdict == "fail", str(report)
