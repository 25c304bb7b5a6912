"""Ports are chosen so that nobody else has them, and a taken one is reported with its owner."""

import os
import socket
from collections.abc import Iterator

import pytest

from router_tools.embedded_triton.ports import check_port, choose_ports
from router_tools.errors import ToolError

HOST = "127.0.0.1"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def test_wanted_ports_stay_and_the_others_are_free_and_different() -> None:
    first, wanted, third = choose_ports(HOST, None, 8123, None)
    assert wanted == 8123
    assert len({first, wanted, third}) == 3
    check_port(HOST, first, "HTTP")
    check_port(HOST, third, "metrics")


def test_a_taken_port_is_reported_with_its_purpose_owner_and_option(taken_port: int) -> None:
    message = (
        rf"gRPC port {taken_port} on {HOST} .*by process {os.getpid()}, .*choose another one with --grpc-port"
    )
    with pytest.raises(ToolError, match=message):
        check_port(HOST, taken_port, "gRPC")


def test_a_port_whose_last_owner_has_just_closed_it_is_free(taken_port: int) -> None:
    with socket.create_connection((HOST, taken_port)):
        pass
    free = choose_ports(HOST, None)[0]
    with socket.create_server((HOST, free)) as listener, socket.create_connection((HOST, free)):
        listener.accept()[0].close()  # closed by the server's side first: its port stays in TIME_WAIT
    check_port(HOST, free, "HTTP")


def test_a_host_that_is_not_this_machine_is_refused() -> None:
    with pytest.raises(ToolError, match=r"cannot listen on host 192\.0\.2\.1 .*--host"):
        choose_ports("192.0.2.1", None)
