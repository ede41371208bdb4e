"""Which changes of a layer's units meet a kink further on: bounds first, then the few places that may be reached.

A change d of unit i of layer k moves the pre-activations of layer k + 1 by W[:, i] d, and those of a layer j behind
that by at most

    sum_r |W_j[q, r]| s_r |move_r|        and        ||W_j[q]|| s ||moves||,        ||moves_j|| <= ||W_j|| s ||moves||

with s the slopes of layer j - 1, in each sample.  Sums of magnitudes are the better bound of a layer or two; over many
layers norms are, for magnitudes add up where changes of either sign do not.

What lies within such a bound is a place: a unit of layer j in a sample.  As long as a change has met nothing, layers
that are straight between their kinks pass it on by their slopes, so that one row of slopes, from a place back to layer
k, tells which units reach it.  That is exact: a change that met something before is out already.
"""

from typing import NamedTuple

import numpy as np

from ..._types import Array, Indices, Mask, Rows
from .point import Point

# Moves that are looked at one by one; where more may meet a kink, everything is propagated and looked at as it goes.
MOST = 1 << 17
# What rounding may add to a norm, relatively.
ROUNDED = 1.0 + 1e-9


class Places(NamedTuple):
    """Units of a layer, each in a sample, (P,) both."""

    layer: int
    units: Indices
    samples: Indices


def met_behind(W: Array, margin: Array, sizes: Array, bounds: Array) -> tuple[Mask | None, bool]:
    """Return which columns (units, m) meet a kink, None for none of them, and whether there were not too many to tell.

    Parameters
    ----------
    W : (outputs, units), from those units to the next layer; margin : (outputs, m), how far its units are from kinks.
    sizes : (units, m) of the changes; bounds : (outputs, m) of what they may become.
    """
    places, samples = np.nonzero(~(bounds < margin))
    if not places.size:
        return None, True
    if places.size * len(sizes) > MOST:
        return None, False
    return _met(W[places], margin[places, samples], sizes, samples), True


def _met(slopes: Array, margins: Array, sizes: Array, samples: Indices) -> Mask | None:
    """Return which changes (units, m) reach one of the places; None for none of them.

    Parameters
    ----------
    slopes : (P, units), of what each unit's changes move there; margins, samples : (P,).
    sizes : (units, m) of the changes.
    """
    moves = np.abs(slopes) * sizes.T[samples]
    reached = ~(moves < margins[:, None]) & (moves != 0.0)
    if not reached.any():
        return None
    met = np.zeros(sizes.shape[::-1], np.bool_)
    np.logical_or.at(met, samples, reached)
    return met.T


def either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Return where one of two masks is set, None standing for nowhere."""
    return other if one is None else one if other is None else one | other


class FurtherOn:
    """Kinks behind the layer that comes next; what is found out about the layers is kept from one layer to another."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self._magnitudes: dict[int, Array] = {}
        self._norms: dict[int, Array] = {}
        self._stretches: dict[int, float] = {}

    def met(self, k: int, units: Rows, changes: Array, bounds: Array) -> tuple[Mask | None, bool]:
        """Return which changes of layer k's activations meet a kink behind layer k + 1, and whether that could be told.

        Parameters
        ----------
        units : the layer's chosen ones; changes : (units, m) of these.
        bounds : (outputs, m) of the moves of layer k + 1.
        """
        point = self.point
        few, many = point.m, point.m * point.net.widths[-1]  # rows, beside those that go down from the outputs anyway
        places = self._within_reach(k, units, changes, bounds, sharp=False, norms=False)
        for norms in (False, True):
            if sum(place.units.size for place in places) > few:
                places = self._within_reach(k, units, changes, bounds, sharp=True, norms=norms)
        count = sum(place.units.size for place in places)
        if count > (0 if any(point.curved(j) for j in range(k + 1, point.last)) else many):
            return None, False
        met: Mask | None = None
        for place in places:
            slopes, margin = self._slopes(k, units, place), np.asarray(point.margins[place.layer])
            met = either(met, _met(slopes, margin[place.units, place.samples], changes, place.samples))
        return met, True

    def _within_reach(
        self, k: int, units: Rows, changes: Array, bounds: Array, *, sharp: bool, norms: bool
    ) -> list[Places]:
        """Return the places that the changes may reach, by layer.

        Parameters
        ----------
        sharp : by sums over each unit's own weights, rather than by the largest move alone.
        norms : by norms of matrices as well.
        """
        point, found = self.point, []
        W, moves = point.weights[k + 1][:, units], bounds
        size = (np.sqrt(np.einsum("ij,ij->j", W, W))[:, None] * changes).max(axis=0)  # norms of moves, (m,)
        for j in range(k + 2, point.last):
            series = point.series(j - 1)
            changed = series.bound(moves)
            size = np.minimum(series.bound(size).max(axis=0), np.sqrt(np.einsum("ij,ij->j", changed, changed)))
            if sharp:
                moves = self._magnitude(j) @ changed
            else:
                moves = point.weight_sums[j][:, None] * changed.max(axis=0)
            moves = np.minimum(moves, ROUNDED * self._norm(j)[:, None] * size)
            margin = point.margins[j]
            if margin is not None:
                found.append(Places(j, *np.nonzero(~(moves < margin))))
            stretched = self._stretch(j) * size if norms and j + 1 < point.last else np.inf
            size = np.minimum(stretched, np.sqrt(np.einsum("ij,ij->j", moves, moves)))
        return found

    def _slopes(self, k: int, units: Rows, places: Places) -> Array:
        """Return slopes (P, units) of the places' pre-activations in changes of layer k's activations."""
        point, samples = self.point, places.samples
        rows = point.weights[places.layer][places.units]
        for j in range(places.layer - 1, k, -1):
            rows = rows * point.series(j).c1[:, samples].T
            W = point.weights[j]
            rows = rows @ (W if j > k + 1 else W[:, units])
        return np.asarray(rows)

    def _magnitude(self, j: int) -> Array:
        if j not in self._magnitudes:
            self._magnitudes[j] = np.abs(self.point.weights[j])
        return self._magnitudes[j]

    def _norm(self, j: int) -> Array:
        """The norm of each unit's weights."""
        if j not in self._norms:
            W = self.point.weights[j]
            self._norms[j] = np.sqrt(np.einsum("ij,ij->i", W, W))
        return self._norms[j]

    def _stretch(self, j: int) -> float:
        """A bound of the spectral norm of a layer's weights."""
        if j not in self._stretches:
            self._stretches[j] = ROUNDED * spectral_bound(self.point.weights[j])
        return self._stretches[j]


def spectral_bound(W: Array) -> float:
    """Return a number that the spectral norm of W is not above: by the sum of the eighth powers of its singular values.

    ||W||^8 <= sum s_i^8 = ||G G||_F^2 with G = W^T W or W W^T, whichever is smaller: within n^(1/8) of it.

    Examples
    --------
    >>> W = np.random.default_rng(0).normal(size=(50, 80))
    >>> bool(1.0 < spectral_bound(W) / np.linalg.norm(W, 2) < 1.3)
    True
    """
    gram = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    size = float(np.linalg.norm(gram))
    if not 0.0 < size < np.inf:
        return size
    gram /= size
    return float(np.sqrt(size * np.sqrt(np.linalg.norm(gram @ gram))))
