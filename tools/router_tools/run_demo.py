"""`model-router demo`: serve the demo repository and compare the router, on each host, with its variants."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from router_tools.demo.architecture import ARCHITECTURES
from router_tools.demo.images import random_images
from router_tools.demo.repository import variant_names
from router_tools.demo_repository import make_repository, print_repository
from router_tools.embedded_triton import EmbeddedTriton, RouterHost
from router_tools.embedded_triton.repository import MODEL_REPOSITORY
from router_tools.embedded_triton.wheel import find_wheel
from router_tools.serve import models_table
from router_tools.traffic.comparison import COMPARED_FROM, BatchFigures, Comparison
from router_tools.traffic.model_client import ModelClient

Figures = dict[str, dict[str, list[BatchFigures]]]
"""By router and host."""


def demo(
    model_repository: Annotated[
        Path, typer.Option(help="Folder in which the demo's models are written and served.")
    ] = MODEL_REPOSITORY,
    requests: Annotated[
        int, typer.Option(min=COMPARED_FROM + 20, help="Number of requests to each of the two models.")
    ] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the batch sizes and the images.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON alone.")] = False,
) -> None:
    """Make the demo's models, serve them, and compare the router with its variants.

    Batches of 1, 2, 4 and 8 images are sent to the router in random order. From request 200 on, each batch is
    also sent directly to every ready variant, so that all are measured under the same load of the machine. If
    the native library is there, this is done on two servers: one runs the routers itself, the other one in a
    process of Triton's Python backend.
    """
    console = Console(stderr=as_json)
    find_wheel()  # fail before the models are made if this machine cannot run the server
    print_repository(console, *make_repository(model_repository))
    figures: Figures = {architecture.name: {} for architecture in ARCHITECTURES}
    for host in RouterHost.present():
        with EmbeddedTriton(model_repository, router_host=host) as triton:
            console.print(models_table(triton.models()), f"The {host.value} host runs the routers.")
            console.print("Variants without a device here are UNAVAILABLE; the routers do not use them.")
            ready = {model.name for model in triton.models() if model.state == "READY"}
            client = ModelClient(triton.grpc_url)
            for router, by_host in figures.items():
                variants = [name for name in variant_names(router) if name in ready]
                by_host[host.value] = _compare(client, router, variants, requests, seed)
                console.print(f"What {router} would do with 8 images now (a dry run):")
                console.print_json(data=client.explain(router, random_images(8, seed)))
    for router, by_host in figures.items():
        console.print(_table(router, by_host))
    if as_json:
        typer.echo(json.dumps(figures, default=asdict))


def _compare(
    client: ModelClient, router: str, variants: list[str], requests: int, seed: int
) -> list[BatchFigures]:
    comparison = Comparison(client, router, variants, random.Random(seed))
    for _ in track(range(requests), f"{router}: {requests} requests", console=Console(stderr=True)):
        comparison.step()
    return comparison.figures()


def _table(router: str, by_host: dict[str, list[BatchFigures]]) -> Table:
    (first, *_), *_ = by_host.values()
    table = Table(title=f"{router}: mean latency in ms from request {COMPARED_FROM} on")
    variants = (name.removeprefix(f"{router}_") for name in first.variants_ms)
    for column in ("batch", "host", "requests", "router", *variants, "router : best"):
        table.add_column(column, justify="right", no_wrap=True)
    for rows in zip(*by_host.values(), strict=True):
        for host, row in zip(by_host, rows, strict=True):
            means = (f"{mean:.1f}" for mean in (row.router_ms, *row.variants_ms.values()))
            table.add_row(str(row.batch_size), host, str(row.requests), *means, f"{row.router_to_best:.3f}")
    return table
