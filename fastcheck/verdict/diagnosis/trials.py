"""Which mistake it was, found out by making each of them: back-propagation from the output down, step by step.

A mistake in what a layer receives spreads to all earlier layers and to none behind it.  So the layers are taken from
the output on.  As long as the gradients handed in are those that back-propagation gives, there is nothing to find.  At
the first layer where they are not, each mistake that can occur there is made, and the ones that give the gradients to
rounding are kept.  The next layer is then held against what the mistake makes of it, and so the earlier layers either
follow from it or have a mistake of their own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..._constants import TRIAL_AGREES, UNIT_ROUNDOFFS
from ..._types import Array
from ...problems.gradients import NamedMistake
from ...problems.networks.mistakes.backward import Backward, Mistake, Signal
from ...problems.networks.mistakes.own_lines import mistaken_biases, mistaken_weights
from ...problems.networks.mistakes.signals import mistaken_signals
from ...problems.networks.mistakes.slopes import free_slopes
from ...problems.networks.names import name_of
from ...problems.networks.problem import Problem
from ...runtime.cached_property import cached_property
from .description import agreeing_descriptions

# Suppositions carried on to the next layer: more than these give the same numbers only in the smallest networks.
CARRIED = 6
# Unit roundoffs of less than double precision that a gradient may be off by and still be the same.
ROUNDINGS_IN_TRIALS = 128.0
# A number that is fitted is proved by at least this many entries of dZ that it moves, and of the two gradients.
FITTED_IN_DZ, FITTED_IN_GRADIENTS = 2, 4


@dataclass(frozen=True)
class Supposition:
    """What back-propagation may have carried to a layer, and the mistake that this supposes.

    Parameters
    ----------
    signal : what the layer receives.
    words : the mistake; "" for none.
    layer : where it sits.
    scaled : whether it only scales dZ.
    """

    signal: Signal
    words: str = ""
    layer: int = 0
    scaled: bool = False


@dataclass
class Trials:
    """Mistaken back-propagations held against gradients; nothing is computed before ``named`` is asked for.

    Parameters
    ----------
    problem : the network with its data.
    gradient : (n,) the gradients handed in.
    precision : dtypes of tensors that came in less than double precision.
    unchecked : the tensors for which no gradient was handed in: any would agree.
    """

    problem: Problem
    gradient: Array
    precision: Mapping[str, str] = field(default_factory=dict)
    unchecked: Collection[str] = ()

    @cached_property
    def named(self) -> Mapping[str, NamedMistake]:
        """The gradients that a known mistake gives, by the tensor's name."""
        with np.errstate(all="ignore"):
            return self._walk(Backward(self.problem))

    @cached_property
    def descriptions(self) -> tuple[str, ...]:
        """The descriptions of other networks whose right gradient this is, by what they change."""
        names = [tensor.name for tensor in self.problem.network.tensors]
        return () if self.unchecked else agreeing_descriptions(self.problem, self.gradient, self._precision(names))

    def _walk(self, b: Backward) -> dict[str, NamedMistake]:
        """From the output to the input."""
        suppositions = [Supposition(b.output())]
        named: dict[str, NamedMistake] = {}
        for k in range(b.depth, 0, -1):
            layer = _Layer(b, k, self._given("W", k), self._given("b", k),
                           self._precision([name_of("W", k), name_of("b", k)]))
            right = [s for s in suppositions if layer.agrees(s.signal.dZ)]
            if right:
                suppositions = right
                if all(s.words for s in right):
                    named |= _told_apart(named, right)
                    named |= {name_of(kind, k): NamedMistake((), right[-1].layer, follows=True) for kind in "Wb"}
            else:
                suppositions, found = layer.explained(suppositions)
                named |= found
            if k > 1:
                suppositions = [replace(s, signal=b.passed_back(k - 1, s.signal)) for s in suppositions[:CARRIED]]
        return named

    def _given(self, kind: str, k: int) -> Array | None:
        if name_of(kind, k) in self.unchecked:
            return None
        tensor = self.problem.network.places[k - 1].tensors[kind]
        return self.gradient[tensor.start : tensor.stop].reshape(tensor.shape)

    def _precision(self, names: Sequence[str]) -> float:
        """Share of a gradient's norm within which it is the same, for the least precise of some gradients."""
        units = [UNIT_ROUNDOFFS[self.precision[name]] for name in names if name in self.precision]
        return max([TRIAL_AGREES, *(ROUNDINGS_IN_TRIALS * unit for unit in units)])


class _Layer:
    """The gradients of one layer, held against what back-propagation gives."""

    def __init__(self, b: Backward, k: int, W: Array | None, bias: Array | None, precision: float) -> None:
        self.b, self.k, self.W, self.bias, self.precision = b, k, W, bias, precision

    def agrees(self, dZ: Array) -> bool:
        """Whether both gradients are those of dZ.  The biases, which are far quicker, are asked first."""
        if self.bias is not None and not self.bias_agrees(self.b.biases(dZ)):
            return False
        return self.W is None or self.W_agrees(self.b.weights(self.k, dZ))

    def W_agrees(self, model: Array) -> bool:
        """Whether dW is this."""
        return self.W is None or _equal(self.W, model, self.precision)

    def bias_agrees(self, model: Array) -> bool:
        """Whether db is this."""
        return self.bias is None or _equal(self.bias, model, self.precision)

    def explained(self, suppositions: list[Supposition]) -> tuple[list[Supposition], dict[str, NamedMistake]]:
        """The suppositions that explain the layer, with those they replace, and what that says of its gradients."""
        both: list[Supposition] = []
        for s in suppositions:
            both += [replace(s, signal=Signal(m.value, s.signal.dA, s.signal.behind), words=m.words, layer=self.k)
                     for m in self._mistaken(s.signal) if self.agrees(m.value)]
        if not both:
            both = [found for s in suppositions for found in (*self._with_free_slope(s), *self._scaled(s))]
        if both:
            named = NamedMistake(_words(s.words for s in both), self.k, scaled=all(s.scaled for s in both))
            # A mistake may sit in these two gradients and not in what is passed on.
            return [*both, *suppositions], {name_of(kind, self.k): named for kind in "Wb"}
        return suppositions, self._own_lines(suppositions)

    def _mistaken(self, signal: Signal) -> Iterator[Mistake]:
        return mistaken_signals(self.b, self.k, signal)

    def _with_free_slope(self, s: Supposition) -> Iterator[Supposition]:
        """Derivatives with one number that was wrong, where no other mistake gives these gradients."""
        dA = s.signal.dA
        if dA is None or not self.b.activation(self.k).elementwise:
            return
        for words, fixed, free in free_slopes(self.b, self.k):
            share = self._fitted(dA * fixed, dA * free)
            if share is not None and self.agrees(dA * (fixed + share * free)):
                signal = Signal(dA * (fixed + share * free), dA, s.signal.behind)
                yield Supposition(signal, words.format(share), self.k)

    def _fitted(self, fixed: Array, free: Array) -> float | None:
        """The number for which fixed + number times free comes nearest the two gradients; None where none is sure."""
        b = self.b
        off, along = [np.empty(0)], [np.empty(0)]
        if self.W is not None:
            off.append((self.W - b.weights(self.k, fixed)).ravel())
            along.append((free @ b.A(self.k - 1).T).ravel())
        if self.bias is not None:
            off.append((self.bias - b.biases(fixed)).ravel())
            along.append(b.biases(free).ravel())
        return _factor(np.concatenate(off), np.concatenate(along), free)

    def _scaled(self, s: Supposition) -> Iterator[Supposition]:
        factor = self._fitted(np.zeros_like(s.signal.dZ), s.signal.dZ)
        if factor is not None and np.isfinite(factor) and factor != 0.0 and self.agrees(factor * s.signal.dZ):
            signal = Signal(factor * s.signal.dZ, s.signal.dA, s.signal.behind)
            yield Supposition(signal, f"with dZ{self.k} {factor:.4g} times what it should be", self.k, scaled=True)

    def _own_lines(self, suppositions: list[Supposition]) -> dict[str, NamedMistake]:
        """Each gradient's own mistakes, and those of dZ that only one of the two shows."""
        found: dict[str, NamedMistake] = {}
        of_signals = [m for s in suppositions for m in self._mistaken(s.signal)]
        for kind, agrees, make, lines in (
            ("W", self.W_agrees, lambda dZ: self.b.weights(self.k, dZ), mistaken_weights),
            ("b", self.bias_agrees, self.b.biases, mistaken_biases),
        ):
            if any(agrees(make(s.signal.dZ)) for s in suppositions):
                follows = {s.layer for s in suppositions if s.words and agrees(make(s.signal.dZ))}
                if follows:
                    found[name_of(kind, self.k)] = NamedMistake((), max(follows), follows=True)
                continue
            own = [m.words for s in suppositions for m in lines(self.b, self.k, s.signal) if agrees(m.value)]
            words = own or [m.words for m in of_signals if agrees(make(m.value))]
            if words:
                found[name_of(kind, self.k)] = NamedMistake(_words(words), self.k)
        return found


def _told_apart(named: Mapping[str, NamedMistake], right: list[Supposition]) -> dict[str, NamedMistake]:
    """What was named before, without the mistakes that an earlier layer rules out."""
    left = {s.words for s in right}
    kept = {name: (found, tuple(words for words in found.words if words in left)) for name, found in named.items()}
    return {name: replace(found, words=words) for name, (found, words) in kept.items() if words}


def _words(found: "Iterator[str] | list[str]") -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(found))


def _factor(off: Array, along: Array, free: Array) -> float | None:
    """The factor of ``along`` nearest to ``off``, where enough depends on it; ``free`` is what it scales in dZ."""
    square = float(along @ along)
    if np.count_nonzero(free) < FITTED_IN_DZ or np.count_nonzero(along) < FITTED_IN_GRADIENTS or not square > 0.0:
        return None
    return float(off @ along) / square


def _equal(given: Array, model: Array, precision: float) -> bool:
    """Whether a gradient is a model of it, to rounding."""
    # One entry rules out most models.
    first = int(np.argmax(np.abs(given)))
    size = float(np.linalg.norm(given))
    if size == 0.0 or not np.isfinite(size):
        return not model.any()
    if not abs(given.flat[first] - model.flat[first]) <= precision * size:
        return False
    return bool(np.linalg.norm(given - model) <= precision * size)
