"""How many requests it takes until the guardrails stop a treatment that is twice as slow.

    python -m tests.benchmarks.guardrail_power

Each cell is the number of experiments that were stopped within 20,000 requests, and the median of the
requests that these took. The answers of a user have log-normal latencies around a mean of the user's own.
"""

import random
import statistics
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from router_backend.core.experiments.guard import Guard
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.latency_histogram import LatencyHistogram

REQUESTS = 20_000
SLOWER = 2.0
NOISE = 0.3
"""Standard deviation of the logarithm of a user's latencies; about as much relative to their mean."""
SPREADS = (0.6, 1.0)
"""The same for the means of the users."""
FRACTIONS = (0.5, 0.1)
USERS = (0, 3000, 1000, 300, 100, 30)
"""Numbers of users who send equally many requests; 0: the requests have no unit."""


def requests_until_stopped(seed: int, users: int, fraction: float, spread: float) -> int | None:
    """Return after how many requests a treatment is stopped; `None` if it is not."""
    rng = random.Random(seed)
    control = LatencyHistogram()
    guard = Guard(Guardrails(), control)
    known = [(rng.random() < fraction, rng.lognormvariate(0.0, spread)) for _ in range(users)]
    for sent in range(1, REQUESTS + 1):
        if users:
            user = rng.randrange(users)
            unit, (treated, usual_ms) = f"user-{user}", known[user]
        else:
            unit, treated, usual_ms = "", rng.random() < fraction, rng.lognormvariate(0.0, spread)
        latency_ms = usual_ms * rng.lognormvariate(0.0, NOISE) * (SLOWER if treated else 1.0)
        if guard.answered(treated, latency_ms, fraction, unit):
            return sent
        if not treated:
            control.update(latency_ms)
    return None


def main(experiments: Annotated[int, typer.Option(help="experiments per cell")] = 40) -> None:
    """Print how many experiments are stopped."""
    table = Table("users", *(f"share {share:g}, spread {each:g}" for each in SPREADS for share in FRACTIONS))
    for users in USERS:
        row = []
        for spread in SPREADS:
            for fraction in FRACTIONS:
                ends = [requests_until_stopped(seed, users, fraction, spread) for seed in range(experiments)]
                stopped = [end for end in ends if end is not None]
                after = f" after {statistics.median(stopped):.0f}" if stopped else ""
                row.append(f"{len(stopped)}{after}")
        table.add_row(str(users or "no units"), *row)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
