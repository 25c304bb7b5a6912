import sys
from pathlib import Path

import pytest

from router_backend.runtime import own_server
from router_backend.runtime.healer import CannotReloadError, NotReachedError, UnloadedError
from router_backend.runtime.own_server import ReloadFailedError, grpc_address, load_again, server_arguments

EXPLICIT = "--model-control-mode=explicit"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([EXPLICIT], "localhost:8001"),
        ([EXPLICIT, "--grpc-address=0.0.0.0", "--grpc-port=9001"], "localhost:9001"),
        (
            ["--model-control-mode", "explicit", "--grpc-address", "10.0.0.7", "--grpc-port", "77"],
            "10.0.0.7:77",
        ),
    ],
)
def test_the_address_is_in_the_servers_command_line(arguments: list[str], expected: str) -> None:
    assert grpc_address(["/opt/tritonserver", *arguments]) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--model-control-mode=explicit"),
        (["--model-control-mode=poll"], "--model-control-mode=explicit"),
        ([EXPLICIT, "--allow-grpc=false"], "no gRPC endpoint"),
    ],
)
def test_a_server_that_takes_no_such_request_is_not_asked(arguments: list[str], expected: str) -> None:
    with pytest.raises(CannotReloadError, match=expected):
        load_again("m", True, arguments)


def test_the_command_line_is_that_of_the_parent_process() -> None:
    assert any("pytest" in each or "python" in each or "sh" in each for each in server_arguments())


def test_a_server_that_does_not_answer_is_asked_again_later() -> None:
    with pytest.raises(NotReachedError, match=r"(?i)connect|unavailable"):
        load_again("m", True, [EXPLICIT, "--grpc-address=127.0.0.1", "--grpc-port=9"])


@pytest.mark.parametrize(
    ("status", "error"),
    [(1, ReloadFailedError), (2, CannotReloadError), (3, UnloadedError), (4, NotReachedError)],
)
def test_what_the_other_process_says_is_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, error: type[Exception]
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho 'warning' >&2\necho 'no such file' >&2\nexit {status}\n")
    python.chmod(0o755)
    monkeypatch.setattr(own_server.sys, "executable", str(python))
    with pytest.raises(error, match=r"^no such file$"):
        load_again("m", True, [EXPLICIT])
    assert sys.executable == str(python)


def test_a_process_that_cannot_be_started_is_a_load_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server.sys, "executable", "/nonexistent/python")
    with pytest.raises(ReloadFailedError, match=r"/nonexistent/python"):
        load_again("m", True, [EXPLICIT])
