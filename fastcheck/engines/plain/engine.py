"""The response engine in plain NumPy: the same differences as ``engines.response`` finds, with nothing to compile.

r(x) of every unit and sample is carried down from the outputs where that says it all (see ``from_outputs``), taken from
pairs of columns +-h (and +-h/2 where curved functions see more than a quadratic is good for) elsewhere, and evaluated
literally where kinks or long steps are in the way.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices, Mask, Rows
from ...problems.gradients import CostsOnDemand, NumericalGradient
from ...problems.networks.network import Network
from ...problems.networks.problem import Problem
from ...rules.activation_changes import ACTIVATION_CHANGES
from ...rules.loss_changes import LOSS_CHANGES, LOSS_PARTS
from ...runtime.run import Run
from ...runtime.threads import run_all
from ..response.literal_losses import SAFETY, SomeSamples, literal_parts
from ..response.places import Places, kinks_of
from ..response.responses import QUARTIC_REACH
from .at_once import TOGETHER, differences_at_once, fits
from .carried import carried
from .forward import forward
from .found import PIECE, LayerFound, Piece, literal_from, pieces_of, with_ones
from .from_outputs import responses as short_responses
from .pairs import responses
from .pairs_of_changes import Pair
from .pieces import pieces_of_rows
from .point import BLOCK, Point
from .spot_check import spot_check


def differences(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
    """All perturbed costs from the responses of single units (see ``engines.response.engine``)."""
    found = None
    if indices is None and fits(problem.network, problem.m):
        found = differences_at_once(problem, epsilon)
    if found is not None:
        run.progress(problem.network.size, problem.network.size)
        return found
    with np.errstate(all="ignore"):
        net = problem.network
        changes = [ACTIVATION_CHANGES[entry.name] for entry in net.activation_entries]
        point = Point(problem, epsilon, changes, LOSS_CHANGES[net.cost], LOSS_PARTS.get(net.cost),
                      partial(forward, problem, run.threads))
        places = None if indices is None else [Places(problem, k, indices) for k in range(len(point.weights))]
        units = [slice(None) if places is None else places[k].units for k in range(len(point.weights))]
        layers = _all_layers(point, units, run)
        return _costs(point, layers, places, indices, run.threads)


def has_rules(network: Network) -> bool:
    """Whether all of a network's functions have exact differences for arrays."""
    names = [layer.activation for layer in network.layers]
    return network.cost in LOSS_CHANGES and all(name in ACTIVATION_CHANGES for name in names)


def _all_layers(point: Point, chosen: list[Any], run: Run) -> list[LayerFound]:
    """Responses of the chosen units of every layer."""
    sizes = [n if isinstance(u, slice) else len(u) for n, u in zip(point.net.widths[1:], chosen, strict=True)]
    size = point.net.size  # half of the way are polynomials, half is what they cannot say
    responded = _down(point, chosen, sizes, run)
    left = [0 if any(found.layer == k for found, _ in responded) else count for k, count in enumerate(sizes)]
    groups = list(_groups(point, chosen, left))

    def work(group: list[Any]) -> list[tuple[LayerFound, Mask | None]]:
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            return list(_respond(point, group))

    left_over = run_all(work, groups, run.threads, lambda done: run.progress(
        size // 4 + size * done // (4 * len(groups)), size))
    responded += [one for each in left_over for one in each]
    found = _with_literal(point, responded, run)
    parts: list[list[LayerFound]] = [[one for one in found if one.layer == k] for k in range(len(sizes))]
    return [_whole(point, k, units, part) for k, (units, part) in enumerate(zip(chosen, parts, strict=True)) if part]


def _down(point: Point, chosen: list[Any], sizes: list[int], run: Run) -> list[tuple[LayerFound, Mask | None]]:
    """Responses of what is carried down from the outputs, where that is worth while; the first quarter of the way."""
    if _together(point, sizes):
        return []
    layers = carried(point, [units if size else None for units, size in zip(chosen, sizes, strict=True)], run.threads)
    if not layers:
        return []
    size = point.net.size
    return short_responses(point, layers, run, lambda done, of: run.progress(size * done // (4 * of), size))


def _together(point: Point, sizes: list[int]) -> bool:
    """Whether units of all layers travel together."""
    return bool(point.m * sum(sizes) * max(point.net.widths[1:]) <= TOGETHER)


def _with_literal(point: Point, responded: list[tuple[LayerFound, Mask | None]], run: Run) -> list[LayerFound]:
    """Add what polynomials cannot say, in pieces so small that Ctrl-C and progress are never far."""
    pieces = [piece for part, (found, met) in enumerate(responded) if met is not None
              for piece in pieces_of(point, part, found, met)]
    bundles = _bundles(point, pieces)

    def work(bundle: list[Piece]) -> list[tuple[Any, ...]]:
        with np.errstate(all="ignore"):
            return [piece.sums(point) for piece in bundle]

    size = point.net.size
    sums = [one for part in run_all(work, bundles, run.threads, lambda done: run.progress(
        size // 2 + (size - size // 2) * done // len(bundles), size)) for one in part]
    if not bundles:
        run.progress(size, size)
    found = [one for one, _ in responded]
    first = 0
    for part, same in groupby(pieces, lambda piece: piece.part):
        its = list(same)
        found[part] = replace(found[part], literal=literal_from(its, sums[first : first + len(its)]))
        first += len(its)
    return found


def _bundles(point: Point, pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces that are done one after the other: together about as much work as one large piece."""
    bundles: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        numbers = piece.numbers(point)
        if numbers > room or not bundles:
            bundles.append([])
            room = PIECE
        bundles[-1].append(piece)
        room -= numbers
    return bundles


def _groups(point: Point, chosen: list[Any], sizes: list[int]) -> Iterator[list[Any]]:
    """Units by layer that travel together: all of them where they fit a block, else some of one layer at a time."""
    widths = point.net.widths
    if _together(point, sizes):
        if any(sizes):
            yield [units if size else None for units, size in zip(chosen, sizes, strict=True)]
        return
    for k, units in enumerate(chosen):
        rows = max(widths[min(k + 3, len(widths) - 1) :])
        count = max(1, BLOCK // (point.m * rows))
        numbers = np.arange(sizes[k]) if isinstance(units, slice) else units
        for first in range(0, sizes[k], count):
            yield [numbers[first : first + count] if layer == k else None for layer in range(len(chosen))]


def _respond(point: Point, group: list[Any]) -> Iterator[tuple[LayerFound, Mask | None]]:
    """Yield polynomials of a group's units, and in which samples they do not hold (units, m)."""
    far, near = responses(point, group)
    first = 0
    for k, units in enumerate(group):
        if units is None:
            continue
        count = point.net.widths[k + 1] if isinstance(units, slice) else len(units)
        part = slice(first, first + count)
        first = part.stop
        met = None if far.met is None else far.met[part]
        if not far.reach <= QUARTIC_REACH:
            met = np.ones((count, point.m), np.bool_)
        powers = _powers(far, near, part, point.steps[k])
        if met is not None and met.any():
            for power in powers:
                power[met] = 0.0
        else:
            met = None
        yield LayerFound(k, units, powers), met


def _powers(far: Pair, near: Pair | None, part: slice, h: Array) -> list[Array]:
    """Coefficients of x and x^2 from responses at +-h; of x^3 and x^4 as well from those at +-h/2."""
    odd = far.odd[part] / h
    even = np.zeros_like(odd) if far.even is None else far.even[part] / (h * h)
    if near is None:
        return [odd, even]
    half_odd = near.odd[part] / (0.5 * h)
    half_even = np.zeros_like(odd) if near.even is None else near.even[part] / (0.25 * h * h)
    c3, c4 = (odd - half_odd) / (0.75 * h * h), (even - half_even) / (0.75 * h * h)
    return [half_odd - c3 * (0.25 * h * h), half_even - c4 * (0.25 * h * h), c3, c4]


def _whole(point: Point, layer: int, units: Rows, parts: list[LayerFound]) -> LayerFound:
    """The groups of one layer together."""
    if len(parts) == 1:
        return parts[0]
    degree = max(len(part.powers) for part in parts)
    zeros = [[*p.powers, *[np.zeros_like(p.powers[0])] * (degree - len(p.powers))] for p in parts]
    powers = [np.concatenate(each) for each in zip(*zeros, strict=True)]
    starts = np.cumsum([0, *(part.powers[0].shape[0] for part in parts)])
    literals = [(start, p.literal) for start, p in zip(starts, parts, strict=False) if p.literal is not None]
    literal = None
    if literals:
        first = literals[0][1]
        joined = {name: np.concatenate([getattr(one, name) for _, one in literals])
                  for name in ("odd", "even", "kinked", "low", "high")}
        rows = np.concatenate([start + one.rows for start, one in literals])
        literal = type(first)(rows, **joined, steepest=max(one.steepest for _, one in literals))
    return LayerFound(layer, units, powers, literal)


def _costs(
    point: Point, layers: list[LayerFound], places: list[Places] | None, indices: Indices | None, threads: int
) -> NumericalGradient:
    """Sums over samples, the penalty, noise and kinks."""
    problem, net = point.problem, point.net
    losses = point.losses
    total = np.empty(net.size) if indices is None else np.zeros(indices.size)
    gradapprox, facts = _slopes(point, layers, places, total, threads)
    noise, kinks = np.zeros(len(net.tensors)), []
    numbers = {tensor.name: number for number, tensor in enumerate(net.tensors)}
    height = _height(point)
    for found in layers:
        place = None if places is None else places[found.layer]
        tensors = net.places[found.layer].tensors
        of_weights, of_biases = _noise(point, found, height)
        noise[numbers[tensors["W"].name]], noise[numbers[tensors["b"].name]] = of_weights, of_biases
        if found.literal is not None:
            kinks += _kinks(point, found, place or Places(problem, found.layer, None))
    cost = point.scale * float(losses.sum()) + net.penalty(problem.parameters, point.m)
    rate = net.l2 / point.m
    if rate:
        positions = slice(None) if indices is None else indices
        penalised = np.zeros(net.size)
        for tensor in net.penalised:
            penalised[tensor.start : tensor.stop] = rate * problem.theta[tensor.start : tensor.stop]
        gradapprox += penalised[positions]
    found_kinks = kinks_of(kinks, gradapprox)
    sides = _sides(point, layers, places, gradapprox, indices, cost)
    return NumericalGradient(cost, *sides, gradapprox, net.layout.spread(noise, indices), found_kinks, facts=facts)


def _slopes(
    point: Point, layers: list[LayerFound], places: list[Places] | None, gradapprox: Array, threads: int
) -> tuple[Array, dict[str, Any]]:
    """Fill in sums over samples, and try one parameter meanwhile; return them and what that came to."""
    pieces: list[tuple[LayerFound, slice] | None] = [None]
    for found in layers:
        if places is None and found.literal is None:
            inputs = point.inputs[found.layer]
            units = len(found.powers[0])
            pieces += [(found, rows) for rows in pieces_of_rows(units, units * inputs.size)]
        else:
            slopes = point.scale * found.odd(with_ones(point.inputs[found.layer]), point.epsilon)
            if found.literal is not None:
                slopes[found.literal.rows] += point.scale / point.epsilon * found.literal.odd
            _put(point, found, None if places is None else places[found.layer], gradapprox, slopes)

    def work(piece: tuple[LayerFound, slice] | None) -> dict[str, Any]:
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            if piece is None:
                return spot_check(point, layers, _literal)
            found, rows = piece
            weights, biases = (point.net.places[found.layer].tensors[kind] for kind in ("W", "b"))
            found.add_slopes(rows, point.inputs[found.layer], point.epsilon, point.scale,
                             gradapprox[weights.start : weights.stop].reshape(weights.shape),
                             gradapprox[biases.start : biases.stop])
            return {}

    return gradapprox, run_all(work, pieces, threads)[0]


def _literal(point: Point, place: tuple[int, int, int], samples: slice) -> tuple[Array, float]:
    """Odd and even part of one parameter in some samples, by plain propagation, and a bound of its rounding there."""
    reads, Y = with_ones(point.inputs[place[0]][:, samples]).T, point.problem.Y[:, samples]
    Z, slacks = ([part[:, samples] for part in parts] for parts in (point.run.Z, point.slacks))
    chosen = SomeSamples(point.problem, point.epsilon, reads, Z, slacks, Y)
    parts, rounding = literal_parts(chosen, place)
    return parts, SAFETY * rounding


def _put(point: Point, found: LayerFound, place: Places | None, total: Array, values: Array) -> None:
    """Write values (units, inputs + 1), bias last, where they belong."""
    if place is not None:
        place.add(total, place.units, values)
        return
    tensors = point.net.places[found.layer].tensors
    weights, biases = tensors["W"], tensors["b"]
    total[weights.start : weights.stop].reshape(weights.shape)[:] = values[:, :-1]
    total[biases.start : biases.stop] = values[:, -1]


def _sides(
    point: Point, layers: list[LayerFound], places: list[Places] | None, gradapprox: Array, indices: Indices | None,
    cost: float,
) -> tuple[CostsOnDemand, CostsOnDemand]:
    """J_plus and J_minus, whose even parts are summed when somebody asks."""
    net, epsilon = point.net, point.epsilon
    kept: list[Array] = []

    def even() -> Array:
        if not kept:
            total = np.zeros(gradapprox.size)
            with np.errstate(all="ignore"):
                for found in layers:
                    bends = found.even(with_ones(point.inputs[found.layer]), epsilon)
                    if found.literal is not None:
                        bends[found.literal.rows] += found.literal.even
                    _put(point, found, None if places is None else places[found.layer], total, point.scale * bends)
            if net.l2:
                penalised = np.zeros(net.size)
                for tensor in net.penalised:
                    penalised[tensor.start : tensor.stop] = 0.5 * net.l2 / point.m * epsilon**2
                total += penalised if indices is None else penalised[indices]
            kept.append(total)
        return kept[0]

    def side(sign: float) -> CostsOnDemand:
        return CostsOnDemand(lambda at: cost + (even()[at] + sign * epsilon * gradapprox[at]), gradapprox.size)

    return side(1.0), side(-1.0)


def _height(point: Point) -> float:
    """Largest pre-activation that a curved function sees."""
    curved = [k for k in range(point.last + 1) if point.curved(k) or (point.logits and k == point.last)]
    return max((float(np.abs(point.run.Z[k]).max()) for k in curved), default=0.0)


def _noise(point: Point, found: LayerFound, height: float) -> tuple[float, float]:
    """Rounding of sums of slope times input, and of the pre-activations that curved functions see."""
    slopes, inputs = found.powers[0], point.inputs[found.layer]
    steepest = float(np.einsum("ij,ij->i", slopes, slopes).max(initial=0.0))
    if found.literal is not None:
        steepest = max(steepest, found.literal.steepest)
    unit = 4.0 * UNIT_ROUNDOFF * (1.0 + height) * point.scale * float(np.sqrt(steepest))
    return unit * float(np.sqrt(np.einsum("ij,ij->i", inputs, inputs).max())), unit * float(np.sqrt(point.m))


def _kinks(point: Point, found: LayerFound, place: Places) -> list[tuple[Indices, Array, Array]]:
    """Parameters at kinks, and how far their one-sided derivatives lie from the central difference."""
    literal = found.literal
    if literal is None or not literal.kinked.any():
        return []
    central = literal.odd / point.epsilon
    positions, rows, inputs = place.select(place.units[literal.rows], literal.kinked)
    return [(positions, point.scale * (literal.low - central)[rows, inputs],
             point.scale * (literal.high - central)[rows, inputs])]
