"""Random networks with right gradients: what the checker must never call wrong.

Widths 1 to 40, 0 to 5 hidden layers, every activation and cost, parameters, inputs and targets at scales from 1e-6 to
1e6, saturated units, dead units, pre-activations at and near kinks, single samples, single precision.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastcheck import Dense, Network
from fastcheck._errors import EngineError
from fastcheck.checks.network import check
from fastcheck.report.report import Report
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.losses import COSTS

HIDDEN = [name for name, entry in ACTIVATIONS.items() if entry.elementwise]
KINDS = ("plain", "scaled", "saturated", "dead", "kinks", "one sample", "float32", "sparse", "deep", "textbook")


@dataclass(frozen=True)
class Drawn:
    """A random network with its data and right gradients."""

    seed: int
    kind: str
    net: Network
    parameters: dict[str, Any] = field(repr=False)
    gradients: dict[str, Any] = field(repr=False)
    X: Any = field(repr=False)
    Y: Any = field(repr=False)

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.kind}: {self.net!r}, m = {self.X.shape[1]}"


def draw(seed: int) -> Drawn:
    """The network of a seed; kinds take turns."""
    rng = np.random.default_rng([seed, 1])
    kind = KINDS[seed % len(KINDS)]
    net = _network(rng, kind)
    m = 1 if kind == "one sample" else int(rng.integers(1, 13))
    parameters = net.initialize(rng)
    X = rng.standard_normal((net.widths[0], m))
    Y = _targets(rng, net, m)
    if kind == "scaled":
        Y = _scale(rng, net, parameters, X, Y)
    elif kind == "saturated":
        for name in parameters:
            parameters[name] = parameters[name] * 10.0 ** rng.uniform(0.0, 2.0)
    elif kind == "dead":
        for name in parameters:
            if name[0] == "b":
                parameters[name] = parameters[name] - 20.0 * (rng.random(parameters[name].shape) < 0.5)
    elif kind == "kinks":
        _to_kinks(rng, net, parameters, X)
    elif kind == "sparse":
        X = X * (rng.random(X.shape) < 0.2)
        parameters = {name: value * (rng.random(value.shape) < 0.5) for name, value in parameters.items()}
    elif kind == "float32":
        parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    if kind == "textbook":
        gradients = _textbook(net, parameters, X, Y, np.float64)
    elif kind == "float32":
        X = X.astype(np.float32)
        gradients = _textbook(net, parameters, X, Y, np.float32)
    else:
        gradients = net.gradients(parameters, X, Y)
    return Drawn(seed, kind, net, parameters, gradients, X, Y)


def _network(rng: np.random.Generator, kind: str) -> Network:
    cost = str(rng.choice(list(COSTS)))
    output = COSTS[cost].output or str(rng.choice(list(ACTIVATIONS)))
    depth = 5 if kind == "deep" else int(rng.integers(0, 6))
    widths = [int(n) for n in np.exp(rng.uniform(0.0, np.log(40.99), depth + 2))]
    if cost == "cross_entropy":
        widths[-1] += 1  # of a single class the cost is zero, whatever the parameters
    hidden = [str(rng.choice(HIDDEN)) for _ in range(depth)]
    l2 = float(10.0 ** rng.uniform(-4.0, 1.0)) if rng.random() < 0.3 else 0.0
    return Network([Dense(*pair) for pair in zip(widths, widths[1:], [*hidden, output], strict=False)], cost, l2)


def _targets(rng: np.random.Generator, net: Network, m: int) -> Any:
    outputs = net.widths[-1]
    if net.cost == "cross_entropy":
        return rng.integers(outputs, size=m) if rng.random() < 0.5 else rng.dirichlet(np.ones(outputs), m).T
    if net.cost == "binary_cross_entropy":
        return (rng.random((outputs, m)) < 0.5) * 1.0 if rng.random() < 0.5 else rng.random((outputs, m))
    return rng.standard_normal((outputs, m))


def _scale(rng: np.random.Generator, net: Network, parameters: dict[str, Any], X: Any, Y: Any) -> Any:
    """Scale everything there is by powers of ten."""
    X *= 10.0 ** rng.uniform(-6.0, 6.0)
    for name in parameters:
        parameters[name] = parameters[name] * 10.0 ** rng.uniform(-6.0, 6.0)
    if COSTS[net.cost].output is None:
        return Y * 10.0 ** rng.uniform(-6.0, 6.0)
    return Y


def _to_kinks(rng: np.random.Generator, net: Network, parameters: dict[str, Any], X: Any) -> None:
    """Move the biases of some units of one layer so that one sample's pre-activation lies on a kink, or close to it.

    One unit per sample: where a change meets several kinks in one sample, back-propagation's choice of slopes need not
    lie between the one-sided derivatives, and there is no right gradient.
    """
    A, entries = X, net.activation_entries
    kinked = [k for k, entry in enumerate(entries, 1) if entry.breakpoints] or [0]
    layer = int(rng.choice(kinked))
    for k, entry in enumerate(entries, 1):
        Z = parameters[f"W{k}"] @ A + parameters[f"b{k}"]
        for unit, sample in zip(rng.permutation(Z.shape[0]), rng.permutation(Z.shape[1]), strict=False):
            if k != layer:
                break
            aim = rng.choice(entry.breakpoints) + rng.choice([0.0, 1e-12, -1e-12, 1e-8, -1e-8, 1e-6, -1e-6])
            parameters[f"b{k}"][unit] += aim - Z[unit, sample]
        A = entry.value(parameters[f"W{k}"] @ A + parameters[f"b{k}"])


def _textbook(net: Network, parameters: dict[str, Any], X: Any, Y: Any, dtype: Any) -> dict[str, Any]:
    """Gradients as people write them, in that precision: 1 - a*a, a (1 - a), a - y."""
    from tests.reliability.bugs import Backward
    from tests.support.problems import problem

    given = problem(net, parameters=parameters, X=X, Y=Y)
    return {f"d{name}": value for name, value in Backward(given, None, dtype).run().items()}


def outcome(drawn: Drawn, engine: str = "response") -> tuple[str, Report | EngineError]:
    """The verdict on a network's right gradients and the report.

    "nothing exercised" where all of them are zero, "engine error" where the engine distrusts itself.
    """
    try:
        report = check(drawn.net, drawn.parameters, drawn.gradients, drawn.X, drawn.Y, engine=engine, threads=1)
    except EngineError as error:
        return "engine error", error
    idle = not report.gradapprox.any() and report.verdict == "inconclusive"
    return "nothing exercised" if idle else report.verdict, report
