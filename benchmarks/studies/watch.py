"""What `fastcheck.Watch` costs in training by plain NumPy, how soon it finds a corrupted gradient, and whether it ever
cries wolf.

    python -m benchmarks.studies.watch overhead [--seconds 60]      # with and without, alternated in blocks of steps
    python -m benchmarks.studies.watch corruption [--trials 100]    # one entry wrong from a random step on
    python -m benchmarks.studies.watch alarms [--steps 10000]       # right gradients, at kinks and saturated units
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.networks import Array, case, digits

CONSOLE = Console(width=120)
# Name: widths, hidden activation, samples in a minibatch, learning rate.
TRAININGS = {
    "digits relu": ([64, 32, 16, 10], "relu", 32, 0.3),
    "digits tanh": ([64, 32, 16, 10], "tanh", 32, 1.0),
    "mnist relu": ([784, 512, 256, 10], "relu", 128, 0.3),
    "mnist tanh": ([784, 512, 256, 10], "tanh", 128, 0.5),
}
BIT = "one of the upper 32 bits flipped"
KINDS = ("1e-1 of the tensor's root mean square", "1e-4 of the tensor's root mean square", BIT)
# Seconds of a block of steps with or without the watch; groups of blocks from which the overhead's error is taken.
BLOCK, GROUPS = 0.002, 20
Step = tuple[dict[str, Array], dict[str, Array], Array, Any]


def backward(net: fc.Network, parameters: dict[str, Array], X: Array, labels: Any) -> dict[str, Array]:
    """Back-propagation of a softmax classifier as one writes it by hand, as quick as NumPy is."""
    depth, relu, m = len(net.layers), net.layers[0].activation == "relu", X.shape[1]
    A = [X]
    for k in range(1, depth + 1):
        Z = parameters[f"W{k}"] @ A[-1] + parameters[f"b{k}"]
        A.append(Z if k == depth else np.maximum(Z, 0.0) if relu else np.tanh(Z))
    P = np.exp(A[-1] - A[-1].max(axis=0))
    P /= P.sum(axis=0)
    P[labels, np.arange(m)] -= 1.0
    dZ, gradients = P / m, {}
    for k in range(depth, 0, -1):
        gradients[f"dW{k}"], gradients[f"db{k}"] = dZ @ A[k - 1].T, dZ.sum(axis=1, keepdims=True)
        if k > 1:
            dZ = (parameters[f"W{k}"].T @ dZ) * (A[k - 1] > 0.0 if relu else 1.0 - A[k - 1] ** 2)
    return gradients


def training(name: str, seed: int = 0) -> tuple[fc.Network, Iterator[Step]]:
    """A network, and the steps of its training: parameters, gradients, X and Y before each update, without end."""
    widths, hidden, batch, rate = TRAININGS[name]
    net = case(widths, hidden, batch).net
    images, labels = digits(1797, round(widths[0] ** 0.5))
    rng = np.random.default_rng(seed)

    def steps() -> Iterator[Step]:
        parameters = net.initialize(seed)
        while True:
            order = rng.permutation(labels.size)
            for first in range(0, labels.size - batch, batch):
                X, Y = images[:, order[first : first + batch]], labels[order[first : first + batch]]
                gradients = backward(net, parameters, X, Y)
                yield parameters, gradients, X, Y
                for key in parameters:
                    parameters[key] -= rate * gradients["d" + key]

    return net, steps()


def overhead(name: str, seconds: float) -> list[str]:
    """Train two copies in turn, block by block, one of them watched; the ratio of their times."""
    net, plain = training(name)
    watched = training(name)[1]
    watch = fc.Watch(net, overhead=0.01)

    def run(steps: Iterator[Step], look: Callable[..., Any] | None) -> float:
        started = time.perf_counter()
        for step in islice(steps, number):
            if look is not None:
                look(*step)
        return time.perf_counter() - started

    number, groups = 20, np.zeros((GROUPS, 2))
    number = max(1, round(20 * BLOCK / min(run(plain, None) for _ in range(5))))
    run(watched, None)
    for pair in count():
        for watching in (pair % 2, 1 - pair % 2):
            taken = run(watched, watch) if watching else run(plain, None)
            groups[pair // 2 % GROUPS, watching] += taken
            if not watching:
                watch._budget.stand_still(taken)
        if groups[:, 1].sum() > seconds:
            break
    alone, beside = groups.sum(axis=0)
    spread = np.std(groups[:, 1] / groups[:, 0], ddof=1) / np.sqrt(GROUPS)
    return [name, f"{1e3 * alone / watch.steps:.3g} ms", f"{beside / alone - 1.0:.2%} ± {spread:.2%}",
            f"{watch.seconds / (beside - watch.seconds):.2%}", f"{watch.steps:,}",
            f"{watch.steps / max(watch.glances, 1):,.0f}", f"{watch.rotation_steps:,}", f"{watch.worst:.1e}"]


def stated(name: str) -> tuple[int, int]:
    """Steps within which a glance, and a look at any given entry, is to be expected: twice the longest of a while."""
    net, steps = training(name)
    watch, longest, last = fc.Watch(net, overhead=0.01), 0, (0, 0)
    while watch.rotations < 3:
        watch(*next(steps))
        if watch.glances > last[0]:
            longest, last = max(longest, watch.steps - last[1]), (watch.glances, watch.steps)
    return 2 * longest, 2 * watch.rotation_steps


def corrupt(array: Array, index: tuple[int, ...], kind: str, bit: int) -> None:
    """Spoil one entry of a gradient."""
    if kind == BIT:
        bits = array[index].view(np.uint64) ^ (np.uint64(1) << np.uint64(bit))
        array[index] = bits.view(np.float64)
    else:
        array[index] += float(kind.split()[0]) * np.sqrt(np.mean(array**2))


def found_after(name: str, kind: str, trial: int, give_up: int) -> int:
    """Spoil one entry from a random step on, as a bug or broken hardware would; after how many steps it is found."""
    rng = np.random.default_rng(trial)
    net, steps = training(name, trial)
    watch = fc.Watch(net, overhead=0.01, seed=trial)
    begin, bit, place = int(rng.integers(1, 1000)), int(rng.integers(32, 64)), None
    for step, (parameters, gradients, X, Y) in enumerate(steps, 1):
        if step >= begin:
            place = place or an_entry(gradients, rng)
            corrupt(gradients[place[0]], place[1], kind, bit)
        try:
            watch(parameters, gradients, X, Y)
        except fc.GradientMismatch:
            if step < begin:
                raise
            return step - begin + 1
        if step > begin + give_up:
            break
    return give_up + 1


def an_entry(gradients: dict[str, Array], rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    """An entry of any tensor that is not zero (the pixels at an image's edge are, and their weights do nothing)."""
    name = str(rng.choice(list(gradients)))
    places = np.argwhere(gradients[name] != 0.0)
    return name, tuple(int(i) for i in rng.choice(places))


def corruption(name: str, trials: int) -> Iterator[list[str]]:
    """A row for each kind of corruption."""
    glance, turns = stated(name)
    for kind in KINDS:
        with np.errstate(all="ignore"):  # the spoiled gradient is used for training too
            taken = [found_after(name, kind, trial, turns) for trial in range(trials)]
        found = sum(steps <= turns for steps in taken)
        yield [name, kind, f"{found} of {trials}", f"{np.median(taken):,.0f}", f"{max(taken):,}", f"{glance:,}",
               f"{turns:,}"]


def alarms(name: str, share: float, number: int) -> list[str]:
    """Right gradients for so many steps: how often the watch was wrong."""
    net, steps = training(name)
    wrong: list[fc.Report] = []
    watch = fc.Watch(net, overhead=share, on_fail=wrong.append)
    for step in islice(steps, number):
        watch(*step)
    first = net.forward(step[0], step[2]).A[0]
    idle = (np.abs(first) > 0.999).mean() if "tanh" in name else (first == 0.0).all(axis=1).mean()
    return [name, f"{watch.steps:,}", f"{watch.glances:,}", f"{watch.looks:,}", f"{watch.rotations:,}",
            f"{net.cost_of(step[0], step[2], step[3]):.1e}", f"{idle:.0%}", f"{watch.worst:.1e}",
            str(watch.inconclusive), str(len(wrong))]


def table(title: str, headings: str, rows: Iterator[list[str]]) -> list[list[str]]:
    """Print rows under their headings, and give them back."""
    made, found = Table(title=title), []
    for heading in headings.split("|"):
        made.add_column(heading.strip())
    for row in rows:
        found.append(row)
        made.add_row(*row)
    CONSOLE.print(made)
    return found


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "corruption", "alarms"))
    parser.add_argument("--only", choices=TRAININGS, action="append", help="this training (may be repeated)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of watched training, for the overhead")
    parser.add_argument("--trials", type=int, default=100, help="corruptions of each kind")
    parser.add_argument("--steps", type=int, default=10_000, help="of training with right gradients")
    parser.add_argument("--share", type=float, default=0.01, help="overhead asked for, for the alarms")
    chosen = parser.parse_args()
    names = chosen.only or list(TRAININGS)
    if chosen.what == "overhead":
        table("Training with and without a watch (overhead=0.01)",
              "training | step | overhead | spent | steps | steps per glance | per rotation | difference",
              (overhead(name, chosen.seconds) for name in names))
    elif chosen.what == "corruption":
        found = table("One entry wrong from a random step on (overhead=0.01)",
                      "training | wrong by | found | after steps (median) | at most | to a glance | to every entry",
                      (row for name in names for row in corruption(name, chosen.trials)))
        sys.exit(any(row[2] != f"{chosen.trials} of {chosen.trials}" for row in found))
    else:
        found = table(f"Right gradients (overhead={chosen.share:g})",
                      "training | steps | glances | looks | rotations | cost | idle | difference | "
                      "no verdict | false alarms",
                      (alarms(name, chosen.share, chosen.steps) for name in names))
        sys.exit(any(row[-1] != "0" for row in found))


if __name__ == "__main__":
    main()
