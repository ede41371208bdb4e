"""What must hold for every network: properties, over random networks and data."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import fastcheck as fc
from fastcheck._constants import NEGLIGIBLE, NOISE_SIGMAS, TOLERANCE
from fastcheck.checks.network import network_problem
from fastcheck.engines.base import engine
from tests.support.problems import HIDDEN, OUTPUTS, RUN, data

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

SMOOTH = [name for name in HIDDEN if name not in ("relu", "leaky_relu", "relu6", "hardtanh", "elu", "selu")]
# The same examples every time: what is found must be found again by whoever looks for it.
several = settings(max_examples=25, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Case:
    """A network with data and its own, right gradients."""

    net: fc.Network
    parameters: dict[str, Any]
    X: Any
    Y: Any

    @property
    def gradients(self):
        return self.net.gradients(self.parameters, self.X, self.Y)

    def check(self, gradients=None, **options):
        return fc.check(self.net, self.parameters, self.gradients if gradients is None else gradients, self.X, self.Y,
                        **{"threads": 1, **options})


@st.composite
def cases(draw, hidden=HIDDEN, penalties=(0.0, 0.0, 0.3, 7.0), samples=9, depth=3):
    """Networks of every depth, activation and cost, small enough that an example shrinks to something readable."""
    cost, output = draw(st.sampled_from(OUTPUTS))
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=depth + 2))
    widths[-1] += cost == "cross_entropy"  # of a single class the cost is zero, whatever the parameters
    names = draw(st.lists(st.sampled_from(hidden), min_size=len(widths) - 2, max_size=len(widths) - 2))
    layers = [fc.Dense(*pair, name) for pair, name in zip(pairwise(widths), [*names, output], strict=True)]
    net = fc.Network(layers, cost, draw(st.sampled_from(penalties)))
    seed, m = draw(st.integers(0, 10**6)), draw(st.integers(1, samples))
    X, Y = data(net, m, seed)
    return Case(net, net.initialize(seed), X, Y)


def by_tensor(report, name):
    """The numerical gradient of a tensor and the size that its rounding is relative to."""
    approx = report.gradapprox_of(name)
    return approx, np.sqrt(np.mean(np.square(approx))) + np.finfo(float).tiny


def close(found, wanted, net, room=1e-11):
    """Whether two reports have the same derivatives but for rounding, tensor by tensor."""
    sizes = [by_tensor(wanted, tensor.name)[1] for tensor in net.tensors]
    for tensor, size in zip(net.tensors, sizes, strict=True):
        np.testing.assert_allclose(
            found.gradapprox_of(tensor.name), wanted.gradapprox_of(tensor.name), rtol=room,
            atol=room * (size + 1e-3 * max(sizes)), err_msg=tensor.name,
        )  # fmt: skip


# --- right gradients --------------------------------------------------------------------------------------------


@several
@given(case=cases())
def test_a_right_gradient_passes(case):
    report = case.check()
    assert report.ok or (not report.gradapprox.any() and report.verdict == "inconclusive"), report


@several
@given(case=cases(hidden=SMOOTH), epsilon=st.sampled_from([1e-5, 1e-6, 1e-7]))
def test_engines_agree(case, epsilon):
    problem, _ = network_problem(case.net, case.parameters, case.gradients, case.X, case.Y)
    found = {name: engine(name)(problem, None, epsilon, RUN) for name in ("response", "full", "reference")}
    exact = found.pop("response")
    at_kinks = np.zeros(problem.theta.size, bool)
    if exact.kinks is not None:
        at_kinks[exact.kinks.where] = True
    for name, other in found.items():
        noise = 16 * other.noise.max() + 1e-9 * np.abs(exact.gradapprox)
        wrong = (np.abs(other.gradapprox - exact.gradapprox) > noise) & ~at_kinks
        assert not wrong.any(), (name, np.flatnonzero(wrong))
        np.testing.assert_allclose(other.cost, exact.cost, rtol=1e-12, atol=1e-12)
        assert case.check(engine=name, epsilon=epsilon).verdict != "fail"


@several
@given(case=cases())
def test_results_repeat_bitwise(case):
    first, again = case.check(), case.check()
    assert str(first).split("epsilon")[0] == str(again).split("epsilon")[0]
    for name in ("gradapprox", "J_plus", "J_minus", "indices"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.difference == again.difference
    threaded = case.check(threads=2)
    assert threaded.verdict == first.verdict
    close(threaded, first, case.net)


# --- what must not matter ---------------------------------------------------------------------------------------


@several
@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_samples_does_not_matter(case, seed):
    order = np.random.default_rng(seed).permutation(case.X.shape[1])
    shuffled = replace(case, X=case.X[:, order], Y=case.Y[..., order])
    found, wanted = shuffled.check(case.gradients), case.check()
    assert found.verdict == wanted.verdict
    assert found.cost == pytest.approx(wanted.cost, rel=1e-13)
    close(found, wanted, case.net)


@several
@given(case=cases(penalties=(0.0,)), at=st.integers(1, 8))
def test_a_batch_is_the_mean_of_its_parts(case, at):
    m = case.X.shape[1]
    assume(at < m)
    parts = [replace(case, X=case.X[:, piece], Y=case.Y[..., piece]) for piece in (slice(at), slice(at, m))]
    whole, reports = case.check(), [part.check() for part in parts]
    mean = sum(weight * report.gradapprox for weight, report in zip((at, m - at), reports, strict=True)) / m
    scale = max(np.abs(report.gradapprox).max() for report in (whole, *reports))
    np.testing.assert_allclose(whole.gradapprox, mean, rtol=1e-10, atol=1e-11 * scale)
    assert m * whole.cost == pytest.approx(at * reports[0].cost + (m - at) * reports[1].cost, rel=1e-12)


@several
@given(case=cases(penalties=(0.0,)), times=st.integers(2, 4))
def test_samples_that_come_several_times_do_not_matter(case, times):
    again = replace(case, X=np.tile(case.X, times), Y=np.tile(case.Y, times))
    found, wanted = again.check(case.gradients), case.check()
    assert found.verdict == wanted.verdict
    close(found, wanted, case.net)


@several
@given(case=cases(penalties=(0.0,)))
def test_the_scale_of_the_cost_does_not_matter(case):
    assume(case.net.cost in ("squared_error", "mean_squared_error"))
    other = {"squared_error": "mean_squared_error", "mean_squared_error": "squared_error"}[case.net.cost]
    scaled = replace(case, net=fc.Network(case.net.layers, other))
    found, wanted = scaled.check(), case.check()
    outputs = case.net.widths[-1]
    ratio = outputs / 2 if other == "squared_error" else 2 / outputs
    assert found.verdict == wanted.verdict
    np.testing.assert_allclose(found.gradapprox, ratio * wanted.gradapprox, rtol=1e-13, atol=0)
    assert found.difference == pytest.approx(wanted.difference, rel=0.1, abs=1e-15)


@several
@given(case=cases())
def test_names_order_and_flat_biases_do_not_matter(case):
    wanted = case.check()
    gradients = case.gradients
    bare = {name[1:]: array for name, array in gradients.items()}
    turned = dict(reversed(gradients.items()))
    flat = {name: array.reshape(-1) if name[1] == "b" else array for name, array in gradients.items()}
    mixed = {name if k % 2 else name[1:]: array for k, (name, array) in enumerate(gradients.items())}
    for other in (bare, turned, flat, mixed):
        found = case.check(other)
        assert found.verdict == wanted.verdict
        assert found.difference == wanted.difference
        assert found.gradapprox.tobytes() == wanted.gradapprox.tobytes()


@several
@given(case=cases(hidden=SMOOTH, depth=1, samples=3), exponent=st.integers(-40, 40))
def test_scale_and_names_do_not_matter_to_functions(case, exponent):
    scale = 2.0**exponent
    net, X, Y = case.net, case.X, case.Y

    def cost(parameters, scale=scale):
        return scale * net.cost_of({f"{name[0].upper() if name[0] == 'w' else 'b'}{name[1:]}": array
                                    for name, array in parameters.items()}, X, Y)

    parameters = {name.replace("W", "w"): array for name, array in case.parameters.items()}
    gradients = {name[1:].replace("W", "w"): scale * array for name, array in case.gradients.items()}
    found = fc.check_function(cost, parameters, gradients)
    assert found.verdict != "fail", found
    wanted = fc.check_function(lambda given: net.cost_of(given, X, Y), case.parameters, case.gradients)
    assert found.verdict == wanted.verdict


# --- wrong gradients --------------------------------------------------------------------------------------------


@several
@given(case=cases(), place=st.integers(0, 10**6), factor=st.floats(3.0, 1e12), sign=st.sampled_from([-1.0, 1.0]))
def test_a_single_wrong_entry_fails_and_is_the_worst(case, place, factor, sign):
    right = case.check()
    assume(right.ok)
    tensors = [tensor for tensor in right.tensors if not tensor.kinks and np.any(tensor.gradapprox())]
    assume(tensors)
    tensor = tensors[place % len(tensors)]
    k = place % tensor.gradapprox().size
    gradients = {name: array.copy() for name, array in case.gradients.items()}
    entry = gradients[f"d{tensor.name}"].reshape(-1)
    approx = tensor.gradapprox()
    # what the verdict says it can see: the tolerance of the entry's size, or of the least size that counts, and noise
    size = max(2 * abs(entry[k]), NEGLIGIBLE * np.sqrt(np.mean(np.square(approx))))
    least = TOLERANCE * size + NOISE_SIGMAS * (tensor.noise_floor + 1e-15 * np.abs(approx).max())
    entry[k] += sign * factor * least
    report = case.check(gradients)
    wanted = (tensor.name, tuple(int(i) for i in np.unravel_index(k, approx.shape)))
    assert report.verdict == "fail", (report, wanted)
    worst = report.worst(1)[0]
    assert (worst.tensor, worst.index) == wanted
    assert [failure.name for failure in report.failures] == [tensor.name]


@several
@given(case=cases(), place=st.integers(0, 10**6), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_an_entry_that_is_not_finite_fails_and_is_the_worst(case, place, value):
    gradients = {name: array.copy() for name, array in case.gradients.items()}
    name = list(gradients)[place % len(gradients)]
    k = place % gradients[name].size
    gradients[name].reshape(-1)[k] = value
    report = case.check(gradients)
    assert report.verdict == "fail"
    worst = report.worst(1)[0]
    assert (f"d{worst.tensor}", np.ravel_multi_index(worst.index, gradients[name].shape)) == (name, k)
