"""`model-router check-config`: is a routing configuration valid, and what does it resolve to?"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router_backend.config.load import RouterSetup, read_router_setup, read_routing_file
from router_backend.config.repository import CONFIG_FILE, read_model_config
from router_backend.config.resolve import RoutingConfig
from router_backend.config.schema import RoutingDocument, RoutingRule
from router_backend.core.experiments.name_patterns import common_name
from router_backend.core.records.variant import Device
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_backend.errors import ConfigurationError, Problems, require
from router_backend.path_kind import FOLDER, path_kind
from router_backend.typed_load import fields_of
from router_tools.errors import ToolError

NAMES = {each.name: key for kind in (RoutingDocument, RoutingRule) for key, each in fields_of(kind).items()}
"""What the files call the settings, by their names in the core."""
DEFAULTS = ModelSettings()
COLUMNS = ("policy", "preferred", "weights", "limits", "other", "deadline")
IN_A_COLUMN = frozenset(
    {
        "policy",
        "policy_parameters",
        "preferred_devices",
        "device_weights",
        "device_limits",
        "max_latency_ms",
        "refuse_late",
    }
)
"""The settings that these columns show, by their names in the core."""
ANY_OTHER = "any other model"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a configuration resolves to.

    Args:
        settings: by the name of a router model, or by the pattern of a rule.
        warnings: what is valid, but useless, or would be invalid for a model that does not exist.
        hints: what would make the first requests faster.
    """

    settings: Mapping[str, ModelSettings]
    warnings: tuple[str, ...]
    hints: tuple[str, ...] = ()


def check_config(
    path: Annotated[Path, typer.Argument(help="A routing configuration, or a model repository.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check a routing configuration, or all routers of a repository, and show what each resolves to.

    Exit status: 0; 1 when something is wrong, after everything that is.
    """
    try:
        checked = _check_repository(path) if path_kind(path) == FOLDER else _check_file(path)
    except ConfigurationError as error:
        if as_json:
            typer.echo(json.dumps({"path": str(path), "errors": list(map(asdict, error.problems))}, indent=2))
            raise typer.Exit(1) from None
        raise ToolError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(_as_json(path, checked), indent=2))
    else:
        _print(path, checked)


def _check_file(path: Path) -> Checked:
    config = read_routing_file(path).config
    settings: dict[str, ModelSettings] = {}
    for rule in config.rules:  # of two rules for the same pattern the first counts
        settings.setdefault(rule.model_name_pattern, config.resolve(rule))
    return Checked({**settings, ANY_OTHER: config.resolve(None)}, tuple(_overlaps(path, config)))


def _check_repository(repository: Path) -> Checked:
    problems = Problems()
    routers: list[RouterSetup] = []
    for config_file in sorted(repository.glob(f"*/{CONFIG_FILE}")):
        with problems.collect():
            routers += _read_router(config_file)
    if problems:
        raise ConfigurationError(*dict.fromkeys(problems))  # routers may share a file or a variant
    if not routers:
        raise ToolError(f"{repository}: expected a model repository with a router, found none; name another")
    settings = {router.name: router.settings for router in routers}
    return Checked(settings, tuple(_warnings(routers)), tuple(_hints(routers)))


def _read_router(config_file: Path) -> list[RouterSetup]:
    """The router model of a folder; empty if it is another model."""
    folder = config_file.parent
    message = read_model_config(folder)
    if message.backend != "router_backend" and "variants" not in message.parameters:
        return []
    config: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    found: list[RouterSetup] = []
    problems = Problems()
    with problems.collect(f"model '{folder.name}'"):
        _check_version(folder)
    with problems.collect():
        found.append(read_router_setup({**config, "name": folder.name}, folder.parent))
    problems.raise_if_any()
    return found


def _check_version(folder: Path) -> None:
    """Reject a folder without a version, which Triton does not load."""
    versions = [path for path in folder.iterdir() if path.name.isdecimal() and path_kind(path) == FOLDER]
    expected, fix = (
        "a folder '1' beside config.pbtxt",
        "add it, with a file in it, since git drops empty ones",
    )
    require(bool(versions), "", expected, "none", fix=fix)


def _hints(routers: list[RouterSetup]) -> list[str]:
    """Variants on devices where the first request is slow, and which Triton does not warm up."""
    cold = {
        router.name: [
            variant.name
            for variant in router.usable
            if variant.device is not Device.CPU
            and not read_model_config(router.repository / variant.name).model_warmup
        ]
        for router in routers
    }
    return [
        f"model '{name}': the first request may be slow at {', '.join(variants)}; a model_warmup in the "
        f"variant's {CONFIG_FILE} has Triton send it before the variant is ready"
        for name, variants in cold.items()
        if variants
    ]


def _warnings(routers: list[RouterSetup]) -> list[str]:
    """Variants that are left out, rules for none of the routers that follow their file, and overlaps."""
    left_out = [
        f"model '{router.name}': the variant '{variant}' is left out: {reason}"
        for router in routers
        for variant, reason in router.left_out.items()
    ]
    names: dict[Path, list[str]] = {}
    configs: dict[Path, RoutingConfig] = {}
    for router in routers:
        if router.routing_file is not None:
            names.setdefault(router.routing_file.path, []).append(router.name)
            configs[router.routing_file.path] = router.routing_file.config
    unused = [
        f"{path}: the pattern '{pattern}' matches no router that follows it ({', '.join(names[path])})"
        for path, config in configs.items()
        for pattern in config.unused_patterns(names[path])
    ]
    return left_out + unused + [each for path, config in configs.items() for each in _overlaps(path, config)]


def _overlaps(path: Path, config: RoutingConfig) -> list[str]:
    """Experiments that may compete for the same requests, which depends on the models."""
    return [
        f"{path}, at experiments: '{one.experiment_id}' for '{one.model_name_pattern}' and "
        f"'{other.experiment_id}' for '{other.model_name_pattern}' would compete for the requests of a "
        f"model that both match, such as '{name}', which is rejected; give each a unit_range of its own"
        for one, other in combinations(config.experiments, 2)
        if one.overlaps(other)
        and (name := common_name(one.model_name_pattern, other.model_name_pattern)) is not None
    ]


def _as_json(path: Path, checked: Checked) -> dict[str, Any]:
    return {
        "path": str(path),
        "errors": [],
        "warnings": list(checked.warnings),
        "hints": list(checked.hints),
        "settings": {name: _settings(config) for name, config in checked.settings.items()},
    }


def _settings(config: ModelSettings) -> dict[str, Any]:
    names = [each.name for each in fields(config)]
    return {NAMES.get(name, name): _value(getattr(config, name)) for name in names}


def _value(value: object) -> object:
    """A setting as JSON: devices by name, sets sorted."""
    if isinstance(value, Mapping):
        return {_value(key): _value(member) for key, member in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, map(_value, value)))
    if isinstance(value, DeviceLimits):
        return asdict(value)
    return value.value if isinstance(value, Enum) else value


def _print(path: Path, checked: Checked) -> None:
    console = Console()
    table = Table("model", *COLUMNS, box=box.SIMPLE)
    for name, config in checked.settings.items():
        table.add_row(*map(escape, (name, *_cells(config))))
    console.print(f"{escape(str(path))}: [green]valid[/]", highlight=False, soft_wrap=True)
    console.print(table)
    for warning in checked.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)
    for hint in checked.hints:
        console.print(f"[cyan]hint:[/] {escape(hint)}", highlight=False, soft_wrap=True)


def _cells(config: ModelSettings) -> tuple[str, ...]:
    settings = _settings(config)
    limits = {device: _without_none(limits) for device, limits in settings["backend_limits"].items()}
    return (
        "\n".join((config.policy, *_lines(config.policy_parameters))),
        "\n".join(settings["preferred_backends"]) or "none",
        "\n".join(_lines(settings["backend_weights"])) or "none",
        "\n".join(f"{device}: {', '.join(_lines(held))}" for device, held in limits.items() if held)
        or "none",
        "\n".join(_lines(_others(config))) or "none",
        _deadline(config),
    )


def _others(config: ModelSettings) -> dict[str, Any]:
    """The settings that have no column, where they differ from the default."""
    changed = [
        each.name for each in fields(config) if getattr(config, each.name) != getattr(DEFAULTS, each.name)
    ]
    settings = _settings(config)
    keys = [NAMES.get(name, name) for name in changed if name not in IN_A_COLUMN]
    return {key: json.dumps(settings[key]) for key in keys}


def _deadline(config: ModelSettings) -> str:
    deadline = "none" if config.max_latency_ms is None else f"{config.max_latency_ms:g} ms"
    return f"{deadline}\nlate ones refused" if config.refuse_late else deadline


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items()]


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
