"""Products of a program: numbered alike whatever moves, and right where changes are injected at them."""

import numpy as np
import pytest

from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import changes_of, inputs_of
from tests.engines.program.arrays.operations import ALL_OPERATIONS, SHAPES

rng = np.random.default_rng(5)
X = rng.standard_normal((6, 4))


@pytest.mark.parametrize("name", ALL_OPERATIONS)
def test_operations_have_the_same_numbers_whatever_moves(name):
    inputs = inputs_of(SHAPES)
    program = Program(ALL_OPERATIONS[name], inputs)
    changes = changes_of(inputs, 1e-6)
    for number in range(len(inputs)):
        program.run({number: changes[number]})
    program.run(changes)  # a NoRule if any run counted otherwise than the first
    assert len(program.complete) == len(inputs)


def two_layers(W1, b1, W2):
    h = np.tanh(X @ W1 + b1)
    return np.sum(h.dot(W2) ** 2)


def in_one_vector(theta):
    return two_layers(theta[:20].reshape(4, 5), theta[20:25], theta[25:].reshape(5, 2))


def broadcast_sums(b, c, d):
    z = X - b
    z += c
    return np.tanh(np.subtract(d, z) + b[None, :])


def reductions(E, x):
    bags = E[np.array([[0, 3], [2, 2], [1, 0]])]
    return np.exp(bags.mean(axis=1)) * x.sum(axis=0, keepdims=True) + np.sum(E) ** 2 + x.mean() ** 3


def lengths(W, V):
    return np.linalg.norm(W) ** 3 + np.exp(np.linalg.norm(V, axis=1)) + np.linalg.norm(V, axis=0, keepdims=True)


MASK = (np.arange(20).reshape(5, 4) % 3 > 0) * np.linspace(-1.0, 2.0, 20).reshape(5, 4)


def scaled_before(W, V):
    """By masks and numbers that stand still, and moved around afterwards."""
    return np.exp(X @ (W * -MASK).T / 3.0) @ -(2.0 * V / 5.0) + (0.1 * W).reshape(-1) @ W.reshape(-1)


def by_hand(w, x):
    """A convolution whose windows are multiplied and added up."""
    out = np.zeros((2, 3, 3))
    for f in range(2):
        for i in range(3):
            for j in range(3):
                out[f, i, j] = np.sum(x[i : i + 2, j : j + 2] * w[f])
    return np.tanh(out)


def im2col(K, x):
    columns = np.zeros((16, 9))
    padded = np.pad(x, 1)
    for i in range(4):
        for j in range(4):
            columns[4 * i + j] = padded[i : i + 3, j : j + 3].ravel()
    return np.sin(columns @ K.reshape(2, 9).T)


def strided(K, x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
    return np.einsum("ijkl,fkl->fij", windows, K)


def recurrent(W, U):
    h = np.zeros((5, 3))
    for t in range(1, 5):
        h[t] = np.tanh(h[t - 1] @ W + X[t] @ U)
    return h


def attention(q, k):
    scores = np.einsum("ij,kj->ik", q, k) / 2.0
    return np.exp(scores).sum()


def scaled(a, x, w):
    return (a * x).sum(0) * w + np.einsum("ii->", x[:4]) * w


CASES = {
    "two layers": (two_layers, [(4, 5), (5,), (5, 2)], (True, True, True)),
    "one vector": (in_one_vector, [(35,)], (True,)),
    "reductions": (reductions, [(4, 2), (3, 2)], (True, True)),
    "scaled before": (scaled_before, [(5, 4), (5, 2)], (True, True)),
    "by hand": (by_hand, [(2, 2, 2), (4, 4)], (True, True)),
    "lengths": (lengths, [(4, 5), (3, 3)], (True, True)),
    "broadcast sums": (broadcast_sums, [(4,), (6, 1), ()], (True, True, True)),
    "sums of a kind": (lambda x, y: np.exp(x + y) - x, [(3, 2), (3, 2)], (False, False)),
    "im2col": (im2col, [(2, 3, 3), (4, 4)], (True, True)),
    "sliding windows": (strided, [(2, 3, 3), (5, 5)], (True, True)),
    "recurrent": (recurrent, [(3, 3), (4, 3)], (True, True)),
    "attention": (attention, [(6, 4), (6, 4)], (True, True)),
    "broadcast": (scaled, [(6, 1), (6, 4), (4,)], (True, False, True)),
}


@pytest.mark.parametrize("name", CASES)
def test_products_lead_to_the_derivatives_by_the_input(name):
    """Differences by the entries of the products' results, through the adjoint, against those by the input."""
    function, shapes, complete = CASES[name]
    inputs = inputs_of(shapes, 2)
    program = Program(function, inputs)
    assert program.complete == complete
    weights = [rng.standard_normal(output.shape) for output in program.outputs]
    for number, value in enumerate(inputs):
        if not complete[number]:
            continue
        found = np.zeros(value.size)
        for product in program.products:
            if product.input != number:
                continue
            response = slopes(
                program, weights, product.value.shape, lambda change, site=product.site: ({}, {site: change})
            )
            if isinstance(product.contraction, str):
                inputs_letters, out = product.contraction.split("->")
                letters = inputs_letters.split(",")
                operand = np.einsum(
                    f"{out},{letters[1 - product.side]}->{letters[product.side]}", response, product.other
                )
            else:
                operand = product.contraction(response, product.other)
            operand = product.weights * operand
            assert operand.shape == product.owners.shape
            ours = product.owners >= 0
            found += np.bincount(product.owners[ours], operand[ours], minlength=value.size)
        right = slopes(program, weights, value.shape, lambda change, number=number: ({number: change}, None))
        np.testing.assert_allclose(found, right.ravel(), rtol=1e-8, atol=1e-8 * np.abs(right).max())


def slopes(program, weights, shape, place):
    """The derivative of the weighted outputs by every entry of a place."""
    size = int(np.prod(shape))
    step = 2.0**-20
    change = np.concatenate([step * np.eye(size), -step * np.eye(size)]).reshape(2 * size, *shape)
    changes, sites = place(change)
    response = program.run(changes, sites)
    total = sum(
        np.tensordot(moved, weight, axes=weight.ndim)
        for moved, weight in zip(response.changes, weights, strict=True)
        if moved is not None
    )
    return ((total[:size] - total[size:]) / (2 * step)).reshape(shape)


def test_a_padded_input_has_no_owner_where_it_is_padding():
    program = Program(im2col, inputs_of([(2, 3, 3), (4, 4)]))
    (product,) = [product for product in program.products if product.input == 1]
    assert product.side == 0
    assert np.count_nonzero(product.owners == -1) == 16 * 9 - 100
    assert product.contraction == "ab,bc->ac"


def test_the_other_operand_may_move_with_the_input():
    program = Program(lambda a: a.T @ a, inputs_of([(3, 2)]))
    first, second = program.products
    assert (first.side, second.side) == (0, 1)
    assert first.other_moves
    assert second.other_moves
    assert first.site == second.site


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "function",
    [
        lambda x, g: np.fft.irfft(np.fft.rfft(x) * g, n=4),
        lambda x, g: (x * np.array([1.0, 2j, 3.0, 1j])).real * g[0],
        lambda x, g: np.einsum("i,i->", x, np.exp(1j * np.arange(4))).imag * g,
    ],
)
def test_products_with_complex_numbers_are_not_listed(function):
    program = Program(function, inputs_of([(4,), (3,)]))
    assert all(product.value.dtype.kind == product.other.dtype.kind == "f" for product in program.products)
