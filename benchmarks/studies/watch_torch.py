"""``fastcheck.torch.Watch`` in real trainings: a ResNet on scikit-learn's digits, a GPT on text that is made here.

``overhead``: the processor time of training steps with and without a watch, alternated, in pairs of blocks of steps.
``corrupted``: runs in which a hook spoils one tensor's gradient from a random step on, in six ways, and how many steps
went by until that raised, beside the number that the watch had stated.  ``alarms``: looks at right gradients, at every
step of trainings of six small modules and these two, and how many were called wrong.  ``power``: wrong entries and
wrong tensors of the sizes that the watch says it sees, planted at single looks, and how many it saw.  ``planted``:
single looks of one long training at which one tensor is spoiled, by as little as a factor of 1.003.

    python -m benchmarks.studies.watch_torch [overhead corrupted alarms power planted]

    --steps 2000     of a training, of overhead and corrupted
    --runs 30        of corrupted, and mistakes of planted; --first 0 the number of the first run
    --looks 10000    of alarms, in all; power plants as many mistakes as a hundredth of that, of each kind
    --after 0        steps of a training before overhead, alarms and planted begin: past the perfect fit, say
    --subjects ...   modules, by name: ResNet and GPT; of alarms and power the small ones as well
    --precisions ... of alarms and power: float32 autocast bfloat16 float64
    --seed 0         of trainings
"""

import argparse
import copy
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator

import torch

import fastcheck as fc
from benchmarks.data.trainings import LARGE, PRECISIONS, SMALL, Training
from benchmarks.measure import processor
from fastcheck.torch.watch import SPREAD

# The spread of rounding at one step is hardly ever more than this many times that of another.
VARIES = 3.0
# Steps that are timed together, with and without a watch in turn.
BLOCK = 50
# Steps of a training that is watched for alarms, before the next one begins with another seed.
LONG = 320


class Spoiled:
    """A hook on a parameter that spoils its gradient in one way, once it is switched on.

    Parameters
    ----------
    parameter : whose gradient.
    kind : one of ``KINDS`` or ``FINE``.
    """

    def __init__(self, parameter: torch.Tensor, kind: str) -> None:
        self.on, self._way, self._last = False, {**KINDS, **FINE}[kind], torch.zeros_like(parameter)
        self._generator = torch.Generator().manual_seed(0)
        self.handle = parameter.register_hook(self)

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient, spoiled if it is time."""
        last, self._last = self._last, gradient.clone()
        return self._way(gradient, last, self._generator) if self.on else gradient


def _noisy(gradient: torch.Tensor, last: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(gradient.shape, generator=generator).to(gradient.dtype)
    return gradient + 0.1 * gradient.square().mean().sqrt() * noise


def _row_zeroed(gradient: torch.Tensor, last: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    out = gradient.clone()
    out[gradient.flatten(1).norm(dim=1).argmax()] = 0.0
    return out


KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]] = {
    "a factor of 1.1": lambda g, last, _: 1.1 * g,
    "one row zeroed": _row_zeroed,
    "its sign": lambda g, last, _: -g,
    "that of the step before": lambda g, last, _: last,
    "zero": lambda g, last, _: torch.zeros_like(g),
    "a tenth of noise": _noisy,
}


def _row_scaled(gradient: torch.Tensor, last: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    out = gradient.clone()
    out[gradient.flatten(1).norm(dim=1).argmax()] *= 1.02
    return out


def _entry_scaled(gradient: torch.Tensor, last: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.where(gradient.abs() == gradient.abs().max(), 1.05 * gradient, gradient)


# Mistakes that are no larger than the rounding of a loss near a perfect fit.
FINE: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]] = {
    "a factor of 1.003": lambda g, last, _: 1.003 * g,
    "a factor of 1.01": lambda g, last, _: 1.01 * g,
    "one row by 1.02": _row_scaled,
    "one entry by 1.05": _entry_scaled,
    "its sign": KINDS["its sign"],
    "one row zeroed": KINDS["one row zeroed"],
}


def overhead(name: str, steps: int, seed: int, after: int) -> str:
    """How much slower training is with a watch, after some steps."""
    training = Training(name, seed)
    for _ in range(after):
        training.step()
    watch = training.watch(0.01)
    ratios, times = [], ([], [])
    for _ in range(max(1, steps // BLOCK)):
        for watching in (False, True):
            start, began = time.process_time(), time.perf_counter()
            for _ in range(BLOCK):
                training.step(watch if watching else None)
            times[watching].append(time.process_time() - start)
            if not watching:  # these steps do not pay for looks
                watch._budget.stand_still(time.perf_counter() - began)
        ratios.append(times[True][-1] / times[False][-1])
    mean = sum(times[True]) / sum(times[False]) - 1.0
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
    each = 1e3 * statistics.median(times[False]) / BLOCK
    return (f"{name}: {watch.steps} steps of {each:.1f} ms, {mean:+.2%} ± {error:.2%} with a watch, "
            f"{watch.looks} looks, {watch.checks} checks, {watch.failures} failures. {watch.power}")


def corrupted(name: str, run: int, steps: int) -> tuple[bool, str]:
    """Spoil one tensor from a random step on; tell whether that was found in time, and when.

    Where that was not yet time to be found the training goes on, for as many steps again at most.
    """
    training, chance = Training(name, run), random.Random(run)
    watch = training.watch(0.01)
    kind = list(KINDS)[run // len(LARGE) % len(KINDS)]
    begins = chance.randrange(steps // 40, steps // 3)
    name_of, victim = chance.choice([(n, p) for n, p in training.module.named_parameters() if p.ndim > 1])
    spoiled, promised, looks = Spoiled(victim, kind), 0.0, 0
    for step in range(2 * steps):
        if step == begins:
            spoiled.on, looks = True, watch.looks
        try:
            training.step(watch)
        except fc.GradientMismatch as error:
            promised = watch.steps_to_find
            named = [t.name for t in error.report.failures] == [name_of]
            found = step - begins <= promised and spoiled.on
            return found, (f"{name} {run}: {name_of}, {kind} from step {begins}, "
                           f"{'found' if spoiled.on else 'ALARM'} after {step - begins} steps at look "
                           f"{watch.looks - looks} ({promised:.0f} stated), {'named' if named else 'not named alone'}")
    return False, f"{name} {run}: {name_of}, {kind} from step {begins}, not found; {watch!r}; {watch.power}"


def alarms(name: str, precision: str, looks: int, seed: int, after: int) -> Iterator[str]:
    """Look at every step of right trainings, after some that are not looked at; tell after each training."""
    found = {"looks": 0, "checks": 0, "inconclusive": 0, "failures": 0}
    while found["looks"] < looks:
        training = Training(name, seed + found["looks"], precision)
        for _ in range(after):
            training.step()
        watch = training.watch(1e9, on_fail=lambda report: print(report, flush=True))
        for _ in range(min(LONG, looks - found["looks"])):
            training.step(watch)
        for count in found:
            found[count] += getattr(watch, count)
        yield f"{name} {precision}: " + ", ".join(f"{value} {count}" for count, value in found.items())


def planted(name: str, count: int, seed: int, after: int) -> Iterator[str]:
    """Spoil one tensor at single looks of a training, after some steps; tell what was missed, and how much was seen."""
    training, chance, reports = Training(name, seed), random.Random(seed), list[fc.Report]()
    for _ in range(after):
        training.step()
    watch = training.watch(1e9, on_fail=reports.append)
    seen = named = alarms = 0
    for number in range(count):
        training.step(watch)  # right, as the tensors are put back after each mistake
        alarms, before = alarms + len(reports), copy.deepcopy((training.module, training.optimizer.state_dict()))
        reports.clear()
        name_of, victim = chance.choice([(n, p) for n, p in training.module.named_parameters() if p.ndim > 1])
        kind = list(FINE)[number % len(FINE)]
        spoiled = Spoiled(victim, kind)
        spoiled.on = True
        training.step(watch)
        spoiled.handle.remove()
        training.module.load_state_dict(before[0].state_dict())
        training.optimizer.load_state_dict(before[1])
        seen, named = seen + bool(reports), named + ([t.name for r in reports for t in r.failures] == [name_of])
        if not reports:
            yield f"{name} {seed}: {kind} in {name_of} not seen; {watch!r}"
        reports.clear()
    yield f"{name} {seed}: {seen} of {count} seen, {named} named alone, {alarms} alarms; {watch!r}"


def power(name: str, precision: str, count: int, seed: int) -> str:
    """Plant mistakes of the stated sizes at single looks, in one tensor each."""
    seen = {"entry": 0, "tensor": 0}
    for planted in seen:
        for number in range(count):
            seen[planted] += _seen(name, precision, planted, seed + number)
    return f"{name} {precision}: " + ", ".join(f"{value} of {count} seen, {planted}" for planted, value in seen.items())


def _seen(name: str, precision: str, planted: str, seed: int) -> bool:
    """Tell whether one mistake is seen.

    In double precision an entry is off by what is seen for certain, or a tensor by errors of ten times that; in less
    both by ``VARIES`` times what is seen.
    """
    training, chance = Training(name, seed, precision), random.Random(seed)
    watch = training.watch(1e9, on_fail=lambda report: None)
    for _ in range(3):
        training.step(watch)
    shares = watch.seen_shares
    victim = chance.choice(sorted(shares))
    parameter = dict(training.module.named_parameters())[victim]
    entry = chance.randrange(parameter.numel())

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        size = (1.05 if precision == "float64" else VARIES) * shares[victim] * float(gradient.double().norm())
        error = torch.zeros(gradient.numel(), dtype=torch.float64)
        if planted == "entry":
            error[entry] = size
        else:
            error = torch.randn(gradient.numel(), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
            error *= (SPREAD if precision == "float64" else 1.0) * size / error.norm()
        return (gradient.double() + error.reshape(gradient.shape)).to(gradient.dtype)

    parameter.register_hook(spoil)
    training.step(watch)
    return watch.failures > 0


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["overhead", "corrupted", "alarms", "power"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--looks", type=int, default=10_000)
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="*", default=None)
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = arguments.parts
    print(f"{processor()}; processor seconds, one thread, torch {torch.__version__}", flush=True)
    large, every = arguments.subjects or LARGE, arguments.subjects or (*SMALL, *LARGE)
    if "overhead" in parts:
        for name in large:
            print(overhead(name, arguments.steps, arguments.seed, arguments.after), flush=True)
    if "corrupted" in parts:
        in_time = []
        for run in range(arguments.first, arguments.first + arguments.runs):
            found, words = corrupted(large[run % len(large)], run, arguments.steps)
            in_time.append(found)
            print(words, flush=True)
        print(f"{sum(in_time)} of {len(in_time)} found within the stated number of steps", flush=True)
    if "planted" in parts:
        for name in large:
            for words in planted(name, arguments.runs, arguments.seed, arguments.after):
                print(words, flush=True)
    each = len(every) * len(arguments.precisions)
    for name, precision in itertools.product(every, arguments.precisions):
        for words in alarms(
            name, precision, -(-arguments.looks // each), arguments.seed, arguments.after
        ) if "alarms" in parts else ():
            print(words, flush=True)
        if "power" in parts:
            print(power(name, precision, arguments.looks // 100, arguments.seed), flush=True)


if __name__ == "__main__":
    main()
