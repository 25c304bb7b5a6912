"""Models measured in turn, round after round, on one server after the other.

Machines that others share make absolute figures wander, so ratios are made within a round. Where a server's
processes come to lie in memory makes up to 5 % between two starts of the same code, so there are several.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from router_tools.embedded_triton import EmbeddedTriton
from tests.benchmarks.load_generator import Load, measure

Loads = dict[str, list[Load]]


def measure_rounds(
    repository: Path,
    models: Sequence[str],
    concurrencies: Sequence[int],
    servers: int,
    rounds: int,
    seconds: float,
    analyzer: str | None,
) -> dict[int, Loads]:
    """By concurrency and model, what each round of each server gave.

    Every other round goes through the models backwards.
    """
    results: dict[int, Loads] = {number: {model: [] for model in models} for number in concurrencies}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("rounds", total=servers * rounds)
        for _ in range(servers):
            with EmbeddedTriton(repository) as triton:
                measure(triton.grpc_url, models[-1], max(concurrencies), seconds, analyzer)
                for number in range(rounds):
                    in_turn = models if number % 2 else models[::-1]
                    _measure_round(triton.grpc_url, in_turn, results, seconds, analyzer)
                    progress.advance(task)
    return results


def _measure_round(
    url: str, models: Sequence[str], results: dict[int, Loads], seconds: float, analyzer: str | None
) -> None:
    for concurrency, loads in results.items():
        for model in models:
            loads[model].append(measure(url, model, concurrency, seconds, analyzer))


def median(loads: list[Load], figure: str) -> float:
    """Of a figure over the rounds."""
    return statistics.median(getattr(load, figure) for load in loads)


def ratio(ones: list[Load], others: list[Load], figure: str) -> float:
    """The median of the ratios of each round."""
    return statistics.median(
        getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)
    )
