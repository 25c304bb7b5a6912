"""Overhead of the router on a real server, compared with pass-throughs that make no decision.

    python -m tests.benchmarks.serving_overhead [--analyzer PATH_TO_perf_analyzer] [--json]

Four paths lead to the same tiny variant: `echo`, the variant itself; `sync`, BLS as documented; `bare`, with
response sender, threads and exec; and `routed`, this router, with three slower candidates, so that it scores
four variants for each request. They are measured alternately and compared by the median of the ratios within
a round.
"""

import shutil
import tempfile
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.load_generator import Load
from tests.benchmarks.rounds import measure_rounds, median, ratio

MODELS = Path(__file__).parent / "models"
PATHS = ("echo", "sync", "bare", "routed")
VARIANT = """backend: "python"
max_batch_size: 8
input { name: "input" data_type: TYPE_FP32 dims: [16] }
output { name: "output" data_type: TYPE_FP32 dims: [16] }
instance_group { kind: KIND_CPU }
"""
DELAY = 'parameters { key: "delay_ms" value { string_value: "%d" } }'
ROUTER = """backend: "router_backend"
parameters { key: "variants" value { string_value: "echo, slow_1, slow_2, slow_3" } }
"""


def add_model(repository: Path, name: str, code: str | None, config: str = VARIANT) -> None:
    """Write the folder of a model.

    Args:
        repository: the model repository.
        name: the name of the model.
        code: the folder of its code in `models`; `None` if it has no code.
        config: its config.pbtxt.
    """
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    if code is not None:
        shutil.copy(MODELS / code / "model.py", repository / name / "1" / "model.py")


def make_repository(folder: Path) -> None:
    """Write the model repository of the benchmark."""
    for name in ("echo", "sync", "bare"):
        add_model(folder, name, name)
    for number, delay_ms in enumerate((20, 30, 40), start=1):
        add_model(folder, f"slow_{number}", "echo", VARIANT + DELAY % delay_ms)
    add_model(folder, "routed", None, ROUTER)


def run(
    servers: Annotated[int, typer.Option(help="Number of servers, started one after the other.")] = 3,
    rounds: Annotated[int, typer.Option(help="Measurements of each path per server.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of a measurement.")] = 2.0,
    analyzer: Annotated[str | None, typer.Option(help="Command of perf_analyzer; else tritonclient.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the four paths with 1 and 9 concurrent requests and print the ratios."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder))
        results = measure_rounds(Path(folder), PATHS, (1, 9), servers, rounds, seconds, analyzer)
    if as_json:
        typer.echo(dumps({str(number): _figures(loads) for number, loads in results.items()}, indent=2))
        return
    for concurrency, loads in results.items():
        console.print(_table(concurrency, loads))


def _figures(loads: dict[str, list[Load]]) -> dict[str, dict[str, float]]:
    """Return by path the medians over the rounds of its figures and of ratios within a round."""
    return {
        path: {
            "requests/s": median(each, "requests_per_s"),
            "p50 µs": median(each, "p50_us"),
            "p99 µs": median(each, "p99_us"),
            "requests/s : bare": ratio(each, loads["bare"], "requests_per_s"),
            "p50 : bare": ratio(each, loads["bare"], "p50_us"),
            "requests/s : sync": ratio(each, loads["sync"], "requests_per_s"),
        }
        for path, each in loads.items()
    }


def _table(concurrency: int, loads: dict[str, list[Load]]) -> Table:
    table = Table(title=f"{concurrency} concurrent requests (medians)")
    figures = _figures(loads)
    for column in ("path", *figures["bare"]):
        table.add_column(column, justify="right")
    for path, values in figures.items():
        table.add_row(
            path, *(f"{value:.3f}" if ":" in name else f"{value:.0f}" for name, value in values.items())
        )
    return table


if __name__ == "__main__":
    typer.run(run)
