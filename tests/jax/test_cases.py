"""What people's functions did to check_grads: each once refused, or blamed on the caller."""

import collections
from typing import NamedTuple

import numpy as np
import pytest

import fastcheck as fc
from tests.jax.functions import newton

jax = pytest.importorskip("jax")
check_grads = pytest.importorskip("fastcheck.jax").check_grads
jnp, lax = jax.numpy, jax.lax
RNG = np.random.default_rng(5)
X = RNG.standard_normal((3, 4)).astype(np.float32)
FLAT = RNG.standard_normal(4).astype(np.float32)


class Layer(NamedTuple):
    w: object
    b: object


def branching(x):
    return jnp.sin(x) if x[0] > 0 else jnp.cos(x)



def asserting(x):
    assert x.dtype == jnp.float32
    return x


@jax.custom_vjp
def called_back(x):
    return jax.pure_callback(lambda a: np.sin(np.asarray(a)), jax.ShapeDtypeStruct(x.shape, x.dtype), x)


called_back.defvjp(lambda x: (called_back(x), x), lambda x, g: (g * jnp.cos(x),))

# Types that widened inputs do not fit to, and their relatives.
FIXED_TYPES = {
    "scan carry": (lambda x: lax.scan(lambda c, r: (jnp.tanh(c + r), c), jnp.zeros(4, jnp.float32), x), (X,)),
    "fori carry": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * x[0] + x[1], jnp.ones(4, jnp.float32)), (X,)),
    "conv": (lambda x: lax.conv(x[None, None], jnp.ones((1, 1, 2, 2), jnp.float32), (1, 1), "SAME"), (X,)),
    "cond branches": (lambda x: lax.cond(True, lambda a: a, lambda a: jnp.zeros(4, jnp.float32), x[0] ** 2), (X,)),
    "switch": (lambda x: lax.switch(1, [lambda a: jnp.ones(4, jnp.float32), jnp.sin], x[0]), (X,)),
    "dynamic update": (lambda x: lax.dynamic_update_slice(jnp.zeros((3, 4), jnp.float32), x[:1] ** 2, (1, 0)), (X,)),
    "select": (lambda x: lax.select(X > 0, x, jnp.zeros((3, 4), jnp.float32)), (X,)),
    "concatenate": (lambda x: lax.concatenate([x, jnp.ones((1, 4), jnp.float32)], 0) ** 2, (X,)),
    "clamp": (lambda x: lax.clamp(jnp.float32(-0.5), x, jnp.float32(0.5)), (X,)),
    "pad": (lambda x: lax.pad(x, jnp.float32(0), [(1, 1, 0), (0, 0, 0)]) ** 2, (X,)),
    "lax.mul": (lambda x: lax.mul(x, jnp.full((3, 4), 2.0, jnp.float32)), (X,)),
    "asserted": (lambda x: asserting(x) ** 2, (X,)),
    "associative": (lambda x: lax.reduce(x, jnp.float32(0), lax.add, (0,)) ** 2, (X,)),
}


@pytest.mark.parametrize("name", FIXED_TYPES)
def test_functions_that_fix_their_types_are_run_as_they_are(name):
    f, args = FIXED_TYPES[name]
    check_grads(f, args, order=1, modes=["rev"])
    assert not jax.config.jax_enable_x64


def test_wrong_derivatives_of_functions_that_fix_their_types():
    @jax.custom_vjp
    def scanned(x):
        return lax.scan(lambda c, r: (jnp.tanh(c + r), c), jnp.zeros(4, jnp.float32), x)[0]

    scanned.defvjp(lambda x: (scanned(x), x), lambda x, g: (jnp.ones_like(x) * g,))
    with pytest.raises(AssertionError, match="Jacobian mismatch"):
        check_grads(scanned, (X,), order=1, modes=["rev"])


@pytest.mark.parametrize("f", [branching, called_back], ids=["Python if", "pure_callback without vmap"])
def test_what_cannot_be_traced_or_stacked_is_called_one_by_one(f):
    check_grads(f, (FLAT,), order=1, modes=["rev"])


def test_wrong_derivatives_of_what_is_called_one_by_one():
    @jax.custom_vjp
    def wrong(x):
        return branching(x)

    wrong.defvjp(lambda x: (branching(x), x), lambda x, g: (1.1 * g * jnp.where(x[0] > 0, jnp.cos(x), -jnp.sin(x)),))
    with pytest.raises(AssertionError, match="1.100 times"):
        check_grads(wrong, (FLAT,), order=1, modes=["rev"])


@pytest.mark.parametrize("args", [
    (np.zeros((0, 3), np.float32), FLAT),
    (FLAT, [np.zeros(0), {"a": np.zeros((2, 0))}]),
])
def test_empty_arrays(args):
    check_grads(lambda a, b: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves((a, b))), args, order=1)


def test_nothing_but_empty_arrays():
    check_grads(lambda a: a * 2.0, (np.zeros((0, 3)),), order=1)


@pytest.mark.parametrize("tree", [
    Layer(X, FLAT), collections.OrderedDict(w=X, b=FLAT), collections.defaultdict(list, w=X, b=FLAT),
    {"w": X, "b": FLAT},
], ids=["NamedTuple", "OrderedDict", "defaultdict", "dict"])
def test_containers_reach_the_function_as_they_are(tree):
    def f(p):
        assert type(p) is type(tree)
        return (p.w @ p.b) if isinstance(p, tuple) else p["w"] @ p["b"]

    check_grads(f, (tree,), order=1, modes=["rev"])
    report = fc.jax.check(lambda p: jnp.sum(f(p) ** 2), tree)
    assert report.ok
    assert [t.name for t in report.tensors] == (["b", "w"] if type(tree) in (dict, collections.defaultdict)
                                                else ["w", "b"])


def test_what_is_the_callers_own_mistake_is_told_as_jax_tells_it():
    with pytest.raises(TypeError, match="dot_general requires contracting dimensions|incompatible shapes"):
        check_grads(lambda x: x @ jnp.ones(7), (X,), order=1)


def test_large_jacobians_of_single_precision():
    x = RNG.standard_normal(3000).astype(np.float32)

    def f(a):
        return (a.astype(jnp.float32) * jnp.float32(1.1)) ** 3

    check_grads(f, (x,), order=1)
    given = RNG.standard_normal((2100, 4)).astype(np.float32)
    check_grads(lambda a: lax.scan(lambda c, r: (0.5 * c + jnp.sin(r), c), jnp.zeros(4, jnp.float32), a)[1], (given,),
                order=1, modes=["rev"])


@pytest.mark.parametrize("mode", ["fwd", "rev"])
def test_large_jacobians_name_the_entry(mode):
    def wrong(x, t):
        return t * jnp.cos(x).at[1234].add(1e-2)

    if mode == "fwd":
        f = jax.custom_jvp(jnp.sin)
        f.defjvp(lambda p, t: (jnp.sin(*p), wrong(p[0], t[0])))
    else:
        f = jax.custom_vjp(jnp.sin)
        f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (wrong(x, g),))
    with pytest.raises(AssertionError, match=r"arg0\[1234\]"):
        check_grads(f, (RNG.standard_normal(3000),), order=1, modes=[mode])


def test_large_functions_at_kinks():
    x = RNG.standard_normal(3000)
    x[::7] = 0.0
    check_grads(jax.nn.relu, (x,), order=1)
    check_grads(lambda a: jnp.maximum(a, 0.0), (x,), order=1)


def test_a_function_that_changes_what_it_closes_over_is_not_taken_for_the_old_one():
    scale = {"by": 2.0}

    def f(x):
        return scale["by"] * jnp.sin(x)

    for by in (2.0, 3.0, jnp.float32(4.0), np.full(4, 5.0)):
        scale["by"] = by
        check_grads(f, (np.zeros(4),), order=1)  # its value is the same each time


def test_values_that_forward_passes_of_rules_change_are_found():
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x) + 0.1, x), lambda x, g: (g * jnp.cos(x),))
    with pytest.raises(AssertionError, match="value"):
        check_grads(f, (FLAT,), order=1, modes=["rev"])
    g = jax.custom_jvp(jnp.sin)
    g.defjvp(lambda p, t: (1.01 * jnp.sin(*p), t[0] * jnp.cos(*p)))
    with pytest.raises(AssertionError, match="value"):
        check_grads(g, (FLAT,), order=1, modes=["fwd"])


def test_loops_whose_length_depends_on_values():
    check_grads(newton, (np.float32(2.3),), order=1, modes=["fwd"])


def test_gradients_at_the_edge_of_a_domain():
    check_grads(lambda x: x**1.5, (np.array([0.0, 1.0]),), order=1)
    check_grads(lambda x: (1.0 - x) ** 1.5, (np.array([1.0, 0.5]),), order=1)
