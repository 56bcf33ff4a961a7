"""The state of a training on disk, so that one that was stopped goes on, to bitwise the weights it would have had. By Orbax.

One folder an epoch, written beside its place and renamed into it: what stands there is whole. A training is told by what it
depends on, settings and data; another one's checkpoints are refused. Needs orbax-checkpoint, the extra `train`.
"""

import importlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from autodiff_ref.trees import Json, JsonObject, PyTree

KEPT = 2
"""Checkpoints in the folder, at most: the last one, and the one before."""

SHARE = 0.05
"""What writing them may take of the time that training takes. Where epochs are short, not each is followed by one."""

SUMS = ("data", "initial weights")
"""Of what a training depends on, what is kept as sums of bytes: they say that something differs, not what."""

Arrays = dict[str, list[np.ndarray]]


class Saved(NamedTuple):
    """What was going on after some epoch."""

    number: int
    """Of the last epoch done."""
    arrays: Arrays
    """Leaves of pytrees, by name."""
    history: list[dict[str, Any]]
    """JSON."""


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: where they are; made where it is not there.
        identity: what the training depends on, JSON: resuming asks for the same.
        resume: whether to go on from the last one there, if any.

    Raises:
        ModuleNotFoundError: Orbax is not installed.
        FileExistsError: there are checkpoints, and `resume` is False.
        ValueError: those there are of another training, or damaged.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: str | Path, identity: JsonObject, resume: bool) -> None:
        self.folder = Path(folder).absolute()
        self.identity = json.loads(json.dumps(identity))
        self._orbax = require_orbax()
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"checkpoint {folder}: it is a file, and must be a folder")
        options = self._orbax.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
        self._manager = self._orbax.CheckpointManager(self.folder, options=options)
        self._since, self._cost = time.perf_counter(), 0.0
        found = self._manager.latest_step()
        if found is not None and not resume:
            raise FileExistsError(
                f"checkpoint {folder}: there are checkpoints up to epoch {found}: resume from them, or give another folder"
            )
        self.saved = None if found is None else self._read(found)
        self._last = None if self.saved is None else self.saved.number

    def _read(self, number: int) -> Saved:
        args = self._orbax.args
        try:
            about = self._manager.restore(number, args=args.Composite(about=args.JsonRestore()))["about"]
            identity, counts, history = about["identity"], about["counts"], about["history"]
            wanted = {
                name: {str(k): self._orbax.RestoreArgs(restore_type=np.ndarray) for k in range(count)}
                for name, count in counts.items()
            }
            read = self._manager.restore(number, args=args.Composite(arrays=args.PyTreeRestore(restore_args=wanted)))[
                "arrays"
            ]
            arrays = {name: [np.asarray(read[name][str(k)]) for k in range(count)] for name, count in counts.items()}
        except Exception as error:  # Orbax raises many kinds
            raise ValueError(
                f"checkpoint {self.folder / str(number)}: damaged, or none of manual-grad's ({error})"
            ) from None
        differing = [key for key in sorted(self.identity | identity) if self.identity.get(key) != identity.get(key)]
        if differing:
            chosen = [key for key in differing if key != "initial weights"] or differing
            told = "; ".join(_change(key, identity.get(key), self.identity.get(key)) for key in chosen[:3])
            raise ValueError(f"checkpoint {self.folder}: it is of another training: {told}. Give another folder")
        return Saved(number, arrays, history)

    def offer(self, number: int, trees: Mapping[str, PyTree], history: Sequence[JsonObject], last: bool) -> None:
        """Writes the state after an epoch where it is due: after the last, and when enough time has passed.

        Raises:
            OSError: it cannot be written; those before it are as they were.
        """
        since = time.perf_counter()
        if number == self._last or not (last or self._cost <= SHARE * (since - self._since)):
            return
        arrays = {name: [np.asarray(leaf) for leaf in jax.tree.leaves(tree)] for name, tree in trees.items()}
        about = {
            "identity": self.identity,
            "counts": {name: len(leaves) for name, leaves in arrays.items()},
            "history": history,
        }
        args = self._orbax.args
        by_number = {name: {str(k): leaf for k, leaf in enumerate(leaves)} for name, leaves in arrays.items()}
        try:
            self._manager.save(
                number, args=args.Composite(arrays=args.PyTreeSave(by_number), about=args.JsonSave(about)), force=True
            )
            _synced(self.folder / str(number))
        except Exception as error:  # Orbax raises many kinds, a full disk among them
            kept = "none was written before" if self._last is None else f"the one of epoch {self._last} is as it was"
            raise OSError(
                f"checkpoint {self.folder / str(number)}: it cannot be written ({_first_line(error)}); {kept}"
            ) from None
        self._last = number
        self._since, self._cost = time.perf_counter(), time.perf_counter() - since

    def close(self) -> None:
        """Lets go of the folder."""
        self._manager.close()


def require_orbax() -> ModuleType:
    """Orbax, or a ModuleNotFoundError that says how to install it."""
    try:
        return importlib.import_module("orbax.checkpoint")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("checkpoints need orbax-checkpoint: pip install 'manual-grad[train]'") from missing


def _change(key: str, was: Json, now: Json) -> str:
    return f"{key} differ" if key in SUMS else f"{key} was {was!r}, is {now!r}"


def _synced(folder: Path) -> None:
    """Has the disk hold all files of a folder, its own entries, and its entry in the folder around it."""
    for path in _within(folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _within(folder: Path) -> Iterable[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file())
    if os.name == "posix":
        yield from (path for path in folder.rglob("*") if path.is_dir())
        yield folder
        yield folder.parent


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
