"""Every rule that mixes elements against mpmath: reductions, softmax, sorting, linear algebra."""

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES
from tests.rules.array_references import ARRAY_REFERENCES
from tests.rules.trials import PRECISION, SIZES, UNDERFLOW

MIXING = [name for name, rule in RULES.items() if not rule.elementwise]
CASES = [(name, k) for name in MIXING for k in range(len(ARRAY_REFERENCES.get(name, ())))]


def exact(x):
    return np.vectorize(mp.mpf, otypes=[object])(x)


def true_change(reference, values, changes):
    with mp.workdps(reference.digits):
        start = [exact(v) for v in values]
        end = [v if d is None else v + exact(d) for v, d in zip(start, changes, strict=True)]
        return reference.function(*end) - reference.function(*start)


def scale(reference, values, changes):
    """The sum of the magnitudes of the changes that the operands' entries make one by one."""
    total = abs(true_change(reference, values, changes))
    for k, d in enumerate(changes):
        for place in np.ndindex(() if d is None else d.shape):
            if d is not None:
                alone = np.zeros_like(d)
                alone[place] = d[place]
                only = [alone if i == k else None for i in range(len(changes))]
                total = total + abs(true_change(reference, values, only))
    return total


def agree(reference, values, changes, found, discrete=False):
    true = np.asarray(true_change(reference, values, changes), dtype=object)
    assert found.shape == true.shape
    errors = abs(found - true)
    if np.all(errors <= PRECISION * abs(true) + UNDERFLOW):
        return True
    size = scale(reference, values, changes)
    if reference.terms is not None:
        size = size + reference.terms(values, changes)
    if reference.normwise:
        size = np.max(size)
    bound = reference.amplification * PRECISION * size + UNDERFLOW
    return not discrete and bool(np.all(errors <= bound))


def value(reference, values):
    with mp.workdps(reference.digits):
        return np.asarray(reference.function(*map(exact, values)), dtype=object).astype(float)


def packed(name, parts):
    """Several results as one array: side by side, or below each other."""
    if name == "slogdet":
        return np.stack(parts, axis=-1)
    if name == "qr":
        return np.concatenate(parts, axis=-2)
    if name == "svd":
        return np.concatenate((parts[0], parts[1][..., None, :], np.swapaxes(parts[2], -1, -2)), axis=-2)
    return np.concatenate((parts[0][..., None, :], parts[1]), axis=-2)


def unpacked(name, out, values):
    if name == "slogdet":
        return out[..., 0], out[..., 1]
    if name == "qr":
        return out[..., : values[0].shape[-2], :], out[..., values[0].shape[-2] :, :]
    if name == "svd":
        m = values[0].shape[-2]
        return out[..., :m, :], out[..., m, :], np.swapaxes(out[..., m + 1 :, :], -1, -2)
    return out[..., 0, :], out[..., 1:, :]


def apply(xp, name, reference, values, changes, branches=None):
    out = value(reference, values)
    several = name in ("slogdet", "eigh", "svd", "qr")
    out = tuple(map(xp.asarray, unpacked(name, out, values))) if several else xp.asarray(out)
    changes = tuple(None if d is None else xp.asarray(d) for d in changes)
    with np.errstate(all="ignore"):
        change = RULES[name].change(xp, tuple(map(xp.asarray, values)), changes, out, branches, **reference.options)
    return packed(name, [np.asarray(c) for c in change]) if several else np.asarray(change)


def moves(reference, values, seed=0, sizes=SIZES):
    rng = np.random.default_rng(seed)
    for size in sizes:
        if size > reference.largest:
            continue
        for k in range(len(values) + 1):
            full = [size * rng.uniform(-1.0, 1.0, v.shape) for v in values]
            if k < len(values):  # one entry of one operand
                sparse = np.zeros(values[k].size)
                sparse[rng.integers(values[k].size)] = size * rng.choice([-1.0, 1.0])
                yield [sparse.reshape(values[k].shape) if i == k else None for i in range(len(values))]
                yield [full[k] if i == k else None for i in range(len(values))]
            elif len(values) > 1:
                yield full


def test_every_mixing_rule_has_a_reference():
    assert sorted(ARRAY_REFERENCES) == sorted(MIXING)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_change_keeps_its_digits(name, k):
    reference = ARRAY_REFERENCES[name][k]
    for values in reference.points:
        for changes in moves(reference, values):
            found = apply(np, name, reference, values, changes)
            assert agree(reference, values, changes, found, RULES[name].discrete), (values, changes, found)


@pytest.mark.parametrize(("name", "k"), CASES)
@pytest.mark.parametrize("batch", [(3,), (2, 2)])
def test_batch_axes_are_like_a_loop(name, k, batch):
    reference = ARRAY_REFERENCES[name][k]
    rng = np.random.default_rng(7)
    for values in reference.points:
        sizes = min(reference.largest, 1.0) * 10.0 ** -np.arange(0.0, 4.0 * np.prod(batch), 4.0).reshape(batch)
        changes = [sizes.reshape(batch + (1,) * v.ndim) * rng.uniform(-1.0, 1.0, batch + v.shape) for v in values]
        together = apply(np, name, reference, values, changes, Branches(np, batch))
        for place in np.ndindex(batch):
            alone = [d[place] for d in changes]
            assert agree(reference, values, alone, together[place], RULES[name].discrete), (values, alone)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_no_change_is_no_change(name, k):
    reference = ARRAY_REFERENCES[name][k]
    for values in reference.points:
        changes = [np.zeros((2, *v.shape)) for v in values]
        assert np.all(apply(np, name, reference, values, changes, Branches(np, (2,))) == 0.0)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_operands_and_changes_stay_as_they_are(name, k):
    reference = ARRAY_REFERENCES[name][k]
    values = [v.copy() for v in reference.points[0]]
    changes = [np.full((2, *v.shape), 1e-3) for v in values]
    for x in (*values, *changes):
        x.flags.writeable = False
    apply(np, name, reference, values, changes, Branches(np, (2,)))
    assert all(np.array_equal(a, b) for a, b in zip(values, reference.points[0], strict=True))


@pytest.mark.parametrize(("name", "k"), CASES)
def test_torch_gives_the_same(name, k):
    torch = pytest.importorskip("torch")
    reference = ARRAY_REFERENCES[name][k]
    for values in reference.points:
        for changes in moves(reference, values, seed=1, sizes=(1e-9, 0.1)):
            found = apply(torch, name, reference, values, changes, Branches(torch, ()))
            expected = apply(np, name, reference, values, changes)
            tolerance = 1e-12 * reference.amplification * (np.max(abs(expected)) + max_change(changes))
            assert np.all(abs(found - expected) <= tolerance), (values, changes, found)


def max_change(changes):
    return max(np.max(abs(d)) for d in changes if d is not None)
