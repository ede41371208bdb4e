"""The command line: ``fastcheck demo``, ``check FILE``, ``sweep FILE`` and ``run FILE_OR_MODULE:NAME``."""

import argparse
import errno
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .._errors import EngineError
from .._version import __version__
from ..checks.network import check
from ..problems.files.infer import infer_network
from ..problems.files.npz import load
from ..problems.networks.network import Network
from ..report.formats import FORMATS, write
from ..report.report import Report
from .target import RETURNS, checked

STATUS = {"pass": 0, "fail": 1, "inconclusive": 3}
UNUSABLE, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
NORMS = {"1": 1.0, "2": 2.0, "inf": float("inf")}
# Options that are handed on where they were given; the defaults are those of ``check`` and ``sweep``.
CHECK_OPTIONS = ("epsilon", "norm", "tolerance", "engine", "method", "samples", "seed", "threads", "time_limit")
SWEEP_OPTIONS = ("norm", "threads", "engines")
EPILOG = "exit status: 0 pass, 1 fail, 2 no verdict (unusable input), 3 inconclusive"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : the arguments, by default those of the process.

    Returns
    -------
    The exit status.
    """
    try:
        arguments = _parser().parse_args(argv)
        arguments.argv = list(sys.argv[1:] if argv is None else argv)
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # the reader has left; keep the interpreter from complaining when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("fastcheck: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError, MemoryError, EngineError) as error:
        print(f"fastcheck: {_one_line(error)}", file=sys.stderr)
        return UNUSABLE


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(UNUSABLE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastcheck", description="Is your back-propagation right?", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"fastcheck {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="check the course exercise and a network on real digits", epilog=EPILOG)
    demo.set_defaults(run=_demo)

    checking = commands.add_parser("check", help="check the gradients in a file", epilog=EPILOG)
    _add_network_options(checking)
    checking.add_argument("--epsilon", type=float, help="perturbation of a parameter (default 1e-7)")
    checking.add_argument("--tolerance", type=float, help="relative difference that is allowed (default 1e-7)")
    checking.add_argument("--engine", metavar="NAME", help="response, full or reference (default response)")
    checking.add_argument("--method", metavar="NAME", help="all, sample (of each tensor) or directional (default all)")
    checking.add_argument("--samples", type=int, metavar="N", help="how many entries with --method sample")
    checking.add_argument("--time-limit", type=float, metavar="SECONDS", help="check as many entries as fit, at random")
    checking.add_argument("--seed", type=int, metavar="N", help="of random choices (default 0)")
    _add_formats(checking)
    checking.set_defaults(run=_check)

    running = commands.add_parser("run", help="call a function of yours and check what it returns", epilog=EPILOG)
    running.add_argument("target", metavar="FILE_OR_MODULE:NAME", help="a function that returns " + RETURNS)
    _add_formats(running)
    running.set_defaults(run=_run)

    sweeping = commands.add_parser("sweep", help="the difference over a range of epsilons", epilog=EPILOG)
    _add_network_options(sweeping)
    sweeping.add_argument("--plot", metavar="FILE", help="draw the result into an image file (needs fastcheck[plot])")
    sweeping.add_argument("--engines", metavar="NAME,NAME", type=lambda names: names.split(","), help="default all")
    sweeping.set_defaults(run=_sweep)
    return parser


def _add_formats(parser: argparse.ArgumentParser) -> None:
    for name, form in FORMATS.items():
        alone = "; - for the standard output, alone" if form.text else ""
        parser.add_argument(f"--{name}", metavar="FILE", help=form.help + alone)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".npz or .mat with W1, b1, ..., dW1, db1, ..., X and Y")
    parser.add_argument("--hidden", metavar="NAME", help="activation of the hidden layers, or one for each, tanh,relu "
                        "(default relu)")
    parser.add_argument("--output", metavar="NAME", help="activation of the output layer (default: by the targets)")
    parser.add_argument("--cost", metavar="NAME", help="cost (default: the one that belongs to the output)")
    parser.add_argument("--l2", type=float, default=0.0, help="weight of the penalty l2/(2m) sum W^2 (default 0)")
    parser.add_argument("--norm", choices=NORMS, help="norm of the difference (default 2)")
    parser.add_argument("--threads", type=int, metavar="N", help="at most this many (default all cores)")


def _demo(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from .demo import run

    return run(Console(highlight=False))


def _check(arguments: argparse.Namespace) -> int:
    outputs = Outputs.of(arguments)
    problem, unchecked = _problem(arguments)
    net = problem[0]
    report = check(*problem, **_options(arguments, CHECK_OPTIONS), progress=sys.stderr.isatty())
    report = report.told(network=str(net), inferred=_inferred(arguments, net), command=_command(arguments))
    if arguments.html is not None:
        from ..checks.sweep import sweep

        report = report.told(sweep=sweep(*problem, engines=("response",)).to_dict())
    outputs.write(report, *_described(arguments, net, unchecked))
    return STATUS[report.verdict]


def _run(arguments: argparse.Namespace) -> int:
    outputs = Outputs.of(arguments)
    with redirect_stdout(sys.stderr) if outputs.alone else nullcontext():  # only the report is wanted there
        report = checked(arguments.target).told(command=_command(arguments))
    outputs.write(report)
    return STATUS[report.verdict]


@dataclass(frozen=True)
class Outputs:
    """Where the report goes.

    Parameters
    ----------
    alone : texts that go to the standard output instead of the report for people.
    files : names of files, by format.
    """

    alone: tuple[Callable[[Report], str], ...]
    files: dict[str, str]

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Outputs":
        """Return what was asked for; what cannot be written is refused before the work, not after it."""
        wanted = {name: path for name in FORMATS if (path := getattr(arguments, name)) is not None}
        alone = [text for name, path in wanted.items() if path == "-" and (text := FORMATS[name].text)]
        files = {name: path for name, path in wanted.items() if path != "-" or FORMATS[name].text is None}
        _refuse_missing_folders(*files.values())
        _refuse_other_pictures(files.get("plot"))
        return cls(tuple(alone), files)

    def write(self, report: Report, first: str = "", last: str = "") -> None:
        """Write it everywhere; for people between a first and a last line."""
        if not self.alone:
            _show(report, first, last)
        for text in self.alone:
            print(text(report))
        for name, path in self.files.items():
            write(report, name, path)


def _sweep(arguments: argparse.Namespace) -> int:
    from ..checks.sweep import sweep

    _refuse_missing_folders(arguments.plot)
    _refuse_other_pictures(arguments.plot)
    problem, unchecked = _problem(arguments)
    found = sweep(*problem, **_options(arguments, SWEEP_OPTIONS), progress=sys.stderr.isatty())
    _show(f"{found}\n\n{found.conclusion}", *_described(arguments, problem[0], unchecked))
    if arguments.plot is not None:
        found.plot(arguments.plot)
    return STATUS[found.verdict]


def _refuse_missing_folders(*paths: str | None) -> None:
    """Before the work, not after it."""
    for path in paths:
        if path is not None and not Path(path).parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder does not exist", path)


def _refuse_other_pictures(path: str | None) -> None:
    """Refuse what cannot be drawn before the work, not after it."""
    endings = FORMATS["plot"].endings
    if path is not None and Path(path).suffix.lower() not in endings:
        raise ValueError(f"--plot: expected a name that ends in one of {', '.join(endings)}, got {path!r}")
    if path is not None:
        from ..report.plots import figure_class

        figure_class()


def _problem(arguments: argparse.Namespace) -> tuple[tuple[Any, ...], Sequence[str]]:
    """Return what ``check`` and ``sweep`` take first: the network, parameters, gradients, X and Y; and what they leave.
    """
    dump = load(arguments.file)
    hidden = arguments.hidden if arguments.hidden is None else arguments.hidden.split(",")
    net = infer_network(dump, hidden, arguments.output, arguments.cost, arguments.l2)
    return (net, dump.parameters, dump.gradients, dump.X, dump.Y), dump.unchecked


def _options(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in names}
    if given["norm"] is not None:
        given["norm"] = NORMS[given["norm"]]
    return {name: value for name, value in given.items() if value is not None}


def _inferred(arguments: argparse.Namespace, net: Network) -> dict[str, str]:
    """Return what was not told and had to be inferred."""
    hidden = ", ".join(dict.fromkeys(layer.activation for layer in net.layers[:-1]))
    found = {"hidden": hidden, "output": net.layers[-1].activation, "cost": net.cost}
    return {name: value for name, value in found.items() if value and getattr(arguments, name) is None}


def _described(arguments: argparse.Namespace, net: Network, unchecked: Sequence[str]) -> tuple[str, str]:
    """The network, for the first line; and for the last, which is read first, what was left out, and what inferred."""
    last = [f"NOT CHECKED: {', '.join(unchecked)}. Weights and biases alone are (W1, b1, ...)."] if unchecked else []
    inferred = _inferred(arguments, net)
    if not inferred:
        return str(net), "\n".join(last)
    told = ", ".join(f"--{name} {value}" for name, value in inferred.items())
    which = "it" if len(inferred) == 1 else "one of them"
    last.append(f"INFERRED, NOT TOLD: {told}. If {which} is wrong, so is the verdict.")
    return f"{net} (inferred: {', '.join(inferred)})", "\n".join(last)


def _command(arguments: argparse.Namespace) -> str:
    """Return the command that gives the same report again."""
    return shlex.join(["fastcheck", *arguments.argv])


def _show(found: Any, first: str = "", last: str = "") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if first:
        console.print(first, markup=False, soft_wrap=True)
    console.print(found, markup=False)
    if last:
        console.print(f"\n{last}", markup=False, style="bold yellow", soft_wrap=True)
