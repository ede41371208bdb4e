"""Layers that are right in their first run and wrong in the next: what they keep from one to the other."""

import numpy as np
import pytest

import fastcheck as fc

RNG = np.random.default_rng(0)
W, B, X = RNG.standard_normal((4, 3)), RNG.standard_normal(3), RNG.standard_normal((5, 4))


class Affine:
    """Renews everything."""

    def __init__(self):
        self.W, self.b = W.copy(), B.copy()
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, d):
        self.dW, self.db = self.x.T @ d, d.sum(axis=0)
        return d @ self.W.T


class Adding(Affine):
    """Adds to its gradients, as many do until they are set to zero."""

    def backward(self, d):
        self.dW += self.x.T @ d
        self.db += d.sum(axis=0)
        return d @ self.W.T


class Stacked(Affine):
    """Puts what it needs on a stack, and takes it from there."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def forward(self, x):
        self.kept.append(x)
        return x @ self.W + self.b

    def backward(self, d):
        self.x = self.kept.pop()
        return super().backward(d)


class Averaging(Affine):
    """Keeps a running average of what it sees, which its output does not need."""

    def forward(self, x):
        self.mean = 0.9 * getattr(self, "mean", 0.0) + 0.1 * x.mean(axis=0)
        return super().forward(x)


class Centred(Affine):
    """Subtracts the mean of the first batch ever after: another function in each run, which nobody can hold it to."""

    def forward(self, x):
        if not hasattr(self, "mean"):
            self.mean = x.mean(axis=0)
        return super().forward(x - self.mean)

    def backward(self, d):
        dx = super().backward(d)
        return dx - dx.mean(axis=0)


class Once(Affine):
    """Cannot run twice."""

    def backward(self, d):
        found = super().backward(d)
        del self.W
        return found


class FirstInput(Affine):
    """Keeps the first input for good."""

    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x @ self.W + self.b


class FirstOfStack(Stacked):
    """Puts what it needs on a stack, and looks at its bottom."""

    def backward(self, d):
        self.x = self.kept[0]
        return Affine.backward(self, d)


class FirstMask(Affine):
    """relu behind it, whose mask is made once."""

    def forward(self, x):
        z = super().forward(x)
        if not hasattr(self, "mask"):
            self.mask = z > 0
        return np.maximum(z, 0.0)

    def backward(self, d):
        return super().backward(d * self.mask)


@pytest.mark.parametrize("layer", [Affine, Adding, Stacked, Averaging, Once])
def test_layers_that_are_right_in_every_run_pass_without_a_word(layer):
    report = fc.check_layer(layer, X)
    assert report.verdict == "pass", str(report)
    assert "ran before" not in str(report)


def test_a_layer_that_is_another_function_in_its_second_run_is_judged_by_its_first():
    assert "ran before" not in str(fc.check_layer(Centred, X))


@pytest.mark.parametrize("layer", [FirstInput, FirstOfStack, FirstMask])
def test_what_is_kept_from_the_run_before_is_found(layer):
    """They passed: every run had a layer of its own."""
    report = fc.check_layer(layer, X)
    assert report.verdict == "fail", str(report)
    assert all("is right from a new layer, and wrong from one that ran before" in t.diagnosis for t in report.failures)
    assert fc.check_layer(layer(), X).verdict == "fail"


class Carrying(Affine):
    """A cell that itself keeps what it carries back to the time step before, until somebody resets it."""

    def __init__(self):
        super().__init__()
        self.carried = 0.0

    def backward(self, d):
        dx = super().backward(d + self.carried)
        self.carried = np.tanh(dx[:, :3])
        return dx


class Mean(Affine):
    """Keeps the mean of the gradients of all its runs."""

    runs = 0

    def backward(self, d):
        self.runs += 1
        self.dW = self.dW + (self.x.T @ d - self.dW) / self.runs
        self.db = self.db + (d.sum(axis=0) - self.db) / self.runs
        return d @ self.W.T


class Queue(Stacked):
    """First in, first out."""

    def backward(self, d):
        self.x = self.kept.pop(0)
        return Affine.backward(self, d)


class Dropout:
    """Draws a mask in each run."""

    def __init__(self):
        self.generator = np.random.default_rng(1)

    def forward(self, x):
        self.mask = self.generator.random(x.shape) < 0.5
        return x * self.mask

    def backward(self, d):
        return d * self.mask


class FirstMaskOfInput:
    """relu, whose mask is made once."""

    mask = None

    def forward(self, x):
        if self.mask is None:
            self.mask = x > 0
        return np.maximum(x, 0.0)

    def backward(self, d):
        return d * self.mask


class FirstPlaces(FirstMaskOfInput):
    """Max pooling, whose places are found once."""

    def forward(self, x):
        if self.mask is None:
            self.mask = x == x.max(axis=1, keepdims=True)
        return x.max(axis=1)

    def backward(self, d):
        return d[:, None] * self.mask


class FirstWords(FirstMaskOfInput):
    """An embedding that keeps the first words for good."""

    def __init__(self):
        self.W = W.copy()

    def forward(self, words):
        if self.mask is None:
            self.mask = words
        return self.W[words]

    def backward(self, d):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.mask, d)


class Buffer(Affine):
    """Adds to a buffer that nobody sets to zero."""

    dx = None

    def backward(self, d):
        if self.dx is None:
            self.dx = np.zeros_like(self.x)
        self.dx += super().backward(d)
        return self.dx


@pytest.mark.parametrize("layer", [Carrying, Mean, Queue])
def test_what_backward_carries_on_is_not_stale(layer):
    """They failed, but for the queue: what one pass back leaves to the next is not a cache that forward should renew.

    Without a pass back in between, the queue alone gives another gradient.
    """
    report = fc.check_layer(layer, X)
    assert report.verdict == "pass", str(report)


def test_a_layer_that_is_another_function_only_beside_its_input_is_judged_by_its_first_run():
    """Where all is zero, no mask shows in the output."""
    assert fc.check_layer(Dropout, np.zeros((5, 4))).verdict == "pass"


@pytest.mark.parametrize(("layer", "x"), [
    (FirstMaskOfInput, X), (FirstPlaces, X), (FirstWords, np.array([0, 2, 2, 1])), (Buffer, X),
])  # fmt: skip
def test_a_mask_of_other_inputs_is_found(layer, x):
    """All but the last passed: the other input, ahead of the given one, had the same signs and places."""
    report = fc.check_layer(layer, x)
    assert report.verdict == "fail", str(report)
    assert all("ran before" in t.diagnosis for t in report.failures)
