"""Ranking of policies."""

from router_tools.simulator.comparison import Comparison
from router_tools.simulator.summary import means


def ranking(comparison: Comparison) -> list[tuple[str, dict[str, float]]]:
    """Return policies with their metrics: by goodput if requests may be refused, else by mean latency."""
    summaries = [(policy, means(runs)) for policy, runs in comparison.metrics.items()]
    if comparison.case.workload.refuse_late:
        return sorted(summaries, key=lambda entry: -entry[1]["in_time"])
    return sorted(summaries, key=lambda entry: entry[1]["mean_ms"])
