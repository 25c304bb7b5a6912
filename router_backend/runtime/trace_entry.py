"""What a trace says about one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.dispatch import Attempt, Hedge
from router_backend.core.records.outcome import Refusal
from router_backend.core.records.request import RoutingContext


class Traced(NamedTuple):
    """A request that ended.

    Args:
        context: the request.
        arrived_s: when it arrived, by the router's clock.
        execution: how the attempt ended that answered it; `None` if none did.
        failures: the attempts that failed.
        refusal: why it got no answer; `None` if it did, or if variants failed it.
        deadline_ms: its deadline if it was not routed; `None` if it has none.
        hedge: its second copy; `None` if there was none.
    """

    context: RoutingContext
    arrived_s: float
    execution: Execution | None = None
    failures: Sequence[Attempt] = ()
    refusal: Refusal | None = None
    deadline_ms: float | None = None
    hedge: Hedge | None = None


def entry_of(traced: Traced, epoch_s: float = 0.0) -> dict[str, Any]:
    """Return a line of a trace as JSON types, without what says nothing.

    `TraceLine` of the simulator describes it.

    Args:
        traced: the request.
        epoch_s: the time of day at which the router's clock was 0.
    """
    context, execution = traced.context, traced.execution
    entry = {
        "arrival_s": round(epoch_s + traced.arrived_s, 6),
        "batch_size": context.batch_size,
        "elements": context.elements or None,  # the batch size says enough
        "goal": context.optimization_goal and context.optimization_goal.value,
        "deadline_ms": _deadline_ms(traced),
        **({} if execution is None else _answered(_chosen(traced, execution), traced.arrived_s)),
        "hedge": traced.hedge and _hedge(traced.hedge, execution),
        "failures": [
            {"variant": each.variant, "fault": each.fault.value} for each in traced.failures if each.fault
        ],
        "refusal": traced.refusal and traced.refusal.value,
    }
    return {key: value for key, value in entry.items() if value not in (None, [])}


def _hedge(hedge: Hedge, execution: Execution | None) -> dict[str, Any]:
    won = execution is not None and execution.decision is hedge.second
    return {"variant": hedge.second.variant, "after_ms": round(hedge.after_ms, 3), "won": won}


def _deadline_ms(traced: Traced) -> float | None:
    attempts = traced.failures
    decided = traced.execution or (attempts[0] if attempts else None)
    if decided is None:
        return traced.deadline_ms
    decision = decided.decision
    if decision.deadline_ms is None:
        return None
    return round(decision.deadline_ms + decision.context.spent_ms, 3)


def _chosen(traced: Traced, execution: Execution) -> Execution:
    """Return the answer as that of the variant that was chosen for the request, though a copy was faster.

    Its propensity is that of a choice about every such request. A copy is only sent of requests that are
    slow, so it has none.
    """
    hedge = traced.hedge
    if hedge is None or execution.decision is not hedge.second or traced.failures:
        return execution
    latency_ms = None if execution.latency_ms is None else execution.latency_ms + hedge.after_ms
    return execution._replace(decision=hedge.first, latency_ms=latency_ms, service_ms=None)


def _answered(execution: Execution, arrived_s: float) -> dict[str, Any]:
    decision = execution.decision
    arm = decision.arm
    latency_ms = round(execution.latency_ms or 0.0, 3)
    return {
        "policy": decision.policy,
        "experiment": arm and arm.experiment_id,
        "arm": arm and arm.name,
        "variant": decision.variant,
        "device": decision.device.value,
        "propensity": decision.propensity,
        "queued_ms": round(max(0.0, decision.now_s - arrived_s) * 1e3, 3),
        "latency_ms": latency_ms or None,
        "service_ms": min(round(execution.service_ms or 0.0, 3), latency_ms) or None,
        "candidates": _candidates(decision),
    }


def _candidates(decision: RoutingDecision) -> list[dict[str, Any]]:
    return [
        {
            "variant": variant.name,
            "concurrency": variant.concurrency,
            "wait_ms": round(wait_ms, 3),
            "service_ms": round(service_ms, 3),
            "basis": basis.value,
        }
        for variant, _, wait_ms, service_ms, _, basis in decision.scored
    ]
