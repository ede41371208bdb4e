"""The table of the network engines, and which of its two forms the response engine takes: plain NumPy or machine code.

Both find the same differences by the same rules.  Plain NumPy has nothing to load and nothing to compile, and carries
short changes down from the outputs; machine code skips inactive units, and takes less memory.  So small checks, and
those of networks with few outputs whose steps are short, are done in NumPy; larger ones by machine code where that lies
on disk; and where it does not, in NumPy, until as much time has gone there as compiling takes.

The two forms differ in the last digits, and so do parts done in NumPy from a whole done in NumPy; parts done by machine
code are the same digits as a whole done so.  Checks that are always done in NumPy are therefore never cut into pieces
for workers or checkpoints (``is_small``), and pieces are always done by machine code.  Only a check that NumPy does in
one process because it is much quicker, or because nothing is compiled there, may differ in its last digits from one in
pieces.
"""

import math
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

from .._types import Indices
from ..problems.gradients import NumericalGradient
from ..problems.networks.network import Network
from ..problems.networks.problem import BYTES_PER_UNIT, Problem
from ..runtime.resources import keep_freed_memory
from ..runtime.run import Run
from .protocol import Engine

MODULES = {"response": ".response.engine", "full": ".full", "reference": ".reference"}
ENGINES = tuple(MODULES)
# Bytes at work from which arrays are large to the C library, and the memory limit that leaves room for what it then
# keeps, 64 MiB at most.
LARGE, ROOMY = 1 << 20, 1 << 28
# Seconds in NumPy up to which machine code gains nothing: its own work around the kernels takes about as long.
ALWAYS = 2e-3
# The same for networks of at most this many outputs that have at most this many layers, are straight, or are carried
# down from the outputs: nearly all of their work is products of matrices.  Where the last takes this part of the time
# that it takes layer by layer, machine code, which goes that way, never gains anything.
ALWAYS_SHALLOW, LAYERS, OUTPUTS, MUCH_QUICKER = 0.5, 3, 32, 0.4
# Seconds in NumPy of a single check, and of all of them together, that are spent rather than compile.
WORTH_COMPILING, COMPILING = 2.0, 8.0
# The fact of a report that says how long it took to compile, where it took longer than this.
COMPILING_SECONDS, LEAST_COMPILING = "compiling_seconds", 0.05
# Seconds of NumPy for a multiply-add of a matrix product, for a number in a straight layer, in a curved one and in a
# loss, and for a layer whatever its size; one core of an AMD EPYC (family 25, model 17).
MULTIPLY_ADD, STRAIGHT, CURVED, LOSS, LAYER = 5e-11, 4e-9, 1.2e-8, 2e-8, 6e-5
# The same for a multiply-add in single precision, of which some half are tried in few samples only, and for a number.
SINGLE, SINGLES = 1.2e-11, 1e-9


def engine(name: str) -> Engine:
    """Return the engine of that name; imported here and not before, because the compiled ones bring Numba with them."""
    return respond if name == "response" else _imported(name)


def is_for_once(net: Network, samples: int) -> bool:
    """Whether a network with this many samples is so small that ``respond`` tries to do it at once."""
    at_once, plain = _plain()
    return bool(at_once.fits(net, samples) and plain.has_rules(net))


def respond_at_once(problem: Problem, epsilon: float) -> NumericalGradient | None:
    """Return what ``respond`` does for a network that ``is_for_once``, in the usual case; None in any other."""
    found: NumericalGradient | None = _plain()[0].differences_at_once(problem, epsilon)
    return found


@cache
def _plain() -> tuple[Any, Any]:
    """Return the modules that work in plain NumPy, imported when first asked for: to ask again takes no time."""
    from .plain import at_once, engine as plain

    return at_once, plain


def _imported(name: str) -> Engine:
    chosen: Engine = import_module(MODULES[name], __package__).differences
    return chosen


def respond(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
    """Return all perturbed costs from the responses of single units (see ``engines.response.engine``)."""
    if run.memory_limit >= ROOMY and _bytes(problem) > LARGE:
        keep_freed_memory()
    if problem.kept is None and _ledger.in_numpy(problem, epsilon, run):  # pieces are done by machine code
        found: NumericalGradient = _plain()[1].differences(problem, indices, epsilon, run)
        return found
    find = _imported("response")
    if _ledger.finds_machine_code():
        return find(problem, indices, epsilon, run)
    return _compiled(find, problem, indices, epsilon, run)


def _compiled(
    find: Engine, problem: Problem, indices: Indices | None, epsilon: float, run: Run
) -> NumericalGradient:
    """Return what an engine finds that has to be compiled first; the report says how long that took."""
    from ..runtime.jit import compiling  # brings Numba with it, as kernels do

    run.says("compiling, once")
    with compiling() as seconds:
        found = find(problem, indices, epsilon, replace(run, progress=_Announced(run)))
    _ledger.at_hand = True
    total = math.fsum(seconds)
    if total < LEAST_COMPILING:
        return found
    note = f"Compiling took {total:.1f} s; the machine code is kept on disk for the next process."
    return replace(found, facts={**found.facts, COMPILING_SECONDS: total}, notes=(*found.notes, note))


class _Announced:
    """Progress after compiling: what is compiled is compiled when it is first heard of."""

    def __init__(self, run: Run) -> None:
        self.run, self.begun = run, False

    def __call__(self, done: int, total: int) -> None:
        """Report ``done`` of ``total`` parameters."""
        if not self.begun:
            self.begun = True
            self.run.says("checking")
        self.run.progress(done, total)


def is_small(problem: Problem, epsilon: float, run: Run) -> bool:
    """Whether the response engine does a check in plain NumPy whatever there is of machine code."""
    return is_quick(problem.network, problem.m, _longest(problem, epsilon)) and _numpy_can(problem, run)


def is_quick(net: Network, samples: int, longest: float) -> bool:
    """Whether plain NumPy checks a network with so many samples about as soon as machine code does.

    Parameters
    ----------
    longest : the longest change of a pre-activation, of the first layer at least.
    """
    at_once, plain = _plain()
    most = ALWAYS_SHALLOW if _is_shallow(net) or _is_carried(net, longest) else ALWAYS
    return bool(plain.has_rules(net) and (at_once.fits(net, samples) or _seconds(net, samples, longest) <= most))


def _longest(problem: Problem, epsilon: float) -> float:
    """The longest change of a pre-activation of the first layer."""
    return epsilon * max(1.0, float(problem.X.max(initial=0.0)), -float(problem.X.min(initial=0.0)))


def _is_shallow(net: Network) -> bool:
    """Whether nearly all of the work is a few products of matrices."""
    return (len(net.layers) <= LAYERS or _is_straight(net)) and net.widths[-1] <= OUTPUTS


def _is_carried(net: Network, longest: float) -> bool:
    """Whether changes of hidden units are likely to be carried down from the outputs, curved layers among them."""
    from .plain.point import CUBIC_REACH

    return longest <= CUBIC_REACH and net.widths[-1] <= OUTPUTS and (
        net.cost_entry.output is not None or net.activation_entries[-1].name == "identity")


def _seconds(net: Network, samples: int, longest: float) -> float:
    """About how long plain NumPy takes for all parameters with such steps."""
    from .response.responses import QUARTIC_REACH

    straight = _is_straight(net)
    found = numpy_seconds(net, samples, literal=longest > QUARTIC_REACH and not straight)
    return min(found, _seconds_carried(net, samples)) if not straight and _is_carried(net, longest) else found


def _numpy_can(problem: Problem, run: Run) -> bool:
    """Whether NumPy has rules for a network's functions, and memory for its samples."""
    _, plain = _plain()
    return bool(plain.has_rules(problem.network)) and _bytes(problem) - problem.theta.nbytes <= run.memory_limit // 2


def _bytes(problem: Problem) -> int:
    """Bytes of the parameters and of all samples' units at work."""
    return problem.theta.nbytes + BYTES_PER_UNIT * sum(problem.network.widths) * problem.m


def numpy_seconds(net: Network, samples: int, *, literal: bool = False) -> float:
    """About how long plain NumPy takes for all parameters.

    Parameters
    ----------
    literal : whether steps are too long for polynomials, so that each parameter's is evaluated by itself.
    """
    widths, entries = net.widths, net.activation_entries
    each = [STRAIGHT if entry.linear else CURVED for entry in entries[:-1]] + [LOSS]
    total, straight = LAYER * len(entries), _is_straight(net)
    for k in range(len(entries)):
        columns = samples * widths[k + 1] * (widths[k] + 1 if literal else 1)
        # two layers are crossed at once, of straight ones all
        behind = len(entries) - 1 if straight else min(k + 2, len(entries) - 1)
        numbers = sum(n * seconds for n, seconds in zip(widths[behind + 1 :], each[behind:], strict=True))
        products = widths[k] + 1 + (
            widths[-1] * widths[min(k + 2, len(entries))] if straight else
            sum(a * b for a, b in pairwise(widths[k + 2 :])))
        total += columns * (numbers + MULTIPLY_ADD * products)
    return total


def _seconds_carried(net: Network, samples: int) -> float:
    """About how long plain NumPy takes where changes are carried down from the outputs, curved layers among them."""
    widths, outputs = net.widths, net.widths[-1]
    total = LAYER * len(net.layers)
    for k in range(len(net.layers)):
        behind = widths[k + 2 : -1]
        total += samples * widths[k + 1] * (
            outputs * (CURVED + MULTIPLY_ADD * widths[min(k + 2, len(widths) - 1)]) + MULTIPLY_ADD * (widths[k] + 1)
            + SINGLES * sum(behind) + SINGLE * sum(a * b for a, b in pairwise(behind)))
    return total


def _is_straight(net: Network) -> bool:
    """Whether all hidden layers are straight between their kinks, and the loss is taken from the logits."""
    return net.cost_entry.output is not None and all(entry.linear for entry in net.activation_entries[:-1])


class _Ledger:
    """What is known of the machine code in this process, and how much time went into doing without."""

    def __init__(self) -> None:
        self.at_hand: bool | None = None
        self.spent = 0.0

    def in_numpy(self, problem: Problem, epsilon: float, run: Run) -> bool:
        """Tell whether a check is to be done in NumPy."""
        if is_small(problem, epsilon, run):
            return True
        if not _numpy_can(problem, run):
            return False
        net, longest = problem.network, _longest(problem, epsilon)
        seconds = _seconds(net, problem.m, longest)
        if seconds <= MUCH_QUICKER * numpy_seconds(net, problem.m):
            return True
        if seconds > WORTH_COMPILING or self.spent + seconds > COMPILING or self.finds_machine_code():
            return False
        self.spent += seconds
        return True

    def finds_machine_code(self) -> bool:
        """Tell whether machine code has been loaded, or lies on disk."""
        if not self.at_hand:
            from ..runtime.jit import is_at_hand  # brings Numba with it, as kernels do
            from .response.unit_responses import respond_block

            self.at_hand = is_at_hand(respond_block)
        return self.at_hand


_ledger = _Ledger()
