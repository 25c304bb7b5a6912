"""One of the two sides of an experiment, and what was counted for it."""

from __future__ import annotations

from collections.abc import Callable

from router_backend.core.choosing.decision import Execution
from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.policies.picker import Picker

CONTROL = "control"
TREATMENT = "treatment"


class Arm:
    """A policy in an experiment, with counts that are changed in place.

    Its name is CONTROL or TREATMENT. `on_end` is called with how each attempt of its requests ended.

    Attributes:
        answers: requests that were answered with a latency.
        failures: requests whose variant failed.
        latency_ms: sum over the answers of warm variants.
        latencies: distribution of these.
        variants: answers and failures by variant.
    """

    __slots__ = (
        "_on_end",
        "answers",
        "experiment_id",
        "failures",
        "latencies",
        "latency_ms",
        "name",
        "picker",
        "variants",
    )

    def __init__(
        self, experiment_id: str, name: str, picker: Picker, on_end: Callable[[Arm, Execution], None]
    ) -> None:
        self.experiment_id = experiment_id
        self.name = name
        self.picker = picker
        self._on_end = on_end
        self.answers = 0
        self.failures = 0
        self.latency_ms = 0.0
        self.latencies = LatencyHistogram()
        self.variants: dict[str, int] = {}

    def observe(self, execution: Execution) -> None:
        """Report how an attempt of one of its requests ended."""
        self._on_end(self, execution)

    def answered(self, variant: str, latency_ms: float, *, warm: bool) -> None:
        """Count an answer, and its latency if the variant is warm."""
        self.answers += 1
        if warm:
            self.latency_ms += latency_ms
            self.latencies.update(latency_ms)
        self.variants[variant] = self.variants.get(variant, 0) + 1

    def failed(self, variant: str) -> None:
        """Count a failure."""
        self.failures += 1
        self.variants[variant] = self.variants.get(variant, 0) + 1
