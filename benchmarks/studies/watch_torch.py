"""``fastcheck.torch.Watch`` in real trainings: a ResNet on scikit-learn's digits, a GPT on text that is made here.

``overhead``: the processor time of training steps with and without a watch, in pairs.  ``corrupted``: runs in which a
hook spoils one tensor from a random step on, and how many steps and looks went by until that raised.  ``alarms``: looks
at right gradients, every step of a training, and how many were called wrong.

    python -m benchmarks.studies.watch_torch [overhead corrupted alarms] [--steps 2000] [--runs 30] [--looks 10000]
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from benchmarks.data.torch_models import GPT, ResNet, next_word
from benchmarks.measure import processor

SUBJECTS = ("ResNet", "GPT")
# Steps that are timed together, with and without a watch in turn.
BLOCK = 50
SENTENCES = ("the cat sat on the mat", "a dog ran to the cat", "the sun is on the sea", "rain ran down the pane")


def digits() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of 32 digits without end."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16.0
    y = torch.tensor(labels)
    while True:
        chosen = torch.randint(0, len(x), (32,))
        yield x[chosen], y[chosen]


def text() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of 8 pieces of 32 letters of sentences in random order, without end."""
    words = " ".join(random.Random(0).choices(SENTENCES, k=500))
    letters = {letter: number for number, letter in enumerate(sorted(set(words)))}
    coded = torch.tensor([letters[letter] for letter in words])
    while True:
        starts = torch.randint(0, len(coded) - 33, (8,)).tolist()
        pieces = torch.stack([coded[start : start + 33] for start in starts])
        yield pieces[:, :-1], pieces[:, 1:]


class Training:
    """A model, its data and its optimizer."""

    def __init__(self, name: str, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.module: nn.Module = ResNet((16, 32, 32), nn.ReLU(), 1) if name == "ResNet" else GPT(32, 64, 2, 32, 0.1)
        self.loss: Callable[..., torch.Tensor] = F.cross_entropy if name == "ResNet" else next_word
        self.data = digits() if name == "ResNet" else text()
        self.optimizer = torch.optim.AdamW(self.module.parameters(), 1e-3)

    def watch(self, overhead: float) -> Any:
        """A watch on it."""
        return ft.Watch(self.module, self.loss, *next(self.data), overhead=overhead)

    def step(self, watch: Any = None) -> None:
        """One training step."""
        x, y = next(self.data)
        self.optimizer.zero_grad()
        self.loss(self.module(x), y).backward()
        if watch is not None:
            watch(x, y)
        self.optimizer.step()


def overhead(name: str, steps: int) -> str:
    """How much slower training is with a watch."""
    training = Training(name)
    watch = training.watch(0.01)
    watch.remove()
    ratios, seconds = [], []
    for _ in range(max(1, steps // (2 * BLOCK))):
        times = []
        for watching in (False, True):
            if watching:
                watch._handle = training.module.register_forward_pre_hook(watch._before_forward, prepend=True)
            start = time.process_time()
            for _ in range(BLOCK):
                training.step(watch if watching else None)
            times.append(time.process_time() - start)
            watch.remove()
        ratios.append(times[1] / times[0])
        seconds.append(times[0] / BLOCK)
    mean = sum(r - 1.0 for r in ratios) / len(ratios)
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
    each = 1e3 * statistics.median(seconds)
    return (f"{name}: {steps} steps of {each:.1f} ms, {mean:+.2%} ± {error:.2%} with a watch, "
            f"{watch.looks} looks, {watch.failures} failures. {watch.power}")


def corrupted(name: str, run: int, steps: int) -> str:
    """Spoil one tensor from a random step on; tell when that was found."""
    training, chance = Training(name, run), random.Random(run)
    watch = training.watch(0.01)
    begins = chance.randrange(steps // 8, steps // 2)
    name_of, victim = chance.choice([(n, p) for n, p in training.module.named_parameters() if p.ndim > 1])
    for step in range(steps):
        if step == begins:
            victim.register_hook(lambda g: g * 1.1)
            looks = watch.looks
        try:
            training.step(watch)
        except fc.GradientMismatch as error:
            named = name_of in [t.name for t in error.report.failures]
            return (f"{name} {run}: {name_of} spoiled from step {begins}, found after {step - begins} steps at look "
                    f"{watch.looks - looks}, {'named' if named else 'not named'}; one look in "
                    f"{watch.steps_between_looks:.0f} steps")
    return f"{name} {run}: {name_of} spoiled from step {begins}, not found"


def alarms(name: str, looks: int) -> str:
    """Look at every step of a right training."""
    training = Training(name)
    watch = training.watch(1e9)
    for _ in range(looks):
        training.step(watch)
    return f"{name}: {watch.looks} looks, {watch.checks} checks, {watch.failures} alarms, worst {watch.worst:.2g}"


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["overhead", "corrupted", "alarms"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--looks", type=int, default=10_000)
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.subjects:
        if "overhead" in arguments.parts:
            print(overhead(name, arguments.steps), flush=True)
        if "corrupted" in arguments.parts:
            for run in range(arguments.runs // len(arguments.subjects)):
                print(corrupted(name, run, arguments.steps), flush=True)
        if "alarms" in arguments.parts:
            print(alarms(name, arguments.looks // len(arguments.subjects)), flush=True)
    print(f"{processor()}; processor seconds, one thread, single precision, torch {torch.__version__}")


if __name__ == "__main__":
    main()
