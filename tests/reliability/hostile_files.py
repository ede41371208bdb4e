"""Files made to break the reader: networks in .npz and .mat files, damaged at random or built to do harm.

    python -m tests.reliability.hostile_files --files 10000 [--first 0] [--megabytes 512] [--seconds 2]

gives each to ``fastcheck check`` in this process, which may take so much more memory and so much time of the processor
for each, and prints what went wrong.  Exits with 1 if anything did.
"""

import argparse
import contextlib
import io
import json
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability.harmful_bytes import hostile, network, sound

# What reading a file never does: seen by an audit hook, which nothing can switch off.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.",
             "shutil.", "os.remove", "os.rename", "os.mkdir", "ctypes.dlopen")


class Hung(BaseException):
    """The processor's time for a file is over."""


def _hung(*_: Any) -> None:
    raise Hung


def judged(path: Path) -> tuple[int, str]:
    """The exit status for a file and what is wrong with how it came about."""
    from fastcheck.cli.command import main

    shown, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        status = main(["check", str(path)])
    told, lines = said.getvalue(), said.getvalue().count("\n")
    if status not in (0, 1, 2, 3):
        return status, f"status {status}"
    if status == 2 and (lines != 1 or shown.getvalue() or len(told) > 1000 or not told.startswith("fastcheck: ")):
        return status, f"{lines} lines, {len(told)} characters: {told[:300]!r}"
    if status != 2 and told:
        return status, f"status {status}, and on the error stream {told[:300]!r}"
    return status, ""


def compile_all() -> None:
    """Compile what odd numbers in a file may call for, so that the time of the first is not put down to it."""
    import fastcheck as fc

    given = network()
    X, Y = given["X"], given["Y"]
    parameters = {name: array for name, array in given.items() if name[0] in "Wb"}
    for output in ("softmax", "sigmoid", "identity"):
        net = fc.Network.from_parameters(parameters, "relu", output)
        targets = Y if output == "softmax" else np.zeros((2, Y.size))
        for factor in (1.0, 2.0):
            gradients = {name: factor * array for name, array in net.gradients(parameters, X, targets).items()}
            for epsilon in (1e-7, 1e-2, 10.0):
                fc.check(net, parameters, gradients, X, targets, epsilon=epsilon)


def run(first: int, count: int, megabytes: int, seconds: float) -> dict[str, Any]:
    """Give the files of so many seeds to the command line and tell what happened."""
    seen: list[str] = []
    armed = False

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if armed and (event.startswith(FORBIDDEN) or (event == "open" and str(arguments[1])[:1] in ("w", "a", "x"))):
            seen.append(f"{event} {arguments}"[:200])

    sys.addaudithook(audit)
    signal.signal(signal.SIGPROF, _hung)
    problems: list[str] = []
    statuses, kinds = Counter[int](), Counter[str]()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for kind in (".npz", ".mat"):
            path = Path(folder) / f"sound{kind}"
            path.write_bytes(sound(kind, True))
            assert judged(path) == (0, ""), "a sound file is read and passes"
        compile_all()
        base = _peak()
        most = _address_space() + (megabytes << 20)
        for seed in range(first, first + count):
            damage, kind, made = hostile(seed)
            path = Path(folder) / f"net{kind}"
            path.write_bytes(made)
            del made
            print(f"seed {seed}: {damage}", end="\r", file=sys.stderr)
            started = time.process_time()
            armed = True
            try:
                # the reader alone is held to it: making a file may take more
                resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
                signal.setitimer(signal.ITIMER_PROF, seconds)
                status, wrong = judged(path)
            except Hung:
                status, wrong = -1, f"not done after {seconds:g} s"
            except BaseException as error:  # whatever it is, it is the finding
                status, wrong = -1, f"{type(error).__name__}: {error}"[:300]
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                armed = False
            slowest = max(slowest, time.process_time() - started)
            if seen:
                wrong += f" did {seen}"
                seen.clear()
            if {entry.name for entry in Path(folder).iterdir()} - {"sound.npz", "sound.mat", "net.npz", "net.mat"}:
                wrong += " left files behind"
            statuses[status] += 1
            kinds[damage] += 1
            if wrong:
                problems.append(f"seed {seed}, {damage} {kind}: {wrong}")
    grown = (_peak() - base) >> 20
    if grown > megabytes:
        problems.append(f"memory grew by {grown} MiB")
    return {"files": count, "statuses": dict(statuses), "kinds": dict(kinds), "slowest": round(slowest, 2),
            "grown_MiB": grown, "problems": problems}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--megabytes", type=int, default=512, help="memory beyond what the process has at the start")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the processor for each file")
    chosen = parser.parse_args()
    found = run(chosen.first, chosen.files, chosen.megabytes, chosen.seconds)
    print(json.dumps(found, indent=1))
    sys.exit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
