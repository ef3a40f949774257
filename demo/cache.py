"""The cache directory: where it is, who may write to it, and what in it is complete.

Used by `environment`, which fills it. Everything in it can be deleted at any time; the next run makes it again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

GIGABYTE = 1024**3


class SetupError(RuntimeError):
    """Something the user has to put right. The message says what was needed, what was found, and what to do."""


def say(text: str) -> None:
    """Print one line of progress at once, also when the output is a pipe."""
    print(text, flush=True)


def cache_dir() -> Path:
    """The cache directory: `$ANIMATEDIFF_CACHE`, else the platform's place for a user's caches."""
    chosen = os.environ.get("ANIMATEDIFF_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "animatediff-native"


def fingerprint(*parts: str) -> str:
    """Twelve hex digits that change when any of the texts changes."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def require_space(at: Path, gigabytes: float, purpose: str) -> None:
    """Raises SetupError when the disk of `at` has less than `gigabytes` free."""
    free = shutil.disk_usage(at).free / GIGABYTE
    if free < gigabytes:
        raise SetupError(
            f"{purpose} needs about {gigabytes:.0f} GB of free disk; {at} has {free:.1f} GB. "
            "Free some space, or set ANIMATEDIFF_CACHE to a directory on a larger disk."
        )


def is_complete(directory: Path) -> bool:
    """Whether `build` has finished this directory."""
    return _marker(directory).is_file()


def build(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Let `fill` make `directory`, unless a finished one is there. An unfinished one is removed first.

    The marker lies beside the directory and is written last, so that an interrupted set-up is never taken for a whole one.
    """
    if is_complete(directory) and directory.is_dir():
        return directory
    _marker(directory).unlink(missing_ok=True)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    fill(directory)
    _marker(directory).write_text("complete\n", encoding="utf-8")
    return directory


def _marker(directory: Path) -> Path:
    return directory.with_name(directory.name + ".complete")


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Print one line when a stage of the set-up starts and its time when it ends."""
    start = time.monotonic()
    say(f"  {title} ...")
    yield
    say(f"  {title}: {time.monotonic() - start:.0f} s")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`. The system releases it when the process dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        waiting = False
        while not _try_lock(file):
            if not waiting:
                say(f"Another dev.py is setting up; waiting for it ({path}).")
                waiting = True
            time.sleep(0.5)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
