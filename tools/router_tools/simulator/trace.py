"""A trace: the requests that a router served, one JSON object per line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.typed_load import decode_json, given, load
from router_tools.errors import ToolError
from router_tools.simulator.document import read_text
from router_tools.simulator.schema import TraceLine


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of a trace.

    Args:
        arrival_s: when it arrived.
        batch_size: number of items in it.
        elements: number of tensor elements of all its inputs; `None` if unknown.
        variant: the variant that served it; `None` if unknown.
        device: the hardware that the variant runs on; `None` if unknown.
        propensity: the probability with which the variant was chosen; `None` if unknown.
        latency_ms: from sending it to the answer; `None` if there was no answer.
        service_ms: the part of that in which it was served; `None` if unknown.
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
        """Mean number of tensor elements per item; 1 if unknown."""
        return 1 if self.elements is None else max(1, round(self.elements / self.batch_size))


def read_trace(path: Path) -> list[TracedRequest]:
    """Read a trace, in the order of arrival.

    Raises:
        ToolError: it cannot be read, a line is invalid (names line, field, what was expected and found), or
            all requests have the same arrival time.
    """
    requests = sorted(_requests(path), key=lambda request: request.arrival_s)
    if not requests or requests[0].arrival_s == requests[-1].arrival_s:
        raise ToolError(
            f"{path}: expected requests with at least two different arrival times, found {len(requests)} "
            "requests; record more"
        )
    return requests


def _requests(path: Path) -> Iterator[TracedRequest]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield _request(path, number, line)


def _request(path: Path, number: int, line: str) -> TracedRequest:
    try:
        value = decode_json(str(path), line, number)
        return TracedRequest(**given(load(TraceLine, value, f"{path}, line {number}")))
    except ConfigurationError as error:
        raise ToolError(str(error)) from None
