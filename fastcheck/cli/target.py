"""A function of the user's that ``fastcheck run`` calls, and the check that what it returns asks for."""

import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import Any

from .._validation import no_result, regular_file
from ..problems.networks.network import Network
from ..report.report import Report

RETURNS = ("a Report; or (cost, parameters, gradients) and, if the cost takes more, the tuple of its further "
           "arguments; or (network, parameters, gradients, X, Y); or (torch module, loss, inputs, targets)")
# The public functions that check such tuples, as users name them: none is imported before it is needed.
FUNCTION, NETWORK, MODULE = "fastcheck:check_function", "fastcheck:check", "fastcheck.torch:check_module"


def checked(target: str) -> Report:
    """Call a function and check what it returns.

    Parameters
    ----------
    target : "file.py:name" or "package.module:name"; names may have dots.

    Raises
    ------
    ValueError, TypeError : where there is no such function, where it raises, and for what it must not return; the
        message names the target.
    OSError : where there is no such file.
    """
    source, colon, name = target.rpartition(":")
    if not colon or not source or not name:
        raise ValueError("target: expected FILE_OR_MODULE:NAME, as in model.py:check or package.model:check, got "
                         f"{target!r}")
    found = _attribute(_loaded(source), name, target)
    returned = _called(found, target) if callable(found) and not _is_torch_module(found) else found
    return _checked(returned, target)


def _loaded(source: str) -> Any:
    """The module of that name, or of that file; its folder, or the current one, is where it finds its neighbours."""
    if not (source.endswith(".py") or "/" in source or "\\" in source):
        sys.path.insert(0, str(Path.cwd()))
        return _run(lambda: pkgutil.resolve_name(source), source)
    path = regular_file(Path(source))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"target: expected a Python file, got {source!r}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = module  # as import does: dataclasses and pickle look a function's module up
    loader = spec.loader
    _run(lambda: loader.exec_module(module), source)
    return module


def _attribute(module: Any, name: str, target: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise ValueError(f"{target}: expected a function of that name, got none; there are "
                             f"{', '.join(names[:8]) or 'no functions'}")
        found = getattr(found, part)
    return found


def _called(function: Any, target: str) -> Any:
    """Return what a function of the user's returns; of a check that asserts, the report that it fails with."""
    def returned() -> Any:
        try:
            return function()
        except AssertionError as error:
            if isinstance(report := getattr(error, "report", None), Report):
                return report
            raise

    return _run(returned, target)


def _run(function: Any, target: str) -> Any:
    """Call code of the user's; what it raises is told in one line, with its place."""
    try:
        return function()
    except ModuleNotFoundError as error:
        raise ImportError(f"{target}: {error}") from error
    except SystemExit as error:  # whose status would look like a verdict
        raise ValueError(f"{target}: it called exit, with status {error.code!r}; return what is to be checked "
                         "instead") from error
    except SyntaxError as error:
        place = f" ({error.filename}, line {error.lineno})"
        raise ValueError(f"{target}: raised {type(error).__name__}: {error.msg}{place}") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({last.filename}, line {last.lineno})"
        if last.filename == __file__:  # it never began
            place = "; it is called without arguments"
        raise ValueError(f"{target}: raised {type(error).__name__}: {error}{place}") from error


def _is_torch_module(value: Any) -> bool:
    torch = sys.modules.get("torch")  # whoever has one of its modules has imported it
    return torch is not None and isinstance(value, torch.nn.Module)


def _checked(returned: Any, target: str) -> Report:
    """Return the report that was returned, or that of the check that a tuple asks for."""
    if isinstance(returned, Report):
        return returned
    if not isinstance(returned, tuple) or not returned:
        raise TypeError(f"{target}: expected {RETURNS}, got {no_result(returned) or type(returned).__name__}")
    first, count = returned[0], len(returned)
    if isinstance(first, Network) and count == 5:
        door = NETWORK
    elif _is_torch_module(first) and count in (3, 4):
        door = MODULE
    elif callable(first) and not isinstance(first, Network) and not _is_torch_module(first) and count in (3, 4):
        door = FUNCTION
    else:
        raise TypeError(f"{target}: expected {RETURNS}, got a tuple of {count} that begins with {type(first).__name__}")
    report: Report = pkgutil.resolve_name(door)(*returned)
    return report
