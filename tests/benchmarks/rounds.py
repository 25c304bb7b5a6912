"""Alternating measurements of several models, in rounds and on several servers.

Absolute figures drift on shared machines, so ratios are computed within a round. The memory layout of the
server's processes causes differences of up to 5 % between two starts, so several servers are started.
"""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
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
    elements: int = 16,
) -> dict[int, Loads]:
    """Measure each model in each round on each server, in reverse order in every other round.

    Args:
        repository: the model repository.
        models: the names of the models.
        concurrencies: the numbers of concurrent requests.
        servers: the number of servers, started one after the other.
        rounds: the number of rounds per server.
        seconds: the length of each measurement.
        analyzer: the command of perf_analyzer; `None` to use tritonclient.
        elements: the number of elements of their input.

    Returns:
        By concurrency and model, the results of all rounds.
    """
    results: dict[int, Loads] = {number: {model: [] for model in models} for number in concurrencies}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("rounds", total=servers * rounds)
        for _ in range(servers):
            with EmbeddedTriton(repository) as triton:
                call = partial(measure, triton.pid, triton.grpc_url, elements, seconds, analyzer)
                call(models[-1], max(concurrencies))
                for number in range(rounds):
                    in_turn = models if number % 2 else models[::-1]
                    _measure_round(call, in_turn, results)
                    progress.advance(task)
    return results


def _measure_round(
    call: Callable[[str, int], Load], models: Sequence[str], results: dict[int, Loads]
) -> None:
    for concurrency, loads in results.items():
        for model in models:
            loads[model].append(call(model, concurrency))


def median(loads: list[Load], figure: str) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(getattr(load, figure) for load in loads)


def ratio(ones: list[Load], others: list[Load], figure: str) -> float:
    """Return the median over the rounds of the ratio of a figure within a round."""
    return statistics.median(
        getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)
    )
