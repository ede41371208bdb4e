"""Upstream gradients as frameworks hand them over: what reads them wrongly fails, what cannot take them is noted."""

import numpy as np
import pytest

import fastcheck as fc

X = np.random.default_rng(0).standard_normal((3, 4))


def right(d, x):
    return d * np.cos(x)


def without_strides(d, x):
    """Reads the array's memory as if it were contiguous."""
    flat = np.lib.stride_tricks.as_strided(d, (d.size,), (d.itemsize,)) if d.strides[-1] == d.itemsize else (
        np.lib.stride_tricks.as_strided(d, (d.size,), (max(d.itemsize, 1),)))
    return np.nan_to_num(flat.copy()).reshape(d.shape) * np.cos(x)


def in_place(d, x):
    d *= np.cos(x)
    return d


def normalised(d, x):
    return d / np.abs(d).max() * np.cos(x) * np.abs(d).max()


def with_a_constant(d, x):
    return d * np.cos(x) if np.any(d) else np.cos(x)


def test_a_right_backward_has_no_notes():
    report = fc.check_vjp(np.sin, right, X)
    assert report.ok
    assert not any("upstream" in note for note in report.notes)


@pytest.mark.parametrize(("backward", "words"), [
    (without_strides, "not contiguous in memory"),
    (lambda d, x: right(d, x) * (1.0 if d.strides[0] else 2.0), "one number expanded"),
    (with_a_constant, "not linear"), (normalised, "upstream gradient of zeros"),
])
def test_one_that_reads_another_argument_wrongly_fails_and_is_told(backward, words):
    report = fc.check_vjp(np.sin, backward, X)
    assert report.verdict == "fail"
    assert any(words in note for note in report.notes)


def kept(d, x, found=[]):  # noqa: B006 (it keeps its first result)
    """Gives again what it gave first."""
    found.append(right(d, x))
    return found[0]


@pytest.mark.parametrize(("cost", "backward"), [
    (lambda x: np.sum(np.sin(x)), lambda d, x: np.cos(x)), (np.sin, lambda d, x: np.cos(x)), (np.sin, kept),
])
def test_one_that_does_not_use_its_upstream_gradient_is_told_that_and_no_factor(cost, backward):
    (tensor,) = fc.check_vjp(cost, backward, X).failures
    assert "upstream gradient of zeros" in tensor.diagnosis
    assert "sign" not in tensor.diagnosis


def test_worst_entries_are_what_backward_gives():
    def losses(x):
        return np.sum(np.sin(x))

    report = fc.check_vjp(losses, lambda d, x: d * np.cos(x) + 0.1 * x, X)
    assert any("not linear" in note for note in report.notes)
    for entry in report.worst():
        assert entry.grad == pytest.approx(entry.gradapprox + 0.1 * X[entry.index])


def test_a_gradient_that_is_not_finite_is_not_called_nonlinear():
    x = np.array([1.0, 0.0, 2.0])
    with np.errstate(all="ignore"):
        report = fc.check_vjp(lambda x: np.abs(x), lambda d, x: d * x / np.abs(x), x)
    assert report.failures[0].diagnosis == "dx[1] is nan."
    assert not any("upstream" in note or "lies" in note for note in report.notes), report.notes


def test_one_that_works_in_place_passes_with_a_note():
    report = fc.check_vjp(np.sin, in_place, X)
    assert report.ok
    assert any("read-only" in note and "ValueError" in note for note in report.notes)


def test_caches_that_are_used_up_are_made_anew():
    def forward(x):
        return np.sin(x), [np.cos(x)]

    assert fc.check_vjp(forward, lambda d, cache: d * cache.pop(), X, cache=True).ok


@pytest.mark.parametrize("x", [np.arange(1.0, 6.0), np.array([2.0])])
@pytest.mark.parametrize("seed", range(12))
def test_cotangents_have_mixed_signs_whatever_their_number(x, seed):
    """The magnitude of the upstream gradient in its place is found with one output, with two, with five."""
    def mean(a):
        return np.mean(a**2)

    assert fc.check_vjp(mean, lambda d, a: abs(d) * 2 * a / a.size, (x,), seed=seed).verdict == "fail"
    assert fc.check_vjp(mean, lambda d, a: d * 2 * a / a.size, (x,), seed=seed).ok
    assert fc.check_vjp(lambda a: a[:2] ** 2, lambda d, a: np.concatenate([abs(d), 0 * a[2:]])[: a.size] * 2 * a,
                        (np.arange(1.0, 5.0),), seed=seed).verdict == "fail"


def test_what_is_zero_in_theory_may_round_otherwise_where_the_upstream_gradient_is_strided():
    """Once called wrong: a bias before a mean is subtracted has nothing but rounding, which differs with the order."""
    def forward(x, b):
        z = x + b
        return np.tanh(z - z.mean(axis=0))

    def backward(d, x, b):
        z = x + b
        dz = d * (1.0 - np.tanh(z - z.mean(axis=0)) ** 2)
        dz = dz - dz.mean(axis=0)
        return dz, dz.sum(axis=0) if dz.flags.c_contiguous and d.flags.c_contiguous else dz[::-1].cumsum(axis=0)[-1]

    for dtype in (np.float32, np.float64):
        for seed in range(10):
            rng = np.random.default_rng(seed)
            report = fc.check_vjp(forward, backward, (rng.standard_normal((7, 3)).astype(dtype),
                                                      rng.standard_normal(3).astype(dtype)), seed=seed)
            assert report.ok, report
            assert not any("contiguous" in note for note in report.notes)
