"""End all processes of the server's session: the server, its stubs and processes that models started."""

import ctypes
import os
import time
from pathlib import Path
from signal import SIGTERM

import psutil

_POLL_S = 0.02
_PROGRAMS = ("tritonserver", "triton_python_backend_stub")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Have the system send SIGTERM to this process when the thread that started it ends, however it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, SIGTERM)


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


def end_orphans(prefix: str, command: int) -> None:
    """Kill the session of a server whose command has ended, with all that is left of it.

    Args:
        prefix: the server's, which it and its stubs have in their command lines.
        command: the process id of the command that started the server.
    """
    for process in psutil.process_iter():
        if _is_of_server(process, prefix) and not _is_child(session := os.getsid(process.pid), command):
            end_session(session)


def session_members(session: int) -> list[psutil.Process]:
    """Return the running processes of a session; a zombie is not running."""
    return [process for process in psutil.process_iter() if _belongs(process, session)]


def _is_of_server(process: psutil.Process, prefix: str) -> bool:
    try:
        program, *arguments = process.cmdline() or [""]
        is_running = process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return is_running and Path(program).name in _PROGRAMS and any(prefix in each for each in arguments)


def _is_child(pid: int, parent: int) -> bool:
    try:
        return psutil.Process(pid).ppid() == parent
    except psutil.Error:
        return False


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
