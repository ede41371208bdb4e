"""Threads that share the columns of large programs: the same digits, and what keeps state runs one at a time."""

import numpy as np

import fastcheck as fc
from fastcheck.checks import differencing, function


def large(monkeypatch):
    """Every program counts as large."""
    monkeypatch.setattr(differencing, "LARGE", 1)
    monkeypatch.setattr(function, "LARGE", 1)


def recurrent(x, W):
    state = np.zeros(W.shape[0])
    for row in x:
        state = np.tanh(W @ state + row)
    return state


def recurrent_backward(d, x, W):
    states = [np.zeros(W.shape[0])]
    for row in x:
        states.append(np.tanh(W @ states[-1] + row))
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    for step in range(len(x) - 1, -1, -1):
        dz = d * (1.0 - states[step + 1] ** 2)
        dx[step], dW, d = dz, dW + np.outer(dz, states[step]), W.T @ dz
    return dx, dW


def test_the_same_digits_on_one_thread_and_on_several(monkeypatch):
    large(monkeypatch)
    rng = np.random.default_rng(0)
    given = rng.standard_normal((6, 20)), 0.3 * rng.standard_normal((20, 20))
    reports = [fc.check_vjp(recurrent, recurrent_backward, given, threads=threads) for threads in (1, 2, 3)]
    for report in reports:
        assert report.ok
        assert report.engine == "program"
        np.testing.assert_allclose(report.gradapprox, reports[0].gradapprox, rtol=1e-13, atol=1e-15)


def test_a_layer_that_keeps_state_runs_one_at_a_time(monkeypatch):
    """Its cache holds what the last call left there, never a mixture of two."""
    large(monkeypatch)
    cache = {}

    def forward(x):
        cache["x"] = x
        cache["squares"] = cache["x"] ** 2
        return np.sin(cache["squares"]) * cache["x"]

    x = np.random.default_rng(1).standard_normal((15, 20))
    report = fc.check_vjp(forward, lambda d, x: d * (np.sin(x**2) + 2 * x**2 * np.cos(x**2)), x, threads=3)
    assert report.ok, str(report)
    assert report.engine == "program"
