"""Overhead of the router on a real server, on both hosts, compared with its variant and pass-throughs.

    python -m tests.benchmarks.serving_overhead [--analyzer PATH_TO_perf_analyzer] [--json]

Five paths lead to the same variant: `echo`, the variant itself; `sync`, BLS as documented; `bare`, with
response sender, threads and exec; `python` and `native`, this router on its two hosts, with three slower
candidates, so that it scores four variants for each request. They are measured alternately and compared by
the median of the ratios within a round. The tensors have 16 elements, which takes next to no time to copy;
for one client, they are also measured with as many as an image has.
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
PATHS = ("echo", "sync", "bare", "python", "native")
SMALL, LARGE = 16, 150_000
"""Elements of the tensors, of 4 bytes each."""
VARIANT = """backend: "python"
max_batch_size: 8
input { name: "input" data_type: TYPE_FP32 dims: [ELEMENTS] }
output { name: "output" data_type: TYPE_FP32 dims: [ELEMENTS] }
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


def make_repository(folder: Path, elements: int) -> None:
    """Write the model repository of the benchmark, for tensors of a number of elements."""
    variant = VARIANT.replace("ELEMENTS", str(elements))
    for name in ("echo", "sync", "bare"):
        add_model(folder, name, name, variant)
    for number, delay_ms in enumerate((20, 30, 40), start=1):
        add_model(folder, f"slow_{number}", "echo", variant + DELAY % delay_ms)
    add_model(folder, "python", "router", ROUTER.replace("router_backend", "python"))
    add_model(folder, "native", None, ROUTER)


def run(
    servers: Annotated[int, typer.Option(help="Number of servers, started one after the other.")] = 3,
    rounds: Annotated[int, typer.Option(help="Measurements of each path per server.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of a measurement.")] = 2.0,
    concurrency: Annotated[list[int], typer.Option(help="Concurrent requests.")] = [1, 9, 17, 33],  # noqa: B006
    analyzer: Annotated[str | None, typer.Option(help="Command of perf_analyzer; else tritonclient.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the paths and print their ratios to the variant itself."""
    results = {}
    for elements, concurrencies in ((SMALL, concurrency), (LARGE, [1])):
        with tempfile.TemporaryDirectory() as folder:
            make_repository(Path(folder), elements)
            by_concurrency = measure_rounds(
                Path(folder), PATHS, concurrencies, servers, rounds, seconds, analyzer, elements
            )
        for number, loads in by_concurrency.items():
            results[f"{number} clients, {4 * elements:,} bytes"] = _figures(loads)
    if as_json:
        typer.echo(dumps(results, indent=2))
        return
    for title, figures in results.items():
        Console().print(_table(title, figures))


def _figures(loads: dict[str, list[Load]]) -> dict[str, dict[str, float]]:
    """Return by path the medians over the rounds of its figures and of ratios within a round."""
    direct = loads["echo"]
    return {
        path: {
            "requests/s": median(each, "requests_per_s"),
            "p50 µs": median(each, "p50_us"),
            "p99 µs": median(each, "p99_us"),
            "CPU µs": median(each, "cpu_us"),
            "requests/s : direct": ratio(each, direct, "requests_per_s"),
            "p50 : direct": ratio(each, direct, "p50_us"),
            "p99 : direct": ratio(each, direct, "p99_us"),
            "requests/s : bare": ratio(each, loads["bare"], "requests_per_s"),
            "CPU : python": ratio(each, loads["python"], "cpu_us"),
        }
        for path, each in loads.items()
    }


def _table(title: str, figures: dict[str, dict[str, float]]) -> Table:
    table = Table(title=f"{title} (medians)")
    for column in ("path", *figures["echo"]):
        table.add_column(column, justify="right")
    for path, values in figures.items():
        table.add_row(
            path, *(f"{value:.3f}" if ":" in name else f"{value:.0f}" for name, value in values.items())
        )
    return table


if __name__ == "__main__":
    typer.run(run)
