"""Reads a world from its data file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from router_backend.core.records.variant import Device
from router_tools.simulator.document import Document, read_document
from router_tools.simulator.service_law import AffineServiceLaw, ServiceLaw, TableServiceLaw
from router_tools.simulator.world import Drift, DynamicBatching, Outage, Stalls, World, WorldVariant

_ERROR_S = 0.001
_DEAD_ERROR_S = 1.0


def read_world(path: Path) -> World:
    """Read a world.

    Raises:
        ToolError: the file is wrong: where, what was expected and found.
    """
    document = read_document(path, "world")
    _check(document)
    content = document.content
    return World(
        name=path.stem,
        description=content["description"],
        variants=tuple(map(_variant, content["variants"])),
        assumed=tuple(content.get("assumed", ())),
        contention={name: entry["contention"] for name, entry in content.get("processors", {}).items()},
        drifts=tuple(
            Drift(entry["variant"], entry["from"], entry["to"], entry["factor"])
            for entry in content.get("drifts", ())
        ),
        outages=tuple(map(_outage, content.get("outages", ()))),
        stalls=tuple(
            Stalls(entry["variant"], entry["every_s"], entry["mean_ms"] / 1e3)
            for entry in content.get("stalls", ())
        ),
    )


def _variant(entry: dict[str, Any]) -> WorldVariant:
    concurrency = entry.get("concurrency", 1)
    return WorldVariant(
        name=entry["name"],
        device=Device(entry["device"]),
        concurrency=concurrency,
        told_concurrency=entry.get("told_concurrency", concurrency),
        max_batch_size=entry.get("max_batch_size", 0),
        law=_law(entry["service"]),
        noise_sigma=entry.get("noise_sigma", 0.0),
        batching=_batching(entry["dynamic_batching"]) if "dynamic_batching" in entry else None,
        processor=entry.get("processor"),
        hidden_load=entry.get("hidden_load", 0.0),
        power_w=entry.get("power_w"),
    )


def _law(entry: dict[str, Any]) -> ServiceLaw:
    if "affine" in entry:
        return AffineServiceLaw(**entry["affine"])
    rows = {
        row.get("sequence_length", 1): {int(batch): ms for batch, ms in row["ms_by_batch"].items()}
        for row in entry["table"]["rows"]
    }
    return TableServiceLaw(rows, entry["table"].get("factor", 1.0))


def _batching(entry: dict[str, Any]) -> DynamicBatching:
    return DynamicBatching(
        max_batch_size=entry["max_batch_size"],
        max_queue_delay_s=entry.get("max_queue_delay_ms", 0.0) / 1e3,
        preferred_batch_sizes=tuple(sorted(entry.get("preferred_batch_sizes", ()), reverse=True)),
    )


def _outage(entry: dict[str, Any]) -> Outage:
    dead = entry.get("dead", False)
    error_s = entry["error_ms"] / 1e3 if "error_ms" in entry else _DEAD_ERROR_S if dead else _ERROR_S
    return Outage(entry["variant"], entry["from"], entry["to"], error_s, dead)


def _check(document: Document) -> None:
    """What the schema cannot say."""
    variants = document.content["variants"]
    names = [variant["name"] for variant in variants]
    for index, variant in enumerate(variants):
        _check_variant(document, index, variant, names)
    for kind in ("drifts", "outages", "stalls"):
        for index, event in enumerate(document.content.get(kind, ())):
            _check_event(document, (kind, index), event, names)


def _check_variant(document: Document, index: int, variant: dict[str, Any], names: list[str]) -> None:
    where = ("variants", index)
    if variant["name"] in names[:index]:
        raise document.error((*where, "name"), f"expected a name of its own, found '{variant['name']}' again")
    processors = document.content.get("processors", {})
    if variant.get("processor", next(iter(processors), None)) not in (None, *processors):
        known = ", ".join(processors) or "none"
        raise document.error(
            (*where, "processor"),
            f"expected one of the processors ({known}), found '{variant['processor']}'",
        )
    if "processor" in variant and "dynamic_batching" in variant:
        raise document.error(
            (*where, "dynamic_batching"),
            "expected a processor of its own for a variant that batches, found a shared one",
        )
    for row_index, row in enumerate(variant["service"].get("table", {}).get("rows", ())):
        rows = variant["service"]["table"]["rows"]
        if len(rows) > 1 and "sequence_length" not in row:
            raise document.error(
                (*where, "service", "table", "rows", row_index),
                "expected a sequence_length for each of several rows, found none",
            )


def _check_event(
    document: Document, where: Sequence[str | int], event: dict[str, Any], names: list[str]
) -> None:
    if event["variant"] not in names:
        raise document.error(
            (*where, "variant"), f"expected one of {', '.join(names)}, found '{event['variant']}'"
        )
    if "to" in event and event["to"] <= event["from"]:
        raise document.error(
            (*where, "to"), f"expected more than 'from' ({event['from']}), found {event['to']}"
        )
