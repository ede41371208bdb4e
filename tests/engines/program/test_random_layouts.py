"""Random networks whose parameters stand anyhow in one vector: exact differences are those of the complex step."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import fastcheck as fc

PLACED = {
    "rows": lambda v, shape: v.reshape(shape),
    "columns": lambda v, shape: v.reshape(shape, order="F"),
    "transposed": lambda v, shape: v.reshape(shape[::-1]).T,
    "backwards": lambda v, shape: v[::-1].reshape(shape),
    "gathered": lambda v, shape: v[np.arange(v.size) ** 2 % v.size].reshape(shape),  # some more than once
}
ACTIVATIONS = {
    "tanh": np.tanh, "square": lambda z: 0.3 * z * z, "softmax": lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True),
}
PENALTIES = {
    "none": lambda t, W: 0.0, "squares": lambda t, W: 0.1 * np.sum(t * t), "a product": lambda t, W: 0.1 * (t @ t),
    "a scaled product": lambda t, W: 0.1 * t @ t, "cubes": lambda t, W: 0.01 * np.sum(t**3),
    "of some": lambda t, W: 0.1 * np.sum(W**2), "a mean": lambda t, W: np.mean(t) ** 2,
}


@dataclass(frozen=True)
class Layout:
    """Where a parameter stands: its first entry, its shape, and how it is read."""

    start: int
    shape: tuple[int, ...]
    placed: str

    def of(self, theta):
        """Return the parameter."""
        return PLACED[self.placed](theta[self.start : self.start + int(np.prod(self.shape))], self.shape)


@dataclass(frozen=True)
class Network:
    """Dense layers, whose loss is that of a batch or added up sample by sample."""

    layouts: list[Layout]
    X: np.ndarray
    Y: np.ndarray
    activation: str
    penalty: str
    in_a_loop: bool

    def outputs(self, a, parts):
        """Return the last layer's."""
        for place, (W, b) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            z = a @ W + b
            h = ACTIVATIONS[self.activation](z) if 2 * place < len(parts) - 2 else z
            a = h + a if h.shape == a.shape else h
        return a

    def cost(self, theta):
        """Return half the mean of squares, and a penalty."""
        parts = [layout.of(theta) for layout in self.layouts]
        if self.in_a_loop:
            total = 0.0
            for x, y in zip(self.X, self.Y, strict=True):
                d = self.outputs(x, parts) - y
                total = total + 0.5 * np.dot(d, d)
        else:
            total = 0.5 * np.sum((self.outputs(self.X, parts) - self.Y) ** 2)
        return total / len(self.X) + PENALTIES[self.penalty](theta, parts[0])


def network(seed, penalty, in_a_loop):
    """Return a random network and its vector, a few of whose entries are used twice or not at all."""
    rng = np.random.default_rng(seed)
    m, widths = int(rng.integers(1, 30)), rng.integers(1, 10, rng.integers(2, 5)).tolist()
    layouts, end = [], 0
    for a, b in pairwise(widths):
        for shape in ((a, b), (b,)):
            start = end if rng.random() < 0.9 else int(rng.integers(0, end + 1))
            layouts.append(Layout(start, shape, str(rng.choice(list(PLACED)))))
            end = max(end, start + int(np.prod(shape)))
    X, Y = rng.standard_normal((m, widths[0])), rng.standard_normal((m, widths[-1]))
    found = Network(layouts, X, Y, str(rng.choice(list(ACTIVATIONS))), penalty, in_a_loop)
    return found, rng.standard_normal(end + int(rng.integers(0, 20))) / 2.0


def complex_step(cost, theta):
    """Return the gradient, right to rounding."""
    return np.array([cost(theta + 1e-30j * row).imag / 1e-30 for row in np.eye(theta.size)])


@pytest.mark.parametrize("in_a_loop", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_right_gradients_pass_and_one_wrong_entry_fails(penalty, in_a_loop):
    for seed in range(6):
        found, theta = network(seed, penalty, in_a_loop)
        right = complex_step(found.cost, theta)
        check = partial(fc.check_function, found.cost, theta)
        report = check(right)
        assert (report.verdict, report.engine) == ("pass", "program"), seed
        np.testing.assert_allclose(report.gradapprox, right, rtol=0, atol=1e-12 * np.abs(right).max())
        wrong, entry = right.copy(), int(np.argmax(np.abs(right)))
        wrong[entry] *= 1.0 + 1e-4
        assert check(wrong).tensors[0].wrong == 1, seed
