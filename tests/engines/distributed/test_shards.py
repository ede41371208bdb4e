"""A check in pieces: every parameter in one piece, and the same numbers when they are put together."""

from dataclasses import replace

import numpy as np
import pytest

from fastcheck._errors import EngineError
from fastcheck.engines.base import ENGINES, engine as engine_named
from fastcheck.engines.distributed import plan as plans
from fastcheck.engines.distributed.shards import Merged, brief
from fastcheck.engines.response import engine as compiled
from fastcheck.runtime.run import Run
from tests.support.jit_mode import size
from tests.support.problems import RUN, network, problem

SEEDS = [None, 3]


def engine(name):
    """The engine; of "response" the compiled one, whose pieces are the same bits as the whole, whatever the size."""
    return compiled.differences if name == "response" else engine_named(name)


def subset(size, seed=0):
    return np.sort(np.random.default_rng(seed).choice(size, size // 3, replace=False))


@pytest.fixture
def short(monkeypatch):
    """So little work for a piece that a small network makes several."""
    monkeypatch.setattr(plans, "SECONDS", 1e-6)
    monkeypatch.setattr(plans, "SHORT", 1e-6)


WIDE = [5, 1100, size(600, 60), 3]


def wide(hidden="relu", m=7):
    return problem(network(WIDE, hidden, "softmax", "cross_entropy", 0.3), m)


def together(given, indices, name, seed, epsilon=1e-7):
    """All pieces, put together in a shuffled order."""
    collected = Merged(given, indices)
    pieces = plans.plan(given, indices, name, seed)
    for k in np.random.default_rng(1).permutation(len(pieces)):
        positions = pieces[k].positions(indices)
        found = engine(name)(given, positions, epsilon, Run(1, RUN.memory_limit))
        collected.put(pieces[k], brief(given, positions, found))
    return collected


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", [False, True])
def test_every_position_is_in_one_piece(short, name, seed, part):
    given = problem(network([5, 40, 30, 3], "relu", "softmax", "cross_entropy"))
    indices = subset(given.theta.size) if part else None
    pieces = plans.plan(given, indices, name, seed)
    places = np.concatenate([piece.places for piece in pieces])
    wanted = np.arange(given.theta.size) if indices is None else indices
    assert len(pieces) >= 3
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert np.array_equal(np.sort(places), np.arange(wanted.size))
    assert np.array_equal(np.sort(np.concatenate([p.positions(indices) for p in pieces])), wanted)


@pytest.mark.parametrize("name", ENGINES)
def test_a_random_order_begins_with_every_layer(short, name):
    given = problem(network([5, 40, 30, 3], "relu", "softmax", "cross_entropy"))
    first = plans.plan(given, None, name, 0)[: len(given.network.layers) if name == "response" else 8]
    positions = np.concatenate([piece.positions(None) for piece in first])
    for weights, bias in zip(given.network.tensors[::2], given.network.tensors[1::2], strict=True):
        assert np.any((positions >= weights.start) & (positions < bias.stop))


def test_random_orders_repeat_and_differ_by_seed(short):
    one, same, other = (plans.plan(wide(), None, "response", seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.ranges, b.ranges) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a.ranges, b.ranges) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
@pytest.mark.parametrize("part", [False, True])
def test_response_put_together_is_bitwise_what_it_is_whole(short, hidden, epsilon, part):
    given = wide(hidden)
    indices = subset(given.theta.size) if part else None
    whole = engine("response")(given, indices, epsilon, RUN)
    collected = together(given, indices, "response", None, epsilon)
    found, checked = collected.differences()
    assert len(collected.shards) > 3
    assert checked is indices
    assert found.cost == whole.cost
    for name in ("J_plus", "J_minus", "gradapprox", "noise"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)), name
    for name in ("where", "low", "high"):
        assert np.array_equal(getattr(found.kinks, name), getattr(whole.kinks, name)), name


@pytest.mark.parametrize("name", ["full", "reference"])
@pytest.mark.parametrize("seed", SEEDS)
def test_loops_put_together_are_bitwise_what_they_are_whole(short, name, seed):
    given = problem(network([4, 6, 3], "tanh", "softmax", "cross_entropy"))
    whole = engine(name)(given, None, 1e-6, RUN)
    found, _ = together(given, None, name, seed, 1e-6).differences()
    for key in ("J_plus", "J_minus", "gradapprox"):
        assert np.array_equal(getattr(found, key), getattr(whole, key)), key


@pytest.mark.parametrize("indices", [None, subset(network(WIDE, "relu", "softmax", "cross_entropy").size)])
def test_some_pieces_say_what_they_are_of(short, indices):
    given = wide()
    whole = engine("response")(given, indices, 1e-7, RUN)
    collected = Merged(given, indices)
    for piece in plans.plan(given, indices, "response", 0)[:4]:
        positions = piece.positions(indices)
        collected.put(piece, brief(given, positions, engine("response")(given, positions, 1e-7, RUN)))
    found, checked = collected.differences()
    places = checked if indices is None else np.searchsorted(indices, checked)
    scale = np.max(np.abs(whole.gradapprox))
    assert 0 < checked.size < collected.size
    assert np.array_equal(checked, np.unique(checked))
    assert np.allclose(found.gradapprox, whole.gradapprox[places], rtol=0.0, atol=1e-14 * scale)
    assert found.noise.shape == checked.shape
    assert np.array_equal(found.kinks.where, np.nonzero(np.isin(places, whole.kinks.where))[0])


def test_pieces_of_another_cost_are_refused(short):
    given = wide()
    first, second, *_ = plans.plan(given, None, "response")
    collected = Merged(given, None)
    found = [brief(given, s.positions(None), engine("response")(given, s.positions(None), 1e-7, RUN))
             for s in (first, second)]
    collected.put(first, found[0])
    with pytest.raises(EngineError, match="workers disagree"):
        collected.put(second, replace(found[1], cost=found[1].cost * 1.001))


def test_a_prepared_block_is_kept_only_where_asked_for():
    given = wide()
    kept = replace(given, kept={})
    plain = engine("response")(given, None, 1e-7, RUN)
    found = [engine("response")(kept, None, 1e-7, RUN) for _ in range(2)]
    assert len(kept.kept) == 1
    assert given.kept is None
    assert all(np.array_equal(plain.gradapprox, one.gradapprox) for one in found)
