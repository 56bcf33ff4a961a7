"""What JAX has compiled for training, kept on disk from one process to the next.

JAX's own persistent compilation cache, in the user's cache folder, switched on while a training runs and off after it, so
that it changes nothing for the JAX code of whoever calls. Where JAX has been given a folder already, that one is used and
nothing is changed. `MANUAL_GRAD_CACHE=off` switches it off, any other value is the folder to use.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

KEPT = 512
"""So many compilations are kept, of about 50 KB each; the ones written longest ago go first."""

VARIABLE = "MANUAL_GRAD_CACHE"

_lock = RLock()
_inside = 0
_before: dict[str, object] = {}


def folder() -> Path | None:
    """Where compilations are kept; None where they are not."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("off", "0", "no", "false"):
        return None
    if chosen:
        return Path(chosen)
    if sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "manual-grad" / f"{jax.__version__}-{_processor()}"


def _processor() -> str:
    """What tells processors apart: machine code for one need not run on another that shares the folder."""
    about = platform.machine() + platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        about += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return hashlib.sha256(about.encode()).hexdigest()[:12]


@contextmanager
def kept() -> Generator[None]:
    """Within it, what JAX compiles is read from and written to the folder. May be entered by several threads."""
    global _inside
    where = folder()
    if where is not None:
        with _lock:
            if not _inside:
                where = _switched_on(where)
            if where is not None:
                _inside += 1
    try:
        yield
    finally:
        if where is not None:
            with _lock:
                _inside -= 1
                if not _inside:
                    _switched_off()
                    _pruned(where)


def _switched_on(where: Path) -> Path | None:
    config: Any = jax.config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return None
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None  # a read-only home: compile every time
    if not os.access(where, os.W_OK):
        return None
    wanted = {
        "jax_compilation_cache_dir": str(where),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in wanted.items():
        _before[name] = getattr(config, name)
        config.update(name, value)
    compilation_cache.reset_cache()
    _quiet(3)
    return where


def _switched_off() -> None:
    for name, value in _before.items():
        jax.config.update(name, value)
    _before.clear()
    compilation_cache.reset_cache()
    with suppress(ValueError):
        _quiet(int(os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1")))


def _quiet(level: int) -> None:
    """Sets from which level on XLA's own messages are shown.

    XLA says of every program it loads that two features are missing on this machine, 3 KB a program. They are hints to its
    optimiser (prefer-no-gather, prefer-no-scatter), and no features.
    """
    with suppress(ImportError, AttributeError):
        from jaxlib import utils  # pyright: ignore[reportAttributeAccessIssue]

        utils.absl_set_min_log_level(level)


def _pruned(where: Path) -> None:
    """Deletes the oldest compilations beyond those kept."""
    with suppress(OSError):
        files = [entry for entry in os.scandir(where) if entry.is_file()]
        for entry in sorted(files, key=lambda entry: entry.stat().st_mtime)[: max(0, len(files) - KEPT)]:
            Path(entry.path).unlink(missing_ok=True)
