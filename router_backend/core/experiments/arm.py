"""One of the two sides of an experiment, and what was counted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.policies.base import Policy

if TYPE_CHECKING:  # the experiment that runs makes its arms
    from router_backend.core.experiments.running_experiment import RunningExperiment

CONTROL = "control"
TREATMENT = "treatment"


class Arm:
    """A policy on trial. Plain numbers, changed in place: every request of the experiment passes here.

    Args:
        running: the experiment that it is an arm of.
        name: CONTROL or TREATMENT.
        policy: what decides for its requests.

    Attributes:
        answers: requests that were answered with a latency.
        failures: requests whose variant failed.
        latency_ms: of all answers, in all.
        latencies: how these were spread.
        variants: answers and failures by variant.
    """

    __slots__ = ("answers", "failures", "latencies", "latency_ms", "name", "policy", "running", "variants")

    def __init__(self, running: RunningExperiment, name: str, policy: Policy) -> None:
        self.running = running
        self.name = name
        self.policy = policy
        self.answers = 0
        self.failures = 0
        self.latency_ms = 0.0
        self.latencies = LatencyHistogram()
        self.variants: dict[str, int] = {}

    @property
    def experiment_id(self) -> str:
        """The name of the experiment."""
        return self.running.experiment.experiment_id

    def answered(self, variant: str, latency_ms: float) -> None:
        """Count an answer."""
        self.answers += 1
        self.latency_ms += latency_ms
        self.latencies.update(latency_ms)
        self.variants[variant] = self.variants.get(variant, 0) + 1

    def failed(self, variant: str) -> None:
        """Count a failure."""
        self.failures += 1
        self.variants[variant] = self.variants.get(variant, 0) + 1
