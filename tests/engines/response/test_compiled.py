"""The compiled response engine: pieces and threads, faults in it, and where parameters stand."""

import numpy as np
import pytest

from fastcheck._errors import EngineError
from fastcheck.engines.response import engine, unit_responses
from fastcheck.engines.response.places import Places
from fastcheck.runtime.run import Run
from tests.support.jit_mode import COMPILED, size
from tests.support.problems import RUN, network, problem


@pytest.mark.parametrize("hidden", ["relu", "tanh", "elu"])
def test_bitwise_equal_whatever_the_threads(monkeypatch, hidden):
    if not COMPILED:  # as many pieces of a smaller network
        monkeypatch.setattr(engine, "TASK_OPERATIONS", (1e3, 1e5))
        monkeypatch.setattr(engine, "INLINE_OPERATIONS", 1e3)
    given = problem(network(size([40, 60, 50, 10], [4, 6, 5, 3]), hidden, "softmax", "cross_entropy"), 70)
    runs = [engine.differences(given, None, 1e-7, Run(threads, 1 << 30)) for threads in (1, 2, 5)]
    for other in runs[1:]:
        assert np.array_equal(runs[0].J_plus, other.J_plus)
        assert np.array_equal(runs[0].gradapprox, other.gradapprox)


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_blocks_of_samples_change_only_the_last_digits(hidden):
    given = problem(network(size([20, 30, 25, 5], [4, 6, 5, 3]), hidden, "softmax", "cross_entropy", 0.1), 150)
    whole = engine.differences(given, None, 1e-7, Run(1, 1 << 30))
    pieces = engine.differences(given, None, 1e-7, Run(1, 1 << 16))
    assert np.allclose(whole.gradapprox, pieces.gradapprox, rtol=0, atol=1e-14 * np.max(np.abs(whole.gradapprox)))
    assert np.allclose(whole.noise, pieces.noise, rtol=0.5, atol=0)


@pytest.mark.parametrize("fault", ["row", "sums"])
def test_a_fault_in_the_engine_is_an_error(monkeypatch, fault):
    given = problem(network(size([20, 30, 25, 5], [4, 6, 5, 3]), "tanh", "softmax", "cross_entropy"), 50)
    right = unit_responses.respond_block

    def wrong(*arguments):
        degree = right(*arguments)
        arguments[-1].powers[0] *= 1.0 + 1e-4
        return degree

    if fault == "row":
        monkeypatch.setattr(unit_responses, "respond_block", wrong)
    else:
        from fastcheck.engines.response import sample_sums

        powers = sample_sums.powers_of
        monkeypatch.setattr(sample_sums, "powers_of",
                            lambda a, degree: tuple(p * (1.0 + 1e-6) for p in powers(a, degree)))
    with pytest.raises(EngineError, match="spot check"):
        engine.differences(given, None, 1e-7, RUN)


def test_where_little_can_be_afforded_a_sample_is_still_propagated(monkeypatch):
    given = problem(network([4, 6, 5, 3], "tanh", "softmax", "cross_entropy"), 1)
    right = unit_responses.respond_block

    def wrong(*arguments):
        degree = right(*arguments)
        arguments[-1].powers[0] *= 2.0
        return degree

    monkeypatch.setattr(unit_responses, "respond_block", wrong)
    with pytest.raises(EngineError, match="spot check"):
        engine.differences(given, None, 1e-7, RUN)


# --- where parameters stand -------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer", [0, 1])
def test_whole_units_are_known_as_such(layer):
    """Their sums are added row by row; all else is picked entry by entry."""
    given = problem(network([4, 5, 6, 3], "tanh", "softmax", "cross_entropy"))
    weights, bias = given.network.tensors[2 * layer : 2 * layer + 2]
    outputs, inputs = weights.shape
    for first in range(outputs):
        for last in range(first + 1, outputs + 1):
            rows = np.arange(weights.start + first * inputs, weights.start + last * inputs)
            whole = np.concatenate([rows, np.arange(bias.start + first, bias.start + last)])
            place = Places(given, layer, whole)
            assert place.whole
            assert place.units.tolist() == list(range(first, last))
            assert place.position(first, inputs) == rows.size
            assert place.position(last - 1, 1) == rows.size - inputs + 1
            for moved in (0, rows.size - 1, rows.size, whole.size - 1):  # another entry instead of an end
                for other in np.setdiff1d(np.arange(weights.start, bias.stop), whole):
                    part = np.sort(np.append(np.delete(whole, moved), other))
                    assert not Places(given, layer, part).whole
