"""A trace: the requests that a router received, one JSON object per line."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_backend.core.records.outcome import Refusal
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.typed_load import decode_json, given, load
from router_tools.errors import ToolError, warn
from router_tools.simulator.document import read_text
from router_tools.simulator.schema.trace import CandidateLine, FailureLine, HedgeLine, TraceLine

_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')
_TIMES = ("queued_ms", "latency_ms", "service_ms")
_ROUNDING_MS = 0.0015
"""Two times that are rounded to 0.001 ms may differ by this, with the error of binary fractions."""


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of a trace.

    Args:
        arrival_s: when it arrived.
        batch_size: number of items in it.
        elements: number of tensor elements of all its inputs; `None` if unknown.
        goal: the objective that it named itself; `None` if it named none.
        deadline_ms: its deadline, from its arrival; `None` if it has none.
        policy: the policy that chose; `None` if unknown.
        experiment: the experiment that it counts for; `None` for none.
        arm: its side of the experiment; `None` for none.
        variant: the variant that served it; `None` if unknown.
        device: the hardware that the variant runs on; `None` if unknown.
        propensity: the probability with which the variant was chosen; `None` if unknown.
        queued_ms: from its arrival to the decision.
        latency_ms: from sending it to the answer; `None` if there was no answer.
        service_ms: the part of that in which it was served; `None` if unknown.
        candidates: the variants that could have been chosen; empty if unknown.
        hedge: its second copy; `None` if there was none.
        failures: the attempts that failed.
        refusal: why it was not answered; `None` if it was, or if variants failed it.
    """

    arrival_s: float
    batch_size: int
    elements: int | None = None
    goal: OptimizationGoal | None = None
    deadline_ms: float | None = None
    policy: str | None = None
    experiment: str | None = None
    arm: str | None = None
    variant: str | None = None
    device: Device | None = None
    propensity: float | None = None
    queued_ms: float = 0.0
    latency_ms: float | None = None
    service_ms: float | None = None
    candidates: Sequence[CandidateLine] = ()
    hedge: HedgeLine | None = None
    failures: Sequence[FailureLine] = ()
    refusal: Refusal | None = None

    @property
    def has_own_latency(self) -> bool:
        """Whether its latency is that of its variant, and not of a second copy that was faster."""
        return self.latency_ms is not None and not (self.hedge is not None and self.hedge.won)

    @property
    def elements_per_item(self) -> int:
        """Mean number of tensor elements per item; 1 if unknown."""
        return 1 if self.elements is None else max(1, round(self.elements / self.batch_size))


def read_trace(path: Path) -> list[TracedRequest]:
    """Read a trace, in the order of arrival.

    Lines that were cut are left out, and so are times that are impossible, with a warning.

    Raises:
        ToolError: it cannot be read, a line is invalid (names line, field, what was expected and found), or
            all requests have the same arrival time.
    """
    numbered = [each for each in enumerate(read_text(path).splitlines(), start=1) if each[1].strip()]
    cut = [number for number, line in numbered if _is_cut(line)]
    values = {number: _value(path, number, line) for number, line in numbered if number not in cut}
    impossible = [number for number, value in values.items() if _remove_impossible_times(value)]
    requests = [_request(path, number, value) for number, value in values.items()]
    requests.sort(key=lambda request: request.arrival_s)
    if cut:
        lines = _lines(cut, "is", "are")
        warn(f"{path}: {lines} cut and left out; a full disk or a killed server leaves such lines")
    if impossible:
        lines = _lines(impossible, "has", "have")
        warn(
            f"{path}: {lines} impossible times (not above 0, or a service time above the latency), as of a "
            "clock that jumped: the requests count, but not their times"
        )
    if not requests or requests[0].arrival_s == requests[-1].arrival_s:
        raise ToolError(
            f"{path}: expected requests with at least two different arrival times, found {len(requests)} "
            "requests; record more"
        )
    return requests


def _is_cut(line: str) -> bool:
    """Return whether a line begins an object that it does not end."""
    rest = _TEXTS.sub("", line)
    return line.startswith("{") and ('"' in rest or rest.count("{") > rest.count("}"))


def _lines(numbers: Sequence[int], one: str, several: str) -> str:
    if len(numbers) == 1:
        return f"line {numbers[0]} {one}"
    return f"{len(numbers):,} lines, the first of them {numbers[0]}, {several}"


def _value(path: Path, number: int, line: str) -> Any:
    try:
        return decode_json(str(path), line, number)
    except ConfigurationError as error:
        raise ToolError(str(error)) from None


def _remove_impossible_times(value: Any) -> bool:
    """Remove the measured times of a line if one of them is impossible, and return whether that is so."""
    if not isinstance(value, dict):
        return False
    times = {name: value[name] for name in _TIMES if isinstance(value.get(name), int | float)}
    possible = all(0.0 <= each < math.inf for each in times.values())
    possible = possible and all(times.get(name, 1.0) > 0.0 for name in ("latency_ms", "service_ms"))
    if possible and times.get("service_ms", 0.0) <= times.get("latency_ms", math.inf) + _ROUNDING_MS:
        return False
    for name in times:
        del value[name]
    return True


def _request(path: Path, number: int, value: Any) -> TracedRequest:
    try:
        return TracedRequest(**given(load(TraceLine, value, f"{path}, line {number}")))
    except ConfigurationError as error:
        raise ToolError(str(error)) from None
