"""JSON report of comparisons."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from router_tools.simulator.capacity import offered_load
from router_tools.simulator.comparison import Comparison
from router_tools.simulator.metrics import RunMetrics
from router_tools.simulator.suite import Outcome
from router_tools.simulator.summary import flatten, means


def as_json(comparisons: Sequence[Comparison], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the metrics of each seed and their means by case and policy, and the outcomes of targets.

    Metrics that could not be computed are null.
    """
    return {
        "cases": [_case(comparison) for comparison in comparisons],
        "targets": [
            asdict(outcome.target)
            | {"case": outcome.case, "value": _number(outcome.value), "met": outcome.met}
            for outcome in outcomes
        ],
    }


def _case(comparison: Comparison) -> dict[str, Any]:
    case = comparison.case
    workload = case.workload
    return {
        "name": case.name,
        "world": case.world.name,
        "calm": case.world == case.world.calm(),
        "workload": workload.name,
        "load": offered_load(case.world, workload),
        "requests": workload.requests,
        "warm_up_batch_sizes": list(workload.warm_up_batch_sizes),
        "coverage": case.coverage,
        "seeds": list(comparison.seeds),
        "policies": {policy: _policy(runs) for policy, runs in comparison.metrics.items()},
    }


def _policy(runs: Sequence[RunMetrics]) -> dict[str, Any]:
    return {
        "mean": {name: _number(value) for name, value in means(runs).items()},
        "by_seed": [{name: _number(value) for name, value in flatten(metrics).items()} for metrics in runs],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
