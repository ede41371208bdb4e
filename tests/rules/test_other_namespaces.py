"""Every elementwise rule with arrays of other libraries: nothing but what all of them understand."""

import contextlib
import importlib

import numpy as np
import pytest

from fastcheck.rules.bessel import BESSEL
from fastcheck.rules.branches import Branches
from fastcheck.rules.integrals import INTEGRALS
from fastcheck.rules.normalisation import normalise
from tests.rules.references import REFERENCES
from tests.rules.trials import all_moving, arrays, change_of, groups

# JAX compiles each operation for each shape
NAMESPACES = ("torch", "array_api_compat.torch", pytest.param("jax.numpy", marks=pytest.mark.slow))


# Rules that call functions that JAX, or PyTorch, lacks; PyTorch's J and Y have 12 digits, and no rule.
OF_BOTH = {"i0", "i1", "i0e", "i1e"}
NOT_OF_JAX = {*BESSEL, *INTEGRALS, "beta", "poch", "rgamma"} - OF_BOTH
NOT_OF_TORCH = {"betainc", "betaincc", *NOT_OF_JAX} - {"k0", "k1", "k0e", "k1e"}


def needs_scipy(label, name):
    """Tell whether a namespace lacks what the rule of a reference calls."""
    return label.partition(":")[0] in (NOT_OF_TORCH if "torch" in name else NOT_OF_JAX)


@contextlib.contextmanager
def namespace(name):
    """The module, if it is there, in double precision."""
    pytest.importorskip(name.partition(".")[0])
    module = pytest.importorskip(name)
    if name != "jax.numpy":
        yield module
        return
    with importlib.import_module("jax").enable_x64(True):
        yield module


@pytest.mark.parametrize("label", [label for label in REFERENCES if not needs_scipy(label, "torch")])
def test_torch_at_all_sizes(label):
    with namespace("torch") as xp:
        for group in groups(label):
            assert_agrees(xp, label, group)


@pytest.mark.parametrize("label", REFERENCES)
@pytest.mark.parametrize("name", NAMESPACES)
def test_all_sizes_together(name, label):
    if needs_scipy(label, name):
        pytest.skip("the namespace has no such function")
    with namespace(name) as xp:
        assert_agrees(xp, label, all_moving(label))


def assert_agrees(xp, label, group):
    values, changes, out = arrays(xp, label, group)
    change = change_of(xp, label, values, changes, out, Branches(xp, (len(group),)))
    assert type(change) is type(out)
    assert change.dtype == xp.float64
    with np.errstate(all="ignore"):
        for t, found in zip(group, np.broadcast_to(np.asarray(change), (len(group),)), strict=True):
            assert t.agrees(float(found)), (t, float(found))


@pytest.mark.parametrize("name", NAMESPACES)
def test_normalisation(name):
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(3, 4, 5)), 1e-7 * rng.normal(size=(2, 3, 4, 5))
    n, dn, _ = normalise(np, x, d, (-3, -1), 1e-5)
    with namespace(name) as xp:
        m, dm, _ = normalise(xp, xp.asarray(x), xp.asarray(d), (-3, -1), 1e-5)
        np.testing.assert_allclose(np.asarray(m), n, rtol=1e-13)
        np.testing.assert_allclose(np.asarray(dm), dn, rtol=1e-12, atol=1e-21)
