"""Cost of the router's metrics: throughput with nine clients, with and without metrics.

    python -m tests.benchmarks.metrics_cost [--analyzer PATH_TO_perf_analyzer]

Two routers forward to the same tiny variant, with three slower candidates. They only differ in the setting
`metrics`, and are measured alternately.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.benchmarks.rounds import measure_rounds, median, ratio
from tests.benchmarks.serving_overhead import ROUTER, add_model, make_repository

CLIENTS = 9
OFF = 'parameters { key: "metrics" value { string_value: "false" } }'


def run(
    servers: Annotated[int, typer.Option(help="Number of servers, started one after the other.")] = 4,
    rounds: Annotated[int, typer.Option(help="Measurements of each router per server.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of a measurement.")] = 2.0,
    analyzer: Annotated[str | None, typer.Option(help="Command of perf_analyzer; else tritonclient.")] = None,
) -> None:
    """Print requests per second with and without metrics, and the median ratio over the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder), elements=16)
        add_model(Path(folder), "unmetered", None, ROUTER + OFF)
        results = measure_rounds(
            Path(folder), ("native", "unmetered"), (CLIENTS,), servers, rounds, seconds, analyzer
        )
    metered, unmetered = results[CLIENTS]["native"], results[CLIENTS]["unmetered"]
    Console().print(
        f"{CLIENTS} clients, {servers * rounds} rounds: "
        f"{median(metered, 'requests_per_s'):.0f} requests/s with, "
        f"{median(unmetered, 'requests_per_s'):.0f} without metrics, "
        f"ratio {ratio(metered, unmetered, 'requests_per_s'):.3f}"
    )


if __name__ == "__main__":
    typer.run(run)
