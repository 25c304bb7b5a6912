"""What clients may ask of the router itself, as JSON types: a decision, or the state of its devices."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.ranking import CandidateReport
from router_backend.core.dispatch import Attempt, Hedge
from router_backend.core.records.basis import Basis
from router_backend.core.router import ModelRouter


def explain(
    decision: RoutingDecision,
    observed_ms: float | None,
    failures: Sequence[Attempt],
    hedge: Hedge | None = None,
) -> dict[str, Any]:
    """Return the decision that served a request, the latency observed, and other attempts at it.

    There is no latency in a dry run.
    """
    arm = decision.arm
    guessed = decision.basis is Basis.GUESS
    return {
        "variant": decision.variant,
        "device": decision.device.value,
        "policy": decision.policy,
        "experiment": arm.experiment_id if arm is not None else None,
        "arm": arm.name if arm is not None else None,
        "predicted_ms": None if guessed else _rounded(decision.expected_latency_ms),
        "interval_ms": None if guessed else [_rounded(bound) for bound in decision.expected_interval_ms],
        "basis": decision.basis.value,
        "observed_ms": _rounded(observed_ms),
        "confidence": round(decision.confidence, 3),
        "propensity": decision.propensity,
        "probe": decision.probe,
        "reason": decision.reason,
        "fallbacks": list(decision.fallbacks),
        "expected_memory_mb": _rounded(decision.expected_memory_mb),
        "expected_power_w": _rounded(decision.expected_power_w),
        "failed": [{"variant": attempt.variant, "error": attempt.message} for attempt in failures],
        "hedged": None if hedge is None else _hedged(hedge),
        "candidates": [_candidate(candidate) for candidate in decision.candidates],
    }


def _hedged(hedge: Hedge) -> dict[str, Any]:
    return {
        "first": hedge.first.variant,
        "second": hedge.second.variant,
        "after_ms": _rounded(hedge.after_ms),
    }


def report(router: ModelRouter) -> dict[str, Any]:
    """Return the capabilities and state of a router's devices, and the results of its experiments so far."""
    return {
        "backends": {device.value: asdict(state) for device, state in router.backends().items()},
        "experiments": {
            experiment_id: {name: asdict(on_model) for name, on_model in found.models.items()}
            for experiment_id, found in router.experiments.reports().items()
        },
    }


def _candidate(candidate: CandidateReport) -> dict[str, Any]:
    return {
        "variant": candidate.variant,
        "device": candidate.device.value,
        "score": round(candidate.score, 4),
        "predicted_ms": _rounded(candidate.expected_latency_ms),
        "basis": candidate.basis.value if candidate.basis else None,
        "reason_out": candidate.reason_out,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
