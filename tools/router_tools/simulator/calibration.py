"""Quality of the router's predictions."""

from dataclasses import dataclass

import numpy as np

from router_tools.simulator.array import Array
from router_tools.simulator.record import RunRecord

_SKIPPED_EXECUTIONS = 50


@dataclass(frozen=True)
class Calibration:
    """Quality of the predictions on held-out executions.

    Each prediction is made before its execution, so every execution is held out. The first 50 executions of
    each variant after warm-up and failed executions are left out.

    Args:
        executions: the number of executions evaluated.
        service_r2: R² of the predicted service time, 1 - Σ(y - ŷ)² / Σ(y - ȳ)², over all variants.
        latency_r2: R² of the predicted latency, which includes waiting.
        service_error: median of |y - ŷ| / y of the service time.
        latency_error: median of |y - ŷ| / y of the latency.
        coverage: share of latencies within predicted · e^(±half-width).
    """

    executions: int
    service_r2: float
    latency_r2: float
    service_error: float
    latency_error: float
    coverage: float


def held_out(run: RunRecord) -> Array:
    """Return the executions to evaluate: those with a prediction, after the first 50 of each variant."""
    executions = run.executions
    kept = np.zeros(len(executions), dtype=bool)
    for variant in range(len(run.variants)):
        kept[np.flatnonzero(executions["variant"] == variant)[_SKIPPED_EXECUTIONS:]] = True
    return executions[kept & (executions["expected_service_ms"] > 0.0)]


def calibrate(run: RunRecord) -> Calibration:
    """Evaluate the predictions of a run; NaN without executions to evaluate."""
    executions = held_out(run)
    if not len(executions):
        return Calibration(0, *[float("nan")] * 5)
    service = executions["service_ms"], executions["expected_service_ms"]
    latency = executions["latency_ms"], executions["expected_latency_ms"]
    inside = np.abs(np.log(latency[0] / latency[1])) <= executions["half_width"]
    return Calibration(
        executions=len(executions),
        service_r2=_r2(*service),
        latency_r2=_r2(*latency),
        service_error=_median_error(*service),
        latency_error=_median_error(*latency),
        coverage=float(inside.mean()),
    )


def _r2(observed: Array, predicted: Array) -> float:
    spread = float(((observed - observed.mean()) ** 2).sum())
    return 1.0 - float(((observed - predicted) ** 2).sum()) / spread if spread else float("nan")


def _median_error(observed: Array, predicted: Array) -> float:
    return float(np.median(np.abs(observed - predicted) / observed))
