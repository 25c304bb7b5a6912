"""`model-router emulate`: a model repository of emulated devices, for a world of the simulator."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from router_backend.core.policies.registry import create_policy
from router_backend.errors import ConfigurationError
from router_tools.emulation.model_config import LARGEST_BATCH, emulated_name
from router_tools.emulation.repository import write_repository
from router_tools.errors import ToolError
from router_tools.simulator.catalog import find
from router_tools.simulator.world_file import read_world


def emulate(
    output: Annotated[Path, typer.Option(help="Folder of the model repository; must be new or empty.")],
    world: Annotated[str, typer.Option(help="Name of a world, or path of its file.")] = "resnet50",
    policy: Annotated[str, typer.Option(help="Policy of the router.")] = "latency",
    largest_batch: Annotated[
        int, typer.Option(min=1, max=LARGEST_BATCH, help="Largest batch of variants without a limit.")
    ] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a model repository with an emulated device for each variant of a world, and a router.

    Their outputs are real; their service times are random, as in the world. Drifts, outages and stalls of the
    world are left out.
    """
    read = read_world(find("worlds", world))
    try:
        create_policy(policy).check([emulated_name(variant.name) for variant in read.variants])
    except ConfigurationError as error:
        raise ToolError(str(error)) from error
    models = write_repository(output, read, {read.name: {"policy": policy}}, largest_batch)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "models": models, "router": read.name}))
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"Wrote {', '.join(models)} to {output}")
        console.print(f"Start a server with: model-router serve --model-repository {output}")
