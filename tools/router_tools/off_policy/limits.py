"""Sentences about what a trace cannot say."""

from collections.abc import Iterable, Iterator

from router_backend.core.records.outcome import Fault
from router_tools.errors import ToolError
from router_tools.off_policy.doubly_robust import FEWEST_EFFECTIVE
from router_tools.off_policy.estimate import Estimate
from router_tools.off_policy.recording import Recording
from router_tools.off_policy.saturation import BUSY, saturated
from router_tools.simulator.trace import TracedRequest

NOTABLE_SHARE = 0.01
"""The share of a policy's requests from which a variant matters."""
NOTABLE_TIME = 0.1
"""The share of the time above which a lack of capacity matters."""
NEW_FIELDS = ("service_ms", "candidates", "policy")
"""What every answered request of a trace has since version 0.1.0."""


def check_propensities(recording: Recording) -> None:
    """Check that the trace says with which probability its choices were made.

    Raises:
        ToolError: an answered request has no propensity.
    """
    answered = _answered(recording)
    without = sum(request.propensity is None for request in answered)
    if without:
        raise ToolError(
            f"{recording.name}: expected a propensity in each of {len(answered):,} answered requests, found "
            f"none in {without:,}: record the trace with `trace_file`, or use `simulate`, which needs none"
        )


def limits(recording: Recording, estimates: Iterable[Estimate]) -> list[str]:
    """Return what to know about a trace and the estimates from it, in sentences."""
    found = [
        *_of_fields(recording),
        *_of_choices(recording),
        *_of_requests(recording),
        *recording.found.warnings(),
        *_of_saturation(recording),
    ]
    for each in estimates:
        found += _of_estimate(each)
    return found


def _of_fields(recording: Recording) -> Iterator[str]:
    answered = _answered(recording)
    missing = [
        name for name in NEW_FIELDS if sum(not getattr(each, name) for each in answered) > len(answered) / 2
    ]
    if missing:
        yield (
            f"most requests lack {', '.join(missing)}, which version 0.1.0 does not record, so that service "
            "times are inferred and each variant is taken to serve one request at a time: record it again"
        )


def _of_choices(recording: Recording) -> Iterator[str]:
    answered = _answered(recording)
    if all(each.propensity == 1.0 for each in answered):
        yield (
            "nothing was drawn (every propensity is 1), so that only the model says what other choices would "
            "have cost: record with a policy that draws, such as p2c, or during an experiment"
        )
    experiments = sorted({each.experiment for each in answered if each.experiment})
    if experiments:
        yield (
            f"requests take part in an experiment ({', '.join(experiments)}): if a sticky key or a "
            "correlation id decides their arm, it is drawn once for all requests of a user, so that fewer "
            "choices are independent than the propensities say, and the intervals are too narrow"
        )


def _of_requests(recording: Recording) -> Iterator[str]:
    if recording.left_out:
        yield (
            f"{recording.left_out:,} requests were invalid or found no variant: they are left out, since a "
            "trace does not say which policy would have answered them"
        )
    pauses = recording.pauses
    if pauses.number:
        yield (
            f"{pauses.number} times nothing was sent for more than a minute, {pauses.total_s:,.0f} s longer "
            "together, which the estimates leave out: if nobody paused, a clock jumped"
        )
    hedged = sum(request.hedge is not None and request.hedge.won for request in recording.requests)
    if hedged:
        yield (
            f"{hedged:,} requests were answered by a second copy (`hedge`) before the chosen variant; how "
            "long that one takes for them is not known, so its slowest answers are missing in the estimates"
        )
    faults = [failure.fault for request in recording.requests for failure in request.failures]
    not_ready = faults.count(Fault.NOT_READY)
    if not_ready > NOTABLE_SHARE * len(recording.requests):
        yield f"{not_ready:,} attempts found a variant that was not ready: in the estimates it always is"


def _of_saturation(recording: Recording) -> Iterator[str]:
    for name, found in recording.found.executed.items():
        begin_s = found.moment * recording.length_s
        concurrency = recording.variants[name].concurrency
        share = saturated(begin_s, found.service_ms, concurrency, recording.length_s)
        if share > NOTABLE_TIME:
            yield (
                f"{name} had no capacity left (busy for {BUSY:.0%} or more) for {share:.0%} of the trace: "
                "clients that wait for answers would have sent more to a faster policy, so that the "
                "estimates hold for these arrivals only"
            )


def _of_estimate(found: Estimate) -> Iterator[str]:
    for variant, share in found.shares.items():
        effective = found.effective[variant]
        if share >= NOTABLE_SHARE and effective < FEWEST_EFFECTIVE:
            yield (
                f"{found.policy} sends {share:.0%} of the requests to {variant}, where only {effective:.1f} "
                "recorded executions agree with it: its estimate rests on the model alone"
            )
    for variant, share in found.saturated.items():
        if share > NOTABLE_TIME:
            yield (
                f"{found.policy} leaves {variant} without capacity for {share:.0%} of the time, in which "
                "requests pile up: a service time that is wrong by 1 % changes its mean latency by several"
            )


def _answered(recording: Recording) -> list[TracedRequest]:
    return [request for request in recording.requests if request.latency_ms is not None]
