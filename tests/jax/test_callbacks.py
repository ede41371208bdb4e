"""Losses that call back into Python: the callback runs in the precision that it promises, whatever it is handed."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp = jax.numpy
io_callback = pytest.importorskip("jax.experimental").io_callback


def sine(call, factor=1.0, kernel=np.sin):
    """The sine by a callback, with a backward pass by hand."""

    @jax.custom_vjp
    def f(x):
        return call(lambda a: kernel(np.asarray(a)), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    f.defvjp(lambda x: (f(x), x), lambda x, g: ((factor * g * jnp.cos(x)).astype(x.dtype),))
    return f


def pure(vmap_method):
    return lambda *given: jax.pure_callback(*given, vmap_method=vmap_method)


F = sine(pure("sequential"))
LOSSES = {
    "sequential": lambda p: jnp.sum(F(p)),
    "with axes": lambda p: jnp.sum(sine(pure("expand_dims"))(p)),
    "broadcast": lambda p: jnp.sum(sine(pure("broadcast_all"))(p)),
    "never stacked": lambda p: jnp.sum(sine(pure(None))(p)),
    "under vmap": lambda p: jnp.sum(jax.vmap(F)(p)),
    "under jit": jax.jit(lambda p: jnp.sum(F(p))),
    "in a loop": lambda p: jax.lax.scan(lambda c, x: (c + F(x), c), jnp.zeros((), p.dtype), p)[0],
    "with effects": lambda p: jnp.sum(sine(io_callback)(p)),
    "in order": lambda p: jnp.sum(sine(lambda *given: io_callback(*given, ordered=True))(p)),
    "that computes in double precision": lambda p: jnp.sum(
        sine(pure("sequential"), kernel=lambda a: np.sin(a.astype(np.float64)))(p)),
}


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_callbacks_in_single_precision_run(name, x64):
    if x64 and "double" in name:
        return  # JAX itself takes the promised type alone
    with jax.enable_x64(x64):
        report = door.check(LOSSES[name], jnp.ones(3, jnp.float32))
        assert report.verdict == "pass", str(report)
        assert any("callbacks keep the precision" in note for note in report.notes)


@pytest.mark.parametrize("call", [pure("sequential"), io_callback])
def test_wrong_backward_passes_of_callbacks_fail(call):
    assert door.check(lambda p: jnp.sum(sine(call, 1.01)(p)), jnp.ones(3, jnp.float32)).verdict == "fail"


def test_callbacks_that_return_nothing_do_nothing():
    def loss(p):
        jax.debug.callback(lambda a: None, p)
        return jnp.sum(jnp.sin(p))

    report = door.check(loss, jnp.ones(3, jnp.float32))
    assert report.verdict == "pass"
    assert report.engine == "program"


@pytest.mark.parametrize(("dtype", "factor"), [(jnp.float32, 1.1), (jnp.bfloat16, -1.0)])
def test_check_grads_takes_steps_that_a_callback_in_low_precision_feels(dtype, factor):
    """They were those of double precision, by which nothing moved."""
    def loss(p, f):
        return jnp.sum(f(p.astype(dtype)).astype(p.dtype))

    x = np.linspace(0.5, 1.0, 3)
    door.check_grads(lambda p: loss(p, F), (x,), 1, ("rev",))
    with pytest.raises(AssertionError, match="mismatch"):
        door.check_grads(lambda p: loss(p, sine(pure("sequential"), factor)), (x,), 1, ("rev",))
