"""Other code in the same process, other threads, forked children, and machines where nothing can be written."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What a process has that belongs to all of it.
STATE = """
import gc, locale, logging, multiprocessing, os, random, signal, sys, threading, warnings
import numpy as np, numba, scipy.linalg
from numba.core import config
from threadpoolctl import threadpool_info

def state():
    return {
        "threading layer": config.THREADING_LAYER, "numba threads": numba.get_num_threads(),
        "numba config": {k: repr(v) for k, v in vars(config).items() if k.isupper() or k.startswith("NUMBA")},
        "blas": [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()],
        "errors": (np.geterr(), np.geterrcall()), "printing": np.get_printoptions(),
        "filters": list(warnings.filters), "showwarning": warnings.showwarning,
        "signals": {s: signal.getsignal(s) for s in signal.valid_signals()},
        "environment": dict(os.environ), "folder": os.getcwd(), "umask": (os.umask(0o22), os.umask(0o22))[0],
        "locale": locale.setlocale(locale.LC_ALL), "start method": multiprocessing.get_start_method(allow_none=True),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.disabled),
        "random": (random.getstate(), repr(np.random.get_state())), "hooks": (sys.excepthook, threading.excepthook),
        "recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval(), "path": list(sys.path),
        "gc": (gc.isenabled(), gc.get_threshold()), "threads": threading.active_count(),
        "streams": (sys.stdout, sys.stderr), "trace": (sys.gettrace(), sys.getprofile()),
    }

before = state()

def unchanged(what):
    after = state()
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert not changed, (what, changed)
"""

CHECK = """
import numpy as np
import fastcheck as fc

ENGINES = ("response", "full", "reference")
net = fc.Network([fc.Dense(6, 9, "relu"), fc.Dense(9, 7, "tanh"), fc.Dense(7, 3, "softmax")], cost="cross_entropy")
parameters, rng = net.initialize(0), np.random.default_rng(0)
X, Y = rng.standard_normal((6, 10)), rng.integers(0, 3, 10)
gradients = net.gradients(parameters, X, Y)

def check(engine="response"):
    report = fc.check(net, parameters, gradients, X, Y, engine=engine, threads=2)
    assert report.ok, str(report)
    return report.gradapprox.tobytes()

def check_function():
    w = np.linspace(0.0, 1.0, 50)
    report = fc.check_function(lambda p: float(np.sum(np.sin(p["w"]))), {"w": w}, {"w": np.cos(w)})
    assert report.ok, str(report)
    return report.gradapprox.tobytes()

JOBS = [lambda e=e: check(e) for e in ENGINES] + [check_function]
"""

FORK = """
import os

def in_child(jobs):
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if [job() for job in jobs] == WANTED[: len(jobs)] else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""


def run(*parts, env=(), cwd=ROOT, timeout=300, before=()):
    """Run a program in a process of its own, which must end well and say "done"; what it wrote."""
    program = "\n".join([*(textwrap.dedent(part) for part in parts), "print('done')"])
    variables = {**os.environ, **dict(env)}
    command = [*before, sys.executable, "-X", "faulthandler", "-c", program]
    found = subprocess.run(command, cwd=cwd, env=variables, text=True, capture_output=True, timeout=timeout,
                           check=False)
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr)
    assert found.stdout.splitlines()[-1] == "done", found
    return found


def test_import_and_checks_leave_the_process_as_it_was():
    written = run(STATE, """
        import fastcheck as fc
        unchanged("import")
    """, CHECK, """
        for job in JOBS:
            job()
        watch = fc.Watch(net)
        watch(parameters, gradients, X, Y)
        unchanged("checks")
    """)
    assert written.stdout == "done\n"
    assert written.stderr == ""


def test_import_brings_no_numba_matplotlib_or_threads_along():
    run("""
        import sys, threading
        import fastcheck
        assert not {"numba", "matplotlib", "scipy", "sklearn", "torch"} & set(sys.modules), sorted(sys.modules)
        assert threading.active_count() == 1
    """)


def test_the_callers_error_state_and_warnings_hold_in_checks():
    """A caller who made floating-point errors and warnings fatal is neither stopped nor overruled."""
    run("""
        import warnings
        import numpy as np
        np.seterr(all="raise")
        warnings.simplefilter("error")
    """, CHECK, """
        for job in JOBS:
            job()
        assert set(np.geterr().values()) == {"raise"}
        assert warnings.filters[0][0] == "error"
    """)


def test_check_after_a_fork_of_a_process_that_only_imported():
    run(CHECK, FORK, """
        WANTED = [check("reference")]
        in_child([lambda: check("reference")])
        child = os.fork()
        if not child:
            status = 1
            try:
                for job in JOBS:
                    job()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        for job in JOBS:
            job()
    """)


def readable_copy(folder):
    """A copy of the package under a folder that others can read and nobody else can write."""
    package = folder / "site-packages"
    shutil.copytree(ROOT / "fastcheck", package / "fastcheck", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [package, *package.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return package


# Root may write anywhere; without this capability modes hold for root too.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or (os.geteuid() == 0 and not shutil.which("setpriv")), reason="no setpriv")
def test_nothing_can_be_written():
    """A read-only site-packages, no home and no temporary folder: it compiles in memory, and says the same."""
    with tempfile.TemporaryDirectory() as name:
        package = readable_copy(Path(name))
        nowhere = str(package / "nowhere")
        environment = {"PYTHONPATH": str(package), "HOME": nowhere, "XDG_CACHE_HOME": nowhere, "TMPDIR": nowhere,
                       "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": ""}
        try:
            run("""
                import os
                import fastcheck
                package = os.path.dirname(fastcheck.__file__)
                assert package.startswith(os.environ["PYTHONPATH"]), package
                assert not os.access(package, os.W_OK)
                assert not os.access(os.path.expanduser("~"), os.W_OK)
            """, CHECK, """
                check("response")
            """, env=environment, cwd="/", before=UNPRIVILEGED if os.geteuid() == 0 else ())
            assert not list(package.rglob("__pycache__"))
        finally:
            for path in [package, *package.rglob("*")]:
                path.chmod(0o755)
