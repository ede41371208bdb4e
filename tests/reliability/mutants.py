"""Mutation testing: one small change to a source at a time, to see whether some test notices.

A seeded sample of the changes that cosmic-ray knows is drawn from the modules below, in proportion to their number.
Each is made in a copy of the tree, and the tests that mirror the module run there, with kernels as plain Python: that
takes seconds where compiling would take twenty, and an index out of bounds raises.  A mutant is killed when a test
fails or time runs out.  Those that nobody could notice are listed with reasons in ``equivalent_mutants.toml`` and
count neither way.  Ends with exit status 1 below 90 % killed.
"""

import argparse
import ast
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from zlib import crc32

import hypothesis  # noqa: F401 - this and the like: imported before the forks
import mpmath  # noqa: F401
import numba
import numpy as np
import pytest
import scipy.special  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from scipy.stats import binomtest

from tests.support.repository import ROOT

ENGINE = tuple(f"tests/engines/response/test_{name}.py" for name in ("engine", "kinks", "noise", "limits"))
VERDICT = tuple(f"tests/verdict/test_{name}.py" for name in ("judge", "noise", "kinks_and_steps", "precision"))
TESTS = {
    "rules/kernels/pieces": ("tests/rules/test_activations.py",),
    "rules/kernels/curves": ("tests/rules/test_activations.py",),
    "rules/kernels/softmax": ("tests/rules/test_activations.py",),
    "rules/losses": ("tests/rules/test_losses.py",),
    "verdict/judge": VERDICT,
    "verdict/explanations": VERDICT,
    "engines/response/block": ENGINE,
    "engines/response/columns": ENGINE,
    "engines/response/unit_responses": ENGINE,
    "engines/response/loops": ENGINE,
    "engines/response/engine": ENGINE,
    "engines/response/spot_check": ENGINE,
    "engines/response/sample_sums": ENGINE,
}
# Left out, because any test that runs the line kills them, or none can: bit operators in place of arithmetic raise on
# floats, and whether equal numbers are one object is Python's own affair.
LEFT_OUT = (
    "ReplaceBinaryOperator_[!BLR]*_Bit*", "ReplaceBinaryOperator_[!BLR]*_[LR]Shift",
    "ReplaceBinaryOperator_Bit*_[!B]*", "ReplaceBinaryOperator_[LR]Shift_[!LR]*",
    "ReplaceComparisonOperator_Is*_[!I]*", "ReplaceComparisonOperator_[!I]*_Is*",
)  # fmt: skip
LEAST = 10  # mutants of a module
WANTED = 0.9
SLOWEST = 5.0  # times what the unchanged tests take, before a mutant counts as one that hangs
MEMORY = 8 << 30  # bytes of address space for the tests of a mutant


@dataclass(frozen=True)
class Mutant:
    """One change: its place in cosmic-ray's order, and the line before and after."""

    module: str
    operator: str
    occurrence: int
    number: int
    line: str
    becomes: str

    @property
    def kind(self) -> str:
        """The family of its operator."""
        return self.operator.split("_")[0]

    @property
    def place(self) -> str:
        """file:line."""
        return f"fastcheck/{self.module}.py:{self.number}"

    def known_as(self, entry: dict[str, str]) -> bool:
        """Whether an entry of equivalent_mutants.toml is about this mutant."""
        return (
            fnmatchcase(self.module, entry["module"])
            and entry["line"] == self.line
            and fnmatchcase(self.operator, entry["operator"])
            and entry.get("becomes", self.becomes) == self.becomes
        )


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All mutants of a module with that text."""
    tree, lines, hints = get_ast(source), source.split("\n"), annotations(source)
    found = []
    for name in sorted(operator_names()):
        short, operator = name.removeprefix("core/"), get_operator(name)
        if operator.arguments() or any(fnmatchcase(short, pattern) for pattern in LEFT_OUT):
            continue
        places = [place for node in ast_nodes(tree) for place in operator().mutation_positions(node)]
        for occurrence, (start, _) in enumerate(places):
            if not any(first <= start < last for first, last in hints):
                found.append((short, occurrence, start[0]))
    return [Mutant(module, short, k, number, lines[number - 1].strip(), "") for short, k, number in found]


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where type hints stand, from (line, column) to (line, column): nothing at run time reads them."""
    nodes = list(ast.walk(ast.parse(source)))
    hints = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    return [((h.lineno, h.col_offset), (h.end_lineno, h.end_col_offset)) for h in hints if isinstance(h, ast.expr)]


def mutated(mutant: Mutant, before: str) -> tuple[Mutant, str]:
    """The mutant with its line before and after, and the module's changed text."""
    after = mutate_code(before, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
    old, new = before.split("\n"), after.split("\n")
    same = next(k for k, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
    length = len(new) - len(old)
    changed = " ".join(line.strip() for line in new[same : same + 1 + max(length, 0)])
    return Mutant(**(asdict(mutant) | {"number": same + 1, "line": old[same].strip(), "becomes": changed})), after


def draw(every: dict[str, list[Mutant]], count: int, seed: int) -> dict[str, list[Mutant]]:
    """About ``count`` of them: each module and each kind of operator by its share, at least one of each kind."""
    total = sum(len(found) for found in every.values())
    chosen = {}
    for module, found in every.items():
        rng = np.random.default_rng([seed, crc32(module.encode())])  # whatever other modules hold
        share = min(max(LEAST, round(count * len(found) / total)), len(found))
        ordered = sorted((found[k] for k in rng.permutation(len(found))), key=lambda mutant: mutant.kind)
        start = rng.random()
        chosen[module] = [ordered[int((start + k) * len(ordered) / share)] for k in range(share)]
    drawn = {mutant.kind for part in chosen.values() for mutant in part}
    for kind in sorted({mutant.kind for found in every.values() for mutant in found} - drawn):
        of_kind = [mutant for found in every.values() for mutant in found if mutant.kind == kind]
        mutant = of_kind[int(np.random.default_rng([seed, crc32(kind.encode())]).integers(len(of_kind)))]
        chosen[mutant.module].append(mutant)
    return chosen


class Copy:
    """A copy of the tree in which sources are changed and tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("fastcheck", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.sources = {module: (folder / "fastcheck" / f"{module}.py").read_text() for module in TESTS}

    def tests_pass(self, module: str, text: str, limit: float) -> bool:
        """Whether the module's tests pass with its text changed to ``text``, within ``limit`` seconds."""
        path = self.folder / "fastcheck" / f"{module}.py"
        self._write(path, text)
        # a fork of this process, which has imported all that is not ours and slow to import
        child = multiprocessing.get_context("fork").Process(target=run_tests, args=(self.folder, TESTS[module]))
        child.start()
        child.join(limit)
        if child.is_alive():
            child.kill()
            child.join()
        self._write(path, self.sources[module])
        return child.exitcode == 0

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()  # two changes of one size within a second look alike to Python


def run_tests(folder: Path, tests: tuple[str, ...]) -> None:
    """Run tests in a copy of the tree and exit with pytest's status."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # a mutant may ask for all of it
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]  # this very package, from the checkout
    sys.exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]))


def judge(copy: Copy, chosen: list[Mutant], known: list[dict[str, str]]) -> Iterator[tuple[Mutant, str]]:
    """Each mutant with "killed", "survived" or "equivalent"."""
    limits: dict[tuple[str, ...], float] = {}
    for drawn in chosen:
        source = copy.sources[drawn.module]
        mutant, text = mutated(drawn, source)
        tests = TESTS[mutant.module]
        if tests not in limits:
            start = time.perf_counter()
            if not copy.tests_pass(mutant.module, source, 600.0):
                sys.exit(f"{' '.join(tests)}: fails without any change; mend that first (NUMBA_DISABLE_JIT=1)")
            limits[tests] = 10.0 + SLOWEST * (time.perf_counter() - start)
        if any(mutant.known_as(entry) for entry in known):
            yield mutant, "equivalent"
        else:
            yield mutant, "survived" if copy.tests_pass(mutant.module, text, limits[tests]) else "killed"


def equivalents() -> list[dict[str, str]]:
    """The mutants nobody could notice."""
    return list(tomllib.loads((Path(__file__).parent / "equivalent_mutants.toml").read_text())["mutant"])


def stale(known: list[dict[str, str]], copy: Copy) -> list[dict[str, str]]:
    """Those whose line no source they are about has any more."""
    lines = {module: {line.strip() for line in source.split("\n")} for module, source in copy.sources.items()}
    return [
        entry for entry in known
        if not any(fnmatchcase(module, entry["module"]) and entry["line"] in found for module, found in lines.items())
    ]  # fmt: skip


def table(outcomes: list[tuple[Mutant, str]]) -> str:
    """Killed and survived by module, and in total with the 95 % interval of the rate (Wilson)."""
    lines = [f"{'module':18}{'killed':>8}{'survived':>10}{'equivalent':>12}{'rate':>8}"]
    counts = {module: Counter(what for mutant, what in outcomes if mutant.module == module) for module in TESTS}
    counts["total"] = sum(counts.values(), Counter())
    for module, count in counts.items():
        judged = count["killed"] + count["survived"]
        rate = f"{count['killed'] / judged:.0%}" if judged else "-"
        lines.append(f"{module:18}{count['killed']:8}{count['survived']:10}{count['equivalent']:12}{rate:>8}")
    total = counts["total"]
    if judged := total["killed"] + total["survived"]:
        low, high = binomtest(total["killed"], judged).proportion_ci(method="wilson")
        lines.append(f"{total['killed'] / judged:.1%} killed, 95 % interval {low:.1%} to {high:.1%}")
    return "\n".join(lines)


def fresh(copy: Copy, modules: list[str], count: int, seed: int) -> list[Mutant]:
    """A draw, of which only some modules may be wanted."""
    every = {module: mutants_of(module, source) for module, source in copy.sources.items()}
    chosen = draw(every, count, seed)
    found = [mutant for module in modules for mutant in chosen[module]]
    print(f"{len(found)} of {sum(len(every[module]) for module in modules)} mutants, seed {seed}", flush=True)
    return found


def survivors_of(path: Path, copy: Copy) -> list[Mutant]:
    """Those that survived an earlier run, found again by their text: lines and occurrences may have moved."""
    found = []
    for entry in json.loads(path.read_text()):
        source = copy.sources[entry["module"]]
        known = entry["operator"], entry["line"]
        same = [m for m in mutants_of(entry["module"], source) if (m.operator, m.line) == known]
        same = [m for m in same if mutated(m, source)[0].becomes == entry["becomes"]]
        found += same[:1]
        if not same:
            print(f"gone: fastcheck/{entry['module']}.py {entry['line']}")
    return found


def main() -> int:
    """Draw, judge, print; 1 where less than WANTED were killed."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=200, help="about how many mutants to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--modules", nargs="+", choices=list(TESTS), default=list(TESTS))
    parser.add_argument("--results", type=Path, default=ROOT / ".benchmarks" / "mutants.json", help="of survivors")
    parser.add_argument("--again", action="store_true", help="only those that survived according to --results")
    given = parser.parse_args()
    if not numba.config.DISABLE_JIT or "fastcheck" in sys.modules:
        sys.exit("mutants: wants NUMBA_DISABLE_JIT=1, and to import fastcheck only in its copies; run scripts/mutants")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        copy = Copy(Path(folder))
        if given.again:
            chosen = survivors_of(given.results, copy)
        else:
            chosen = fresh(copy, given.modules, given.count, given.seed)
        known = equivalents()
        for entry in stale(known, copy):
            print(f"equivalent_mutants.toml: no such line in {entry['module']}: {entry['line']}", flush=True)
        for mutant, what in judge(copy, chosen, known):
            outcomes.append((mutant, what))
            print(f"{len(outcomes):4} {what:10} {mutant.place} {mutant.operator}", flush=True)
            if what == "survived":
                print(f"       - {mutant.line}\n       + {mutant.becomes}", flush=True)
    print("", table(outcomes), "", sep="\n")
    survivors = [mutant for mutant, what in outcomes if what == "survived"]
    for mutant in survivors:
        print(f"survived: {mutant.place} {mutant.operator}\n  - {mutant.line}\n  + {mutant.becomes}")
    given.results.parent.mkdir(exist_ok=True)
    given.results.write_text(json.dumps([asdict(mutant) for mutant in survivors], indent=1))
    judged = sum(what != "equivalent" for _, what in outcomes)
    return int(len(survivors) > (1.0 - WANTED) * judged)


if __name__ == "__main__":
    sys.exit(main())
