"""Ending every process of the server's session: the server, its stubs and what models started in them."""

import os
import time

import psutil

_POLL_S = 0.02


def end_session(session: int, timeout_s: float = 10.0) -> None:
    """Kill what is left of a session and wait until it is gone.

    Stubs ignore SIGTERM and SIGINT. After a server that was killed they notice within about two seconds when
    they are idle, much later when they are busy; after a server that failed in its start they stay for good.

    Args:
        session: the process id that the server had: it was started as the leader of a session of its own.
        timeout_s: how long the kernel may take to end a killed process.

    Raises:
        TimeoutError: a process could not be ended.
    """
    deadline_s = time.monotonic() + timeout_s
    while members := session_members(session):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"processes {[process.pid for process in members]} do not end when killed")
        for process in members:
            _kill(process)
        time.sleep(_POLL_S)


def session_members(session: int) -> list[psutil.Process]:
    """The running processes of a session; a zombie is not running."""
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
