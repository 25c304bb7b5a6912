"""Reads a world from its data file."""

from pathlib import Path

from msgspec import UNSET

from router_backend.typed_load import given
from router_tools.simulator.document import read_document
from router_tools.simulator.schema.events import OutageFile
from router_tools.simulator.schema.service import ServiceFile
from router_tools.simulator.schema.world import BatchingFile, VariantFile, WorldFile
from router_tools.simulator.service_law import AffineServiceLaw, ServiceLaw, TableServiceLaw
from router_tools.simulator.world import Drift, DynamicBatching, Failures, Outage, Stalls, World, WorldVariant

_ERROR_S = 0.001
_DEAD_ERROR_S = 1.0


def read_world(path: Path) -> World:
    """Read a world.

    Raises:
        ToolError: everything that is wrong in the file.
    """
    file = read_document(path, WorldFile).content
    return World(
        name=path.stem,
        description=file.description,
        variants=tuple(map(_variant, file.variants)),
        assumed=file.assumed,
        contention={name: processor.contention for name, processor in file.processors.items()},
        drifts=tuple(Drift(each.variant, each.begin, each.end, each.factor) for each in file.drifts),
        outages=tuple(map(_outage, file.outages)),
        failures=tuple(Failures(each.variant, each.begin, each.end, each.share) for each in file.failures),
        stalls=tuple(Stalls(each.variant, each.every_s, each.mean_ms / 1e3) for each in file.stalls),
    )


def _variant(file: VariantFile) -> WorldVariant:
    return WorldVariant(
        name=file.name,
        device=file.device,
        concurrency=file.concurrency,
        told_concurrency=file.told_concurrency or file.concurrency,
        max_batch_size=file.max_batch_size or 0,
        law=_law(file.service),
        noise_sigma=file.noise_sigma,
        batching=None if file.dynamic_batching is UNSET else _batching(file.dynamic_batching),
        processor=file.processor or None,
        hidden_load=file.hidden_load or 0.0,
        power_w=file.power_w or None,
        cold_factor=file.cold_factor,
        slow_share=file.slow_share,
        slow_factor=file.slow_factor,
    )


def _law(file: ServiceFile) -> ServiceLaw:
    if file.affine is not UNSET:
        return AffineServiceLaw(**given(file.affine))
    assert file.table is not UNSET
    rows = {
        row.sequence_length or 1: {int(batch): ms for batch, ms in row.ms_by_batch.items()}
        for row in file.table.rows
    }
    return TableServiceLaw(rows, file.table.factor)


def _batching(file: BatchingFile) -> DynamicBatching:
    return DynamicBatching(
        max_batch_size=file.max_batch_size,
        max_queue_delay_s=file.max_queue_delay_ms / 1e3,
        preferred_batch_sizes=tuple(sorted(file.preferred_batch_sizes, reverse=True)),
    )


def _outage(file: OutageFile) -> Outage:
    default_s = _DEAD_ERROR_S if file.dead else _ERROR_S
    error_s = default_s if file.error_ms is UNSET else file.error_ms / 1e3
    return Outage(file.variant, file.begin, file.end, error_s, file.dead)
