"""Other code in the same process, other threads, forked children, and machines where nothing can be written."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.child_processes import CHECK, FORK, STATE, run
from tests.support.repository import ROOT

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow


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
