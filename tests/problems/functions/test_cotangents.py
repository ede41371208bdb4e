"""Cotangents of check_vjp: both signs however few outputs there are, and the outputs' precision."""

import numpy as np
import pytest

import fastcheck as fc


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("forward", "backward"), [
    (lambda a: np.mean(a**2), lambda d, a: abs(d) * 2 * a / a.size),
    (lambda a: np.array([a.sum(), (a**2).sum()]), lambda d, a: abs(d[0]) + abs(d[1]) * 2 * a),
    (lambda a: a[:3] ** 2, lambda d, a: np.concatenate([abs(d) * 2 * a[:3], np.zeros(2)])),
    (lambda a: (a.sum(), (a**2).sum()), lambda d, a: abs(d[0]) + abs(d[1]) * 2 * a),
    (lambda a: (a.sum(), (a**2).sum()), lambda d, a: abs(d[0]) + d[1] * 2 * a),
])  # fmt: skip
def test_a_backward_that_uses_the_size_of_upstream_fails(forward, backward, seed):
    assert fc.check_vjp(forward, backward, (np.arange(1.0, 6.0),), seed=seed).verdict == "fail"


@pytest.mark.parametrize("seed", range(5))
def test_a_backward_that_clips_what_is_negative_fails(seed):
    report = fc.check_vjp(
        lambda a: np.mean(a**2), lambda d, a: np.maximum(d, 0) * 2 * a / a.size, (np.arange(1.0, 6.0),), seed=seed
    )
    assert report.verdict == "fail"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cotangents_come_in_the_precision_of_the_outputs(dtype):
    seen = []

    def backward(d, a):
        seen.append(d.dtype)
        return 2 * a * d

    assert fc.check_vjp(lambda a: a**2, backward, (np.arange(1, 6).astype(dtype),)).ok
    assert seen[0] == dtype


def test_rounding_of_a_right_backward_in_single_precision_is_measured_by_running_it_in_double():
    """Attention: sums that cancel are off by more than the tolerance of single precision allows."""

    def probabilities(q, k):
        s = q @ k.T
        e = np.exp(s - s.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def backward(d, q, k, v):
        p = probabilities(q, k)
        dp = d @ v.T
        ds = p * (dp - (dp * p).sum(1, keepdims=True))
        return ds @ k, ds.T @ q, p.T @ d

    def wrong(d, q, k, v):
        dq, dk, dv = backward(d, q, k, v)
        return dq * dq.dtype.type(1.001), dk, dv

    for seed in range(20):
        rng = np.random.default_rng(seed)
        inputs = tuple((4.0 * rng.standard_normal((6, 4))).astype(np.float32) for _ in range(3))
        layer = (lambda q, k, v: probabilities(q, k) @ v, backward)
        assert fc.check_vjp(*layer, inputs, seed=seed).verdict != "fail"
        assert fc.check_vjp(layer[0], wrong, inputs, seed=seed).verdict == "fail"


@pytest.mark.parametrize("factor", [2.0, 1.01, 1.001, 0.0])
def test_a_mistake_in_single_precision_alone_is_no_rounding(factor):
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((6, 5)).astype(np.float32), rng.standard_normal((5, 4)).astype(np.float32)

    def backward(d, x, W):
        dz = d * (1 - np.tanh(x @ W) ** 2)
        wrong = np.float32(factor) if dz.dtype == np.float32 else 1.0
        return dz @ W.T, wrong * (x.T @ dz)

    report = fc.check_vjp(lambda x, W: np.tanh(x @ W), backward, (x, W))
    assert [t.name for t in report.failures] == ["W"]

    if factor == 1.001:  # at one place that is what rounding may leave
        return

    def at_one_place(d, x, W):
        dx, dW = backward(d, x, W)
        dW = x.T @ (d * (1 - np.tanh(x @ W) ** 2))
        dW[1, 2] *= factor if dW.dtype == np.float32 else 1.0
        return dx, dW

    report = fc.check_vjp(lambda x, W: np.tanh(x @ W), at_one_place, (x, W))
    assert [t.name for t in report.failures] == ["W"]


def test_a_backward_that_is_not_the_same_twice_is_given_no_rounding():
    rng = np.random.default_rng(0)
    report = fc.check_vjp(
        lambda a: a**2, lambda d, a: 2 * a * d * rng.uniform(0.99, 1.01, a.shape).astype(a.dtype),
        (np.arange(1, 6).astype(np.float32),),
    )  # fmt: skip
    assert report.verdict == "fail"
