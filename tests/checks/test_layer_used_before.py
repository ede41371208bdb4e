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
