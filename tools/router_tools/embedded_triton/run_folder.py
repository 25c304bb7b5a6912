"""The folder with the temporary files of a server, by which the next start finds what a killed one left."""

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from router_tools.embedded_triton.session import end_orphans
from router_tools.embedded_triton.shared_memory import remove_regions
from router_tools.errors import ToolError

_NAME = re.compile(r"(?P<prefix>model_router_(?P<command>\d+)_[0-9a-f]{8}_)run")


def run_path(prefix: str) -> Path:
    """Return the folder of the server with this prefix.

    Raises:
        ToolError: no folder for temporary files can be written.
    """
    try:
        return Path(gettempdir()) / f"{prefix}run"
    except OSError as error:
        raise no_room(error) from error


def no_room(error: OSError) -> ToolError:
    """Return the error for temporary files that cannot be written."""
    place = os.environ.get("TMPDIR", "/tmp")
    return ToolError(
        f"the server's temporary files cannot be written to {place} ({error.strerror}): "
        "make room there, or name another folder in the variable TMPDIR"
    )


@contextmanager
def run_folder(prefix: str) -> Iterator[int]:
    """Create the folder and yield a file descriptor that locks it; remove it afterwards.

    The server and its stubs inherit the descriptor, and the system unlocks the folder when the last of them
    has ended, even by SIGKILL. So a folder that can be locked belongs to no process.
    """
    path = run_path(prefix)
    draft = Path(mkdtemp(prefix=f"{prefix}new"))
    lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(path)  # nobody looks at it before it is locked
        yield lock
    finally:
        os.close(lock)
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
    """Remove what servers of this user left whose command was killed: processes, memory, temporary files."""
    for path in run_path("").parent.glob("model_router_*_run"):
        name = _NAME.fullmatch(path.name)
        if name and _is_own_folder(path):
            _remove_unless_in_use(path, name["prefix"], int(name["command"]))


def _remove_unless_in_use(path: Path, prefix: str, command: int) -> None:
    end_orphans(prefix, command)
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_regions(prefix)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def _is_own_folder(path: Path) -> bool:
    """Return whether it is a folder, not a link, of this user: others may write into the same place."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
