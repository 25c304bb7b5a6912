"""Wait until the server answers and has finished loading its models."""

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPException
from subprocess import Popen

import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from router_tools.embedded_triton import explanation
from router_tools.embedded_triton.models import ModelStatus, model_statuses
from router_tools.embedded_triton.server_log import http_port, not_created, stuck_stub

_POLL_S = 0.1
_ANSWER_S = 5.0


def wait_until_settled(
    process: Popen[bytes],
    http_url: str,
    other_ports: Sequence[tuple[str, int]],
    read_log: Callable[[], str],
    timeout_s: float,
) -> list[ModelStatus]:
    """Wait until the server is live and every model is ready or unavailable; return the models by name.

    Triton opens its endpoints one by one: HTTP may answer before the metrics page does.

    Args:
        process: the server.
        http_url: host and port of its HTTP endpoint.
        other_ports: host and port of each other endpoint that must listen.
        read_log: returns what the server has printed so far.
        timeout_s: how long to wait, in seconds.

    Raises:
        ToolError: the server ended, cannot become ready, or was not ready in time; says why.
    """
    deadline_s = time.monotonic() + timeout_s
    while (models := _settled_models(http_url, read_log())) is None or not all(map(_listens, other_ports)):
        _check(process, http_url, read_log())
        if time.monotonic() > deadline_s:
            raise explanation.not_ready_in_time(timeout_s, read_log())
        time.sleep(_POLL_S)
    return models


def query_models(http_url: str, log: str) -> list[ModelStatus]:
    """Return the models of a live server, sorted by name."""
    with closing(_client(http_url)) as client:
        return model_statuses(client.get_model_repository_index(), log)


def _settled_models(http_url: str, log: str) -> list[ModelStatus] | None:
    try:
        models = query_models(http_url, log)
    except (OSError, HTTPException):  # it does not listen until it has loaded its models, or it has ended
        return None
    except InferenceServerException as error:  # it is about to end, or serves nothing
        if reason := not_created(log):
            raise explanation.serves_nothing(reason) from error
        return None
    return models if all(model.settled for model in models) else None


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, _ANSWER_S).close()
    except OSError:
        return False
    return True


def _client(http_url: str) -> triton_http.InferenceServerClient:
    return triton_http.InferenceServerClient(
        http_url, connection_timeout=_ANSWER_S, network_timeout=_ANSWER_S
    )


def _check(process: Popen[bytes], http_url: str, log: str) -> None:
    returncode = process.poll()
    if returncode is not None:
        raise explanation.ended_during_start(returncode, log)
    port = http_port(log)
    if port is not None and not http_url.endswith(f":{port}"):
        raise explanation.listens_elsewhere(port)
    if reason := stuck_stub(log):
        raise explanation.stuck_for_good(reason)
