"""The Triton server that runs this process, and how to have it load a model again from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from router_backend.reload import CANNOT_ASK, LEFT, LOAD_WITHIN_S, LOADED, NO_ANSWER
from router_backend.runtime.healer import (
    CannotReloadError,
    NotReachedError,
    ReloadFailedError,
    UnloadedError,
)

EVERY_INTERFACE = ("0.0.0.0", "::", "")
GRPC_PORT = "8001"
PACKAGE_PARENT = Path(__file__).resolve().parents[2]


ERROR_OF_STATUS = {CANNOT_ASK: CannotReloadError, LEFT: UnloadedError, NO_ANSWER: NotReachedError}


def server_arguments() -> list[str]:
    """Return the command line of the parent process, which is the server; empty if it cannot be read."""
    try:
        content = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(each) for each in content.split(b"\0")]


def grpc_address(arguments: Sequence[str]) -> str:
    """Return the address of a server's gRPC endpoint, from its command line.

    Raises:
        CannotReloadError: it has none, or takes no requests to load models.
    """
    options = _options(arguments)
    if options.get("model-control-mode") != "explicit":
        raise CannotReloadError("start the server with --model-control-mode=explicit")
    if options.get("allow-grpc", "true").lower() in ("false", "0"):
        raise CannotReloadError("the server has no gRPC endpoint, by which the Python host asks for this")
    host = options.get("grpc-address", "")
    host = "localhost" if host in EVERY_INTERFACE else host
    return f"{host}:{options.get('grpc-port', GRPC_PORT)}"


def load_again(model: str, unloads: bool, arguments: Sequence[str] | None = None) -> None:
    """Load a model of this process's server, by another process, and wait until it is loaded.

    Args:
        model: its name.
        unloads: unload it before: loading alone does nothing while it is loaded.
        arguments: the server's command line, if it is not that of the parent process.

    Raises:
        CannotReloadError: the server cannot be asked for this.
        UnloadedError: it is to be unloaded, but is not loaded.
        NotReachedError: the server does not answer now.
        ReloadFailedError: it does not load.
    """
    address = grpc_address(server_arguments() if arguments is None else arguments)
    try:
        done = _ask(address, model, LOADED if unloads else "")
    except (OSError, subprocess.SubprocessError) as error:
        raise ReloadFailedError(str(error)) from error
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise ERROR_OF_STATUS.get(done.returncode, ReloadFailedError)(reason)


def _ask(address: str, model: str, expected: str) -> subprocess.CompletedProcess[str]:
    """Run the process that asks for the load, and return how it ended.

    Raises:
        OSError: it cannot be started.
        SubprocessError: it has not ended in time.
    """
    path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable or "python3", "-m", "router_backend.reload", address, model, expected],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=2.0 * LOAD_WITHIN_S + 60.0,
        check=False,
        text=True,
        errors="replace",
    )


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """Return the options of a command line, given as `--name=value` or as `--name value`."""
    options = {}
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=False):
        name, is_given, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--"):
            options[name] = value if is_given else after
    return options
