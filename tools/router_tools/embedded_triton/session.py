"""End all processes of the server's session: the server, its stubs and processes that models started."""

import os
import time

import psutil

_POLL_S = 0.02


def end_session(session: int, timeout_s: float = 10.0) -> None:
    """Kill the processes of a session and wait until they have ended.

    Stubs ignore SIGTERM and SIGINT. After the server is killed, idle stubs end within about two seconds and
    busy ones much later; after a server failed during its start, they never end.

    Args:
        session: the process id of the server, which was started as the leader of its own session.
        timeout_s: how long the kernel may take to end a killed process.

    Raises:
        TimeoutError: a process did not end.
    """
    deadline_s = time.monotonic() + timeout_s
    while members := session_members(session):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"processes {[process.pid for process in members]} did not end after SIGKILL")
        for process in members:
            _kill(process)
        time.sleep(_POLL_S)


def session_members(session: int) -> list[psutil.Process]:
    """Return the running processes of a session; a zombie is not running."""
    return [process for process in psutil.process_iter() if _belongs(process, session)]


def _belongs(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
