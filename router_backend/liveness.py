"""`python3 -m router_backend.liveness [host:port]`: notice routers whose process has died.

Triton still reports them as ready. Each router that is loaded gets a request for its report, with zeros as
inputs, which reaches no variant. Exit status: 0 if all is well; 1 if the server is not ready; 2 if the
process of a router has died.
"""

import json
import sys
from math import prod
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from router_backend.config.load import DECISION_OUTPUT

DEFAULT_ADDRESS = "localhost:8000"
TIMEOUT_S = 10.0
NOT_READY = 1
DEAD = 2
DIED = "is not healthy"
BYTES_OF = {"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "UINT16": 2, "FP16": 2, "BF16": 2}
BYTES_OF |= {"INT32": 4, "UINT32": 4, "FP32": 4, "BYTES": 4}
"""Bytes of a zero of each type; that of BYTES is the length of an empty text. All others have 8."""


def dead_routers(address: str) -> list[str]:
    """Return the loaded routers whose process has died.

    Raises:
        OSError: the server does not answer, or is not ready.
    """
    _get(address, "health/ready")
    index = json.loads(_post(address, "repository/index", b'{"ready": true}'))
    names = sorted({model["name"] for model in index})
    return [name for name in names if _is_router_and_dead(address, name)]


def _is_router_and_dead(address: str, name: str) -> bool:
    try:
        metadata = json.loads(_get(address, f"models/{name}"))
        is_router = any(output["name"] == DECISION_OUTPUT.name for output in metadata["outputs"])
        if is_router:
            _post(address, f"models/{name}/infer", *_report_request(metadata["inputs"]))
    except HTTPError as error:
        return DIED in error.read().decode(errors="replace")
    except TimeoutError:  # it is busy, or its answer is lost: only Triton's own word counts
        return False
    return False


def _report_request(inputs: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request for a report."""
    zeros = [(each, [max(dim, 1) for dim in each["shape"]]) for each in inputs]
    sizes = [prod(shape) * BYTES_OF.get(each["datatype"], 8) for each, shape in zeros]
    described = [
        {**each, "shape": shape, "parameters": {"binary_data_size": size}}
        for (each, shape), size in zip(zeros, sizes, strict=True)
    ]
    request = {
        "inputs": described,
        "outputs": [{"name": DECISION_OUTPUT.name}],
        "parameters": {"router_report": True},
    }
    head = json.dumps(request).encode()
    return head + bytes(sum(sizes)), {"Inference-Header-Content-Length": str(len(head))}


def _get(address: str, path: str) -> bytes:
    with urlopen(f"http://{address}/v2/{path}", timeout=TIMEOUT_S) as answer:
        return bytes(answer.read())


def _post(address: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    request = Request(f"http://{address}/v2/{path}", data=body, headers=headers or {}, method="POST")
    with urlopen(request, timeout=TIMEOUT_S) as answer:
        return bytes(answer.read())


def main(address: str = DEFAULT_ADDRESS) -> int:
    """Print one line if something is wrong, and return the exit status."""
    try:
        dead = dead_routers(address)
    except OSError as error:
        sys.stderr.write(f"the server at {address} is not ready: {error}\n")
        return NOT_READY
    if dead:
        names = ", ".join(dead)
        sys.stderr.write(f"the process of {names} has died: load it again, or restart the server\n")
    return DEAD if dead else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
