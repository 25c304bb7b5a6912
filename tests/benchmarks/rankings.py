"""Rankings of policies on the server and in the simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from rich.table import Table


@dataclass(frozen=True)
class Measured:
    """Results of one run of a policy, on the server and in the simulator.

    Args:
        mean_ms: mean latency on the server.
        p99_ms: 99th percentile of the latency on the server.
        simulated_mean_ms: mean latency in the simulator.
        oracle_mean_ms: mean latency of the simulated oracle.
        late_p99_ms: 99th percentile of the delay between scheduled and actual send.
        failed: number of requests that failed on the server.
    """

    mean_ms: float
    p99_ms: float
    simulated_mean_ms: float
    oracle_mean_ms: float
    late_p99_ms: float
    failed: int


class Rankings:
    """Rankings of all policies.

    Args:
        measured: the runs by policy.
        hops_ms: overhead of the idle server, before and after the runs.
    """

    def __init__(self, measured: Mapping[str, Sequence[Measured]], hops_ms: Sequence[float]) -> None:
        self._measured = measured
        self._means = {policy: _means(runs) for policy, runs in measured.items()}
        self._hops_ms = hops_ms
        self._hop_ms = float(np.mean(hops_ms))
        self._oracle_ms = next(iter(self._means.values()))["oracle_mean_ms"]

    def table(self) -> Table:
        """Return a table with both rankings, the best policy on the server first."""
        here, there = self._ranks("mean_ms"), self._ranks("simulated_mean_ms")
        table = Table(title="Emulated devices behind a real server", caption=self._caption(here, there))
        for column in ("policy", "server: mean ms", "p99 ms", "rank", "simulator: mean ms", "rank"):
            table.add_column(column, justify="left" if column == "policy" else "right")
        for column in ("mean : oracle", "mean : (oracle + overhead)", "failed"):
            table.add_column(column, justify="right")
        for policy in sorted(here, key=lambda policy: here[policy]):
            figures = self._means[policy]
            table.add_row(
                policy,
                f"{figures['mean_ms']:.2f}",
                f"{figures['p99_ms']:.1f}",
                f"{here[policy]}",
                f"{figures['simulated_mean_ms']:.2f}",
                f"{there[policy]}",
                f"{figures['mean_ms'] / self._oracle_ms:.3f}",
                f"{figures['mean_ms'] / (self._oracle_ms + self._hop_ms):.3f}",
                f"{figures['failed']:g}",
            )
        return table

    def as_json(self) -> dict[str, object]:
        """Return all results of all runs."""
        runs = {policy: [asdict(each) for each in runs] for policy, runs in self._measured.items()}
        return {"hops_ms": list(self._hops_ms), "oracle_mean_ms": self._oracle_ms, "policies": runs}

    def _ranks(self, figure: str) -> dict[str, int]:
        order = sorted(self._means, key=lambda policy: self._means[policy][figure])
        return {policy: number for number, policy in enumerate(order, start=1)}

    def _caption(self, here: Mapping[str, int], there: Mapping[str, int]) -> str:
        before_ms, after_ms = self._hops_ms
        late_ms = max(figures["late_p99_ms"] for figures in self._means.values())
        return (
            f"Simulated oracle: {self._oracle_ms:.2f} ms. Overhead of the idle server: {before_ms:.2f} ms "
            f"before the runs, {after_ms:.2f} ms after. Pairs of policies ranked differently than in the "
            f"simulator: {self._swapped(here, there) or 'none'}. 1 % of requests were sent more than "
            f"{late_ms:.2f} ms late, which counts as latency."
        )

    def _swapped(self, here: Mapping[str, int], there: Mapping[str, int]) -> str:
        """Return the pairs that are ranked differently, with their difference in the simulator."""
        pairs = [(a, b) for a, b in combinations(here, 2) if (here[a] - here[b]) * (there[a] - there[b]) < 0]
        means = {policy: figures["simulated_mean_ms"] for policy, figures in self._means.items()}
        return ", ".join(
            f"{a} and {b} ({abs(means[a] / means[b] - 1):.1%} apart in the simulator)" for a, b in pairs
        )


def _means(runs: Sequence[Measured]) -> dict[str, float]:
    rows = [asdict(each) for each in runs]
    return {figure: float(np.mean([row[figure] for row in rows])) for figure in rows[0]}
