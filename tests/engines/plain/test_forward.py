"""Forward propagation in pieces."""

import numpy as np
import pytest

from fastcheck.engines.plain import forward, pieces
from tests.support.problems import network, problem


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("piece", [1, 200, 1 << 24])
def test_pieces_are_what_plain_propagation_leaves_behind(monkeypatch, piece, threads):
    monkeypatch.setattr(pieces, "PIECE", piece)
    given = problem(network([5, 9, 8, 4], "tanh", "softmax", "cross_entropy"), 6)
    seen = []
    run = forward.forward(given, threads, lambda number, layer: seen.append((number, layer)))
    plain = given.forward()
    for one, other in zip([*run.Z, *run.A], [*plain.Z, *plain.A], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15 * np.abs(other).max())
    assert [number for number, _ in seen] == [0, 1, 2]
    for (number, layer), place in zip(seen, given.network.places, strict=True):
        sizes = np.abs(place.values(given.parameters)["W"])
        np.testing.assert_allclose(layer.sums, sizes.sum(axis=1), rtol=1e-15)
        assert layer.reads is run.inputs_of(number)
        if number:
            np.testing.assert_array_equal(layer.tops, sizes.max(axis=1))


@pytest.mark.parametrize(("length", "count", "sizes"), [
    (10, 0, [10]), (10, 1, [5, 5]), (10, 3, [2, 3, 2, 3]), (3, 5, [1, 1, 1]), (1, 9, [1]),
])
def test_even_numbers_of_pieces(length, count, sizes):
    parts = pieces.evenly(length, count)
    assert [part.stop - part.start for part in parts] == sizes
    assert parts[0].start == 0
    assert parts[-1].stop == length
