"""A folder that only this user's processes can reach, where every user may create files."""

import os
import stat
import tempfile
from itertools import count
from pathlib import Path

from router_backend.errors import ConfigurationError

SHARED_MEMORY = Path("/dev/shm")


def private_folder(parent: Path | None = None) -> Path:
    """Return this user's folder in `parent`, by default in shared memory; create it if necessary.

    Another user may have taken any name before, so the name has a number. All processes of this user find the
    same folder: the first one of its own, else the first number that is free.

    Raises:
        ConfigurationError: it cannot be created.
    """
    if parent is None:
        parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir())
    prefix = f"triton-model-router-{os.geteuid()}-"
    existing = next(filter(_is_private, sorted(parent.glob(f"{prefix}*"))), None)
    try:
        return existing or _create(parent, prefix)
    except OSError as error:
        expected, fix = f"a folder that routers can share in {parent}", "make room there, or make it writable"
        raise ConfigurationError(expected=expected, found=str(error.strerror), fix=fix) from None


def _create(parent: Path, prefix: str) -> Path:
    folders = (parent / f"{prefix}{number}" for number in count())
    return next(filter(_is_created_or_private, folders))


def _is_created_or_private(folder: Path) -> bool:
    """Create the folder if the name is free; return whether the folder is private now."""
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        return _is_private(folder)
    return True


def _is_private(folder: Path) -> bool:
    """Return whether it is a folder, not a link, that belongs to this user and is closed to all others."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    is_closed = stat.S_IMODE(found.st_mode) & 0o077 == 0
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and is_closed
