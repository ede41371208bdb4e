"""from_torch: weights of modules, state_dicts and .safetensors files."""

import subprocess
import sys

import numpy as np
import pytest

import fastcheck as fc

RNG = np.random.default_rng(5)
STATE = {"fc2.weight": RNG.standard_normal((4, 5)), "fc2.bias": RNG.standard_normal(4),
         "fc10.weight": RNG.standard_normal((2, 4)), "fc10.bias": RNG.standard_normal(2),
         "fc1.weight": RNG.standard_normal((5, 3)), "fc1.bias": RNG.standard_normal(5)}


def test_a_state_dict_is_read_in_the_order_of_its_numbers():
    net, parameters = fc.from_torch(STATE, hidden="gelu", cost="cross_entropy")
    assert repr(net) == "Network(3-5-4-2: gelu, gelu, softmax; cross_entropy)"
    np.testing.assert_array_equal(parameters["W3"], STATE["fc10.weight"])
    np.testing.assert_array_equal(parameters["b1"], STATE["fc1.bias"][:, None])
    X, Y = RNG.standard_normal((3, 6)), RNG.integers(0, 2, 6)
    assert fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y).ok
    parameters["W1"][:] = 0.0
    assert STATE["fc1.weight"].any()


def test_defaults_and_missing_biases():
    net, parameters = fc.from_torch({"weight": np.ones((2, 3), np.float32)})
    assert repr(net) == "Network(3-2: identity; mean_squared_error)"
    assert parameters["b1"].shape == (2, 1)
    assert parameters["W1"].dtype == np.float64


@pytest.mark.parametrize(("state", "words"), [
    ({"conv.weight": np.ones((2, 1, 3, 3))}, r"conv.weight.*got shape \(2, 1, 3, 3\)"),
    ({"a.weight": np.ones((2, 3)), "b.weight": np.ones((2, 3))}, "b.weight to take the 2 outputs.*got 3"),
    ({"bn.weight": np.ones((2, 3)), "bn.running_mean": np.ones(2)}, "got bn.running_mean"),
    ({"a.bias": np.ones(2)}, "a.weight.*got nothing"),
    ({}, "got nothing"),
])
def test_states_that_are_no_chain(state, words):
    with pytest.raises(ValueError, match=words):
        fc.from_torch(state)


def test_other_sources():
    with pytest.raises(TypeError, match="source: expected a torch.nn.Sequential.*got list"):
        fc.from_torch([1])
    with pytest.raises(ValueError, match="weights_only=True"):
        fc.from_torch("model.pt")


def test_safetensors(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "net.safetensors"
    numpy.save_file(STATE, path)
    net, parameters = fc.from_torch(path, hidden="tanh")
    assert net.widths == (3, 5, 4, 2)
    np.testing.assert_array_equal(parameters["W2"], STATE["fc2.weight"])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="damaged"):
        fc.from_torch(str(path))


def test_a_module_tells_its_activations():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.SiLU(), nn.Dropout(), nn.Linear(5, 3, bias=False)).double()
    module.eval()
    net, parameters = fc.from_torch(module, cost="cross_entropy")
    assert repr(net) == "Network(6-5-3: silu, softmax; cross_entropy)"
    x, y = torch.randn(4, 2, 3).double(), torch.tensor([0, 1, 2, 0])
    want = float(nn.functional.cross_entropy(module(x), y).detach())
    assert net.cost_of(parameters, x.flatten(1).T.numpy(), y.numpy()) == pytest.approx(want, rel=1e-12)
    same, again = fc.from_torch(module.state_dict(), hidden="silu", cost="cross_entropy")
    assert repr(same) == repr(net)
    np.testing.assert_array_equal(again["W2"], parameters["W2"])
    assert repr(fc.from_torch(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()))[0]) == (
        "Network(2-1: sigmoid; binary_cross_entropy)")
    with pytest.raises(ValueError, match="Conv2d"):
        fc.from_torch(nn.Sequential(nn.Conv2d(1, 1, 2)))


def test_import_brings_no_framework():
    code = "import sys, fastcheck; print([m for m in ('torch', 'jax', 'safetensors') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("output", ["identity", "tanh", "relu"])
def test_the_default_cost_of_regression_is_the_frameworks_own(output):
    """It is said to be mean_squared_error, whatever the output."""
    state = {"a.weight": np.ones((2, 3)), "a.bias": np.zeros(2)}
    assert fc.from_torch(state, output=output)[0].cost == "mean_squared_error"
    assert fc.from_torch(state, cost="cross_entropy")[0].layers[-1].activation == "softmax"
