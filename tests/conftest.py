"""Hypothesis profiles: `ci` repeats itself, `dev` is the default, `explore` looks for what the others have not met.

Choose one with `pytest --hypothesis-profile=explore`; `EXAMPLES=5000` asks it for ten times as many examples.
No test has a deadline: the first call of a shape compiles.
Tests marked `explore` take long and show more of what others show in short: they run in that profile alone. Those marked
`ci` are of what is around the packages, as the pages and the benchmarks, or further cases of what others show: they run in
that profile and where CI is set.
"""

import gc
import os
import threading
import time
from pathlib import Path

# Before NumPy is imported: its threads wait for each other busily, beside other workers half of what L-BFGS takes in all
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# XLA doubts in red letters whether it may read what it has itself compiled and kept on this machine
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What one process has compiled, others, those that tests start, and the next run read: it takes half the time. Where JAX has
# a folder of its own, training uses it too; in one that it is told of by MANUAL_GRAD_CACHE it keeps only the newest programs
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "compiled")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax
import pytest
from hypothesis import HealthCheck, Phase, settings
from jax._src.interpreters import mlir

from tests import quickly

# A function-scoped fixture is no issue here, a slow first example is a compilation. To explain a failure every row that runs
# is traced, the judge's too: half the time of a test in which another has to fail
settings.register_profile(
    "dev",
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None, print_blob=True)
settings.register_profile(
    "explore", settings.get_profile("dev"), max_examples=int(os.environ.get("EXAMPLES", "500")), phases=list(Phase)
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# JAX keeps what it has compiled: by default the collector walks through all of that again and again, a tenth of the time
gc.set_threshold(50_000, 20, 100)

# A third of what lowering a small program takes is making a context for it. jax 0.12 itself uses each ten times in a thread
if not hasattr(mlir, "_thread_local_context"):
    of_thread, make_ir_context = threading.local(), mlir.make_ir_context

    def context_used_ten_times() -> object:
        if getattr(of_thread, "left", 0) == 0:
            of_thread.context, of_thread.left = make_ir_context(), 10
        of_thread.left -= 1
        return of_thread.context

    mlir.make_ir_context = context_used_ten_times

ON_CPU = jax.default_backend() == "cpu"
if ON_CPU:
    quickly.enable()
else:  # a GPU multiplies float32 matrices in TF32 unless asked otherwise: half the digits that the tests ask for
    jax.config.update("jax_default_matmul_precision", "highest")
    os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"  # for the processes that tests start


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips the tests marked `explore` in the other profiles, and those marked `ci` where CI is not set either."""
    if config.getoption("--hypothesis-profile") == "explore":
        return
    left_out = {"explore": "takes long: run with --hypothesis-profile=explore"}
    if not os.environ.get("CI"):
        left_out["ci"] = "of the pages, the benchmarks, or a further case: run with CI=1"
    for item in items:
        for mark, reason in left_out.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """On CPU programs are compiled quickly, but for tests marked `rounding` and for `explore`."""
    exploring = item.config.getoption("--hypothesis-profile") == "explore"
    quickly.compile_quickly(ON_CPU and not exploring and not item.get_closest_marker("rounding"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collects once what nobody holds, whose errors are still reported, and lays aside the gigabytes that JAX keeps.

    Pytest and Python collect seven times more on their way out, and would walk through all of that each time.
    """
    gc.collect()
    gc.freeze()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _forget_what_nobody_reads()


def _forget_what_nobody_reads() -> None:
    """Deletes the compiled programs that no run has read for a month."""
    month = time.time() - 30 * 24 * 3600
    for path in (Path(__file__).parents[1] / ".pytest_cache" / "compiled").glob("*"):
        if path.stat().st_atime < month:
            path.unlink(missing_ok=True)
