"""Models measured in turn, round after round: machines that others share make absolute figures wander."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track

from tests.benchmarks.load_generator import Load, measure

Loads = dict[str, list[Load]]


def measure_rounds(
    url: str,
    models: Sequence[str],
    concurrencies: Sequence[int],
    rounds: int,
    seconds: float,
    analyzer: str | None,
) -> dict[int, Loads]:
    """By concurrency and model, what each round gave; every other round goes through the models backwards."""
    measure(url, models[-1], max(concurrencies), seconds, analyzer)
    results: dict[int, Loads] = {number: {model: [] for model in models} for number in concurrencies}
    for round_number in track(range(rounds), "rounds", console=Console(stderr=True)):
        for concurrency, loads in results.items():
            for model in models if round_number % 2 else reversed(models):
                loads[model].append(measure(url, model, concurrency, seconds, analyzer))
    return results


def median(loads: list[Load], figure: str) -> float:
    """Of a figure over the rounds."""
    return statistics.median(getattr(load, figure) for load in loads)


def ratio(ones: list[Load], others: list[Load], figure: str) -> float:
    """The median of the ratios of each round."""
    return statistics.median(
        getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)
    )
