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
