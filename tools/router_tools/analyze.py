"""`model-router analyze`: characteristics of ONNX files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.variant import Device
from router_backend.core.variants.device_fit import fit
from router_backend.errors import ConfigurationError
from router_backend.path_kind import FOLDER, path_kind
from router_tools.errors import ToolError

UNKNOWN = "?"


def analyze(
    paths: Annotated[
        list[Path], typer.Argument(help="ONNX files, or folders to search, such as a model repository.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Print the characteristics of ONNX files and the devices that they fit, without running them.

    Exit status: 0, or 1 if a file could not be analyzed.
    """
    files = [file for path in paths for file in _files(path)]
    console = Console(stderr=True)
    found: dict[Path, ModelCharacteristics] = {}
    try:
        for file in track(
            files, "analyzing", console=console, transient=True, disable=not console.is_terminal
        ):
            found[file] = analyze_onnx(file)
    except ConfigurationError as error:
        raise ToolError(str(error)) from error
    if as_json:
        typer.echo(json.dumps({str(file): _as_json(each) for file, each in found.items()}, indent=2))
    else:
        Console().print(_table(found))


def _files(path: Path) -> list[Path]:
    if path_kind(path) != FOLDER:
        return [path]
    files = sorted(file for file in path.rglob("*.onnx") if path_kind(file) != FOLDER)
    if not files:
        raise ToolError(f"{path}: expected ONNX files in this folder, found none: choose another folder")
    return files


def _as_json(model: ModelCharacteristics) -> dict[str, Any]:
    return {
        "model_name": model.model_name,
        "parameter_count": model.parameter_count,
        "parameter_bytes": model.parameter_bytes,
        "macs": model.macs,
        "flops": model.flops,
        "activation_bytes": model.activation_bytes,
        "arithmetic_intensity": model.arithmetic_intensity,
        "operators": dict(model.operators),
        "dynamic_dimensions": list(model.dynamic_dimensions),
        "control_flow": list(model.control_flow),
        "quantization": sorted(each.value for each in model.quantization),
        "opset": model.opset,
        "suitability": {device.value: asdict(fit(model, device)) for device in Device},
    }


def _table(found: Mapping[Path, ModelCharacteristics]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold")
    for column in ("parameters", "MB", "GMAC", "act. MB", "FLOP/B", "opset"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("remarks")
    for file, model in found.items():
        table.add_row(
            _name(file),
            f"{model.parameter_count / 1e6:.2f} M",
            f"{model.parameter_bytes / 1e6:.1f}",
            _number(model.macs, 1e9),
            _number(model.activation_bytes, 1e6),
            _number(model.arithmetic_intensity, 1.0),
            str(model.opset),
            ", ".join(_remarks(model)),
        )
    return table


def _name(file: Path) -> str:
    """Return model and version of a file in a model repository, `model/version/file.onnx`; else its name."""
    in_repository = file.parent.name.isdecimal() and file.parent.parent.name
    return f"{file.parent.parent.name}/{file.parent.name}" if in_repository else file.stem


def _number(value: float | None, unit: float) -> str:
    return UNKNOWN if value is None else f"{value / unit:.2f}"


def _remarks(model: ModelCharacteristics) -> list[str]:
    dynamic = [f"{dimension} is dynamic" for dimension in model.dynamic_dimensions]
    reasons = [(device, fit(model, device).reason_out) for device in Device]
    unfit = [f"not on {device.value}: {reason}" for device, reason in reasons if reason is not None]
    return [*sorted(each.value for each in model.quantization), *dynamic, *unfit]
