"""Many checks at once: in threads, with every threading layer of Numba, and in children begun in every way."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support.child_processes import FORK, run
from tests.support.jit_mode import needs_compiled
from tests.support.jobs import jobs

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

LAYERS = {"workqueue": "workqueue", "omp": "omppool", "tbb": "tbbpool"}
# Where pip puts the library of tbb, which Numba's layer does not find by itself.
LIBRARIES = os.pathsep.join(filter(None, [str(Path(sys.prefix) / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]))
THREADS, CALLS = 8, 50

MIXED = f"""
import threading
import numpy as np
from tests.support.jobs import jobs

ALL = [job for job in jobs() if job.name != "jitted, parallel"]
JOBS = [job.answer for job in ALL]

def in_threads(threads, calls):
    wrong = []
    def work(first):
        for k in range(first, first + calls):
            try:
                if JOBS[k % len(JOBS)]() != WANTED[k % len(JOBS)]:
                    wrong.append(ALL[k % len(JOBS)].name)
            except BaseException as error:
                wrong.append((ALL[k % len(JOBS)].name, error))
    found = [threading.Thread(target=work, args=(k,)) for k in range(threads)]
    for thread in found:
        thread.start()
    return found, wrong

def all_right(found, wrong):
    for thread in found:
        thread.join()
    assert not wrong, wrong

WANTED = [job() for job in JOBS]
HELD = [job.held() for job in ALL]
in_child(JOBS)                       # after checks
running = in_threads({THREADS}, {CALLS})
in_child(JOBS[:2])                   # while eight threads check
all_right(*running)
assert [job() for job in JOBS] == WANTED
assert [job.held() for job in ALL] == HELD
in_child(JOBS)
in_child([lambda: all_right(*in_threads(4, 4)) or JOBS[0]()] + JOBS[1:])
"""


@needs_compiled("no threading layer is used")
@pytest.mark.parametrize("layer", LAYERS)
def test_mixed_checks_in_many_threads_and_forks_with_every_threading_layer(layer):
    """Eight threads of fifty mixed calls: bit by bit what the same calls give alone; children forked meanwhile."""
    environment = {"NUMBA_THREADING_LAYER": layer, "LD_LIBRARY_PATH": LIBRARIES}
    command = [sys.executable, "-c", f"import numba.np.ufunc.{LAYERS[layer]}"]
    if subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment}).returncode:
        pytest.skip(f"Numba's {layer} threading layer is not installed")
    run(FORK, MIXED, env=environment)


def answers(names):
    return [job.answer() for job in jobs() if job.name in names]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_begun_in_every_way_give_the_same_bits(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    names = ("response", "full", "reference", "Python", "vjp")
    wanted = answers(names)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert pool.submit(answers, names).result(timeout=120) == wanted
    assert answers(names) == wanted
