"""The sweep: a V for costs that are subtracted, a flat line for exact differences."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.base import ENGINES
from tests.support.problems import data, network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept():
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 4)
    return fc.sweep(net, parameters, net.gradients(parameters, X, Y), X, Y)


def test_every_engine_at_every_epsilon(swept):
    assert set(swept.differences) == set(ENGINES)
    assert swept.epsilons[0] == pytest.approx(1e-1)
    assert swept.epsilons[-1] == pytest.approx(1e-15)


def test_the_v_and_the_flat_line(swept):
    for engine in ("full", "reference"):
        values = np.array(swept.differences[engine])
        lowest = int(np.nanargmin(values))
        assert 2 <= lowest <= 8
        assert values[-1] > 1e3 * values[lowest]
        assert values[0] > 1e3 * values[lowest]
    exact = np.array(swept.differences["response"])
    assert np.all(exact[6:] < 1e-14)
    truncated = np.array(swept.differences["reference"])
    assert exact[0] == pytest.approx(truncated[0], rel=1e-6)


def test_text_dictionary_and_picture(swept, tmp_path):
    assert len(str(swept).splitlines()) == 1 + len(swept.epsilons)
    assert swept.to_dict()["differences"]["full"][0] == swept.differences["full"][0]
    swept.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 5000


def test_progress_counts_all_engines_and_epsilons():
    net = network([2, 3, 1], "tanh", "sigmoid", "binary_cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 4)
    seen = []
    fc.sweep(net, parameters, net.gradients(parameters, X, Y), X, Y, epsilons=[1e-3, 1e-7], engines=["response"],
             progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * net.size, 2 * net.size)


@pytest.mark.parametrize(("option", "error"), [({"epsilons": [0.0]}, "epsilons"), ({"engines": ["fast"]}, "engine")])
def test_bad_options_are_named(option, error):
    net = network([2, 3, 1], "tanh", "sigmoid", "binary_cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 4)
    with pytest.raises(ValueError, match=error):
        fc.sweep(net, parameters, net.gradients(parameters, X, Y), X, Y, **option)
