"""Every function of the registry: right derivatives pass, wrong ones are found, whatever the precision."""

import numpy as np
import pytest

pytest.importorskip("jax")
check_grads = pytest.importorskip("fastcheck.jax").check_grads
gradients = pytest.importorskip("fastcheck.jax.gradients")
function_of = pytest.importorskip("fastcheck.jax.function").JaxFunction
registry = pytest.importorskip("tests.jax.functions")


def modes_of(name):
    if name in registry.FORWARD_ONLY:
        return ("fwd",)
    return ("rev",) if name in registry.REVERSE_ONLY else ("fwd", "rev")


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name in registry.SLOW else name for name in registry.FUNCTIONS
])
def test_right_derivatives_pass_and_wrong_ones_are_found(name):
    f, args = registry.FUNCTIONS[name]
    check_grads(f, args, order=1, modes=modes_of(name))
    # The same with derivatives that were tampered with; what was compiled serves again.
    function = function_of(f, args, f, wide=name not in registry.GIVEN)
    asked = gradients.Asked(("fwd",), None, None, 1e-4, f)
    numerical, limits = gradients.Numerical(function, 1e-4), asked.limits(function)
    if name in registry.FORWARD_ONLY:
        right = function.columns(np.eye(function.theta.size), linearize=False).T
    else:
        right = function.rows(np.eye(function.value.size))
    assert numerical.compare(right, limits) is None
    assert numerical.compare(registry.FACTORS.get(name, 1.01) * right, limits) is not None
    place = np.unravel_index(np.argmax(np.abs(right)), right.shape)
    zeroed = right.copy()
    zeroed[place] = 0.0
    found = numerical.compare(zeroed, limits)
    assert found is not None
    assert tuple(found.places[0]) == place or numerical.exact is None
    assert (numerical.exact is None) == (name in registry.ORDINARY)
