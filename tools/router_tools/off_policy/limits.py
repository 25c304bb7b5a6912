"""Sentences about what a trace cannot say."""

from collections.abc import Iterable, Iterator

from router_tools.errors import ToolError
from router_tools.off_policy.doubly_robust import FEWEST_EFFECTIVE
from router_tools.off_policy.estimate import Estimate
from router_tools.off_policy.recording import Recording
from router_tools.simulator.trace import TracedRequest

NOTABLE_SHARE = 0.01
"""The share of a policy's requests from which a variant matters."""
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
    found = [*_of_trace(recording), *_of_variants(recording)]
    for each in estimates:
        found += _of_estimate(each)
    return found


def _of_trace(recording: Recording) -> Iterator[str]:
    answered = _answered(recording)
    missing = [
        name for name in NEW_FIELDS if sum(not getattr(each, name) for each in answered) > len(answered) / 2
    ]
    if missing:
        yield (
            f"most requests lack {', '.join(missing)}, which version 0.1.0 does not record, so that service "
            "times are inferred and each variant is taken to serve one request at a time: record it again"
        )
    if all(each.propensity == 1.0 for each in answered):
        yield (
            "nothing was drawn (every propensity is 1), so that only the model says what other choices would "
            "have cost: record with a policy that draws, such as p2c, or during an experiment"
        )
    refused = sum(request.refusal is not None for request in recording.requests)
    if refused > NOTABLE_SHARE * len(recording.requests):
        yield f"{refused:,} requests were refused: the estimates serve them, too"
    failures = sum(len(request.failures) for request in recording.requests)
    if failures > NOTABLE_SHARE * len(recording.requests):
        yield f"{failures:,} attempts failed: no variant fails in the estimates"


def _of_variants(recording: Recording) -> Iterator[str]:
    candidates = {each.variant for request in recording.requests for each in request.candidates}
    rare = sorted(candidates - set(recording.executed))
    if rare:
        yield f"{', '.join(rare)} answered too few requests to be fitted: the estimates are without them"


def _of_estimate(found: Estimate) -> Iterator[str]:
    for variant, share in found.shares.items():
        effective = found.effective[variant]
        if share >= NOTABLE_SHARE and effective < FEWEST_EFFECTIVE:
            yield (
                f"{found.policy} sends {share:.0%} of the requests to {variant}, where only {effective:.1f} "
                "recorded executions agree with it: its estimate rests on the model alone"
            )


def _answered(recording: Recording) -> list[TracedRequest]:
    return [request for request in recording.requests if request.latency_ms is not None]
