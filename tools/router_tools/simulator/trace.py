"""A trace: the requests that a router served, one JSON object a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_backend.core.records.variant import Device
from router_tools.errors import ToolError
from router_tools.simulator.document import field_name, find_problem, read_text
from router_tools.simulator.json_flaws import decode


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of a trace.

    Args:
        arrival_s: when it came.
        batch_size: how many items it held.
        elements: how many tensor elements its inputs held in all; None: not told.
        variant: which variant served it; None: not told.
        device: the hardware that the variant runs on; None: not told.
        propensity: the probability with which the variant was chosen; None: not told.
        latency_ms: from sending to answer; None: it got none.
        service_ms: how much of that it was served; None: not told.
    """

    arrival_s: float
    batch_size: int
    elements: int | None = None
    variant: str | None = None
    device: Device | None = None
    propensity: float | None = None
    latency_ms: float | None = None
    service_ms: float | None = None

    @property
    def elements_per_item(self) -> int:
        """How large its items were; 1 where that is not told."""
        return 1 if self.elements is None else max(1, round(self.elements / self.batch_size))


def read_trace(path: Path) -> list[TracedRequest]:
    """Read a trace, in the order of arrival.

    Raises:
        ToolError: it cannot be read, a line is wrong (which, which field, what was expected and found), or
            there are not two different times.
    """
    requests = sorted(_requests(path), key=lambda request: request.arrival_s)
    if not requests or requests[0].arrival_s == requests[-1].arrival_s:
        raise ToolError(f"{path}: expected requests at two times at least, found {len(requests)} requests")
    return requests


def _requests(path: Path) -> Iterator[TracedRequest]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield _request(path, number, line)


def _request(path: Path, number: int, line: str) -> TracedRequest:
    try:
        entry: Any = decode(line)
        problem = find_problem(entry, "trace")
    except json.JSONDecodeError as error:
        raise ToolError(f"{path}, line {number}: expected JSON, found {error.msg}") from error
    except RecursionError:
        raise ToolError(
            f"{path}, line {number}: expected JSON, found it nested too deep to be read"
        ) from None
    if problem is not None:
        where, message = problem
        raise ToolError(f"{path}, line {number}: {field_name(where)}: {message}")
    if "device" in entry:
        entry["device"] = Device(entry["device"])
    return TracedRequest(**entry)
