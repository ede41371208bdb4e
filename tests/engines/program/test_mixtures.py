"""Integer networks full of ties, whose operations each hold a convention of their own."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.kinks import held_in_turn

# Value, slope beside the kinks, and where they are; ``share`` of the way between the slopes at them.
LAYERS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: z > 0, lambda z: z == 0, (0.0, 1.0)),
    "clip": (lambda z: np.clip(z, -1, 1), lambda z: np.abs(z) < 1, lambda z: np.abs(z) == 1, (0.0, 1.0)),
    "abs": (np.abs, np.sign, lambda z: z == 0, (-1.0, 1.0)),
    "at most 2": (lambda z: np.minimum(z, 2), lambda z: z < 2, lambda z: z == 2, (0.0, 1.0)),
}


def case(seed):
    """A network of three layers, its parameters and their gradients, each kind of layer with its own share."""
    generator = np.random.default_rng(seed)
    names = generator.choice(list(LAYERS), 3).tolist()
    shares = dict(zip(LAYERS, generator.choice([0.0, 0.5, 1.0], len(LAYERS)), strict=True))
    inputs, weight = generator.integers(-2, 3, (4, 6)).astype(float), generator.standard_normal((3, 6))
    shapes = ((5, 4), (4, 5), (3, 4))
    parameters = {f"W{k}": generator.integers(-1, 2, shape).astype(float) for k, shape in enumerate(shapes, 1)}

    def cost(p):
        a = inputs
        for k, name in enumerate(names, 1):
            a = LAYERS[name][0](p[f"W{k}"] @ a)
        return float((a * weight).sum())

    before, slopes = [inputs], []
    for k, name in enumerate(names, 1):
        value, slope, kink, (low, high) = LAYERS[name]
        z = parameters[f"W{k}"] @ before[-1]
        before.append(value(z))
        slopes.append(np.where(kink(z), low + shares[name] * (high - low), slope(z)))
    gradients, d = {}, weight
    for k in (3, 2, 1):
        d = d * slopes[k - 1]
        gradients[f"dW{k}"] = d @ before[k - 1].T
        d = parameters[f"W{k}"].T @ d
    return cost, parameters, gradients


@pytest.mark.parametrize("seed", range(16))
def test_operations_may_hold_conventions_of_their_own(seed):
    cost, parameters, gradients = case(seed)
    report = fc.check_function(cost, parameters, gradients)
    assert report.verdict == "pass", report
    assert report.engine == "program"
    wrong = {name: 1.01 * gradient for name, gradient in gradients.items()}
    assert fc.check_function(cost, parameters, wrong).verdict != "pass"


def test_operations_are_told_apart_by_name():
    z = np.array([-1.0, 0.0, 1.0])
    program = Program(lambda z: np.clip(z, -1, 1).sum() + np.maximum(z, 0).sum(), [z], ())
    met = program.run({0: 1e-12 * np.eye(3)}).met
    assert met == {("clip", "kink"), ("maximum", "kink")}
    found = {tuple(np.round(program.run({0: 1e-12 * np.eye(3)}, None, held).changes[0] / 1e-12, 6).tolist())
             for held in held_in_turn(met)}
    assert found == {(clip, 1.0 + relu, 1.0 + clip) for clip in (0.0, 0.5, 1.0) for relu in (0.0, 0.5, 1.0)}
