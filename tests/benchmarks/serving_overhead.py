"""What the router costs on a real server, against pass-throughs that decide nothing.

    python -m tests.benchmarks.serving_overhead [--analyzer PATH_TO_perf_analyzer] [--json]

Four models lead to the same tiny variant: `echo` itself, `sync` (BLS as documented), `bare` (response
sender, threads, exec) and `routed` (this router, with three slower candidates beside the variant, so that
four are scored for each request). They are measured in turn, round after round, and compared by the median
of the ratios of each round: machines that others share make absolute figures wander.
"""

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.load_generator import Load, measure
from tools.embedded_triton import EmbeddedTriton

MODELS = Path(__file__).parent / "models"
PATHS = ("echo", "sync", "bare", "routed")
COLUMNS = ("path", "requests/s", "p50 us", "p99 us", "requests/s : bare", "p50 : bare", "requests/s : sync")
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
    """Write a model's folder, with the code of that name where it has any."""
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)
    if code is not None:
        shutil.copy(MODELS / code / "model.py", repository / name / "1" / "model.py")


def make_repository(folder: Path) -> None:
    """Write the repository of the benchmark."""
    for name in ("echo", "sync", "bare"):
        add_model(folder, name, name)
    for number, delay_ms in enumerate((20, 30, 40), start=1):
        add_model(folder, f"slow_{number}", "echo", VARIANT + DELAY % delay_ms)
    add_model(folder, "routed", None, ROUTER)


def run(
    rounds: Annotated[int, typer.Option(help="How often each path is measured.")] = 7,
    seconds: Annotated[float, typer.Option(help="Length of one measurement.")] = 2.0,
    analyzer: Annotated[str | None, typer.Option(help="Triton's perf_analyzer; else tritonclient.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the four paths at 1 and 9 concurrent requests and print ratios."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder))
        with EmbeddedTriton(Path(folder)) as triton:
            measure(triton.grpc_url, "routed", 9, seconds, analyzer)
            results: dict[tuple[str, int], list[Load]] = {(p, c): [] for p in PATHS for c in (1, 9)}
            for _ in track(range(rounds), "rounds", console=Console(stderr=True)):
                for (path, concurrency), loads in results.items():
                    loads.append(measure(triton.grpc_url, path, concurrency, seconds, analyzer))
    for concurrency in (1, 9):
        console.print(_table(concurrency, {path: results[path, concurrency] for path in PATHS}))


def _table(concurrency: int, loads: dict[str, list[Load]]) -> Table:
    table = Table(title=f"{concurrency} concurrent requests (medians)")
    for column in (
        "path",
        "requests/s",
        "p50 us",
        "p99 us",
        "requests/s : bare",
        "p50 : bare",
        "requests/s : sync",
    ):
        table.add_column(column, justify="right")
    for path, each in loads.items():
        table.add_row(
            path,
            f"{statistics.median(load.requests_per_s for load in each):.0f}",
            f"{statistics.median(load.p50_us for load in each):.0f}",
            f"{statistics.median(load.p99_us for load in each):.0f}",
            f"{_ratio(each, loads['bare'], 'requests_per_s'):.3f}",
            f"{_ratio(each, loads['bare'], 'p50_us'):.3f}",
            f"{_ratio(each, loads['sync'], 'requests_per_s'):.3f}",
        )
    return table


def _ratio(ones: list[Load], others: list[Load], figure: str) -> float:
    return statistics.median(
        getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)
    )


if __name__ == "__main__":
    typer.run(run)
