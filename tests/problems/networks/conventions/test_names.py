"""What names say: the kind, the layer, a gradient or not."""

import pytest

from fastcheck.problems.networks.conventions.names import read_name


@pytest.mark.parametrize(("path", "kind", "group", "gradient"), [
    (("W1",), "W", (1,), False), (("w1",), "W", (1,), False), (("W_1",), "W", (1,), False),
    (("W[1]",), "W", (1,), False), (("w0",), "W", (0,), False), (("weights1",), "W", (1,), False),
    (("bias_2",), "b", (2,), False), (("biases", 1), "b", (1,), False), (("coefs_", 0), "W", (0,), False),
    (("intercepts_", 0), "b", (0,), False), (("fc1.weight",), "W", ("fc", 1), False),
    (("layers", 0, "b"), "b", ("layers", 0), False),
    (("params", "Dense_0", "kernel"), "W", ("params", "dense", 0), False),
    (("dW1",), "W", (1,), True), (("db_1",), "b", (1,), True), (("W1_grad",), "W", (1,), True),
    (("grad_W1",), "W", (1,), True), (("grads", "W1"), "W", (1,), True), (("nabla_w", 0), "W", (0,), True),
    (("delta_nabla_b", 1), "b", (1,), True), (("fc1.weight.grad",), "W", ("fc", 1), True), (("gW3",), "W", (3,), True),
    (("dweight2",), "W", (2,), True), (("block_b.weight",), "W", ("block", "b"), False), (("w",), "W", (), False),
])  # fmt: skip
def test_parameters(path, kind, group, gradient):
    name = read_name(path)
    assert (name.kind, name.group, name.gradient) == (kind, group, gradient)
    assert not name.intermediate


@pytest.mark.parametrize("name", ["dZ3", "dA2", "Z1", "A1", "dz_1", "grad_a2", "delta1", "dX", "loss", "cache", "y"])
def test_intermediate_values(name):
    assert read_name((name,)).intermediate


@pytest.mark.parametrize("name", ["gamma1", "dbeta", "learning_rate", "momentum", "wat"])
def test_neither(name):
    found = read_name((name,))
    assert not found.kind
    assert not found.intermediate


@pytest.mark.parametrize(("name", "kind", "group"), [
    ("gradW1", "W", (1,)), ("dLdW1", "W", (1,)), ("dL_dW2", "W", (2,)), ("dJdb1", "b", (1,)), ("dLoss_db3", "b", (3,)),
    ("Wgrad1", "W", (1,)), ("W1grad", "W", (1,)), ("dwout", "W", ("out",)), ("Theta1_grad", "W", (1,)),
    ("syn0_delta", "W", (0,)),
])
def test_gradients_by_rarer_names(name, kind, group):
    read = read_name((name,))
    assert (read.kind, read.group, read.gradient) == (kind, group, True)


@pytest.mark.parametrize("name", ["vW1", "who", "batch", "beta1", "wait"])
def test_words_that_only_begin_like_a_parameter(name):
    assert not read_name((name,)).kind
