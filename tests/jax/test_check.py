"""fastcheck.jax.check: losses of pytrees, as reports."""

import gc
from typing import NamedTuple

import numpy as np
import pytest

import fastcheck as fc
from tests.jax.functions import halved

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp, lax = jax.numpy, jax.lax
RNG = np.random.default_rng(11)
X, Y = RNG.standard_normal((8, 5)).astype(np.float32), RNG.integers(0, 3, 8).astype(np.int32)


class Dense(NamedTuple):
    w: object
    b: object


def net(dtype=np.float32, units=6):
    rng = np.random.default_rng(2)
    return {"layers": [Dense(rng.standard_normal((5, units)).astype(dtype), np.zeros(units, dtype)),
                       Dense(rng.standard_normal((units, 3)).astype(dtype), np.zeros(3, dtype))], "steps": np.int32(7)}


def loss(p, x, y):
    first, second = p["layers"]
    logits = jax.nn.relu(x @ first.w + first.b) @ second.w + second.b
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])


def own_gradients(p):
    found = jax.grad(loss, allow_int=True)(p, X, Y)
    return jax.tree.map(lambda g, leaf: np.array(g) if np.asarray(leaf).dtype.kind == "f" else leaf, found, p)


@pytest.mark.slow
def test_the_gradients_of_jax_pass_and_are_named_by_their_paths():
    report = door.check(loss, net(), args=(X, Y))
    assert report.ok
    assert report.engine == "program"
    assert [t.name for t in report.tensors] == ["layers.0.w", "layers.0.b", "layers.1.w", "layers.1.b"]
    assert report.difference < 1e-6


@pytest.mark.slow
def test_double_precision_is_exact():
    with jax.enable_x64(True):
        report = door.check(loss, net(np.float64), args=(X.astype(np.float64), Y))
    assert report.ok
    assert report.difference < 1e-13


@pytest.mark.parametrize("method", ["all", "sample", "directional"])
def test_wrong_gradients_fail_by_every_method(method):
    gradients = own_gradients(net())
    gradients["layers"][1].w[...] *= 1.01
    report = door.check(loss, net(), gradients, args=(X, Y), method=method)
    assert report.verdict == "fail"
    assert next(t.name for t in report.tensors if t.verdict == "fail").startswith("layers.1.w")
    assert door.check(loss, net(), own_gradients(net()), args=(X, Y), method=method).ok


def test_one_wrong_entry_is_named():
    gradients = own_gradients(net())
    gradients["layers"][0].w[3, 2] += 0.01
    report = door.check(loss, net(), gradients, args=(X, Y))
    assert report.worst(1)[0].tensor == "layers.0.w"
    assert tuple(report.worst(1)[0].index) == (3, 2)


def test_large_parameters_go_along_directions(monkeypatch):
    monkeypatch.setattr("fastcheck.engines.program.patience.PATIENCE", 0.0)
    report = door.check(loss, net(), args=(X, Y))
    assert report.ok
    assert any("directions through everything" in note for note in report.notes)


@pytest.mark.slow
def test_operations_without_a_rule_are_named():
    report = door.check(lambda w: jnp.sum(jnp.abs(jnp.linalg.eigvals(w)) ** 3), np.eye(3) + X[:3, :3])
    assert report.ok
    assert report.engine == "differences"
    assert any("lax.eig" in note for note in report.notes)


def test_branches_in_python():
    report = door.check(lambda w: jnp.sum(w**2) if w[0] > 0 else jnp.sum(w**3), np.array([1.0, 2.0], np.float32))
    assert report.ok
    assert any("cannot trace" in note for note in report.notes)


def test_complex_parameters():
    z = (X[0] + 1j * X[1]).astype(np.complex64)
    assert door.check(lambda p: jnp.sum(jnp.abs(jnp.exp(p) * p) ** 2), z).ok
    gradient = jax.grad(lambda p: jnp.sum(jnp.abs(p) ** 2))(z)
    assert door.check(lambda p: jnp.sum(jnp.abs(p) ** 2), z, gradient).ok
    assert door.check(lambda p: jnp.sum(jnp.abs(p) ** 2), z, jnp.conj(gradient)).verdict == "fail"


@pytest.mark.slow
def test_kinks_are_judged_by_conventions():
    w = np.array([0.0, 1.0, -2.0, 0.0])
    assert door.check(lambda p: jnp.sum(jax.nn.relu(p) * 3.0), w).ok
    assert door.check(lambda p: jnp.sum(jnp.maximum(p, 0.0) * 3.0), w).ok
    assert door.check(lambda p: jnp.sum(jax.nn.relu(p)), w, np.array([0.0, 1.1, 0.0, 0.0])).verdict == "fail"


def test_random_losses_are_refused():
    counter = iter(range(10**6))
    with pytest.raises(fc.NondeterministicError, match="random"):
        door.check(lambda w: jnp.sum(w) * (1.0 + next(counter)), np.ones(3))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"loss: expected one real number, got shape \(3,\)"):
        door.check(lambda w: w * 2.0, np.ones(3))
    with pytest.raises(ValueError, match=r"loss: expected one real number, got shape \(\) and type int32"):
        door.check(jnp.argmax, np.ones(3))
    for value, called in ((None, "None"), ("7", "str"), ((1.0, {}), "tuple")):
        with pytest.raises(ValueError, match=f"loss: expected one real number, got {called}"):
            door.check(lambda w, value=value: value, np.ones(3))
    with pytest.raises(ValueError, match="parameters: expected floating arrays, got none"):
        door.check(lambda w: jnp.sum(w) * 1.0, np.arange(3))
    with pytest.raises(ValueError, match="gradients: expected .*'b' is missing"):
        door.check(lambda p: jnp.sum(p["a"] * p["b"]), {"a": np.ones(2), "b": np.ones(2)}, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"gradients: expected shape \(2,\) for 'a', got \(3,\)"):
        door.check(lambda p: jnp.sum(p["a"]), {"a": np.ones(2)}, {"a": np.ones(3)})
    with pytest.raises(TypeError, match="args: expected a tuple"):
        door.check(lambda p, x: jnp.sum(p * x), np.ones(2), args=np.ones(2))


@pytest.mark.slow
def test_time_limits_hold():
    report = door.check(loss, net(units=150), args=(X, Y), method="all", time_limit=0.001)
    assert report.verdict in ("pass", "inconclusive")
    assert any("time limit" in note for note in report.notes)


@pytest.mark.slow
def test_saturated_units_in_single_precision_are_not_accused():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((30, 40)).astype(np.float32), rng.standard_normal((8, 30)).astype(np.float32)

    def saturated(p):
        return jnp.mean(jnp.tanh(3.0 * x @ p) ** 2)

    assert door.check(saturated, w, method="all").ok
    wrong = np.array(jax.grad(saturated)(w))
    assert door.check(saturated, w, 1.001 * wrong, method="all").verdict == "fail"


@pytest.mark.slow
def test_callbacks_are_called_one_by_one():
    def called_back(p):
        squares = jax.ShapeDtypeStruct((), np.float32)
        return jax.pure_callback(lambda a: np.float32(np.sum(np.asarray(a) ** 2)), squares, p)

    w = np.array([0.5, -1.0], np.float32)
    assert door.check(called_back, w, 2.0 * w).ok
    assert door.check(called_back, w, 2.1 * w).verdict == "fail"


def test_a_loop_that_asks_each_row_is_followed():
    """What vmap makes of a while loop, as in expi's series."""
    def cost(x):
        return jnp.sum(jax.vmap(halved)(x))

    x = jnp.asarray([0.4, 1.1, 2.3, 0.1])
    gradient = jax.jacfwd(cost)(x)
    report = door.check(cost, x, gradient)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert door.check(cost, x, gradient.at[2].multiply(1.01)).verdict == "fail"


def test_where_jax_cannot_differentiate_it_is_said_that_gradients_can_be_handed_over():
    def called_back(p):
        return jax.pure_callback(lambda a: np.float32(np.sum(np.asarray(a) ** 2)), jax.ShapeDtypeStruct((), "f4"), p)

    with pytest.raises(ValueError, match="JVP") as caught:
        door.check(called_back, np.ones(2, np.float32))
    assert any("gradients=..." in note for note in caught.value.__notes__)


def test_little_is_compiled_that_jax_keeps_for_good():
    """JAX keeps what it compiles of single operations; those in double precision took most of a small check."""
    client = jax.devices()[0].client
    x = jnp.asarray(RNG.standard_normal((7, 9)), jnp.float32)

    def cost(w):
        return jnp.mean(jnp.tanh(jnp.sin(x @ w)) ** 2 + jnp.exp(-jnp.square(x @ w)))

    w = jnp.asarray(RNG.standard_normal((9, 3)), jnp.float32)
    jax.grad(cost)(w)
    jax.grad(cost)(w)
    before = len(client.live_executables())
    assert door.check(cost, w).ok
    gc.collect()
    assert len(client.live_executables()) - before < 24


def test_operations_that_do_not_run_in_double_precision_are_called(monkeypatch):
    def refused(*args):
        raise TypeError("lax.dot requires arguments to have the same dtypes, got float64, float32.")

    monkeypatch.setattr("fastcheck.jax.cost.JaxProgram.values_only", refused)
    with jax.enable_x64(True):
        report = door.check(lambda w: jnp.sum(jnp.sin(w)), np.arange(3.0))
    assert (report.verdict, report.engine) == ("pass", "differences"), str(report)
    assert any("do not run in double precision" in note for note in report.notes)


@pytest.mark.parametrize(("loss", "kind", "words"), [
    (3, TypeError, "loss: expected a function of the parameters, got int"),
    (dict, TypeError, "loss: expected a function of the parameters, got the class dict; pass an instance of it"),
    (lambda p: None, ValueError, "loss: expected one real number, got None; is a return statement missing?"),
    (lambda p: (jnp.sum(p["w"]), p), ValueError, "got tuple; return the loss alone"),
    (lambda p: float(np.sum(np.asarray(p["w"]))), ValueError, "loss: .* got a Python number; return the array itself"),
])
def test_losses_that_are_none(loss, kind, words):
    with pytest.raises(kind, match=words):
        door.check(loss, {"w": np.ones(3, np.float32)}, {"w": np.ones(3, np.float32)})


def test_gradients_under_other_names_are_told_all_that_is_expected():
    parameters = {"w": np.ones(3, np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match=r"gradients: expected 'b', 'w', got 'db', 'dw'; 'b' is missing"):
        door.check(lambda p: jnp.sum(p["w"] + p["b"]), parameters, {"dw": np.ones(3), "db": np.ones(3)})
    with pytest.raises(ValueError, match=r"where they come as \(loss, gradients\), pass the second"):
        door.check(lambda p: jnp.sum(p["w"] + p["b"]), parameters, (1.0, {"w": np.ones(3), "b": np.ones(3)}))


class CalledModel(NamedTuple):
    """A model as Equinox has them: a pytree that is called."""

    w: object
    b: object

    def __call__(self, x):
        return x @ self.w + self.b


def squares(model, x):
    return jnp.mean(model(x) ** 2)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "pass"), (1.5, "fail")])
def test_gradients_of_a_model_that_is_called_are_a_pytree_and_no_function(factor, verdict):
    model = CalledModel(jnp.asarray(RNG.standard_normal((5, 3)), jnp.float32), jnp.zeros(3))
    gradients = jax.grad(squares)(model, X)
    report = door.check(squares, model, gradients._replace(w=factor * gradients.w), (X,))
    assert report.verdict == verdict, str(report)
    assert door.check(squares, model, jax.tree_util.Partial(jax.grad(squares)), (X,)).ok


def on_one_device(x, w, wrong=False):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("samples",))
    spec = jax.sharding.PartitionSpec

    def mean(w, x):
        out = jnp.tanh(x @ w)
        return lax.pmean(jnp.mean(out * (lax.stop_gradient(out) if wrong else out)), "samples")

    return jax.shard_map(mean, mesh=mesh, in_specs=(spec(), spec("samples")), out_specs=spec())(w, x)


@pytest.mark.parametrize(("wrong", "verdict"), [(False, "pass"), (True, "fail")])
def test_a_loss_with_shard_map_is_differenced_in_double_precision(wrong, verdict):
    if not hasattr(jax, "shard_map"):
        pytest.skip("this JAX has shard_map elsewhere")
    w = jnp.asarray(RNG.standard_normal((5, 3)), jnp.float32)
    report = door.check(lambda w, x: on_one_device(x, w, wrong), w, None, (X,))
    assert report.verdict == verdict, str(report)


def test_a_loss_that_returns_more_is_refused_with_what_to_pass():
    with pytest.raises(ValueError, match=r"loss: expected one real number, got tuple; .*\[0\]"):
        door.check(lambda w: (jnp.sum(w), {}), np.ones(3))
