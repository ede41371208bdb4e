"""How long a fresh process takes to its first verdict where nothing was ever compiled: imports included.

    python -m benchmarks.studies.first_answer [--rounds 5]

Each way runs in a process of its own, with an empty cache folder for machine code; NumPy's import is timed beside it.
The last three rows are of a network of four layers by machine code: what is imported, then with an empty cache folder,
and with what that has left there.
Wall time, and the processor time that other work on the machine leaves alone.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import processor, readable, seconds_of

ROOT = Path(__file__).parents[2]
COURSE = "from benchmarks.data.networks import course; made = course()"
CHECK = "import fastcheck as fc; fc.check(made.net, made.parameters, made.gradients, made.X, made.Y).verdict"
LARGE = """
import numpy as np, fastcheck as fc
net = fc.Network([fc.Dense(784, 512, "relu"), fc.Dense(512, 256, "relu"), fc.Dense(256, 10, "softmax")],
                 "cross_entropy")
parameters, X, Y = net.initialize(0), np.random.default_rng(0).random((784, 128)), np.arange(128) % 10
print(fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y).verdict)
"""
IMPORTS = """
import numba, numpy as np, scipy.linalg, fastcheck as fc
from fastcheck.checks.network import network_problem
from fastcheck.engines.response.engine import differences
from fastcheck.runtime.run import Run
"""
COMPILED = f"""{IMPORTS}
net = fc.Network([fc.Dense(64, 48, "tanh"), fc.Dense(48, 32, "tanh"), fc.Dense(32, 32, "tanh"),
                  fc.Dense(32, 10, "softmax")], "cross_entropy")
parameters, X, Y = net.initialize(0), np.random.default_rng(0).random((64, 32)), np.arange(32) % 10
problem, _ = network_problem(net, parameters, net.gradients(parameters, X, Y), X, Y)
differences(problem, None, 1e-7, Run(1, 1 << 30))
"""
DUMP = ("import numpy as np; np.savez('net.npz', X=made.X, Y=made.Y, **made.parameters, **made.gradients)")


def ways(folder: Path) -> dict[str, list[str]]:
    """What is run, by what the table calls it."""
    subprocess.run([sys.executable, "-c", f"{COURSE}; import os; os.chdir({str(folder)!r}); {DUMP}"], cwd=ROOT,
                   check=True)
    python = [sys.executable, "-c"]
    return {
        "import numpy": [*python, "import numpy"],
        "fc.check, course exercise": [*python, f"{COURSE}; {CHECK}"],
        "fastcheck check net.npz": [sys.executable, "-m", "fastcheck", "check", str(folder / "net.npz")],
        "the demo's first part": [*python, "from rich.console import Console; from fastcheck.cli.demo import "
                                           "show_course; show_course(Console())"],
        "fc.check, 784-512-256-10 relu (128)": [*python, LARGE],
    }


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = seconds_of(lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        commands = ways(Path(folder))
        for _ in range(rounds):
            for name, command in commands.items():
                found.setdefault(name, []).append(timed(command, environment))
        compiled = list((Path(folder) / "cache").rglob("*.nbc"))
        for number in range(rounds):
            own = {**environment, "NUMBA_CACHE_DIR": str(Path(folder) / str(number))}
            for name, text in (("imports of machine code", IMPORTS), ("four layers, compiled", COMPILED),
                               ("four layers, from disk", COMPILED)):
                found.setdefault(name, []).append(timed([sys.executable, "-c", text], own))
    table = Table("way", "wall time", "processor time", "lowest", "highest")
    for name, times in found.items():
        wall, own = ([pair[k] for pair in times] for k in (0, 1))
        table.add_row(name, *(readable(value) for value in (statistics.median(wall), statistics.median(own), min(own),
                                                            max(own))))
    console = Console()
    console.print(table)
    console.print(f"{len(compiled)} functions compiled for the first five; {processor()}", highlight=False)


if __name__ == "__main__":
    main()
