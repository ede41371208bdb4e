"""Programs run in a process of their own, and the pieces that they are put together from."""

import os
import subprocess
import sys
import textwrap

from tests.support.repository import ROOT

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
