"""`model-router serve`: run a Triton server on a model repository until SIGINT or SIGTERM."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals, signal
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router_tools.embedded_triton import EmbeddedTriton, ModelStatus
from router_tools.embedded_triton.backend_directory import PYTHON_BACKEND
from router_tools.embedded_triton.explanation import ended_while_serving
from router_tools.embedded_triton.ports import choose_ports
from router_tools.embedded_triton.repository import MODEL_REPOSITORY
from router_tools.errors import ToolError
from router_tools.supervision import keep_running

Port = Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")]
Announce = Callable[[EmbeddedTriton, list[ModelStatus]], None]


def serve(
    model_repository: Annotated[
        Path, typer.Option(help="Folder with one folder for each model.")
    ] = MODEL_REPOSITORY,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every interface.")
    ] = "127.0.0.1",
    http_port: Port = 8000,
    grpc_port: Port = 8001,
    metrics_port: Port = 8002,
    thread_pool_size: Annotated[
        int, typer.Option(min=1, help="Requests that a router model may forward at a time.")
    ] = 64,
    log: Annotated[int, typer.Option(min=0, help="Level of the server's verbose log.")] = 0,
    log_file: Annotated[
        Path | None, typer.Option(help="Keep the server's log here, and that of the run before beside it.")
    ] = None,
    ready_timeout_s: Annotated[float, typer.Option(help="How long the models may take to load.")] = 120.0,
    exit_on_error: Annotated[bool, typer.Option(help="End if a model fails to load.")] = False,
    supervise: Annotated[bool, typer.Option(help="Start the server again if it dies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready.")] = False,
    server_arguments: Annotated[
        list[str] | None, typer.Argument(help="Further arguments of tritonserver, after `--`.")
    ] = None,
) -> None:
    """Serve a model repository until SIGINT or SIGTERM.

    Exit status: 0 after SIGINT or SIGTERM; 1 if the server could not start, or ended by itself without
    --supervise; 128 plus the signal's number if the signal arrived before the server was ready.
    """
    ports = choose_ports(host, http_port or None, grpc_port or None, metrics_port or None)
    make_server = partial(
        EmbeddedTriton,
        model_repository,
        host=host,
        http_port=ports[0],
        grpc_port=ports[1],
        metrics_port=ports[2],
        backend_settings={PYTHON_BACKEND: {"thread-pool-size": thread_pool_size}},
        exit_on_error=exit_on_error,
        extra_arguments=[f"--log-verbose={log}", *(server_arguments or ())],
        log_file=log_file,
    )
    signals = _Signals()
    announce = _print_json if as_json else _print_table
    run = partial(_run, make_server, signals, ready_timeout_s, announce)
    if supervise:
        keep_running(run, is_stopped=lambda: signals.came is not None)
    else:
        run()


EXIT_TIMEOUT = "Exit timeout expired"
"""In the log of a server that was stopped, but waited in vain for a model whose process had died before."""


class _Signals:
    """Forwards SIGINT and SIGTERM to the server of the moment, and keeps the last one."""

    def __init__(self) -> None:
        self.triton: EmbeddedTriton | None = None
        self.came: Signals | None = None
        signal(SIGINT, self)
        signal(SIGTERM, self)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.came = Signals(number)
        if self.triton is not None:
            self.triton.send_signal(self.came)


def _run(
    make_server: Callable[[], EmbeddedTriton], signals: _Signals, ready_timeout_s: float, announce: Announce
) -> None:
    """Run a server until a signal ends it.

    Raises:
        ToolError: it could not start, or ended by itself.
    """
    triton = signals.triton = make_server()
    try:
        triton.start()
        announce(triton, _wait_ready(triton, signals, ready_timeout_s))
        returncode = triton.wait_end()
    finally:
        triton.stop()
    if signals.came is None or not (returncode == 0 or EXIT_TIMEOUT in triton.log_text()):
        raise ended_while_serving(returncode, triton.log_text())


def _wait_ready(triton: EmbeddedTriton, signals: _Signals, timeout_s: float) -> list[ModelStatus]:
    if signals.came:  # before the server was started
        triton.send_signal(signals.came)
    try:
        with Console(stderr=True).status("Waiting for the models to load"):
            return triton.wait_ready(timeout_s)
    except ToolError:
        if signals.came:
            raise typer.Exit(128 + signals.came) from None
        raise


def _print_json(triton: EmbeddedTriton, models: list[ModelStatus]) -> None:
    report = {
        "http_url": triton.http_url,
        "grpc_url": triton.grpc_url,
        "metrics_url": triton.metrics_url,
        "pid": triton.pid,
        "log_file": str(triton.log_file),
        "models": [asdict(model) for model in models],
    }
    typer.echo(json.dumps(report))


def models_table(models: list[ModelStatus]) -> Table:
    """Return a table of the state of each model."""
    table = Table()
    for column in ("Model", "Version", "State"):
        table.add_column(column, no_wrap=True)
    table.add_column("Why not ready")
    for model in models:
        color = "green" if model.state == "READY" else "red"
        table.add_row(model.name, model.version, Text(model.state, color), Text(model.reason))
    return table


def _print_table(triton: EmbeddedTriton, models: list[ModelStatus]) -> None:
    console = Console()
    console.print(models_table(models))
    for name, url in (("HTTP", triton.http_url), ("gRPC", triton.grpc_url), ("metrics", triton.metrics_url)):
        console.print(f"{name:8}{url}", highlight=False)
    console.print(f"{'log':8}{triton.log_file}", highlight=False)
    console.print("Ctrl-C stops the server.")
