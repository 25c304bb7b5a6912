"""Tries one fault: what clients see before, during and after it, and which promises are broken."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from router_backend.core.settings import ModelSettings
from router_tools.chaos.faults import FAULTS
from router_tools.chaos.load import Load, Seen
from router_tools.chaos.stage import Crowd, Stage

BOUND_MS = ModelSettings().overdue_min_ms
QUIET_S = 5.0
BACK_WITHIN_S = 10.0
SHARE_S = 4.0
"""How long the share of the variant is measured, at the end of the time in which it must be back."""
OLD_SHARE = 0.5
"""The part of its old share that the variant must have again: shares vary, and a small part tries others."""
LEAST_SHARE = 0.25
"""A variant with less before the fault has not settled: what becomes of its share would say nothing."""
QUIET_P99_MS = 100.0
"""The limit allows for no higher percentile: a machine that is busier needs a tolerance."""
SETTLED_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What clients saw in some time.

    Args:
        requests: how many they sent.
        failed: how many got an error, or a wrong answer.
        p99_ms: the 99th percentile of the latencies.
        worst_ms: the highest latency.
    """

    requests: int
    failed: int
    p99_ms: float
    worst_ms: float

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> "Figures":
        """Return the figures of requests; their latencies are 0 if there are none."""
        latencies_ms = [each.latency_ms for each in seen] or [0.0]
        failed = sum(bool(each.error) for each in seen)
        p99_ms = quantiles([*latencies_ms, latencies_ms[0]], n=100)[-1]
        return cls(len(seen), failed, p99_ms, max(latencies_ms))


@dataclass(frozen=True, slots=True)
class Trial:
    """How a fault went.

    Args:
        host: what ran the router.
        fault: its name.
        before: what clients saw in a quiet time.
        during: what they saw of requests that ended while the fault lasted.
        after: what they saw in the ten seconds after it.
        share_before: the share of the requests that the variant had that is made ill.
        share_after: its share at the end of these ten seconds.
        lost: how many requests failed in any of these times, or had no answer at the end though it was due.
        errors: the first errors that clients got.
        broken: the promises that were broken, in words.
    """

    host: str
    fault: str
    before: Figures
    during: Figures
    after: Figures
    share_before: float
    share_after: float
    lost: int
    errors: tuple[str, ...]
    broken: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def try_fault(stage: Stage, load: Load, host: str, name: str, seconds: float, tolerance_ms: float) -> Trial:
    """Try a fault under load.

    Args:
        stage: the server.
        load: the load, which runs.
        host: what runs the router.
        name: the fault.
        seconds: how long it lasts.
        tolerance_ms: added to the highest latency that is allowed.
    """
    settle(stage, load)
    quiet_s = time.monotonic()
    share_before = _share(stage, load, QUIET_S)
    fault_s = time.monotonic()
    FAULTS[name].run(stage, seconds)
    well_s = time.monotonic()
    time.sleep(BACK_WITHIN_S - SHARE_S)
    share_after = _share(stage, load, SHARE_S)
    end_s = time.monotonic()
    before, during, after = (
        Figures.of(load.between(*span)) for span in ((quiet_s, fault_s), (fault_s, well_s), (well_s, end_s))
    )
    limit_ms = BOUND_MS + 3.0 * min(before.p99_ms, QUIET_P99_MS) + tolerance_ms
    crowd, stage.crowd = stage.crowd, Crowd()
    unanswered = load.unanswered(limit_ms / 1e3) + crowd.waiting
    got = [each.error for each in load.between(quiet_s, end_s) if each.error]
    errors = tuple(dict.fromkeys([*got, *crowd.errors]))[:3]
    failed = len(got) + len(crowd.errors)
    worst_ms = max(phase.worst_ms for phase in (before, during, after))
    broken = (
        *_broken_by_requests(failed, unanswered, worst_ms, limit_ms),
        *_broken_by_shares(share_before, share_after),
    )
    return Trial(
        host,
        name,
        before,
        during,
        after,
        share_before,
        share_after,
        failed + unanswered,
        errors,
        tuple(broken),
    )


def settle(stage: Stage, load: Load) -> None:
    """Wait until the variant that is made ill has most of the requests, as it is the fastest."""
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while _share(stage, load, 1.0) < 1.0 / 3.0 and time.monotonic() < until_s:
        pass


def _share(stage: Stage, load: Load, seconds: float) -> float:
    """Return the share of the requests of the next seconds that the variant serves."""
    served, start_s = stage.requests_served(), time.monotonic()
    time.sleep(seconds)
    count = len(load.between(start_s, time.monotonic()))
    return min(1.0, max(0, stage.requests_served() - served) / max(1, count))


def _broken_by_requests(failed: int, unanswered: int, worst_ms: float, limit_ms: float) -> Iterator[str]:
    if failed:
        yield f"{failed} requests failed"
    if unanswered:
        yield f"{unanswered} requests have no answer yet"
    if worst_ms > limit_ms:
        yield f"a client waited {worst_ms:.0f} ms, above {limit_ms:.0f} ms"


def _broken_by_shares(before: float, after: float) -> Iterator[str]:
    if before < LEAST_SHARE:
        yield f"before the fault the variant had {before:.0%} of the requests, below {LEAST_SHARE:.0%}"
    elif after < OLD_SHARE * before:
        yield (
            f"{BACK_WITHIN_S:.0f} s later the variant had {after:.0%} of the requests, "
            f"before it had {before:.0%}"
        )
