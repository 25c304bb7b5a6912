"""The result of a check as text and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router_backend.core.experiments.experiment import Experiment
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import DeviceLimits
from router_tools.config_check.checked import DEFAULT, NAMES, Checked, Resolved
from router_tools.errors import print_error

Row = tuple[str, str, str]
"""A setting, its value, and the place that decides it."""


def as_json(path: Path, checked: Checked) -> dict[str, Any]:
    """Return the result as JSON types."""
    return {
        "path": str(path),
        "errors": list(map(asdict, checked.errors)),
        "warnings": list(checked.warnings),
        "hints": list(checked.hints),
        "settings": {name: _settings(each.settings) for name, each in checked.resolved.items()},
        "sources": {
            name: {NAMES.get(key, key): place for key, place in each.sources.items()}
            for name, each in checked.resolved.items()
        },
        "variants": {
            name: {variant.name: _variant(variant) for variant in each.variants}
            for name, each in checked.resolved.items()
            if each.variants
        },
        "experiments": {name: list(map(_experiment, each)) for name, each in _experiments(checked).items()},
    }


def print_result(path: Path, checked: Checked) -> None:
    """Print what everything resolves to, then hints and warnings, then errors to stderr."""
    console = Console()
    count = len(checked.errors)
    state = f"[red]{count} error{'s' if count > 1 else ''}[/]" if count else "[green]valid[/]"
    console.print(f"{escape(str(path))}: {state}", highlight=False, soft_wrap=True)
    if checked.resolved:
        console.print(_table(checked))
    for warning in checked.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)
    for hint in checked.hints:
        console.print(f"[cyan]hint:[/] {escape(hint)}", highlight=False, soft_wrap=True)
    for error in checked.errors:
        print_error(str(error))


def _table(checked: Checked) -> Table:
    """Return a row for the policy and for each setting that is not the default, beside what decides it."""
    table = Table("model", "setting", "value", "from", box=box.SIMPLE)
    for name, resolved in checked.resolved.items():
        rows = [*_variant_rows(resolved.variants), *_setting_rows(resolved)]
        rows += map(_experiment_row, resolved.experiments)
        _add(table, name, rows)
    for experiment in checked.experiments:
        _add(table, experiment.model_name_pattern, [_experiment_row(experiment)])
    return table


def _add(table: Table, name: str, rows: Iterable[Row]) -> None:
    for number, row in enumerate(rows):
        table.add_row(*map(escape, ("" if number else name, *row)))


def _variant_rows(variants: Iterable[Variant]) -> Iterator[Row]:
    for variant in variants:
        instances = f", {variant.concurrency} instances" if variant.concurrency > 1 else ""
        yield "variant", f"{variant.name} ({variant.device.value}{instances})", ""


def _setting_rows(resolved: Resolved) -> Iterator[Row]:
    default = ModelSettings()
    settings = _settings(resolved.settings)
    for name, place in resolved.sources.items():
        same = getattr(resolved.settings, name) == getattr(default, name)
        stated = place != DEFAULT and name != "policy_parameters"
        if stated or not same or name == "policy":
            key = NAMES.get(name, name)
            parameters = _text(settings["policy_parameters"]) if name == "policy" else ""
            value = f"{_text(settings[key])} ({parameters})" if parameters else _text(settings[key])
            yield key, value or "none", place


def _experiment_row(experiment: Experiment) -> Row:
    described = _experiment(experiment)
    units = described["unit_range"]
    part = "" if units == [0.0, 1.0] else f", of units {units[0]:g} to {units[1]:g}"
    steps = "".join(f", {step['fraction']:.0%} after {step['after_s']:g} s" for step in described["rollout"])
    value = (
        f"{described['experiment_id']}: {described['control']} → {described['treatment']}, "
        f"{experiment.fraction:.0%} by {described['assign_by']}{part}{steps}"
    )
    return "experiment", value, "routing file"


def _experiments(checked: Checked) -> dict[str, list[Experiment]]:
    """Return the experiments by the router, or by the pattern of their models."""
    found = {name: list(each.experiments) for name, each in checked.resolved.items() if each.experiments}
    for experiment in checked.experiments:
        found.setdefault(experiment.model_name_pattern, []).append(experiment)
    return found


def _experiment(experiment: Experiment) -> dict[str, Any]:
    return {
        "experiment_id": experiment.experiment_id,
        "control": str(experiment.control),
        "treatment": str(experiment.treatment),
        "fraction": experiment.fraction,
        "assign_by": experiment.assign_by.value,
        "unit_range": list(experiment.unit_range),
        "rollout": [asdict(step) for step in experiment.rollout],
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "device": variant.device.value,
        "concurrency": variant.concurrency,
        "max_batch_size": variant.max_batch_size,
    }


def _settings(config: ModelSettings) -> dict[str, Any]:
    names = [each.name for each in fields(config)]
    return {NAMES.get(name, name): _value(getattr(config, name)) for name in names}


def _value(value: object) -> object:
    """Return a setting as JSON: devices by name, sets sorted."""
    if isinstance(value, Mapping):
        return {_value(key): _value(member) for key, member in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, map(_value, value)))
    if isinstance(value, DeviceLimits):
        return asdict(value)
    return value.value if isinstance(value, Enum) else value


def _text(value: object) -> str:
    """Return a setting as a person reads it: `gpu=1.2, cpu=0.8`."""
    if isinstance(value, Mapping):
        texts = [
            f"{key}{' ' if isinstance(member, Mapping) else '='}{_text(member)}"
            for key, member in value.items()
            if member is not None and _text(member)
        ]
        return ", ".join(texts)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
