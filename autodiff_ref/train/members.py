"""Arrays out of .npy and .npz files of unknown origin: sizes first, nothing unpickled, nothing read but what is named."""

import math
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

HEADER = 16_384
"""Bytes of a header, at most."""


class Damaged(ValueError):  # noqa: N818 what it is
    """A file that does not hold what it says, or what is not read."""


def header_of(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether in Fortran's order, dtype) of a .npy file that is open at its beginning.

    Raises:
        Damaged: there is none, it is not to be understood, or the array is one of pickled objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
        shape, fortran, dtype = read(file, max_header_size=HEADER)
    except Exception as error:  # a hostile header raises many kinds
        raise Damaged(f"no header of a .npy file ({type(error).__name__})") from None
    if dtype.hasobject:
        raise Damaged("pickled objects, which are not read")
    return shape, fortran, dtype


def size_of(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of an array, in Python's whole numbers, which do not overflow."""
    return math.prod(shape) * dtype.itemsize


def memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 33


def available(root: Path = Path("/")) -> int:
    """Bytes that a process may still ask for: by the system's account, and by that of a container where there is one."""
    free = memory()
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/meminfo").read_text().splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    with suppress(OSError, ValueError):  # "max" where there is no limit
        group = root / "sys/fs/cgroup"
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, free)


def require_memory(size: int) -> None:
    """Raises MemoryError where there is not so much to be had, which a system may answer by killing the process."""
    free = available()
    if size > free:
        raise MemoryError(
            f"the examples take {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free: have them read in pieces, "
            "by --stream or `fit(source_of(…))`"
        )


class Archive:
    """The arrays of a .npz file, by name.

    Raises:
        Damaged: it is no zip archive.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, UnicodeDecodeError) as error:
            raise Damaged(f"no zip archive ({error})") from None
        self.names = [name.removesuffix(".npy") for name in self._zip.namelist()]

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, names: Sequence[str], *, most: int | None = None) -> dict[str, np.ndarray]:
        """The arrays of these names that are there.

        Raises:
            Damaged: one is encrypted, of another size than it says, or larger than `most`, by default this machine's memory.
        """
        most = memory() if most is None else most
        return {name: self._one(name, most) for name in names if name in self.names}

    def _one(self, name: str, most: int) -> np.ndarray:
        about = self._zip.getinfo(f"{name}.npy" if f"{name}.npy" in self._zip.namelist() else name)
        if about.flag_bits & 1:
            raise Damaged(f"{name!r} is encrypted")
        if about.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Damaged(f"{name!r} is packed in a way that is not read")
        if about.file_size > most:
            raise Damaged(f"{name!r} has {about.file_size:,} bytes, more than the {most:,} that are read")
        try:
            with self._zip.open(about) as file:
                shape, fortran, dtype = header_of(file)
                size = size_of(shape, dtype)
                if size > about.file_size:
                    raise Damaged(f"{name!r} says it has {size:,} bytes, and has {about.file_size:,}")
                data = file.read(size)
        except Damaged:
            raise
        except Exception as error:  # of zipfile and zlib, many kinds
            raise Damaged(f"{name!r} cannot be read ({type(error).__name__})") from None
        if len(data) != size:
            raise Damaged(f"{name!r} ends too early")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


def mapped(path: Path) -> np.ndarray:
    """A .npy file, memory-mapped.

    Raises:
        Damaged: it is none, or shorter than it says.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = header_of(file)
        first = file.tell()
    if first + size_of(shape, dtype) > path.stat().st_size:
        raise Damaged(f"it says it has {size_of(shape, dtype):,} bytes, and has {path.stat().st_size - first:,}")
    if size_of(shape, dtype) == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", first, shape, "F" if fortran else "C")
