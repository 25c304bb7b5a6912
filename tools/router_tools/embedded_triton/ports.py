"""Choose free ports to listen on, and check requested ones before the server starts."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

import psutil

from router_tools.errors import ToolError


def choose_ports(host: str, *wanted: int | None) -> tuple[int, ...]:
    """Return each requested port, and a different free port for each `None`.

    Raises:
        ToolError: this machine does not have the address `host`.
    """
    with ExitStack() as stack:
        try:
            return tuple(_free_port(host, stack) if port is None else port for port in wanted)
        except OSError as error:
            raise ToolError(
                f"cannot listen on host {host} ({error.strerror}): "
                "give an address of this machine with --host, such as 127.0.0.1 or 0.0.0.0"
            ) from error


def _free_port(host: str, reserved: ExitStack) -> int:
    """Return a port that stays reserved until the stack is closed, so that it is not returned twice."""
    listener = reserved.enter_context(socket.socket())
    listener.bind((host, 0))
    port: int = listener.getsockname()[1]
    return port


def check_different(ports: Mapping[str, int]) -> None:
    """Reject the same port for two endpoints; Triton's own message does not say what is wrong.

    Args:
        ports: by the name of the endpoint in messages, such as "HTTP".

    Raises:
        ToolError: two ports are the same.
    """
    purposes: dict[int, str] = {}
    for purpose, port in ports.items():
        if port in purposes:
            raise ToolError(
                f"{purpose} port: expected a port other than the {purposes[port]} port, found {port} for "
                f"both: choose another one with --{purpose.lower()}-port"
            )
        purposes[port] = purpose


def check_port(host: str, port: int, purpose: str) -> None:
    """Reject a port that the server cannot listen on.

    Triton's own message says little, and its stub processes keep running when it ends for that reason.

    Args:
        host: address to listen on.
        port: the port.
        purpose: the name of the endpoint in messages, such as "HTTP".

    Raises:
        ToolError: the port is in use or not permitted; names the process if this user may see it.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise ToolError(
                f"{purpose} port {port} on {host} cannot be used ({error.strerror}{_owner(port)}): "
                f"free it or choose another one with --{purpose.lower()}-port"
            ) from error


def _owner(port: int) -> str:
    for connection in psutil.net_connections(kind="tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid:
            return f" by process {connection.pid}, {_name(connection.pid)}"
    return ""


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "which has ended"
