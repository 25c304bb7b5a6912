"""A trace: the requests that a router served, one JSON object a line."""

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
        arrival_s: when it came.
        batch_size: how many items it held.
        elements: how many tensor elements its inputs held total; `None`: not known.
        variant: which variant served it; `None`: not known.
        device: the hardware that the variant runs on; `None`: not known.
        propensity: the probability with which the variant was chosen; `None`: not known.
        latency_ms: from sending to answer; `None`: there was none.
        service_ms: how much of that it was served; `None`: not known.
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
        value = decode_json(str(path), line, number)
        return TracedRequest(**given(load(TraceLine, value, f"{path}, line {number}")))
    except ConfigurationError as error:
        raise ToolError(str(error)) from None
